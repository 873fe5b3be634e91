//! `patchbay platform check`: is a platform definition right, as far as it can be told without its API? `platform new`: a
//! first draft of one. `platform probe`: what its API says about it.

pub mod probe;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, exit};
use crate::address::check_name;
use crate::config::yaml;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, codes, has_errors};
use crate::io::files;
use crate::plan::rehearsal::rehearse;
use crate::platform::draft::draft;
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
        #[arg(value_name = "FILE|NAME", required = true, add = super::complete::definitions())]
        which: Vec<String>,
    },
    /// Draft a definition from an OpenAPI 3 document; what it does not say stays a TODO
    #[command(
        after_help = "Examples:\n  patchbay platform new acme --openapi acme.yaml\n  patchbay platform new acme --openapi acme.json --path /v1/models\n  patchbay platform new acme --openapi acme.json --write platforms/acme.yaml"
    )]
    New(NewArgs),
    /// Ask a live API whether its definition is right, with an object that is made, changed and deleted for it
    #[command(
        after_help = "Examples:\n  patchbay platform probe gw/openai\n  patchbay platform probe gw/openai --yes --write platforms/gw.probe.yaml\n  patchbay platform probe kore-test/support --leave  where none can be deleted\n\nThe object is like the connection, under a name of its own and with secrets that\nopen nothing. Nothing else is touched."
    )]
    Probe(probe::ProbeArgs),
}

/// `platform new`
#[derive(Debug, Args)]
pub struct NewArgs {
    /// The platform's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The document, JSON or YAML
    #[arg(long, value_name = "FILE", required = true)]
    pub openapi: PathBuf,
    /// Only paths that begin so
    #[arg(long = "path", value_name = "PREFIX")]
    pub only_path: Option<String>,
    /// Write it to this file, which must not be there
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// Runs the command.
pub fn run(context: &Context<'_>, args: &PlatformArgs) -> u8 {
    match &args.command {
        PlatformCommand::Check { which } => check(context, which),
        PlatformCommand::New(new) => draft_new(context, new),
        PlatformCommand::Probe(args) => super::block_on(context, probe::run(context, args)),
    }
}

/// `new`: what an OpenAPI document says, as a definition that asks for the rest.
fn draft_new(context: &Context<'_>, args: &NewArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let failed = |error: Diagnostic, sources: &Sources| context.fail(&[error], sources);
    if let Err(why) = check_name(&args.name) {
        return failed(
            Diagnostic::error(codes::BAD_NAME, format!("`{}` is not a usable platform name: {why}", args.name)),
            &sources,
        );
    }
    let path = context.path(&args.openapi);
    let text: Arc<str> = match files::read_text(&path) {
        Ok(text) => text.into(),
        Err(error) => return failed(Diagnostic::error(codes::UNREADABLE, format!("cannot read {error}")), &sources),
    };
    // JSON is YAML, so one reader takes both.
    let file = sources.add(args.openapi.display().to_string(), Arc::clone(&text));
    let document = match yaml::parse(file, &text) {
        Ok(root) => root.map(|root| root.to_json()).unwrap_or_default(),
        Err(error) => return failed(error, &sources),
    };
    let draft = match draft(&document, &args.name, args.only_path.as_deref()) {
        Ok(draft) => draft,
        Err(why) => {
            let help = "an OpenAPI 3 document in JSON or YAML is wanted; --path narrows it to paths that begin so";
            return failed(Diagnostic::error(codes::BAD_DEFINITION, why).help(help), &sources);
        }
    };
    if let Some(write) = &args.write
        && let Err(error) = files::create_new(&context.path(write), &draft.text)
    {
        let help = "nothing is overwritten; name another file, or leave --write out";
        return failed(Diagnostic::error(codes::UNREADABLE, format!("cannot write {error}")).help(help), &sources);
    }
    if out.is_machine {
        let left_out: Vec<_> = draft.left_out.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect();
        let content = json!({ "text": draft.text, "kinds": draft.kinds, "todos": draft.todos, "left_out": left_out });
        out.json(&view::json::document(&content, &[], &sources));
        return exit::OK;
    }
    if args.write.is_none() {
        out.text(&draft.text);
    }
    for (path, why) in &draft.left_out {
        out.note(&format!("left out: {path}: {why}"));
    }
    let place = args.write.as_ref().map(|write| format!(" in {}", write.display())).unwrap_or_default();
    out.note(&format!(
        "Drafted {}{place}; {} to decide (TODO).",
        view::count(draft.kinds, "kind"),
        view::count(draft.todos, "question")
    ));
    if let Some(write) = &args.write {
        out.note(&format!("Next: answer them from the vendor's pages, then: patchbay platform check {}", write.display()));
    }
    exit::OK
}

/// `check`
fn check(context: &Context<'_>, which: &[String]) -> u8 {
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

/// The text of a definition: a file, or a built-in one by its name.
///
/// # Errors
/// If it is neither.
pub(super) fn text_of(context: &Context<'_>, name: &str) -> Result<Arc<str>, Diagnostic> {
    let path = context.path(Path::new(name));
    if let Some((_, text)) = builtin::every().find(|(known, _)| *known == name).filter(|_| !files::is_file(&path)) {
        return Ok(text.into());
    }
    files::read_text(&path).map(Into::into).map_err(|error| {
        let known: Vec<&str> = builtin::every().map(|(name, _)| name).collect();
        Diagnostic::error(codes::UNREADABLE, format!("cannot read {error}"))
            .help(format!("name a file, or one of the built-in definitions: {}", known.join(", ")))
    })
}

fn one(context: &Context<'_>, name: &str, sources: &mut Sources, found: &mut Diagnostics) -> Checked {
    let nothing = Checked { name: name.to_owned(), platform: None, kinds: Vec::new() };
    let text = match text_of(context, name) {
        Ok(text) => text,
        Err(error) => {
            found.push(error);
            return nothing;
        }
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
