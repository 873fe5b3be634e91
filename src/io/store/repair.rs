//! A damaged state: its bytes, and a repaired file in its place.
//!
//! The way is that of tidying, since a run may be at work that had the file open before it was damaged. A copy of what
//! was there is made first. The repaired file is written under a part's name and swapped with the damaged one, so at
//! every instant all that is whole is in the state file or in a part, which every reader joins. What somebody appended
//! to the damaged file meanwhile stays in a part, and the next run takes it over.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::fs::Fs;
use super::site::{RawState, Site};
use super::{Context as _, ROUNDS, if_there, unsettled, write_whole};
use crate::state::StateError;

/// All bytes of a state as of one moment, whatever is wrong with them. Creates and changes nothing.
///
/// # Errors
/// Something cannot be read.
pub fn raw_state(path: &Path, fs: &dyn Fs) -> Result<RawState, StateError> {
    Site::new(fs, path).read_raw(fs)
}

/// Puts `text` in the place of a damaged state file. Gives the name of the copy of what was there, `<name>.damaged-<n>`;
/// `None` if the file is not any more what `seen` says, and then nothing was changed.
///
/// # Errors
/// Something cannot be written. What was whole is still in the state file, or in part files beside it.
pub fn replace_damaged(path: &Path, fs: &dyn Fs, seen: &[u8], text: &str) -> Result<Option<PathBuf>, StateError> {
    let site = Site::new(fs, path);
    if read(fs, &site.path)?.as_deref() != Some(seen) {
        return Ok(None);
    }
    let random = getrandom::u64().map_err(|error| StateError::io("get randomness for", path, &error))?;
    let nonce = format!("{}-{random:016x}", rustix::process::getpid().as_raw_nonzero());
    let copy = save(fs, &site, seen)?;
    let part = site.part(&format!("{nonce}-1"));
    write_new(fs, &site, &part, text.as_bytes()).context("write", &part)?;
    let old = swap(fs, &site, &part, &site.part(&format!("{nonce}-2")))?;
    fs.sync_folder(&site.folder).context("sync", &site.folder)?;
    if read(fs, &old)?.as_deref() == Some(seen) {
        // It is in the copy. If this fails, the next run takes the part over and sets it aside.
        drop(fs.unlink(&old));
    }
    Ok(Some(copy))
}

fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let Some(file) = if_there(fs.open_read(path)).context("read", path)? else { return Ok(None) };
    file.read_from(0).context("read", path).map(Some)
}

/// A copy beside the state, under the first name that is free.
fn save(fs: &dyn Fs, site: &Site, bytes: &[u8]) -> Result<PathBuf, StateError> {
    for n in 1..ROUNDS {
        let copy = site.damaged(n);
        match write_new(fs, site, &copy, bytes) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            outcome => return outcome.context("write", &copy).map(|()| copy),
        }
    }
    Err(unsettled(&site.path))
}

/// A new file, durable with its name.
fn write_new(fs: &dyn Fs, site: &Site, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs.create_new(path)?;
    let written = write_whole(&mut *file, bytes)
        .and_then(|()| if_there(fs.mimic(&site.path, path)))
        .and_then(|_| file.sync())
        .and_then(|()| fs.sync_folder(&site.folder));
    if written.is_err() {
        drop(fs.unlink(path));
    }
    written
}

