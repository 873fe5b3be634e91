//! The place of a state: its file, the part files beside it, and reading all of them as of one moment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::fs::{Fs, Identity};
use super::{Context as _, ROUNDS, if_there, unsettled};
use crate::state::{State, StateError, StateWarning};

/// Where a state is.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The state file.
    pub(super) path: PathBuf,
    /// The folder that it is in.
    pub(super) folder: PathBuf,
    name: OsString,
}

/// All bytes of a state as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawState {
    /// The state file's name, to show.
    pub name: String,
    /// The state file; none if there is none.
    pub file: Option<Vec<u8>>,
    /// What runs left beside it or are writing there: names and contents.
    pub parts: Vec<(String, Vec<u8>)>,
}

/// All that is durable, joined.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) state: State,
    pub(super) warnings: Vec<StateWarning>,
}

impl Site {
    pub(super) fn new(fs: &dyn Fs, path: &Path) -> Self {
        let path = fs.resolve(path);
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let name = path.file_name().unwrap_or(OsStr::new("patchbay.state")).to_owned();
        Self { path, folder, name }
    }

    /// The name to show.
    pub(super) fn label(&self) -> String {
        self.path.display().to_string()
    }

    /// The part file with this nonce.
    pub(super) fn part(&self, nonce: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(format!(".{nonce}.part"));
        self.folder.join(name)
    }

    /// Where a part file goes that cannot be merged and must not be lost.
    pub(super) fn aside(&self, nonce: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(format!(".damaged.{nonce}"));
        self.folder.join(name)
    }

    /// Where a copy of a damaged state file goes.
    pub(super) fn damaged(&self, n: usize) -> PathBuf {
        let mut name = self.name.clone();
        name.push(format!(".damaged-{n}"));
        self.folder.join(name)
    }

    /// All part files that are there, sorted by name.
    pub(super) fn parts(&self, fs: &dyn Fs) -> Result<Vec<PathBuf>, StateError> {
        let mut start = OsString::from(".");
        start.push(&self.name);
        start.push(".");
        let is_part = |name: &OsString| {
            let bytes = name.as_encoded_bytes();
            bytes.starts_with(start.as_encoded_bytes()) && bytes.ends_with(b".part")
        };
        let names = fs.list(&self.folder).context("list", &self.folder)?;
        Ok(names.into_iter().filter(is_part).map(|name| self.folder.join(name)).collect())
    }

    /// Which file has the state's name now.
    pub(super) fn identity(&self, fs: &dyn Fs) -> Result<Option<Identity>, StateError> {
        if_there(fs.identity(&self.path)).context("look at", &self.path)
    }

    /// Reads these parts, without the one that is this file. `None` if one of them vanished: its content is elsewhere
    /// by now, so look again.
    pub(super) fn read_parts(
        &self,
        fs: &dyn Fs,
        parts: &[PathBuf],
        skip: Option<Identity>,
    ) -> Result<Option<Vec<(String, Vec<u8>)>>, StateError> {
        let mut read = Vec::new();
        for part in parts {
            let Some(handle) = if_there(fs.open_read(part)).context("read", part)? else { return Ok(None) };
            if skip.is_some() && handle.identity().ok() == skip {
                continue;
            }
            read.push((part.display().to_string(), handle.read_from(0).context("read", part)?));
        }
        Ok(Some(read))
    }

    /// Everything that is durable at one moment, joined. Creates and changes nothing.
    pub(super) fn read(&self, fs: &dyn Fs) -> Result<Joined, StateError> {
        let RawState { file, parts, .. } = self.read_raw(fs)?;
        self.joined(file.as_deref(), &parts)
    }

    /// Everything that is durable at one moment: the state file and all parts.
    ///
    /// The order matters. The file is opened first and read last, and its path must name it before and after: then no
    /// exchange came between, and whatever was acknowledged is in the file or in one of the parts that were read.
    pub(super) fn read_raw(&self, fs: &dyn Fs) -> Result<RawState, StateError> {
        for _ in 0..ROUNDS {
            let handle = if_there(fs.open_read(&self.path)).context("read", &self.path)?;
            let identity = match &handle {
                Some(handle) => Some(handle.identity().context("look at", &self.path)?),
                None => None,
            };
            let parts = self.parts(fs)?;
            let Some(read) = self.read_parts(fs, &parts, identity)? else { continue };
            let file = match &handle {
                Some(handle) => Some(handle.read_from(0).context("read", &self.path)?),
                None => None,
            };
            if self.identity(fs)? == identity && self.parts(fs)? == parts {
                return Ok(RawState { name: self.label(), file, parts: read });
            }
        }
        Err(unsettled(&self.path))
    }

