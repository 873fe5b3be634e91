//! `patchbay completions` and `patchbay man`: for shells and manuals, both from the command line's own definition.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Context, complete, exit, help};
use crate::diagnostic::{Diagnostic, codes};
use crate::io::files::{self, FileError};
use crate::source::Sources;
use crate::view;

/// `completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "powershell", "elvish"])]
    pub shell: String,
}

/// `man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write the pages into; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `completions`
pub fn completions(context: &Context<'_>, args: &CompletionsArgs) -> u8 {
    let Some(script) = complete::script(&args.shell) else {
        let error = Diagnostic::error(codes::INTERNAL, format!("there is no script for {}", args.shell));
        return context.fail(&[error], &Sources::default());
    };
    if context.out.is_machine {
        context.out.json(&view::json::document(&json!({ "shell": args.shell, "script": script }), &[], &Sources::default()));
    } else {
        context.out.text(&script);
    }
    exit::OK
}

/// `man`
pub fn man(context: &Context<'_>, args: &ManArgs) -> u8 {
    let dir = context.path(&args.dir);
    match write_pages(&dir) {
        Ok(written) if context.out.is_machine => {
            context.out.json(&view::json::document(&json!({ "written": written }), &[], &Sources::default()));
            exit::OK
        }
        Ok(written) => {
            context.out.note(&format!("Wrote {} to {}.", view::count(written.len(), "page"), dir.display()));
            exit::OK
        }
        Err(error) => {
            let error = Diagnostic::error(codes::UNREADABLE, format!("the manual cannot be written: {error}"));
            context.fail(&[error], &Sources::default())
        }
    }
}

/// What the short help leaves out belongs into a manual; names of variables, too.
fn in_full(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_short_help(false).hide_env(false))
}

fn write_pages(dir: &Path) -> Result<Vec<String>, FileError> {
    files::make_dir(dir)?;
    let mut written = Vec::new();
    let mut command = help::command();
    command.build();
    let mut open = vec![command];
    while let Some(command) = open.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-");
        let mut page = Vec::new();
        // Writing to memory does not fail.
        drop(clap_mangen::Man::new(in_full(command.clone())).render(&mut page));
        let file = format!("{name}.1");
        files::write_public(&dir.join(&file), &String::from_utf8_lossy(&page))?;
        written.push(file);
        open.extend(command.get_subcommands().filter(|c| c.get_name() != "help").cloned());
    }
    written.sort();
    Ok(written)
}
