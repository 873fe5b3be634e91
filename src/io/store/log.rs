//! The state file while it is open: what was read of it so far, and where in it each intent stands.

use std::collections::BTreeMap;

use super::Context as _;
use super::fs::{Fs, Handle, Identity};
use super::if_there;
use super::site::Site;
use crate::state::{Entry, Found, JOURNAL, LATE, Scanner, State, StateError};

/// One open file. It keeps standing for the file that it opened, whatever the path names later.
#[derive(Debug)]
pub(super) struct Log {
    handle: Box<dyn Handle>,
    site: Site,
    identity: Identity,
    scanner: Scanner,
    /// Where the first byte is that was not read as part of a whole line.
    parsed: u64,
    /// Does the file end inside a line?
    is_ragged: bool,
    view: State,
    places: BTreeMap<String, u64>,
    tail: usize,
}

impl Log {
    /// Opens and reads the file that has the state's name; `None` if there is none.
    pub(super) fn open(fs: &dyn Fs, site: &Site) -> Result<Option<Self>, StateError> {
        let Some(handle) = if_there(fs.open_append(&site.path)).context("open", &site.path)? else { return Ok(None) };
        let identity = handle.identity().context("look at", &site.path)?;
        let mut log = Self {
            handle,
            site: site.clone(),
            identity,
            scanner: Scanner::state_file(site.label()),
            parsed: 0,
            is_ragged: false,
            view: State::empty(),
            places: BTreeMap::new(),
            tail: 0,
        };
        log.refresh()?;
        if log.view.lineage().is_none() {
            let why = "it is empty or has no header".to_owned();
            return Err(StateError::Damaged { name: site.label(), line: 1, about: None, why });
        }
        Ok(Some(log))
    }

    /// What the file says, as of the last refresh.
    pub(super) fn view(&self) -> &State {
        &self.view
    }

    /// Where each intent stands: 0 in the sorted part, else its offset; late copies have no place.
    pub(super) fn places(&self) -> &BTreeMap<String, u64> {
        &self.places
    }

