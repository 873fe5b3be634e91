//! Where a state is: in a file of this machine, or on the network. The rest of the program does not know more about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;

use super::fs::RealFs;
use super::journal::Journal;
use super::local::LocalStore;
use super::remote::{Remote, RemoteStore};
use crate::diagnostic::{Diagnostic, codes};
use crate::state::{State, StateError, StateWarning};

/// Where a state is.
#[derive(Clone, Debug)]
pub enum Location {
    /// In this file.
    File(PathBuf),
    /// In a store on the network.
    Remote(Remote),
}

/// A state that is open for writing. Nothing was written yet.
#[derive(Debug)]
pub struct Opened {
    /// Where entries go.
    pub journal: Box<dyn Journal>,
    /// The state as it was read.
    pub state: State,
    /// What was odd.
    pub warnings: Vec<StateWarning>,
}

impl Location {
    /// Is this a URL, where a path may stand as well?
    #[must_use]
    pub fn is_url(text: &str) -> bool {
        text.contains("://")
    }

    /// The location that a URL names. `env` is where credentials come from; `allow_http` lets them travel unencrypted.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn at_url(url: &str, env: &BTreeMap<String, String>, allow_http: bool) -> Result<Self, Diagnostic> {
        Remote::parse(url, env, allow_http).map(Self::Remote)
    }

    /// The whole address, for messages.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Remote(remote) => remote.label().to_owned(),
        }
    }

    /// A short name, for headings.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            Self::Remote(remote) => remote.label().to_owned(),
        }
    }

    /// The file, for what is about files only.
    ///
    /// # Errors
    /// It is none.
    pub fn file(&self, what: &str) -> Result<&Path, Diagnostic> {
        match self {
            Self::File(path) => Ok(path),
            Self::Remote(remote) => {
                let error = Diagnostic::error(
                    codes::NOT_ACCEPTED,
                    format!("{what} is about a file, and the state is at `{}`", remote.label()),
                );
                Err(error.help(
                    "a state on the network is checked whenever it is read; its store keeps older versions, if it is told to",
                ))
            }
        }
    }

    /// Reads the state, and never creates or changes anything. Where nothing is, it is empty.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or was written by a newer major version.
    pub async fn read(&self) -> Result<(State, Vec<StateWarning>), StateError> {
        match self {
            Self::File(path) => LocalStore::read_only(path, &RealFs),
            Self::Remote(remote) => remote.read().await,
        }
    }

    /// Reads the state and gets ready to write it. Creates and changes nothing yet.
    ///
    /// `lineage_for_new` becomes the lineage if there is no state; `run` is the unique name of this run, which its
    /// intents carry.
    ///
    /// # Errors
    /// As [`Location::read`].
    pub async fn open(&self, lineage_for_new: String, run: String) -> Result<Opened, StateError> {
        match self {
            Self::File(path) => {
                let (store, state, warnings) = LocalStore::open(path, Arc::new(RealFs), lineage_for_new, run)?;
                Ok(Opened { journal: Box::new(store), state, warnings })
            }
            Self::Remote(remote) => {
                let remote = remote.clone();
                let (store, state) = apart(move || RemoteStore::open(&remote, lineage_for_new, run)).await?;
                Ok(Opened { journal: Box::new(store), state, warnings: Vec::new() })
            }
        }
    }
}

/// Gets a state ready for writes; see [`Journal::begin`]. Gives the lineage.
///
/// # Errors
/// As [`Journal::begin`].
pub async fn begin(mut journal: Box<dyn Journal>) -> Result<(Box<dyn Journal>, String), StateError> {
    apart(move || {
        let lineage = journal.begin()?.to_owned();
        Ok((journal, lineage))
    })
    .await
}

/// Does what blocks on a thread of its own, so that a signal is heard meanwhile.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, StateError> + Send + 'static) -> Result<T, StateError> {
    let (answer, answered) = oneshot::channel();
    thread::Builder::new()
        .name("state".to_owned())
        .spawn(move || drop(answer.send(work())))
        .map_err(|error| StateError::io("start a thread for", Path::new("the state"), &error))?;
    answered.await.map_err(|_| StateError::Stopped)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Entry;
    use crate::state::samples::{LINEAGE, record};

    #[test]
    fn a_url_is_told_from_a_path() {
        for (text, is_url) in [("s3://b/p", true), ("https://h/x", true), ("states/prod.state", false), ("C:/x", false)] {
            assert_eq!(Location::is_url(text), is_url, "{text}");
        }
    }

    #[test]
    fn names_are_short_and_labels_are_not() {
        let file = Location::File(PathBuf::from("a/b.state"));
        assert_eq!((file.name().as_str(), file.label().as_str()), ("b.state", "a/b.state"));
        assert!(file.file("x").is_ok());
        let remote = Location::at_url("s3://b/p", &BTreeMap::new(), false).unwrap();
        assert_eq!((remote.name().as_str(), remote.label().as_str()), ("s3://b/p", "s3://b/p"));
        let error = remote.file("`state repair`").unwrap_err();
        assert_eq!(error.summary, "`state repair` is about a file, and the state is at `s3://b/p`");
    }

    #[tokio::test]
    async fn a_file_is_written_through_its_location() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::File(folder.path().join("s"));
        let opened = location.open(LINEAGE.to_owned(), "R".to_owned()).await.unwrap();
        assert!(opened.state.is_empty() && opened.warnings.is_empty());
        let (mut journal, lineage) = begin(opened.journal).await.unwrap();
        assert_eq!((lineage.as_str(), journal.lineage(), journal.run()), (LINEAGE, LINEAGE, "R"));
        journal.append(&[Entry::Record(record("t/a", "1", 1, "R-1"))]).unwrap();
        assert_eq!(journal.finish().unwrap().0.records().count(), 1);
        assert!(journal.syncs() > 0 && journal.bytes() > 0);
        assert_eq!(location.read().await.unwrap().0.records().count(), 1);
    }

    #[tokio::test]
    async fn a_store_that_nobody_can_reach_is_an_error_and_no_panic() {
        // Nothing listens on the port of discarding.
        let location = Location::at_url("http://127.0.0.1:9/state", &BTreeMap::new(), false).unwrap();
        let error = location.read().await.unwrap_err();
        assert!(error.to_string().starts_with("cannot read `http://127.0.0.1:9/state`"), "{error}");
    }
}
