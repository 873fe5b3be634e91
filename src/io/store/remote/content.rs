//! What stands in an object: the lines of a state, and in the first of them, the header, what the protocols need.
//!
//! | object | its header has, beside the lineage |
//! |---|---|
//! | base | `epoch`; `after`, the seal that it was folded from; `tested`, the servers that passed the self-test |
//! | segment | `epoch` and `seq`, which its name says too; `batch`, who wrote it |
//! | seal | as a segment, and `seal`, the servers that the next base is to name |
//! | document | `serial`; `batch`; `tested` |
//!
//! A file of the local store is a base of epoch 0, and a document of serial 0: putting one there is how a state moves.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::failed;
use crate::state::{Entry, Header, MAJOR, MINOR, Scanner, State, StateError};

/// The name of the base.
pub(super) const BASE: &str = "base";

const EPOCH: &str = "epoch";
const AFTER: &str = "after";
const TESTED: &str = "tested";
const SEQ: &str = "seq";
const BATCH: &str = "batch";
const SEAL: &str = "seal";
const SERIAL: &str = "serial";

/// What a header gets, beside the lineage.
type More<const N: usize> = [(&'static str, Value); N];

/// The name of a segment. Numbers have leading zeros, so that a list of names is in their order.
pub(super) fn slot(epoch: u64, seq: u64) -> String {
    format!("log-{epoch:010}-{seq:06}")
}

/// Epoch and number of a segment.
pub(super) fn slot_of(name: &str) -> Option<(u64, u64)> {
    let (epoch, seq) = name.strip_prefix("log-")?.split_once('-')?;
    Some((epoch.parse().ok()?, seq.parse().ok()?))
}

/// A base as it was read.
#[derive(Debug)]
pub(super) struct Base {
    /// Its header, without what the protocol added.
    pub(super) header: Header,
    pub(super) epoch: u64,
    pub(super) tested: BTreeSet<String>,
    pub(super) entries: Vec<Entry>,
}

/// A segment as it was read.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its header, without what the protocol added.
    pub(super) header: Header,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) batch: String,
    /// The servers that the next base is to name, if this is the end of the log.
    pub(super) seal: Option<BTreeSet<String>>,
    pub(super) entries: Vec<Entry>,
}

/// A document as it was read.
#[derive(Debug)]
pub(super) struct Document {
    /// Its header, without what the protocol added.
    pub(super) header: Header,
    pub(super) serial: u64,
    pub(super) tested: BTreeSet<String>,
    pub(super) entries: Vec<Entry>,
}

pub(super) fn read_base(name: &str, bytes: &[u8]) -> Result<Base, StateError> {
    let (mut header, entries) = read(name, bytes)?;
    let epoch = number(&mut header, EPOCH).unwrap_or(0);
    let tested = words(&mut header, TESTED).unwrap_or_default();
    header.extra.shift_remove(AFTER);
    Ok(Base { header, epoch, tested, entries })
}

pub(super) fn read_segment(name: &str, bytes: &[u8]) -> Result<Segment, StateError> {
    let (mut header, entries) = read(name, bytes)?;
    let seal = words(&mut header, SEAL);
    match (number(&mut header, EPOCH), number(&mut header, SEQ), header.extra.shift_remove(BATCH)) {
        (Some(epoch), Some(seq), Some(Value::String(batch))) => Ok(Segment { header, epoch, seq, batch, seal, entries }),
        _ => Err(failed("read", name, "it is no segment of a state")),
    }
}

pub(super) fn read_document(name: &str, bytes: &[u8]) -> Result<Document, StateError> {
    let (mut header, entries) = read(name, bytes)?;
    let serial = number(&mut header, SERIAL).unwrap_or(0);
    let tested = words(&mut header, TESTED).unwrap_or_default();
    header.extra.shift_remove(BATCH);
    Ok(Document { header, serial, tested, entries })
}

