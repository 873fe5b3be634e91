//! The state: what we know of our own writes, as evidence for the planner and for recovery. Never the truth; that is
//! the live API, and a state that got lost costs verdicts, not objects.
//!
//! On disk it is one file of JSON lines, and its meaning is the *set* of its lines: per address and remote id the
//! highest `(rev, op)` wins, an intent is open until its operation is done or void. The join of two such sets is
//! commutative, associative and idempotent ([`State::join`]), so any union of lines is a valid state. That is what
//! makes crashes, concurrent runs and git merges harmless, and why nothing here knows a lock.
//!
//! | file | what it decides |
//! |---|---|
//! | `record` | what is kept of one remote object |
//! | `fingerprint` | the only trace of a secret that may be kept |
//! | `line` | the checksum that ends every line |
//! | `entry` | one line |
//! | `scan` | many lines: what is torn, what is damaged, what can be salvaged |
//! | `view` | the join |
//! | `claim` | which of two runs may write an address |
//! | `check` | everything that a file says, whatever is wrong with it, and what can be kept of it |
//! | `history` | what the lines that are still there tell of earlier runs |
//! | `revise` | what is written when a record is forgotten, or gets another address, by hand |
//! | `rekey` | what is written when fingerprints get another key |
//! | `error` | what to tell people |
//!
//! Deliberately absent: files, clocks, randomness. Times are texts that the caller wrote, keys and operation names are
//! handed in; [`crate::io`] has the store that makes lines durable.

mod check;
mod claim;
mod entry;
mod error;
mod fingerprint;
mod history;
mod line;
mod record;
mod rekey;
mod revise;
mod scan;
mod view;

pub use check::{Dropped, Flaw, Origin, Part, Repaired, Survey, Whole, Wrong, twins};
pub use claim::{Claim, Heads, LATE, decide};
pub use entry::{Entry, Header, Intent, JOURNAL, MAJOR, MINOR, Tombstone};
pub use error::{StateError, StateWarning};
pub use fingerprint::{Fingerprint, Fingerprinter, Key, digest};
pub use history::{Event, What, history};
pub use line::LineError;
pub use record::{Record, SecretRecord, TEST};
pub use rekey::{Left, Rekeyed, Rotation, Stays, rekey};
pub use revise::{Destination, Stamp, carry, forget, relocate};
pub use scan::{Found, Scanner};
pub use view::State;

#[cfg(test)]
pub(crate) mod samples {
    //! Small entries for the tests of this folder and of the store.

    use std::collections::BTreeMap;

    use super::{Entry, Header, Intent, MAJOR, MINOR, Record, Tombstone};
    use crate::address::Address;

    pub(crate) const LINEAGE: &str = "01KAHV6Q2M8Z4T0N5R7W9XJ3CD";

    pub(crate) fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    pub(crate) fn header() -> Entry {
        Entry::Header(Header { major: MAJOR, minor: MINOR, lineage: LINEAGE.to_owned(), extra: serde_json::Map::new() })
    }

    pub(crate) fn record(at: &str, id: &str, rev: u64, op: &str) -> Record {
        Record {
            address: address(at),
            id: id.to_owned(),
            rev,
            op: op.to_owned(),
            kind: "openai".to_owned(),
            name: "Support GPT-4o".to_owned(),
            host: "https://acme.example/api/public".to_owned(),
            fields: BTreeMap::from([("model".to_owned(), "0123456789ab".to_owned())]),
            stored_as: BTreeMap::new(),
            secrets: BTreeMap::new(),
            seen: None,
            guards: std::collections::BTreeSet::new(),
            depends_on: std::collections::BTreeSet::new(),
            at: "2026-11-21T20:41:07Z".to_owned(),
            extra: serde_json::Map::new(),
        }
    }

    pub(crate) fn done(record: Record) -> Entry {
        Entry::Done { op: record.op.clone(), record: Box::new(record) }
    }

    pub(crate) fn tombstone(at: &str, id: &str, rev: u64, op: &str) -> Tombstone {
        Tombstone {
            address: address(at),
            id: id.to_owned(),
            rev,
            op: op.to_owned(),
            at: "2026-11-21T20:41:08Z".to_owned(),
            extra: serde_json::Map::new(),
        }
    }

    pub(crate) fn intent(op: &str, at: &str, base: u64, run: &str) -> Intent {
        Intent {
            op: op.to_owned(),
            address: address(at),
            verb: "create".to_owned(),
            name: "Support GPT-4o".to_owned(),
            base,
            run: run.to_owned(),
            at: "2026-11-21T20:41:06Z".to_owned(),
            until: Some(1_795_293_700),
            late: false,
            fp: BTreeMap::new(),
            extra: serde_json::Map::new(),
        }
    }

    pub(crate) fn text(entries: &[Entry]) -> String {
        entries.iter().map(|entry| entry.encode() + "\n").collect()
    }
}
