//! Revising by hand: what is written when a record is forgotten, or gets another address. The same lines as an apply
//! writes for it, and no request.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Tombstone};
use super::fingerprint::Fingerprinter;
use super::record::{Record, SecretRecord};
use super::view::State;
use crate::address::Address;
use crate::secret::Secret;

/// How the operation of a tombstone ends whose object was left alone.
pub(super) const FORGOTTEN: &str = "forget";
/// How the operation of a tombstone ends whose object has another address now.
pub(super) const MOVED: &str = "moved";

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'s> {
    /// The name of the run.
    pub run: &'s str,
    /// Now, RFC 3339.
    pub at: &'s str,
}

impl Stamp<'_> {
    pub(super) fn op(&self, n: u64) -> String {
        format!("{}-{n}", self.run.split('/').next().unwrap_or_default())
    }

    fn tombstone(&self, record: &Record, rev: u64, op: String) -> Entry {
        Entry::Tombstone(Tombstone {
            address: record.address.clone(),
            id: record.id.clone(),
            rev,
            op,
            at: self.at.to_owned(),
            extra: serde_json::Map::new(),
        })
    }
}

/// Forgets every record of these addresses.
#[must_use]
pub fn forget(state: &State, chosen: &BTreeSet<Address>, stamp: &Stamp<'_>) -> Vec<Entry> {
    let records = chosen.iter().flat_map(|address| state.siblings(address));
    let gone = |(n, record): (u64, &Record)| {
        stamp.tombstone(record, state.rev(&record.address) + 1, format!("{}-{FORGOTTEN}", stamp.op(n)))
    };
    (1..).zip(records).map(gone).collect()
}

/// Gives every record of an address another one. `secrets` says what becomes of a record's fingerprints under its new
/// operation; see [`carry`].
pub fn relocate(
    state: &State,
    from: &Address,
    to: &Address,
    stamp: &Stamp<'_>,
    mut secrets: impl FnMut(&Record, &str) -> BTreeMap<String, SecretRecord>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    // The oldest first: the newest of several objects stays the newest.
    for (n, record) in (1..).zip(state.siblings(from).into_iter().rev()) {
        let op = stamp.op(2 * n - 1);
        entries.push(Entry::Record(Record {
            address: to.clone(),
            rev: state.rev(to) + n,
            secrets: secrets(record, &op),
            op,
            at: stamp.at.to_owned(),
            ..record.clone()
        }));
        entries.push(stamp.tombstone(record, state.rev(from) + 1, format!("{}-{MOVED}", stamp.op(2 * n))));
    }
    entries
}

/// What fingerprints are bound to: the key that makes them, an address and, for some, an operation.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'d> {
    /// Has the key.
    pub printer: &'d Fingerprinter,
    /// The address of the record.
    pub address: &'d Address,
    /// Its operation.
    pub op: &'d str,
}

