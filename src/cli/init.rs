//! `patchbay init`: the files of a new project. It plans and applies at once, since its target is the sandbox.
//!
//! What is written stands in `init/`, next to this file, one pair of files a platform; which platform a pair is for, its
//! own project file says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::{Context, exit};
use crate::config::node::Node;
use crate::config::project::FILE_NAME;
use crate::config::toml;
use crate::diagnostic::{Diagnostic, codes};
use crate::io::files::{self, FileError};
use crate::platform::{builtin, schema};
use crate::source::Sources;

/// What the example of a platform consists of.
struct Example {
    /// `patchbay.toml`
    project: &'static str,
    /// The connection file's path.
    path: &'static str,
    /// The connection file.
    connections: &'static str,
}

/// The first one is what is written if nobody asks for a platform.
static EXAMPLES: [Example; 3] = [
    Example {
        project: include_str!("init/models.toml"),
        path: "connections/models.yaml",
        connections: include_str!("init/models.yaml"),
    },
    Example {
        project: include_str!("init/providers.toml"),
        path: "connections/providers.yaml",
        connections: include_str!("init/providers.yaml"),
    },
    Example {
        project: include_str!("init/llms.toml"),
        path: "connections/llms.yaml",
        connections: include_str!("init/llms.yaml"),
    },
];

/// Where the first line of a connection file points to.
const SCHEMA: &str = "connections.schema.json";
/// Where the first line of patchbay.toml points to.
const PROJECT_SCHEMA: &str = "patchbay.schema.json";

/// Lines that are added to a file that may be there already.
const LINES: [(&str, &[&str]); 2] =
    [(".gitignore", &[".patchbay/", ".env"]), (".gitattributes", &["patchbay*.state merge=union -text"])];

/// `init`
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The kind of API that the example is for
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(builtin::ALL.iter().map(|(name, _)| *name)))]
    pub platform: Option<String>,
    /// The project's folder; it is made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

impl Example {
    /// The platform of its target.
    fn platform(&self) -> Option<String> {
        let mut sources = Sources::default();
        let file = sources.add(FILE_NAME, self.project);
        let root = toml::parse(file, self.project).ok()?;
        let target = root.get("targets")?.entries().first()?;
        target.value.get("platform").and_then(Node::as_str).map(ToOwned::to_owned)
    }
}

/// Runs the command.
pub fn run(context: &Context<'_>, args: &InitArgs) -> u8 {
    let out = context.out;
    let failed = |error: Diagnostic| context.fail(&[error], &Sources::default());
    let start = context.path(Path::new("."));
    if !files::is_dir(&start) {
        let error = Diagnostic::error(codes::NO_PROJECT, format!("there is no folder `{}`", start.display()));
        return failed(error.help("check -C / --chdir"));
    }
    let wanted = |example: &&Example| args.platform.is_none() || example.platform() == args.platform;
    let Some(example) = EXAMPLES.iter().find(wanted) else {
        return failed(Diagnostic::error(codes::UNKNOWN_KIND, "there is no example for this platform"));
    };
    let dir = context.path(&args.dir);
    let text = |schema: &serde_json::Value| serde_json::to_string_pretty(schema).unwrap_or_default() + "\n";
    let schemas = [text(&schema::connections(&BTreeMap::new(), false)), text(&schema::project(&BTreeMap::new()))];
    let new: [(&str, &str); 4] =
        [(FILE_NAME, example.project), (example.path, example.connections), (SCHEMA, &schemas[0]), (PROJECT_SCHEMA, &schemas[1])];

    let existing: Vec<&str> = new.iter().map(|(path, _)| *path).filter(|path| files::exists(&dir.join(path))).collect();
    if !existing.is_empty() {
        let mut error = Diagnostic::error(codes::USAGE, "there are files here that `init` would have to overwrite")
            .help("nothing was written; move them away, or name another folder: patchbay init DIR");
        for path in existing {
            error = error.note(format!("exists: {}", dir.join(path).display()));
        }
        return failed(error);
    }
    // Whatever may go wrong with reading goes wrong before the first write.
    let mut additions: Vec<(&str, String)> = Vec::new();
    for (path, lines) in LINES {
        match files::read_text(&dir.join(path)) {
            Ok(text) => additions.push((path, missing_lines(&text, lines))),
            Err(error) if error.not_found => additions.push((path, missing_lines("", lines))),
            Err(error) => return failed(Diagnostic::error(codes::UNREADABLE, format!("cannot read {error}"))),
        }
    }
    let mut written: Vec<String> = Vec::new();
    if let Err(error) = write(&dir, &new, &additions, &mut written) {
        let mut error = Diagnostic::error(codes::UNREADABLE, format!("cannot write {error}"));
        for path in &written {
            error = error.note(format!("written: {path}"));
        }
        return failed(error);
    }

    let folder = tidy(&dir);
    let folder = if folder == Path::new(".") { String::new() } else { format!(" -C {}", quoted(&folder)) };
    let next = [format!("patchbay{folder} plan"), format!("patchbay{folder} apply")];
    if out.is_machine {
        out.json(&crate::view::json::document(&json!({ "written": written, "next": next }), &[], &Sources::default()));
        return exit::OK;
    }
    if out.quiet > 0 {
        return exit::OK;
    }
    let list: String = written.iter().map(|path| format!("  {path}\n")).collect();
    out.text(&format!(
        "Written:\n{list}\nThe target is a sandbox inside patchbay: it needs no server and no credentials. Next:\n  {}\n  {}\n",
        next[0], next[1]
    ));
    exit::OK
}

