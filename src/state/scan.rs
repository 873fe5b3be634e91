//! Scanning: from bytes to entries, and what to think of bytes that are none.
//!
//! The sorted part of a file was made durable before it got its name, so whatever is wrong there is damage and an
//! error. Behind the journal line a crash may have left an unfinished line; nobody was told that it was saved, so it
//! is ignored. A whole line with a wrong checksum is damage everywhere.
//!
//! Two processes that append at once can glue a whole line behind an unfinished one, or behind a whole one that lacks
//! only its line break. Such lines are taken apart again.

use super::entry::{Entry, JOURNAL};
use super::error::{StateError, StateWarning};
use super::line::LineError;
use crate::address::Address;

/// An entry and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The entry.
    pub entry: Entry,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Behind the journal line?
    pub in_tail: bool,
}

/// Reads one file from its beginning to its end, in as many pieces as it comes.
#[derive(Clone, Debug)]
pub struct Scanner {
    name: String,
    /// A file that a run left behind or is writing now: it may end anywhere, and damage in it is only a warning.
    is_part: bool,
    in_tail: bool,
    line: usize,
    offset: u64,
    lineage: Option<String>,
    warnings: Vec<StateWarning>,
}

impl Scanner {
    /// For the state file itself.
    pub fn state_file(name: impl Into<String>) -> Self {
        Self { name: name.into(), is_part: false, in_tail: false, line: 0, offset: 0, lineage: None, warnings: Vec::new() }
    }

    /// For a part file beside it.
    pub fn part(name: impl Into<String>) -> Self {
        Self { is_part: true, ..Self::state_file(name) }
    }

    /// For a state file of which everything is to be said, damage included: its lineage is known before, so that lines
    /// count that stand in front of the header, or that lost it. Whoever feeds it goes on behind an error.
    pub(super) fn survey(name: &str, lineage: String) -> Self {
        Self { lineage: Some(lineage), ..Self::state_file(name) }
    }

    /// What was odd so far.
    pub(super) fn warnings(&self) -> &[StateWarning] {
        &self.warnings
    }

    /// Has the journal begun?
    #[must_use]
    pub fn in_tail(&self) -> bool {
        self.in_tail
    }

    /// Reads more whole lines, each with its line break.
    ///
    /// # Errors
    /// Damage, conflict markers, a newer major version or a second lineage.
    pub fn feed(&mut self, lines: &[u8]) -> Result<Vec<Found>, StateError> {
        let mut found = Vec::new();
        for line in lines.split_inclusive(|b| *b == b'\n') {
            self.one(line.strip_suffix(b"\n").unwrap_or(line), &mut found)?;
            self.offset += line.len() as u64;
        }
        Ok(found)
    }

    /// What the unfinished last line of a file holds: whole entries that lack only the line break count. Changes
    /// nothing, since the line may still grow.
    ///
    /// # Errors
    /// As [`Scanner::feed`].
    pub fn peek(&self, rest: &[u8]) -> Result<Vec<Found>, StateError> {
        let mut found = Vec::new();
        if !rest.is_empty() {
            self.clone().one(rest, &mut found)?;
        }
        Ok(found)
    }

    /// Reads a file whole.
    ///
    /// # Errors
    /// As [`Scanner::feed`], and a state file without a header.
    pub fn read(mut self, bytes: &[u8]) -> Result<(Vec<Found>, Vec<StateWarning>), StateError> {
        let found = self.feed(bytes)?;
        if self.lineage.is_none() && !self.is_part {
            let why = if bytes.is_empty() { "it is empty" } else { NO_HEADER };
            return Err(StateError::Damaged { name: self.name, line: 1, about: None, why: why.to_owned() });
        }
        Ok((found, self.warnings))
    }

    fn one(&mut self, raw: &[u8], found: &mut Vec<Found>) -> Result<(), StateError> {
        self.line += 1;
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        // Some editors put a mark in front of a file; it means nothing.
        let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
        if raw.is_empty() {
            return Ok(());
        }
        let flaw = match decode(raw) {
            Ok(entry) => return self.accept(entry, 0, found),
            Err(flaw) => flaw,
        };
        match flaw {
            LineError::Marker if !self.is_part => {
                return Err(StateError::Markers { name: self.name.clone(), line: self.line });
            }
            LineError::Newer { major, minor } => {
                return Err(StateError::Newer { name: self.name.clone(), major, minor });
            }
            _ => {}
        }
        if !self.in_tail && !self.is_part {
            if !is_torn_journal(raw) {
                return self.damaged(raw, &flaw);
            }
            self.in_tail = true;
        }
        let (whole, is_torn) = salvage(raw);
        let salvaged = !whole.is_empty();
        for (at, entry) in whole {
            self.accept(entry, at, found)?;
        }
        if !salvaged && flaw != LineError::NotJson {
            return self.damaged(raw, &flaw);
        }
        if is_torn && !self.is_part {
            self.warnings.push(StateWarning::Torn { name: self.name.clone(), line: self.line });
        }
        Ok(())
    }

