//! `patchbay explain`: what a code means, offline.

use clap::Args;
use serde_json::json;

use super::{Context, exit};
use crate::diagnostic::{Diagnostic, codes};
use crate::source::Sources;
use crate::suggest;
use crate::view::style::ink;
use crate::view::{self, explain};

/// `explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A code such as PB0103, or exit-codes
    #[arg(value_name = "CODE", required_unless_present = "list", add = super::complete::subjects())]
    pub subject: Option<String>,
    /// Every code with its title
    #[arg(long)]
    pub list: bool,
}

/// Runs the command.
pub fn run(context: &Context<'_>, args: &ExplainArgs) -> u8 {
    let out = context.out;
    let Some(subject) = args.subject.as_ref().filter(|_| !args.list) else {
        let subjects = explain::subjects();
        if out.is_machine {
            let list: Vec<_> = subjects.iter().map(|(id, title)| json!({ "code": id, "title": title })).collect();
            out.json(&view::json::document(&json!({ "codes": list }), &[], &Sources::default()));
        } else {
            for (id, title) in subjects {
                let gap = " ".repeat(12_usize.saturating_sub(id.len()));
                out.text(&format!("{}{gap}{title}\n", out.stdout.paint(ink::STRONG, &id)));
            }
        }
        return exit::OK;
    };
    let Some((id, text)) = explain::page(subject) else {
        let subjects = explain::subjects();
        let names: Vec<&str> = subjects.iter().map(|(id, _)| id.as_str()).collect();
        let near = suggest::nearest(subject, names.iter().copied());
        let help =
            near.map_or_else(|| "all of them: patchbay explain --list".to_owned(), |near| format!("did you mean `{near}`?"));
        return context.fail(
            &[Diagnostic::error(codes::NOT_FOUND, format!("there is no code `{subject}`")).help(help)],
            &Sources::default(),
        );
    };
    if out.is_machine {
        let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let title = title.split_once(": ").map_or(title, |(_, title)| title);
        out.json(&view::json::document(&json!({ "code": id, "title": title, "text": text }), &[], &Sources::default()));
    } else {
        out.text(&explain::render(text, &out.stdout));
    }
    exit::OK
}