/// The base that follows a sealed log. Made of nothing but what was read, so that everybody makes the same.
pub(super) fn base(header: &Header, epoch: u64, after: &str, tested: &BTreeSet<String>, state: &State) -> Vec<u8> {
    let more: More<3> = [(EPOCH, epoch.into()), (AFTER, after.into()), (TESTED, list(tested))];
    folded(header, more, state)
}

pub(super) fn segment(lineage: &str, epoch: u64, seq: u64, batch: &str, entries: &[Entry]) -> Vec<u8> {
    let more: More<3> = [(EPOCH, epoch.into()), (SEQ, seq.into()), (BATCH, batch.into())];
    let mut text = marked(&plain(lineage), more).encode() + "\n";
    for entry in entries {
        text.push_str(&entry.encode());
        text.push('\n');
    }
    text.into_bytes()
}

pub(super) fn seal(lineage: &str, epoch: u64, seq: u64, batch: &str, tested: &BTreeSet<String>) -> Vec<u8> {
    let more: More<4> = [(EPOCH, epoch.into()), (SEQ, seq.into()), (BATCH, batch.into()), (SEAL, list(tested))];
    (marked(&plain(lineage), more).encode() + "\n").into_bytes()
}

pub(super) fn document(header: &Header, serial: u64, batch: &str, tested: &BTreeSet<String>, state: &State) -> Vec<u8> {
    let more: More<3> = [(SERIAL, serial.into()), (BATCH, batch.into()), (TESTED, list(tested))];
    folded(header, more, state)
}

/// The header of a state that does not exist yet.
pub(super) fn plain(lineage: &str) -> Header {
    Header { major: MAJOR, minor: MINOR, lineage: lineage.to_owned(), extra: Map::new() }
}

fn marked<const N: usize>(header: &Header, more: More<N>) -> Entry {
    let mut header = header.clone();
    header.extra.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value)));
    Entry::Header(header)
}

fn folded<const N: usize>(header: &Header, more: More<N>, state: &State) -> Vec<u8> {
    let text = state.render();
    let entries = match state.lineage() {
        Some(_) => text.split_once('\n').map_or("", |(_, entries)| entries),
        None => &text,
    };
    format!("{}\n{entries}", marked(header, more).encode()).into_bytes()
}

/// The header and everything behind it. An object is written whole or not at all, so nothing in it may be torn.
fn read(name: &str, bytes: &[u8]) -> Result<(Header, Vec<Entry>), StateError> {
    let (found, warnings) = Scanner::state_file(name).read(bytes)?;
    if !warnings.is_empty() {
        return Err(failed("read", name, "its last line is cut off"));
    }
    let mut entries = found.into_iter().map(|found| found.entry);
    match entries.next() {
        Some(Entry::Header(header)) => Ok((header, entries.filter(|entry| !matches!(entry, Entry::Header(_))).collect())),
        _ => Err(failed("read", name, "it does not begin with the header of a state")),
    }
}

fn number(header: &mut Header, key: &str) -> Option<u64> {
    header.extra.shift_remove(key)?.as_u64()
}

