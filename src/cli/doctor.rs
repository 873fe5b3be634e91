//! `patchbay doctor`: is everything in place? Each target by its lists, the files by what others may do with them, the
//! state by reading it. Nothing is written anywhere.
//!
//! It is asked when something is wrong, so nothing that is wrong stops it: what forbids a look at one thing is a finding,
//! and everything else is looked at all the same.
//!
//! | file | what it looks at |
//! |---|---|
//! | `files` | the configuration, and files with secrets in them |
//! | `state` | the state |
//! | `target` | one target |

mod files;
mod state;
mod target;

use clap::Args;
use futures_util::future::join_all;

use super::args::Globals;
use super::events::Listener;
use super::gather::{Gathered, gather};
use super::{Context, exit};
use crate::diagnostic::{Diagnostic, Diagnostics, codes, has_errors, tidy};
use crate::source::Sources;
use crate::view::doctor::{Check, Health, Section};
use crate::{suggest, view};

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Only these targets
    #[arg(value_name = "TARGET", add = super::complete::targets())]
    pub targets: Vec<String>,
    /// Look at a target although its address differs from the one in the state: its credentials go there
    #[arg(long)]
    pub accept_target_change: bool,
}

/// Runs the command.
pub async fn run(context: &Context<'_>, args: &DoctorArgs) -> u8 {
    let out = context.out;
    let mut sources = Sources::default();
    let (mut gathered, mut found) = gather(context, false, &mut sources);
    let is_blind = gathered.is_none();
    // Without a label it was no mistake in a file of the project, but something before.
    if is_blind && found.iter().all(|error| error.labels.is_empty()) {
        let (rest, errors) = without_variables(context, &mut sources);
        if rest.is_some() {
            gathered = rest;
            found.extend(errors);
        }
    }
    let wrong: Diagnostics = found.iter().filter(|d| d.is_error()).cloned().collect();
    let mut sections = Vec::new();
    if let Some(gathered) = &gathered {
        let declared = &gathered.project.declared;
        if let Some(unknown) = args.targets.iter().find(|name| !declared.contains(name)) {
            let known: Vec<&str> = declared.iter().map(String::as_str).collect();
            let error = Diagnostic::error(codes::UNKNOWN_TARGET, format!("there is no target `{unknown}`"))
                .help_opt(suggest::help(unknown, &known));
            return context.fail(&[error], &sources);
        }
        let seen = state::look(context, gathered, is_blind).await;
        let visit = target::Visit {
            context,
            gathered,
            state: seen.state(),
            lines: &Listener::new(context),
            accept_change: args.accept_target_change,
            is_blind,
        };
        let chosen = declared.iter().filter(|name| args.targets.is_empty() || args.targets.contains(name));
        for (section, errors) in join_all(chosen.map(|name| target::look(&visit, name))).await {
            sections.push(section);
            found.extend(errors);
        }
        sections.push(files::section(context, Some(gathered), &wrong));
        let (section, more) = state::section(context, gathered, &seen, wrong.is_empty());
        sections.push(section);
        found.extend(more);
    } else {
        sections.push(files::section(context, None, &wrong));
        let unknown = check("records", Health::Unknown, "where they are stands in the project file, and none can be read");
        sections.push(Section { name: "state".to_owned(), about: String::new(), checks: vec![unknown] });
    }
    tidy(&mut found);
    if out.is_machine {
        out.json(&view::doctor::document(&sections, &found, &sources));
    } else {
        out.text(&view::doctor::render(&sections, &out.stdout));
        out.diagnostics(&found, &sources);
    }
    if view::doctor::is_ill(&sections) || has_errors(&found) { exit::ERROR } else { exit::OK }
}

/// What can be told although a file of variables cannot be read: which targets there are, and where the state is.
fn without_variables(context: &Context<'_>, sources: &mut Sources) -> (Option<Gathered>, Diagnostics) {
    let globals = Globals { env_file: Vec::new(), ..context.globals.clone() };
    let context =
        Context { globals: &globals, env: context.env, redactor: context.redactor, out: context.out, reports: context.reports };
    gather(&context, true, sources)
}

fn check(what: &str, health: Health, text: impl Into<String>) -> Check {
    Check { what: what.to_owned(), health, text: text.into(), help: None }
}

fn advice(what: &str, health: Health, text: impl Into<String>, help: impl Into<String>) -> Check {
    Check { help: Some(help.into()), ..check(what, health, text) }
}

/// An error that is told in full below.
fn failed(what: &str, error: &Diagnostic) -> Check {
    check(what, Health::Bad, format!("{} {}", error.code.id(), error.summary))
}