    fn accept(&mut self, entry: Entry, at: usize, found: &mut Vec<Found>) -> Result<(), StateError> {
        match (&entry, &self.lineage) {
            (Entry::Header(header), None) => self.lineage = Some(header.lineage.clone()),
            (Entry::Header(header), Some(known)) if *known != header.lineage => {
                return Err(StateError::Lineage {
                    name: self.name.clone(),
                    found: header.lineage.clone(),
                    expected: known.clone(),
                });
            }
            (Entry::Header(_), Some(_)) => {}
            (_, None) => return self.damaged(b"", &LineError::Content(NO_HEADER.to_owned())),
            (Entry::Journal, Some(_)) => self.in_tail = true,
            (_, Some(_)) => {}
        }
        found.push(Found { entry, offset: self.offset + at as u64, in_tail: self.in_tail });
        Ok(())
    }

    fn damaged(&mut self, raw: &[u8], flaw: &LineError) -> Result<(), StateError> {
        let (name, line, why) = (self.name.clone(), self.line, flaw.to_string());
        if self.is_part {
            self.warnings.push(StateWarning::DamagedPart { name, line, why });
            return Ok(());
        }
        Err(StateError::Damaged { name, line, about: hint(raw), why })
    }
}

pub(super) const NO_HEADER: &str = "the file does not begin with the header of a state";

fn decode(raw: &[u8]) -> Result<Entry, LineError> {
    std::str::from_utf8(raw).map_err(|_| LineError::NotJson).and_then(Entry::decode)
}

/// Is this what a crash can leave of the first append to a file at rest? Such an append begins with the journal line,
/// so what is left is a beginning of that line, or zeros where the system had room but no data yet, and perhaps what
/// the next process glued behind it.
fn is_torn_journal(raw: &[u8]) -> bool {
    let common = raw.iter().zip(JOURNAL.as_bytes()).take_while(|(a, b)| a == b).count();
    let rest = &raw[common..];
    rest.first() == Some(&0) || (common > 0 && (rest.is_empty() || rest.starts_with(b"{\"")))
}

/// The whole entries in a line that is not one, with their offsets, and whether anything else is in it.
fn salvage(raw: &[u8]) -> (Vec<(usize, Entry)>, bool) {
    const STARTS: [&[u8]; 3] = [b"{\"+\":\"", b"{\"k\":\"", b"{\"patchbay_state\":"];
    // More places than this are no accident of two writers, and each pair of them costs a checksum.
    const MOST: usize = 64;
    let mut cuts: Vec<usize> =
        (0..raw.len()).filter(|at| STARTS.iter().any(|start| raw[*at..].starts_with(start))).take(MOST).collect();
    cuts.push(raw.len());
    let mut whole = Vec::new();
    let mut covered = 0;
    let mut from = 0;
    while from + 1 < cuts.len() {
        let start = cuts[from];
        let entry = (from + 1..cuts.len()).find_map(|to| decode(&raw[start..cuts[to]]).ok().map(|entry| (to, entry)));
        match entry {
            Some((to, entry)) => {
                whole.push((start, entry));
                covered += cuts[to] - start;
                from = to;
            }
            None => from += 1,
        }
    }
    (whole, covered < raw.len())
}