fn write(dir: &Path, new: &[(&str, &str)], additions: &[(&str, String)], written: &mut Vec<String>) -> Result<(), FileError> {
    files::make_dir(dir)?;
    let shown = |path: &str| tidy(&dir.join(path)).display().to_string();
    for (path, text) in new {
        files::create_new(&dir.join(path), text)?;
        written.push(shown(path));
    }
    for (path, text) in additions.iter().filter(|(_, text)| !text.is_empty()) {
        files::append(&dir.join(path), text)?;
        written.push(shown(path));
    }
    Ok(())
}

/// What must be added to a text so that it has all of these lines; empty if it has them.
fn missing_lines(text: &str, lines: &[&str]) -> String {
    let bare = |line: &str| line.trim().trim_matches('/').to_owned();
    let known: Vec<String> = text.lines().map(bare).collect();
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let missing: Vec<&str> = lines.iter().copied().filter(|line| !known.contains(&bare(line))).collect();
    if missing.is_empty() {
        return String::new();
    }
    let mut added = String::new();
    if !text.is_empty() && !text.ends_with('\n') {
        added.push_str(end);
    }
    for line in missing {
        added.push_str(line);
        added.push_str(end);
    }
    added
}

/// A path without the `.` that joining leaves in it.
fn tidy(path: &Path) -> PathBuf {
    let parts = path.components().filter(|part| !matches!(part, std::path::Component::CurDir));
    let clean: PathBuf = parts.collect();
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}

/// A path as a word of a command line.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ',' | '@' | ':' | '~');
    if !text.is_empty() && !text.starts_with(['~', '-']) && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_platform_has_an_example() {
        let known: Vec<&str> = builtin::ALL.iter().map(|(name, _)| *name).collect();
        let examples: Vec<String> = EXAMPLES.iter().filter_map(Example::platform).collect();
        assert_eq!(examples, known);
    }

    #[test]
    fn examples_are_for_the_sandbox_and_point_to_the_schema() {
        for example in &EXAMPLES {
            assert!(example.project.contains("\nbase_url = \"sandbox:\"\n"));
            let modeline = format!("# yaml-language-server: $schema=../{SCHEMA}\n");
            assert!(example.connections.starts_with(&modeline), "{}", example.path);
        }
    }

    #[test]
    fn only_missing_lines_are_added() {
        let lines = [".patchbay/", ".env"];
        for (text, added) in [
            ("", ".patchbay/\n.env\n"),
            ("target\n", ".patchbay/\n.env\n"),
            ("target", "\n.patchbay/\n.env\n"),
            ("/.patchbay\n", ".env\n"),
            (".env\n.patchbay/\n", ""),
            ("#.env\n!.env\n.patchbay/", "\n.env\n"),
            ("a\r\n.env\r\n", ".patchbay/\r\n"),
        ] {
            assert_eq!(missing_lines(text, &lines), added, "{text:?}");
        }
    }

    #[test]
    fn paths_are_words() {
        assert_eq!(tidy(Path::new("./a/./b")), Path::new("a/b"));
        assert_eq!(tidy(Path::new("./.")), Path::new("."));
        assert_eq!(quoted(Path::new("a/b-c")), "a/b-c");
        assert_eq!(quoted(Path::new("it's here")), "'it'\\''s here'");
    }
}