/// Gives the part the state's name. Says which part the old file is now.
fn swap(fs: &dyn Fs, site: &Site, part: &Path, other: &Path) -> Result<PathBuf, StateError> {
    match fs.exchange(part, &site.path) {
        Ok(()) => Ok(part.to_owned()),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            fs.rename(&site.path, other).context("move", &site.path)?;
            // If this fails, both are parts, and readers join them.
            fs.link(part, &site.path).context("create", &site.path)?;
            drop(fs.unlink(part));
            Ok(other.to_owned())
        }
        // Perhaps it was exchanged after all; then the part is what there was. It stays.
        Err(error) => Err(StateError::io("exchange", &site.path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::faulty::{Fault, Faulty};
    use super::super::fs::{RealFs, raw};
    use super::super::local::LocalStore;
    use super::*;
    use crate::state::samples::{LINEAGE, done, header, intent, record, text};
    use crate::state::{Entry, Part, State, Survey};

    /// Two records around a damaged line, and a journal.
    fn damaged() -> String {
        let first = text(&[header(), Entry::Record(record("t/a", "1", 1, "A-1"))]);
        let rest = text(&[
            Entry::Record(record("t/b", "2", 1, "A-2")),
            Entry::Journal,
            Entry::Intent(intent("B-1", "t/c", 0, "B")),
            Entry::Intent(intent("B-2", "t/d", 0, "B")),
            done(record("t/c", "3", 1, "B-1")),
        ]);
        format!("{first}{{\"k\":\"t/x\",\"id\"\n<<<<<<< HEAD\n{rest}")
    }

    fn repaired(damaged: &str) -> String {
        Survey::of("s", damaged.as_bytes()).unwrap().repaired(None, "NEW").text
    }

    /// Everything that is whole, wherever it is.
    fn all_of(path: &Path) -> State {
        let raw = raw_state(path, &RealFs).unwrap();
        let mut state = State::empty();
        if let Some(bytes) = &raw.file {
            state.join(&Survey::of("s", bytes).unwrap().state());
        }
        for (name, bytes) in &raw.parts {
            let part = Part::of(name, bytes, Some(LINEAGE)).unwrap();
            assert!(!part.is_foreign);
            state.join(&part.state);
        }
        state
    }

    #[test]
    fn a_repaired_file_takes_the_place_of_the_damaged_one_which_is_kept() {
        for fs in [Faulty::healthy(), Faulty::healthy().without_exchange()] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s");
            raw::write(&path, &damaged());
            raw::set_mode(&path, 0o640);
            raw::write(&folder.path().join("s.damaged-1"), "of another day");
            assert!(LocalStore::read_only(&path, &fs).is_err());
            let copy = replace_damaged(&path, &fs, damaged().as_bytes(), &repaired(&damaged())).unwrap().unwrap();
            assert_eq!(copy, folder.path().join("s.damaged-2"));
            assert_eq!((raw::read(&copy), raw::mode(&copy)), (damaged(), 0o640));
            assert_eq!((raw::read(&path), raw::mode(&path)), (repaired(&damaged()), 0o640));
            assert_eq!(raw::names(folder.path()), ["s", "s.damaged-1", "s.damaged-2"]);
            let (state, warnings) = LocalStore::read_only(&path, &fs).unwrap();
            assert_eq!((state.records().count(), state.open_intents().count(), warnings), (3, 1, Vec::new()));
        }
    }

    #[test]
    fn a_file_that_is_another_one_by_now_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        raw::write(&path, &(damaged() + "more"));
        assert_eq!(replace_damaged(&path, &RealFs, damaged().as_bytes(), &repaired(&damaged())), Ok(None));
        assert_eq!(raw::names(folder.path()), ["s"]);
        assert_eq!(raw::read(&path), damaged() + "more");
        raw::remove(&path);
        assert_eq!(replace_damaged(&path, &RealFs, damaged().as_bytes(), &repaired(&damaged())), Ok(None));
    }

    #[test]
    fn killed_at_any_call_it_loses_nothing_that_was_whole() {
        for can_exchange in [true, false] {
            let whole = Survey::of("s", damaged().as_bytes()).unwrap().state();
            for at in 1.. {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("s");
                raw::write(&path, &damaged());
                let fs = Faulty::with(Fault::Kill, at);
                let fs = if can_exchange { fs } else { fs.without_exchange() };
                let outcome = replace_damaged(&path, &fs, damaged().as_bytes(), &repaired(&damaged()));
                assert_eq!(all_of(&path), whole, "killed at {at}");
                if fs.fired_at().is_none() {
                    assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
                    break;
                }
            }
        }
    }

    #[test]
    fn a_full_disk_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        raw::write(&path, &damaged());
        let fs = Faulty::with(Fault::NoSpace, 1);
        let error = replace_damaged(&path, &fs, damaged().as_bytes(), &repaired(&damaged())).unwrap_err();
        assert!(matches!(error, StateError::Io { verb: "write", .. }), "{error}");
        assert_eq!((raw::names(folder.path()), raw::read(&path)), (vec!["s".to_owned()], damaged()));
    }
}