    fn joined(&self, file: Option<&[u8]>, parts: &[(String, Vec<u8>)]) -> Result<Joined, StateError> {
        let (mut state, mut warnings) = match file {
            Some(bytes) => State::from_text(&self.label(), bytes)?,
            None => (State::empty(), Vec::new()),
        };
        join_parts(&mut state, parts, &mut warnings)?;
        Ok(Joined { state, warnings })
    }
}

/// Joins parts into a state, each if it is of the same lineage.
pub(super) fn join_parts(
    state: &mut State,
    parts: &[(String, Vec<u8>)],
    warnings: &mut Vec<StateWarning>,
) -> Result<(), StateError> {
    for (name, bytes) in parts {
        let (part, odd) = match State::from_part(name, bytes) {
            Ok(read) => read,
            Err(StateError::Lineage { .. }) => {
                warnings.push(StateWarning::ForeignPart { name: name.clone() });
                continue;
            }
            Err(error) => return Err(error),
        };
        warnings.extend(odd);
        match (part.lineage(), state.lineage()) {
            // Not even its header was written.
            (None, _) => {}
            (Some(its), Some(ours)) if its != ours => {
                warnings.push(StateWarning::ForeignPart { name: name.clone() });
            }
            (Some(_), _) => state.join(&part),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fs::{RealFs, raw};
    use super::*;
    use crate::state::Entry;
    use crate::state::samples::{address, header, record, text};

    fn file(entries: &[Entry]) -> String {
        text(&[header()]) + &text(entries)
    }

    #[test]
    fn names_are_beside_the_file() {
        let site = Site::new(&RealFs, Path::new("patchbay.state"));
        assert_eq!(site.folder, Path::new("."));
        assert_eq!(site.part("7-x"), Path::new("./.patchbay.state.7-x.part"));
        let site = Site::new(&RealFs, Path::new("a/b.state"));
        assert_eq!(site.part("7-x"), Path::new("a/.b.state.7-x.part"));
        assert_eq!(site.aside("7-x"), Path::new("a/b.state.damaged.7-x"));
        assert_eq!(site.damaged(1), Path::new("a/b.state.damaged-1"));
    }

    #[test]
    fn a_state_is_its_file_and_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(&RealFs, &folder.path().join("s"));
        assert!(site.read(&RealFs).unwrap().state.is_empty());
        raw::write(&site.path, &file(&[Entry::Record(record("t/a", "1", 1, "A-1"))]));
        raw::write(&site.part("1-a"), &file(&[Entry::Record(record("t/b", "2", 1, "A-2"))]));
        raw::write(&site.part("1-b"), &file(&[Entry::Record(record("t/c", "3", 1, "A-3"))])[..150]);
        raw::write(&site.part("1-c"), "");
        raw::write(&folder.path().join(".other.1-a.part"), "not ours");
        let read = site.read(&RealFs).unwrap();
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        assert_eq!(read.state.records().count(), 2);
        assert!(read.state.record(&address("t/b")).is_some());
    }

    #[test]
    fn a_part_of_another_state_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(&RealFs, &folder.path().join("s"));
        let Entry::Header(mut other) = header() else { unreachable!() };
        other.lineage = "OTHER".to_owned();
        let foreign = text(&[Entry::Header(other), Entry::Record(record("t/b", "2", 1, "A-2"))]);
        raw::write(&site.path, &file(&[]));
        raw::write(&site.part("1-a"), &foreign);
        let read = site.read(&RealFs).unwrap();
        assert!(read.state.is_empty());
        assert!(matches!(read.warnings.as_slice(), [StateWarning::ForeignPart { .. }]));
    }

    #[test]
    fn reading_a_folder_that_is_not_there_or_not_writable_works() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Site::new(&RealFs, &folder.path().join("no/where")).read(&RealFs).unwrap().state.is_empty());
        let site = Site::new(&RealFs, &folder.path().join("s"));
        raw::write(&site.path, &file(&[Entry::Record(record("t/a", "1", 1, "A-1"))]));
        let before = raw::names(folder.path());
        raw::set_mode(folder.path(), 0o500);
        let read = site.read(&RealFs);
        raw::set_mode(folder.path(), 0o700);
        assert_eq!(read.unwrap().state.records().count(), 1);
        assert_eq!(raw::names(folder.path()), before);
    }
}