/// The connection that a damaged line seems to be about.
fn hint(raw: &[u8]) -> Option<Address> {
    let text = String::from_utf8_lossy(raw);
    let (_, rest) = text.split_once("\"k\":\"")?;
    rest.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{LINEAGE, done, header, intent, record, text};
    use super::*;

    /// Two records, the journal line and three journal entries.
    fn sample() -> String {
        text(&[
            header(),
            Entry::Record(record("t/a", "1", 1, "A-1")),
            Entry::Record(record("t/b", "2", 1, "A-2")),
            Entry::Journal,
            Entry::Intent(intent("B-1", "t/c", 0, "B")),
            done(record("t/c", "3", 1, "B-1")),
            Entry::Void { op: "B-2".to_owned(), why: "x".to_owned() },
        ])
    }

    fn read(text: impl AsRef<[u8]>) -> Result<(Vec<Found>, Vec<StateWarning>), StateError> {
        Scanner::state_file("s").read(text.as_ref())
    }

    fn entries(text: impl AsRef<[u8]>) -> Vec<Entry> {
        read(text).unwrap().0.into_iter().map(|found| found.entry).collect()
    }

    fn torn(line: usize) -> Vec<StateWarning> {
        vec![StateWarning::Torn { name: "s".to_owned(), line }]
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_every_earlier_entry() {
        let whole = sample();
        let all = entries(&whole);
        let journal = whole.find(JOURNAL).unwrap();
        for end in journal..=whole.len() {
            let (found, warnings) = read(&whole[..end]).unwrap();
            let full = whole[..end].matches('\n').count();
            let has_all_but_the_break = whole[end..].starts_with('\n');
            let expected = full + usize::from(has_all_but_the_break);
            assert_eq!(found.len(), expected, "cut at {end}");
            assert!(found.iter().zip(&all).all(|(found, entry)| found.entry == *entry), "cut at {end}");
            let is_clean = has_all_but_the_break || whole[..end].ends_with('\n');
            assert_eq!(warnings, if is_clean { Vec::new() } else { torn(full + 1) }, "cut at {end}");
        }
    }

    #[test]
    fn a_sorted_part_cut_inside_a_line_is_damaged() {
        let whole = sample();
        let journal = whole.find(JOURNAL).unwrap();
        for end in 0..journal {
            let cut = &whole[..end];
            let at_a_break = cut.ends_with('\n') || whole[end..].starts_with('\n');
            let last = cut.rsplit('\n').next().unwrap_or_default();
            // The first bytes of a record and of the journal line are the same; nobody can tell them apart.
            let looks_like_a_journal = !last.is_empty() && JOURNAL.starts_with(last) && cut.contains('\n');
            if (at_a_break && end > 0) || looks_like_a_journal {
                assert!(read(cut).is_ok(), "cut at {end}");
            } else {
                let line = cut.matches('\n').count() + 1;
                let error = read(cut).unwrap_err();
                assert!(matches!(error, StateError::Damaged { line: l, .. } if l == line), "cut at {end}: {error}");
            }
        }
        assert!(matches!(read(""), Err(StateError::Damaged { line: 1, why, .. }) if why == "it is empty"));
    }

    #[test]
    fn a_wrong_checksum_is_damage_everywhere() {
        for (line, about) in [(1, None), (2, Some("t/a")), (3, Some("t/b")), (5, Some("t/c")), (6, Some("t/c")), (7, None)] {
            let broken: Vec<String> = sample()
                .lines()
                .enumerate()
                .map(
                    |(n, text)| {
                        if n + 1 == line { text.replacen(":1", ":7", 1).replacen("B-", "C-", 1) } else { text.to_owned() }
                    },
                )
                .collect();
            let error = read(broken.join("\n")).unwrap_err();
            let expected: Option<Address> = about.and_then(|address| address.parse().ok());
            match error {
                StateError::Damaged { line: l, about, .. } => assert_eq!((l, about), (line, expected)),
                StateError::Newer { .. } => assert_eq!(line, 1),
                other => assert_eq!(other.to_string(), format!("damage in line {line}")),
            }
        }
    }

    #[test]
    fn an_entry_glued_behind_a_fragment_is_salvaged() {
        let done = done(record("t/d", "4", 1, "C-1"));
        let fragment = Entry::Intent(intent("B-9", "t/e", 0, "B")).encode();
        for cut in 1..fragment.len() {
            let glued = format!("{}{}{}\n", sample(), &fragment[..cut], done.encode());
            let (found, warnings) = read(&glued).unwrap();
            assert_eq!(found.len(), 8);
            assert_eq!(found[7].entry, done);
            assert_eq!(found[7].offset, (sample().len() + cut) as u64);
            assert_eq!(warnings, torn(8));
        }
    }

    #[test]
    fn two_whole_entries_on_one_line_are_two_entries() {
        let (one, two) = (Entry::Intent(intent("B-8", "t/e", 0, "B")), done(record("t/d", "4", 1, "C-1")));
        let (found, warnings) = read(format!("{}{}{}\n", sample(), one.encode(), two.encode())).unwrap();
        let at = sample().len() as u64;
        assert_eq!((&found[7].entry, found[7].offset), (&one, at));
        assert_eq!((&found[8].entry, found[8].offset), (&two, at + one.encode().len() as u64));
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn the_first_append_to_a_file_at_rest_may_be_torn_too() {
        let rest = text(&[header(), Entry::Record(record("t/a", "1", 1, "A-1"))]);
        let intent = Entry::Intent(intent("B-1", "t/c", 0, "B"));
        for torn in ["{", "{\"+\":\"jour", "\0\0\0\0", "{\"+\":\"j\0\0\0", "\0\0 half of an entry\",\"~\":\"12345678\"}"] {
            assert_eq!(entries(format!("{rest}{torn}")).len(), 2, "{torn}");
            assert_eq!(entries(format!("{rest}{torn}\n{JOURNAL}\n{}\n", intent.encode())).len(), 4, "{torn}");
            assert_eq!(entries(format!("{rest}{torn}{}\n", intent.encode())).len(), 3, "{torn}");
        }
    }

    #[test]
    fn line_breaks_of_windows_and_empty_lines_do_not_matter() {
        let windows = sample().replace('\n', "\r\n");
        assert_eq!(entries(&windows), entries(sample()));
        assert_eq!(entries(windows.trim_end_matches('\n')), entries(sample()));
        assert_eq!(entries(sample().replace('\n', "\n\n")), entries(sample()));
    }

    #[test]
    fn conflict_markers_name_their_line() {
        let text = sample().replacen("{\"k\":\"t/b\"", "<<<<<<< HEAD\n{\"k\":\"t/b\"", 1);
        assert_eq!(read(&text), Err(StateError::Markers { name: "s".to_owned(), line: 3 }));
        let in_the_tail = format!("{}>>>>>>> theirs\n", sample());
        assert_eq!(read(&in_the_tail), Err(StateError::Markers { name: "s".to_owned(), line: 8 }));
    }

    #[test]
    fn versions_and_lineages() {
        let newer = sample().replacen("patchbay_state\":1", "patchbay_state\":2", 1);
        assert_eq!(read(newer), Err(StateError::Newer { name: "s".to_owned(), major: 2, minor: 0 }));
        let twice = format!("{}{}", sample(), text(&[header()]));
        assert_eq!(entries(twice).len(), 8);
        let Entry::Header(mut other) = header() else { unreachable!() };
        other.lineage = "OTHER".to_owned();
        let mixed = format!("{}{}", sample(), text(&[Entry::Header(other)]));
        let expected = StateError::Lineage { name: "s".to_owned(), found: "OTHER".to_owned(), expected: LINEAGE.to_owned() };
        assert_eq!(read(mixed), Err(expected));
        let headless = sample().split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap();
        assert!(matches!(read(headless), Err(StateError::Damaged { line: 1, why, .. }) if why == NO_HEADER));
    }

    #[test]
    fn a_part_may_end_anywhere_and_its_damage_is_a_warning() {
        let whole = sample();
        for end in 0..=whole.len() {
            let (found, warnings) = Scanner::part("p").read(&whole.as_bytes()[..end]).unwrap();
            assert!(found.len() >= whole[..end].matches('\n').count());
            assert!(warnings.is_empty(), "{warnings:?}");
        }
        let broken = whole.replacen("\"id\":\"2\"", "\"id\":\"9\"", 1);
        let (found, warnings) = Scanner::part("p").read(broken.as_bytes()).unwrap();
        assert_eq!(found.len(), 6);
        assert!(matches!(warnings.as_slice(), [StateWarning::DamagedPart { line: 3, .. }]));
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let whole = sample();
        let mut scanner = Scanner::state_file("s");
        let mut found = Vec::new();
        for line in whole.split_inclusive('\n') {
            let half = &line.as_bytes()[..line.len() / 2];
            let peeked = if scanner.in_tail() { scanner.peek(half).unwrap() } else { Vec::new() };
            assert!(peeked.is_empty(), "{peeked:?}");
            let all_but_the_break = scanner.peek(line.trim_end().as_bytes()).unwrap();
            let fed = scanner.feed(line.as_bytes()).unwrap();
            assert_eq!(all_but_the_break, fed);
            found.extend(fed);
        }
        assert_eq!(found, read(&whole).unwrap().0);
    }
}
