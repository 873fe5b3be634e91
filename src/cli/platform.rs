//! `patchbay platform check`: is a platform definition right, as far as it can be told without its API?

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{Context, exit};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes, has_errors};
use crate::io::files;
use crate::plan::rehearsal::rehearse;
use crate::platform::{builtin, parse};
use crate::source::Sources;
use crate::view;
use crate::view::rehearsal::Checked;

/// `platform`
#[derive(Debug, Args)]
pub struct PlatformArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PlatformCommand,
}

/// The commands of `platform`.
#[derive(Debug, Subcommand)]
pub enum PlatformCommand {
    /// Check a definition: its shape, its references, and a rehearsal of what happens to a connection of each kind
    #[command(
        after_help = "Examples:\n  patchbay platform check platforms/mygw.yaml\n  patchbay platform check gateway      a built-in one"
    )]
    Check {
        /// Definitions: files, or names of built-in ones
        #[arg(value_name = "FILE|NAME", required = true)]
        which: Vec<String>,
    },
}

/// Runs the command.
pub fn run(context: &Context<'_>, args: &PlatformArgs) -> u8 {
    let PlatformCommand::Check { which } = &args.command;
    let out = context.out;
    let mut sources = Sources::default();
    let mut found = Diagnostics::new();
    let all: Vec<Checked> = which.iter().map(|name| one(context, name, &mut sources, &mut found)).collect();
    if out.is_machine {
        out.json(&view::rehearsal::document(&all, &found, &sources));
    } else {
        out.text(&view::rehearsal::render(&all, &found, &out.stdout));
        out.diagnostics(&found, &sources);
    }
    if has_errors(&found) { exit::ERROR } else { exit::OK }
}

fn one(context: &Context<'_>, name: &str, sources: &mut Sources, found: &mut Diagnostics) -> Checked {
    let nothing = Checked { name: name.to_owned(), platform: None, kinds: Vec::new() };
    let path = context.path(Path::new(name));
    let text: Arc<str> = match builtin::ALL.iter().find(|(known, _)| *known == name).filter(|_| !files::is_file(&path)) {
        Some((_, text)) => (*text).into(),
        None => match files::read_text(&path) {
            Ok(text) => text.into(),
            Err(error) => {
                let known: Vec<&str> = builtin::ALL.iter().map(|(name, _)| *name).collect();
                found.push(
                    Diagnostic::error(codes::UNREADABLE, format!("cannot read {error}"))
                        .help(format!("name a file, or one of the built-in definitions: {}", known.join(", "))),
                );
                return nothing;
            }
        },
    };
    let file = sources.add(name, Arc::clone(&text));
    let (definition, root) = match parse::parse_with_tree(file, &text) {
        Ok(read) => read,
        Err(errors) => {
            found.extend(errors);
            return nothing;
        }
    };
    let kinds = rehearse(&definition, file.span(0, 0));
    for problem in kinds.iter().flat_map(|kind| &kind.problems) {
        let severity = if problem.is_error { Severity::Error } else { Severity::Warning };
        let diagnostic = Diagnostic::error(codes::BAD_DEFINITION, problem.text.clone())
            .label(parse::locate(&root, &problem.at, None), format!("at `{}`", problem.at))
            .help(problem.help.clone());
        let diagnostic = Diagnostic { severity, ..diagnostic };
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
    Checked { platform: Some((definition.platform, definition.title)), kinds, ..nothing }
}