/// The fingerprints of a record that goes to another address, or gets another key. Fingerprints are bound to both, so
/// one is made anew where the value is known: `values` has candidates for each path, and the old fingerprint, made by
/// `printer`, tells which of them was recorded. Where none fits, there is no new one: under another address the old
/// fingerprint would show as *changed*, and nobody knows that it is.
///
/// What the API showed in a secret's place is known to the old fingerprint only, so it stays behind in any case.
#[must_use]
pub fn carry(
    printer: &Fingerprinter,
    values: &BTreeMap<String, Vec<Secret>>,
    record: &Record,
    to: &Destination<'_>,
) -> BTreeMap<String, SecretRecord> {
    let from = &record.address;
    let made = |path: &str, secret: &SecretRecord| {
        let fits = |value: &&Secret| printer.secret(from, path, value.expose()) == secret.fp;
        let fp = match values.get(path).into_iter().flatten().find(fits) {
            Some(value) => to.printer.secret(to.address, path, value.expose()),
            // A write whose outcome is unknown left a fingerprint of its operation, which no value has: the next plan
            // is to write it again, and so it stays.
            None if printer.mask(from, path, &record.op) == secret.fp => to.printer.mask(to.address, path, to.op),
            None => return None,
        };
        Some(SecretRecord { fp, assumed: secret.assumed, mask: None, mask_at: None })
    };
    record.secrets.iter().filter_map(|(path, secret)| Some((path.clone(), made(path, secret)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::Key;
    use super::super::samples::{address, record, tombstone};
    use super::*;

    const STAMP: Stamp<'static> = Stamp { run: "R/host/1.2", at: "2026-11-22T00:00:00Z" };

    fn of(entries: &[Entry]) -> State {
        let mut state = State::empty();
        for entry in entries {
            state.absorb(entry);
        }
        state
    }

    fn after(state: &State, entries: &[Entry]) -> State {
        let mut state = state.clone();
        for entry in entries {
            state.absorb(entry);
        }
        state
    }

    #[test]
    fn all_records_of_an_address_are_forgotten_and_no_other() {
        let state = of(&[
            Entry::Record(record("t/a", "1", 1, "A-1")),
            Entry::Record(record("t/a", "2", 4, "B-1")),
            Entry::Record(record("t/b", "3", 1, "A-2")),
        ]);
        let entries = forget(&state, &BTreeSet::from([address("t/a")]), &STAMP);
        let state = after(&state, &entries);
        assert_eq!(state.records().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["3"]);
        assert_eq!(state.rev(&address("t/a")), 5);
        let ops: Vec<&str> = state.tombstones().map(|gone| gone.op.as_str()).collect();
        assert_eq!(ops, ["R-2-forget", "R-1-forget"]);
        assert!(forget(&state, &BTreeSet::from([address("t/a")]), &STAMP).is_empty());
    }

    #[test]
    fn records_move_in_their_order_and_leave_tombstones() {
        let (from, to) = (address("t/a"), address("t/z"));
        let state = of(&[
            Entry::Record(record("t/a", "1", 6, "A-1")),
            Entry::Record(record("t/a", "2", 7, "B-1")),
            // There was an object once.
            Entry::Tombstone(tombstone("t/z", "1", 9, "A-7")),
        ]);
        let moved = after(&state, &relocate(&state, &from, &to, &STAMP, |_, _| BTreeMap::new()));
        assert_eq!(moved.record(&from), None);
        let ids: Vec<(&str, u64)> = moved.siblings(&to).into_iter().map(|r| (r.id.as_str(), r.rev)).collect();
        assert_eq!(ids, [("2", 11), ("1", 10)]);
        assert_eq!(moved.rev(&from), 8);
        let newest = moved.record(&to).unwrap();
        assert_eq!((newest.op.as_str(), newest.at.as_str()), ("R-3", STAMP.at));
        assert_eq!((newest.fields.len(), newest.host.as_str()), (1, "https://acme.example/api/public"));
    }

    #[test]
    fn a_fingerprint_is_made_anew_only_for_the_value_that_was_recorded() {
        let printer = Fingerprinter::new(&Key::new([7; 32]), "L");
        let (from, to) = (address("t/a"), address("t/z"));
        let mut old = record("t/a", "1", 1, "A-1");
        let secret = |fp| SecretRecord { fp, assumed: false, mask: Some(printer.mask(&from, "x", "*")), mask_at: None };
        old.secrets.insert("known".to_owned(), secret(printer.secret(&from, "known", "sk-1")));
        old.secrets.insert("other".to_owned(), secret(printer.secret(&from, "other", "sk-2")));
        old.secrets.insert("unset".to_owned(), secret(printer.secret(&from, "unset", "sk-3")));
        old.secrets.insert("doubt".to_owned(), secret(printer.mask(&from, "doubt", "A-1")));
        old.secrets
            .insert("adopted".to_owned(), SecretRecord { assumed: true, ..secret(printer.secret(&from, "adopted", "sk-4")) });
        let values: BTreeMap<String, Vec<Secret>> =
            [("known", vec!["sk-0", "sk-1"]), ("other", vec!["sk-9"]), ("doubt", vec!["sk-5"]), ("adopted", vec!["sk-4"])]
                .into_iter()
                .map(|(path, values)| (path.to_owned(), values.into_iter().map(Secret::new).collect()))
                .collect();
        let destination = Destination { printer: &printer, address: &to, op: "R-1" };
        let carried = carry(&printer, &values, &old, &destination);
        assert_eq!(carried.keys().map(String::as_str).collect::<Vec<_>>(), ["adopted", "doubt", "known"]);
        assert_eq!(carried["known"].fp, printer.secret(&to, "known", "sk-1"));
        assert_eq!(carried["doubt"].fp, printer.mask(&to, "doubt", "R-1"));
        assert!(carried["adopted"].assumed && !carried["known"].assumed);
        assert!(carried.values().all(|secret| secret.mask.is_none()));
        let stranger = Fingerprinter::new(&Key::new([8; 32]), "L");
        assert_eq!(carry(&stranger, &values, &old, &destination), BTreeMap::new());
    }
}
