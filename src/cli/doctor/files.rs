//! The configuration, and files with secrets in them: who else may read them, and would git take them along?

use std::path::{Path, PathBuf};

use super::{advice, check, failed};
use crate::cli::Context;
use crate::cli::gather::Gathered;
use crate::config::project::FILE_NAME;
use crate::diagnostic::Diagnostic;
use crate::io::files::{self, Git};
use crate::view::count;
use crate::view::doctor::{Check, Health, Section};

/// The section. `wrong` are the errors of the configuration; nothing was gathered if they are of the worst kind.
pub(super) fn section(context: &Context<'_>, gathered: Option<&Gathered>, wrong: &[Diagnostic]) -> Section {
    let start = context.globals.chdir.clone().unwrap_or_else(|| PathBuf::from("."));
    let dir = gathered.map(|g| g.dir.clone()).or_else(|| files::find_up(&start, FILE_NAME)).unwrap_or_else(|| start.clone());
    let mut checks = vec![configuration(gathered, wrong)];
    let mut private: Vec<(String, PathBuf)> =
        context.globals.env_file.iter().map(|file| (file.display().to_string(), files::resolved(&start.join(file)))).collect();
    for name in [".env", ".patchbay/key"] {
        let path = files::resolved(&dir.join(name));
        if files::is_file(&path) && !private.iter().any(|(_, known)| *known == path) {
            private.push((name.to_owned(), path));
        }
    }
    for (name, path) in private {
        checks.extend(secret_file(&name, &path));
    }
    Section { name: "files".to_owned(), about: dir.display().to_string(), checks }
}

fn configuration(gathered: Option<&Gathered>, wrong: &[Diagnostic]) -> Check {
    match (gathered, wrong) {
        (Some(gathered), []) => {
            let connections = count(gathered.desired.connections.len(), "connection");
            let targets = count(gathered.project.targets.len(), "target");
            let files = count(gathered.files, "file");
            check("configuration", Health::Good, format!("{connections} on {targets} in {files}, all valid"))
        }
        (_, [only]) => failed("configuration", only),
        (_, several) => {
            let mut codes: Vec<String> = several.iter().map(|error| error.code.id()).collect();
            codes.sort();
            codes.dedup();
            let text = format!("{}: {}", count(several.len(), "error"), codes.join(", "));
            check("configuration", Health::Bad, text)
        }
    }
}

fn secret_file(name: &str, path: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    match files::mode(path) {
        None => return vec![check(name, Health::Bad, "not there")],
        Some(mode) if mode & 0o077 != 0 => {
            let text = format!("others may read it ({mode:04o})");
            checks.push(advice(name, Health::Odd, text, format!("chmod 600 {name}")));
        }
        Some(mode) => checks.push(check(name, Health::Good, format!("for its owner only ({mode:04o})"))),
    }
    match files::git(path) {
        Some(Git::Tracked { listed }) => {
            let also = if listed { "" } else { ", add it to .gitignore" };
            let help = format!("`git rm --cached {name}`{also}, and change what is in it: the history keeps it");
            checks.push(advice(name, Health::Odd, "git tracks it", help));
        }
        Some(Git::Open) => {
            checks.push(advice(name, Health::Odd, "git does not ignore it", format!("add it to .gitignore: {name}")));
        }
        Some(Git::Ignored) | None => {}
    }
    checks
}
