//! `patchbay fmt`: connection files in their canonical form.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use similar::TextDiff;

use super::gather::{self, Found};
use super::{Context, broken, exit};
use crate::config::format::format;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::io::files;
use crate::source::Sources;
use crate::view::style::ink;
use crate::view::{self, count};

/// `fmt`
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Files and folders instead of the project's; - for standard input
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub paths: Vec<String>,
    /// Write nothing; exit 1 if a file is not formatted
    #[arg(long)]
    pub check: bool,
    /// Show what changes
    #[arg(long)]
    pub diff: bool,
}

/// One file.
struct Formatted {
    name: String,
    path: PathBuf,
    before: String,
    after: String,
}

/// Runs the command.
pub fn run(context: &Context<'_>, args: &FmtArgs) -> u8 {
    if args.paths == ["-"] {
        return filter(context, args);
    }
    let out = context.out;
    let mut sources = Sources::default();
    let mut errors = Diagnostics::new();
    let found = gather::connection_files(context, &args.paths, &mut sources, &mut errors);
    let Some(found) = found.filter(|_| errors.is_empty()) else { return context.fail(&errors, &sources) };
    let mut changed = Vec::new();
    let mut total = 0;
    for Found { name, path } in found {
        total += 1;
        let text = match files::read_text(&path) {
            Ok(text) => text,
            Err(error) => {
                errors.push(Diagnostic::error(codes::UNREADABLE, format!("cannot read `{name}`: {}", error.why)));
                continue;
            }
        };
        match format(&name, &text, &mut sources) {
            Ok(after) if after == text => {}
            Ok(after) => changed.push(Formatted { name, path, before: text, after }),
            Err(error) => {
                broken::hide_around(&error, &mut sources);
                errors.push(error);
            }
        }
    }
    if args.diff && !out.is_machine {
        changed.iter().for_each(|file| out.text(&diff(context, file)));
    }
    let mut written = Vec::new();
    for file in changed.iter().filter(|_| !args.check && !args.diff) {
        // Links and permissions stay as they are: the text is replaced, not the file.
        match files::overwrite(&file.path, &file.after) {
            Ok(()) => written.push(file.name.as_str()),
            Err(error) => {
                errors.push(Diagnostic::error(codes::UNREADABLE, format!("cannot write `{}`: {}", file.name, error.why)));
            }
        }
    }
    let names: Vec<&str> = changed.iter().map(|file| file.name.as_str()).collect();
    if out.is_machine {
        let content = json!({ "files": total, "unformatted": names, "written": written });
        out.json(&view::json::document(&content, &errors, &sources));
    } else {
        out.diagnostics(&errors, &sources);
        if args.check {
            names.iter().for_each(|name| out.text(&format!("{name}\n")));
        }
        let verdict = match (args.check || args.diff, names.len()) {
            (_, 0) if !errors.is_empty() => format!("{} cannot be formatted.", count(errors.len(), "file")),
            (_, 0) => format!("{} formatted already.", count(total, "file")),
            (true, n) => format!("{n} of {} not formatted; `patchbay fmt` does it.", count(total, "file")),
            (false, _) if written.is_empty() => format!("{} cannot be written.", count(errors.len(), "file")),
            (false, _) => format!("Formatted {} of {}: {}", written.len(), count(total, "file"), written.join(", ")),
        };
        out.note(&verdict);
    }
    if !errors.is_empty() || (args.check && !changed.is_empty()) { exit::ERROR } else { exit::OK }
}

/// Standard input to standard output.
fn filter(context: &Context<'_>, args: &FmtArgs) -> u8 {
    let mut text = String::new();
    let mut sources = Sources::default();
    let name = "standard input";
    if std::io::stdin().read_to_string(&mut text).is_err() {
        return context.fail(&[Diagnostic::error(codes::UNREADABLE, "standard input is not UTF-8 text")], &sources);
    }
    match format(name, &text, &mut sources) {
        Ok(after) => {
            let is_same = after == text;
            if args.diff && !context.out.is_machine {
                let file = Formatted { name: name.to_owned(), path: PathBuf::new(), before: text, after };
                context.out.text(&diff(context, &file));
            } else if context.out.is_machine {
                let content =
                    json!({ "files": 1, "unformatted": if is_same { vec![] } else { vec![name] }, "written": [], "text": after });
                context.out.json(&view::json::document(&content, &[], &sources));
            } else if !args.check {
                context.out.text(&after);
            }
            if args.check && !is_same { exit::ERROR } else { exit::OK }
        }
        Err(error) => {
            broken::hide_around(&error, &mut sources);
            context.fail(&[error], &sources)
        }
    }
}

/// A unified diff.
fn diff(context: &Context<'_>, file: &Formatted) -> String {
    let style = &context.out.stdout;
    let safe = |line: &str| -> String {
        line.chars().map(|c| if c != '\n' && crate::platform::exchange::is_unsafe(c) { '\u{fffd}' } else { c }).collect()
    };
    let name = Path::new(&file.name).display();
    // A file may hold a secret as it is; a screen, or a job's log, is no place for it.
    let (before, after) = (broken::without_credentials(&file.before), broken::without_credentials(&file.after));
    let text = TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(3)
        .header(&format!("{name}"), &format!("{name} (formatted)"))
        .to_string();
    text.lines()
        .map(|line| {
            let ink = match line.as_bytes().first() {
                _ if line.starts_with("+++") || line.starts_with("---") => ink::STRONG,
                Some(b'+') => ink::CREATE,
                Some(b'-') => ink::REMOVE,
                Some(b'@') => ink::DRIFT,
                _ => ink::PLAIN,
            };
            style.paint(ink, &safe(line)) + "\n"
        })
        .collect()
}
