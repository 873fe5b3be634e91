//! History: what the lines that are still in a state tell of earlier runs.
//!
//! It is short on purpose. A run folds its journal into the sorted part when it ends: of each object the newest revision
//! stays, and what came to nothing goes. What is older is in version control, if the file is.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Intent, Tombstone};
use super::record::Record;
use super::revise::{FORGOTTEN, MOVED};
use crate::address::Address;

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The object was written or taken over, and this is its record.
    Recorded,
    /// The object was deleted, or found missing.
    Gone,
    /// The record was dropped; the object was left alone.
    Forgotten,
    /// The record went to another address.
    MovedAway,
    /// A request was announced, and nobody knows yet what came of it.
    Open,
    /// A request was announced, and nothing came of it.
    Void,
}

impl What {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Gone => "gone",
            Self::Forgotten => "forgotten",
            Self::MovedAway => "moved away",
            Self::Open => "open",
            Self::Void => "void",
        }
    }
}

/// One thing that a state still knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub what: What,
    /// When, as the run wrote it down.
    pub at: Option<String>,
    /// The connection; a void operation does not say it by itself.
    pub address: Option<Address>,
    /// The revision of the address.
    pub rev: Option<u64>,
    /// The object's id.
    pub id: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// What was announced: `create`, `update`, `delete`.
    pub verb: Option<String>,
    /// Why nothing came of it.
    pub why: Option<String>,
    /// The operation.
    pub op: String,
    /// The run, where a line still names it in full.
    pub run: Option<String>,
}

impl Event {
    fn new(what: What, op: &str, intent: Option<&Intent>) -> Self {
        Self {
            what,
            at: intent.map(|intent| intent.at.clone()),
            address: intent.map(|intent| intent.address.clone()),
            rev: None,
            id: None,
            name: intent.map(|intent| intent.name.clone()),
            verb: intent.map(|intent| intent.verb.clone()),
            why: None,
            op: op.to_owned(),
            run: intent.map(|intent| intent.run.clone()),
        }
    }

    fn order(&self) -> (Option<&str>, Option<u64>, &str) {
        (self.at.as_deref(), self.rev, self.op.as_str())
    }
}

/// What these entries tell, the newest first; what has no time comes last. An announcement whose result is there, too,
/// is not told apart from it.
#[must_use]
pub fn history<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<Event> {
    let mut intents: BTreeMap<&str, &Intent> = BTreeMap::new();
    let mut records: BTreeMap<(&Address, &str, u64, &str), &Record> = BTreeMap::new();
    let mut tombstones: BTreeMap<(&Address, &str, u64, &str), &Tombstone> = BTreeMap::new();
    let mut voids: BTreeMap<&str, &str> = BTreeMap::new();
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    for entry in entries {
        match entry {
            Entry::Record(record) => {
                ended.insert(&record.op);
                records.insert((&record.address, record.id.as_str(), record.rev, record.op.as_str()), record);
            }
            Entry::Done { op, record } => {
                ended.insert(op);
                ended.insert(&record.op);
                records.insert((&record.address, record.id.as_str(), record.rev, record.op.as_str()), record);
            }
            Entry::Tombstone(gone) => {
                ended.insert(&gone.op);
                tombstones.insert((&gone.address, gone.id.as_str(), gone.rev, gone.op.as_str()), gone);
            }
            Entry::Intent(intent) => {
                intents.entry(&intent.op).or_insert(intent);
            }
            Entry::Void { op, why } => {
                voids.insert(op, why);
            }
            Entry::Header(_) | Entry::Journal | Entry::Other(_) => {}
        }
    }
    let intent = |op: &str| intents.get(op).copied();
    let recorded = records.values().map(|record| Event {
        at: Some(record.at.clone()),
        address: Some(record.address.clone()),
        rev: Some(record.rev),
        id: Some(record.id.clone()),
        name: Some(record.name.clone()),
        ..Event::new(What::Recorded, &record.op, intent(&record.op))
    });
    let buried = tombstones.values().map(|gone| Event {
        at: Some(gone.at.clone()),
        address: Some(gone.address.clone()),
        rev: Some(gone.rev),
        id: Some(gone.id.clone()),
        ..Event::new(ending_of(&gone.op), &gone.op, intent(&gone.op))
    });
    let nothing = voids
        .iter()
        .filter(|(op, _)| !ended.contains(*op))
        .map(|(op, why)| Event { why: Some((*why).to_owned()), ..Event::new(What::Void, op, intent(op)) });
    let open = intents
        .iter()
        .filter(|(op, _)| !ended.contains(*op) && !voids.contains_key(*op))
        .map(|(op, intent)| Event::new(What::Open, op, Some(*intent)));
    let mut all: Vec<Event> = recorded.chain(buried).chain(nothing).chain(open).collect();
    all.sort_by(|a, b| b.order().cmp(&a.order()));
    all
}

/// A tombstone is named after what made it.
fn ending_of(op: &str) -> What {
    let made_by = |word: &str| op.strip_suffix(word).is_some_and(|rest| rest.ends_with('-'));
    if made_by(FORGOTTEN) {
        What::Forgotten
    } else if made_by(MOVED) {
        What::MovedAway
    } else {
        What::Gone
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{address, done, header, intent, record, tombstone};
    use super::*;

    fn told(entries: &[Entry]) -> Vec<String> {
        let line = |event: &Event| {
            let address = event.address.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} {address} {}", event.op, event.what.word())
        };
        history(entries).iter().map(line).collect()
    }

    #[test]
    fn the_newest_comes_first_and_nothing_twice() {
        let mut old = record("t/a", "1", 1, "A-1");
        old.at = "2026-11-20T00:00:00Z".to_owned();
        let new = record("t/a", "1", 2, "B-1");
        let entries = [
            header(),
            Entry::Record(old),
            Entry::Record(new.clone()),
            Entry::Journal,
            Entry::Tombstone(tombstone("t/b", "2", 3, "B-2")),
            Entry::Tombstone(tombstone("t/c", "3", 3, "B-3-forget")),
            Entry::Tombstone(tombstone("t/d", "4", 3, "B-4-moved")),
            Entry::Intent(intent("B-1", "t/a", 1, "B")),
            done(new),
        ];
        assert_eq!(
            told(&entries),
            ["B-4-moved t/d moved away", "B-3-forget t/c forgotten", "B-2 t/b gone", "B-1 t/a recorded", "A-1 t/a recorded"]
        );
        let all = history(&entries);
        assert_eq!((all[3].run.as_deref(), all[3].verb.as_deref(), all[3].rev), (Some("B"), Some("create"), Some(2)));
        assert_eq!((all[4].run.as_deref(), all[4].verb.as_deref()), (None, None));
    }

    #[test]
    fn what_came_to_nothing_and_what_is_open_are_told_apart() {
        let void = |op: &str| Entry::Void { op: op.to_owned(), why: "refused".to_owned() };
        let entries = [
            Entry::Intent(intent("B-1", "t/a", 1, "B")),
            Entry::Intent(intent("B-2", "t/b", 1, "B")),
            Entry::Intent(intent("B-3", "t/c", 1, "B")),
            void("B-2"),
            void("X-9"),
            done(record("t/c", "3", 1, "B-3")),
            // A void of what has a result says nothing.
            void("B-3"),
        ];
        assert_eq!(told(&entries), ["B-3 t/c recorded", "B-2 t/b void", "B-1 t/a open", "X-9  void"]);
        let all = history(&entries);
        assert_eq!((all[1].why.as_deref(), all[1].address.clone()), (Some("refused"), Some(address("t/b"))));
        assert_eq!(all[3].at, None);
    }
}
