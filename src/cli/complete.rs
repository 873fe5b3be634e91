//! What a shell offers when somebody presses Tab: addresses, targets, profiles and codes besides the words of the command
//! line. Nothing is asked of an API, nothing is printed but candidates, and a broken project offers none.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};
use clap_complete::env::CompleteEnv;

use super::{gather, help};
use crate::platform::builtin;
use crate::sandbox::Quirks;
use crate::view::{explain, report};

/// The variable by which a shell asks for candidates.
const VARIABLE: &str = "PATCHBAY_COMPLETE";

/// Answers a shell, if one asks. Returns whether that was so.
#[must_use]
pub fn answered(env: &BTreeMap<String, String>) -> bool {
    if !env.contains_key(VARIABLE) {
        return false;
    }
    CompleteEnv::with_factory(help::command)
        .var(VARIABLE)
        .bin("patchbay")
        .try_complete(std::env::args_os(), Some(Path::new(".")))
        .unwrap_or(false)
}

/// The script that a shell reads at its start.
///
/// # Errors
/// If there is no such shell.
pub fn script(shell: &str) -> Option<String> {
    let shells = clap_complete::env::Shells::builtins();
    let mut text = Vec::new();
    shells.completer(shell)?.write_registration(VARIABLE, "patchbay", "patchbay", "patchbay", &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// Targets and addresses: for `--only` and everything like it.
pub fn addresses() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let known = gather::outline(&project());
        let targets = known.targets.iter().map(|(target, platform)| (target.clone(), platform.clone()));
        let all = targets.chain(known.connections.iter().cloned());
        candidates(all, current)
    })
}

/// Addresses of connections alone.
pub fn connections() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| candidates(gather::outline(&project()).connections.into_iter(), current))
}

/// Targets.
pub fn targets() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| candidates(gather::outline(&project()).targets.into_iter(), current))
}

/// Profiles.
pub fn profiles() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        candidates(gather::outline(&project()).profiles.into_iter().map(|name| (name, String::new())), current)
    })
}

/// Codes and topics of `explain`.
pub fn subjects() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        explain::subjects().into_iter().map(|(id, title)| CompletionCandidate::new(id).help(Some(title.into()))).collect()
    })
}

/// Formats of `--report`. A path follows, so nothing is offered after the `=`.
pub fn reports() -> ArgValueCandidates {
    words(|| report::Format::ALL.iter().map(|(_, name)| ((*name).to_owned(), String::new())).collect())
}

/// What `--format` takes after this command: `graph` has forms of its own.
pub fn formats() -> ArgValueCandidates {
    words(|| {
        let is_graph = std::env::args_os().any(|word| word == "graph");
        let names: &[&str] = if is_graph { &["text", "json", "mermaid", "dot"] } else { &["text", "json", "jsonl"] };
        names.iter().map(|name| ((*name).to_owned(), String::new())).collect()
    })
}

/// The names of the sandbox's quirks.
pub fn quirks() -> ArgValueCandidates {
    words(|| Quirks::names().iter().map(|(name, help)| (format!("{name}="), (*help).to_owned())).collect())
}

/// Built-in definitions and files.
pub fn definitions() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let known = builtin::every().map(|(name, _)| (name.to_owned(), String::new()));
        let mut all = candidates(known, current);
        all.extend(PathCompleter::file().complete(current));
        all
    })
}

fn words(all: fn() -> Vec<(String, String)>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || candidates(all().into_iter(), OsStr::new("")))
}

fn candidates(all: impl Iterator<Item = (String, String)>, current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy().into_owned();
    let described = |help: String| Some(help).filter(|help| !help.is_empty()).map(Into::into);
    all.filter(|(name, _)| name.starts_with(&begun))
        .map(|(name, help)| CompletionCandidate::new(name).help(described(help)))
        .collect()
}

/// The folder that the command line is about: what `-C` says on it, or the working directory.
fn project() -> PathBuf {
    let words: Vec<_> = std::env::args_os().collect();
    let after = |word: &str| words.windows(2).find(|pair| pair[0] == word).map(|pair| PathBuf::from(&pair[1]));
    let joined = || {
        let word = words.iter().find_map(|word| word.to_str()?.strip_prefix("--chdir=").map(ToOwned::to_owned));
        word.map(PathBuf::from)
    };
    after("-C").or_else(|| after("--chdir")).or_else(joined).unwrap_or_else(|| PathBuf::from("."))
}