    /// How many lines stand behind the sorted part.
    pub(super) fn tail(&self) -> usize {
        self.tail
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Does the state's name still stand for this file?
    pub(super) fn is_current(&self, fs: &dyn Fs) -> Result<bool, StateError> {
        Ok(self.site.identity(fs)? == Some(self.identity))
    }

    /// Reads what was appended since the last time, by whomever.
    pub(super) fn refresh(&mut self) -> Result<(), StateError> {
        if self.handle.size().context("look at", &self.site.path)? < self.parsed {
            // Somebody wrote it anew in place, as an editor does.
            self.scanner = Scanner::state_file(self.site.label());
            self.parsed = 0;
            self.view = State::empty();
            self.places.clear();
            self.tail = 0;
        }
        let bytes = self.handle.read_from(self.parsed).context("read", &self.site.path)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        let found = self.scanner.feed(lines)?;
        self.parsed += whole as u64;
        self.tail += found.iter().filter(|found| found.in_tail).count();
        self.take(&found);
        // The last line may still be growing, so it is looked at and not counted as read.
        let found = self.scanner.peek(rest)?;
        self.take(&found);
        self.is_ragged = !rest.is_empty();
        Ok(())
    }

    fn take(&mut self, found: &[Found]) {
        for found in found {
            if let Entry::Intent(intent) = &found.entry {
                let place = match (intent.late, found.in_tail) {
                    (true, _) => LATE,
                    (false, true) => found.offset,
                    (false, false) => 0,
                };
                let earliest = self.places.entry(intent.op.clone()).or_insert(place);
                *earliest = place.min(*earliest);
            }
            self.view.absorb(&found.entry);
        }
    }

    /// Appends entries in one write. Says how many bytes went in; whether they are whole shows when they are read.
    pub(super) fn write(&mut self, entries: &[&Entry]) -> Result<usize, StateError> {
        let mut text = String::new();
        if self.is_ragged {
            text.push('\n');
        }
        if !self.scanner.in_tail() {
            text.push_str(JOURNAL);
            text.push('\n');
        }
        for entry in entries {
            text.push_str(&entry.encode());
            text.push('\n');
        }
        self.handle.append(text.as_bytes()).context("write", &self.site.path)
    }

    /// Returns when everything written so far is on the disk.
    pub(super) fn sync(&self) -> Result<(), StateError> {
        self.handle.sync().map_err(|error| StateError::Sync { path: self.site.label(), cause: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::fs::{RealFs, raw};
    use super::*;
    use crate::state::Intent;
    use crate::state::samples::{done, header, intent, record, text};

    fn open(folder: &Path, content: &str) -> Log {
        let site = Site::new(&RealFs, &folder.join("s"));
        raw::write(&site.path, content);
        Log::open(&RealFs, &site).unwrap().unwrap()
    }

    #[test]
    fn a_log_sees_what_it_and_others_append() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = open(folder.path(), &text(&[header()]));
        let mut two = Log::open(&RealFs, &one.site).unwrap().unwrap();
        let claim = Entry::Intent(intent("A-1", "t/a", 0, "A"));
        let end = done(record("t/a", "1", 1, "A-1"));
        one.write(&[&claim]).unwrap();
        two.refresh().unwrap();
        assert_eq!(two.view().open_intents().count(), 1);
        two.write(&[&end]).unwrap();
        one.refresh().unwrap();
        one.sync().unwrap();
        assert_eq!(one.view().open_intents().count(), 0);
        assert_eq!(one.tail(), 3);
        assert_eq!(raw::read(&one.site.path), text(&[header(), Entry::Journal, claim, end]));
        assert!(one.is_current(&RealFs).unwrap());
        raw::remove(&one.site.path);
        assert!(!one.is_current(&RealFs).unwrap());
        assert!(Log::open(&RealFs, &one.site).unwrap().is_none());
    }

    #[test]
    fn a_ragged_end_is_not_written_behind() {
        let folder = tempfile::tempdir().unwrap();
        let end = done(record("t/a", "1", 1, "A-1"));
        for ragged in ["{\"+\":\"journal\",\"~", "{\"+\":\"journal\",\"~\":\"8a5e4d80\"}\n{\"+\":\"int"] {
            let mut log = open(folder.path(), &(text(&[header()]) + ragged));
            log.write(&[&end]).unwrap();
            log.refresh().unwrap();
            assert!(log.view().holds(&end));
            assert!(raw::read(&log.site.path).contains(&format!("{ragged}\n{{\"+\":\"")));
        }
    }

    #[test]
    fn places_tell_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let [sorted, tail, copied] = ["A-1", "B-1", "C-1"].map(|op| intent(op, "t/a", 0, op));
        let late = Intent { late: true, ..copied };
        let before = text(&[header(), Entry::Intent(sorted), Entry::Journal]);
        let log = open(folder.path(), &(before.clone() + &text(&[Entry::Intent(late), Entry::Intent(tail)])));
        let places: Vec<u64> = ["A-1", "B-1", "C-1"].iter().map(|op| log.places()[*op]).collect();
        assert_eq!((places[0], places[2]), (0, LATE));
        assert!(places[1] > before.len() as u64);
    }

    #[test]
    fn a_file_that_was_written_anew_in_place_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path(), &text(&[header(), Entry::Record(record("t/a", "1", 1, "A-1"))]));
        raw::write(&log.site.path, &text(&[header()]));
        log.refresh().unwrap();
        assert!(log.view().is_empty());
    }

    #[test]
    fn a_damaged_or_empty_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(&RealFs, &folder.path().join("s"));
        for content in ["", "x\n", "{\"patchbay_state\":1"] {
            raw::write(&site.path, content);
            assert!(matches!(Log::open(&RealFs, &site), Err(StateError::Damaged { line: 1, .. })), "{content}");
        }
    }
}