fn words(header: &mut Header, key: &str) -> Option<BTreeSet<String>> {
    match header.extra.shift_remove(key)? {
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

fn list(words: &BTreeSet<String>) -> Value {
    words.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::samples::{LINEAGE, header, intent, record, text};

    fn of(entries: &[Entry]) -> State {
        let mut state = State::empty();
        for entry in entries {
            state.absorb(entry);
        }
        state
    }

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_base_comes_back_as_it_was_and_is_pinned() {
        let entries = [Entry::Record(record("t/a", "1", 3, "A-1")), Entry::Intent(intent("B-1", "t/b", 0, "B"))];
        let state = of(&[&[header()][..], &entries[..]].concat());
        let bytes = base(&plain(LINEAGE), 7, "B-seal", &set(&["1-aa", "1-bb"]), &state);
        let first = String::from_utf8(bytes.clone()).unwrap().lines().next().unwrap().to_owned();
        let fields = r#"{"patchbay_state":1,"lineage":"01KAHV6Q2M8Z4T0N5R7W9XJ3CD","epoch":7,"after":"B-seal","tested":["1-aa","1-bb"],"~":""#;
        assert!(first.starts_with(fields), "{first}");
        let read = read_base("base", &bytes).unwrap();
        assert_eq!((read.header, read.epoch, read.tested), (plain(LINEAGE), 7, set(&["1-aa", "1-bb"])));
        assert_eq!(read.entries, [&entries[..], &[Entry::Journal]].concat());
    }

    #[test]
    fn what_a_header_has_beyond_ours_stays() {
        let mut newer = plain(LINEAGE);
        newer.extra.insert("later".to_owned(), Value::from(1));
        let read = read_base("base", &base(&newer, 1, "", &set(&[]), &State::empty())).unwrap();
        assert_eq!(read.header, newer);
    }

    #[test]
    fn segments_and_seals_say_whose_they_are_and_where_they_belong() {
        let entry = Entry::Record(record("t/a", "1", 3, "A-1"));
        let read = read_segment("s", &segment(LINEAGE, 2, 9, "W-1", std::slice::from_ref(&entry))).unwrap();
        assert_eq!((read.epoch, read.seq, read.batch.as_str(), &read.seal), (2, 9, "W-1", &None));
        assert_eq!((read.header, read.entries), (plain(LINEAGE), vec![entry]));
        let read = read_segment("s", &seal(LINEAGE, 2, 10, "W-2", &set(&["1-aa"]))).unwrap();
        assert_eq!((read.seq, read.seal, read.entries), (10, Some(set(&["1-aa"])), vec![]));
        assert!(read_segment("s", text(&[header()]).as_bytes()).is_err());
    }

    #[test]
    fn a_file_is_a_base_and_a_document() {
        let file = text(&[header(), Entry::Journal, Entry::Record(record("t/a", "1", 3, "A-1"))]);
        let read = read_base("base", file.as_bytes()).unwrap();
        assert_eq!((read.epoch, read.tested.len(), read.entries.len()), (0, 0, 2));
        let read = read_document("d", file.as_bytes()).unwrap();
        assert_eq!((read.serial, read.tested.len(), read.entries.len()), (0, 0, 2));
    }

    #[test]
    fn a_document_comes_back_as_it_was() {
        let state = of(&[header(), Entry::Record(record("t/a", "1", 3, "A-1"))]);
        let read = read_document("d", &document(&plain(LINEAGE), 4, "W-1", &set(&["1-aa"]), &state)).unwrap();
        assert_eq!((read.header, read.serial, read.tested), (plain(LINEAGE), 4, set(&["1-aa"])));
        assert_eq!(read.entries.len(), 1);
    }

    #[test]
    fn what_is_cut_or_changed_is_an_error() {
        let bytes = base(&plain(LINEAGE), 7, "x", &set(&[]), &of(&[header(), Entry::Record(record("t/a", "1", 3, "A-1"))]));
        for end in [0, 1, 20, bytes.len() - 2] {
            assert!(read_base("base", &bytes[..end]).is_err(), "{end}");
        }
        let torn = text(&[header(), Entry::Journal]) + "{\"+\":\"int";
        assert!(read_base("base", torn.as_bytes()).is_err());
    }

    #[test]
    fn names_of_segments_are_in_their_order() {
        assert_eq!(slot(1_795_000_000, 12), "log-1795000000-000012");
        assert!(slot(9, 2) < slot(9, 10) && slot(9, 99) < slot(10, 1));
        assert_eq!(slot_of(&slot(3, 4)), Some((3, 4)));
        assert_eq!((slot_of("base"), slot_of("log-x-1"), slot_of("log-1")), (None, None, None));
    }
}
