//! What can be wrong with a state, in words for people.
//!
//! Errors are values that can be cloned: a failed write answers everybody whose entries were in it.

use std::fmt;
use std::path::Path;

use super::entry::{MAJOR, MINOR};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, codes};

/// Why a state cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// A system call failed.
    Io {
        /// What was tried: `cannot {verb} …`.
        verb: &'static str,
        /// With which file.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// The system could not promise that what was written is on the disk. After that the file is not trusted any
    /// more: the system may report the next sync as good although the pages are lost.
    Sync {
        /// Which file.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// The file was another one each time we looked.
    Unsettled {
        /// Which file.
        path: String,
    },
    /// A line that was whole once is not any more.
    Damaged {
        /// Which file.
        name: String,
        /// Which line, from 1.
        line: usize,
        /// The connection that the line seems to be about.
        about: Option<Address>,
        /// What is wrong with it.
        why: String,
    },
    /// Git's conflict markers.
    Markers {
        /// Which file.
        name: String,
        /// The line of the first one, from 1.
        line: usize,
    },
    /// Written by a newer program. A newer major version is not read, a newer minor version is not written.
    Newer {
        /// Which file.
        name: String,
        /// Its major version.
        major: u64,
        /// Its minor version.
        minor: u64,
    },
    /// Two states in one place.
    Lineage {
        /// Which file.
        name: String,
        /// The lineage found there.
        found: String,
        /// The lineage of this run.
        expected: String,
    },
    /// The key for fingerprints is not usable.
    Key {
        /// The file or variable.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// A store on the network did not do what was asked, or did not answer.
    Remote {
        /// What was tried: `cannot {verb} …`.
        verb: &'static str,
        /// Where; without credentials.
        place: String,
        /// What came back, in short.
        cause: String,
        /// What to do, where that is known.
        help: Option<String>,
    },
    /// A store on the network that failed the self-test.
    Unfit {
        /// Where.
        place: String,
        /// What it does.
        why: String,
    },
    /// The writer is gone; it ended before this entry reached it.
    Stopped,
    /// As the inner error, but what this run did is safe in another file, which the next run takes over.
    Saved {
        /// What went wrong.
        cause: Box<Self>,
        /// Where the results are.
        place: String,
    },
}

impl StateError {
    /// A failed system call.
    pub fn io(verb: &'static str, path: &Path, cause: &dyn fmt::Display) -> Self {
        Self::Io { verb, path: path.display().to_string(), cause: cause.to_string() }
    }

    /// The same error, with the place where the results were saved instead.
    #[must_use]
    pub fn saved_in(self, place: &Path) -> Self {
        Self::Saved { cause: Box::new(self), place: place.display().to_string() }
    }

    /// Where the results were saved instead, if they were.
    #[must_use]
    pub fn saved(&self) -> Option<&str> {
        match self {
            Self::Saved { place, .. } => Some(place),
            _ => None,
        }
    }

    /// The error for people.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let unreadable = || Diagnostic::error(codes::STATE_UNREADABLE, self.to_string());
        let damaged = || Diagnostic::error(codes::STATE_DAMAGED, self.to_string());
        match self {
            Self::Io { .. } => {
                unreadable().help("check the permissions and the free space of its folder, then run `patchbay plan`")
            }
            Self::Sync { .. } => unreadable()
                .note("after a failed sync nobody knows which of the last lines are on the disk, so this run stops writing")
                .help("check the disk, then run `patchbay plan`: what is not in the state is found again by its name"),
            Self::Unsettled { .. } => unreadable()
                .note("the path named another file each time it was looked at")
                .help("keep the state on a local file system; network file systems do not give what it needs"),
            Self::Damaged { line, about, .. } => {
                let lost = match about {
                    Some(address) => format!("`{address}`"),
                    None => "the object".to_owned(),
                };
                let found = format!("then run `patchbay plan`: {lost} is found again by its name");
                let help = match line {
                    1 => format!(
                        "restore the first line from version control, or run `patchbay state repair`, which keeps the records; {found}"
                    ),
                    _ => format!("run `patchbay state repair`, which keeps all other lines; {found}"),
                };
                let diagnostic = damaged().help(help);
                match about {
                    Some(address) => diagnostic.about(address),
                    None => diagnostic,
                }
            }
            Self::Markers { .. } => damaged()
                .note("every line stands alone and the newer one of two wins, so both sides may stay")
                .help("run `patchbay state repair`, which joins both sides, then `patchbay plan`"),
            Self::Newer { .. } => Diagnostic::error(codes::STATE_NEWER, self.to_string())
                .note(format!("this patchbay reads and writes format {MAJOR}.{MINOR}"))
                .help("use the patchbay that wrote it, or a later one"),
            Self::Lineage { found, expected, .. } => Diagnostic::error(codes::STATE_LINEAGE, self.to_string())
                .note(format!("found lineage {found}, expected {expected}"))
                .help("check `path` under `[state]` in patchbay.toml; if two first runs met, run `patchbay plan` again"),
            Self::Key { .. } => unreadable()
                .note("the key makes the fingerprints of secrets; with another key they cannot be verified")
                .help("restore the key; if it is lost, a new one does: secrets cannot be verified until they are written again"),
            Self::Remote { help, .. } => unreadable()
                .help("check the address, the network and the credentials, then run `patchbay plan`")
                .help_opt(help.clone()),
            Self::Unfit { .. } => Diagnostic::error(codes::STATE_UNFIT, self.to_string())
                .note("two runs could both believe that a connection is theirs; nothing was written there but a test")
                .help("use S3, Azure Blob Storage, Google Cloud Storage, or a server that honours If-Match and If-None-Match"),
            Self::Stopped => unreadable().help("run `patchbay plan`: what is not in the state is found again by its name"),
            Self::Saved { cause, place } => cause
                .diagnostic()
                .note(format!("what this run did is saved in `{place}`; the next `patchbay apply` takes it over")),
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { verb, path, cause } => write!(f, "cannot {verb} `{path}`: {cause}"),
            Self::Sync { path, cause } => write!(f, "cannot make `{path}` durable: {cause}"),
            Self::Unsettled { path } => write!(f, "`{path}` does not keep still"),
            Self::Damaged { name, line, why, .. } => write!(f, "`{name}` is damaged: line {line}: {why}"),
            Self::Markers { name, line } => write!(f, "`{name}` has git conflict markers: line {line}"),
            Self::Newer { name, major, minor } => write!(f, "`{name}` has a newer format: {major}.{minor}"),
            Self::Lineage { name, .. } => write!(f, "`{name}` belongs to another project"),
            Self::Key { place, why } => write!(f, "the state key in `{place}` is not usable: {why}"),
            Self::Remote { verb, place, cause, .. } => write!(f, "cannot {verb} `{place}`: {cause}"),
            Self::Unfit { place, why } => write!(f, "`{place}` cannot keep a state: {why}"),
            Self::Stopped => f.write_str("the state is not written any more"),
            Self::Saved { cause, .. } => cause.fmt(f),
        }
    }
}

impl std::error::Error for StateError {}

/// What was odd about a state that can be used all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateWarning {
    /// A line of the journal was not finished by whoever wrote it, and is ignored. It was never acknowledged.
    Torn {
        /// Which file.
        name: String,
        /// Which line, from 1.
        line: usize,
    },
    /// A line of a file that another run left behind cannot be read; its other lines count.
    DamagedPart {
        /// Which file.
        name: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A file beside the state belongs to another state and is not looked at.
    ForeignPart {
        /// Which file.
        name: String,
    },
    /// Everything is durable, but the journal was not folded into the sorted part.
    NotTidied {
        /// Why.
        why: String,
    },
}

impl StateWarning {
    /// The warning for people.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Self::Torn { name, line } => {
                Diagnostic::warning(codes::STATE_DAMAGED, format!("`{name}` has an unfinished line: line {line}"))
                    .note("a run was stopped while it wrote, or is writing now; the line is ignored and nothing is lost")
            }
            Self::DamagedPart { name, line, why } => {
                Diagnostic::warning(codes::STATE_DAMAGED, format!("`{name}` is damaged: line {line}: {why}"))
                    .note("a stopped run left this file; its other lines are used")
            }
            Self::ForeignPart { name } => Diagnostic::warning(codes::STATE_LINEAGE, format!("`{name}` belongs to another state"))
                .help("delete it if it was copied here by mistake"),
            Self::NotTidied { why } => {
                Diagnostic::warning(codes::STATE_UNREADABLE, format!("the state was saved, but not tidied: {why}"))
                    .note("the next run that changes something does it")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_is_wrong_and_what_to_do() {
        let name = "patchbay.state".to_owned();
        let about: Option<Address> = "kore-prod/gpt".parse().ok();
        let io = StateError::io("read", Path::new("patchbay.state"), &"permission denied");
        for (error, code, summary) in [
            (io.clone(), codes::STATE_UNREADABLE, "cannot read `patchbay.state`: permission denied"),
            (
                StateError::Sync { path: name.clone(), cause: "input/output error".to_owned() },
                codes::STATE_UNREADABLE,
                "cannot make `patchbay.state` durable: input/output error",
            ),
            (StateError::Unsettled { path: name.clone() }, codes::STATE_UNREADABLE, "`patchbay.state` does not keep still"),
            (
                StateError::Damaged { name: name.clone(), line: 212, about, why: "its checksum differs".to_owned() },
                codes::STATE_DAMAGED,
                "`patchbay.state` is damaged: line 212: its checksum differs",
            ),
            (
                StateError::Markers { name: name.clone(), line: 14 },
                codes::STATE_DAMAGED,
                "`patchbay.state` has git conflict markers: line 14",
            ),
            (
                StateError::Newer { name: name.clone(), major: 2, minor: 0 },
                codes::STATE_NEWER,
                "`patchbay.state` has a newer format: 2.0",
            ),
            (
                StateError::Lineage { name, found: "A".to_owned(), expected: "B".to_owned() },
                codes::STATE_LINEAGE,
                "`patchbay.state` belongs to another project",
            ),
            (
                StateError::Remote { verb: "read", place: "s3://b/p".into(), cause: "no answer".into(), help: None },
                codes::STATE_UNREADABLE,
                "cannot read `s3://b/p`: no answer",
            ),
            (
                StateError::Unfit { place: "s3://b/p".into(), why: "it sends no ETag".into() },
                codes::STATE_UNFIT,
                "`s3://b/p` cannot keep a state: it sends no ETag",
            ),
            (StateError::Stopped, codes::STATE_UNREADABLE, "the state is not written any more"),
            (io.saved_in(Path::new("x.part")), codes::STATE_UNREADABLE, "cannot read `patchbay.state`: permission denied"),
        ] {
            let diagnostic = error.diagnostic();
            assert_eq!((diagnostic.code, diagnostic.summary.as_str()), (code, summary));
            assert_eq!(error.to_string(), summary);
            assert!(diagnostic.help.is_some(), "{summary}");
        }
    }

    #[test]
    fn a_damaged_line_names_its_connection_and_the_way_out() {
        let about: Option<Address> = "kore-prod/gpt".parse().ok();
        let error = |line| StateError::Damaged { name: "s".into(), line, about: about.clone(), why: "x".into() };
        let diagnostic = error(212).diagnostic();
        assert_eq!(diagnostic.address, about);
        assert_eq!(
            diagnostic.help.as_deref(),
            Some(
                "run `patchbay state repair`, which keeps all other lines; then run `patchbay plan`: `kore-prod/gpt` is found again by its name"
            )
        );
        assert!(error(1).diagnostic().help.is_some_and(|help| help.starts_with("restore the first line")));
    }

    #[test]
    fn what_was_saved_is_said() {
        let error = StateError::Stopped.saved_in(Path::new(".patchbay.state.1-2.part"));
        assert_eq!(error.saved(), Some(".patchbay.state.1-2.part"));
        assert!(error.diagnostic().notes.iter().any(|note| note.contains("`.patchbay.state.1-2.part`")));
        assert_eq!(StateError::Stopped.saved(), None);
    }

    #[test]
    fn warnings_are_warnings() {
        for warning in [
            StateWarning::Torn { name: "s".into(), line: 3 },
            StateWarning::DamagedPart { name: "s".into(), line: 3, why: "x".into() },
            StateWarning::ForeignPart { name: "s".into() },
            StateWarning::NotTidied { why: "x".into() },
        ] {
            assert!(!warning.diagnostic().is_error());
        }
    }
}
