//! Another key: what is written when the fingerprints of a state are made anew.
//!
//! A fingerprint cannot be turned into one of another key. It is made from the value again, and only where the old
//! fingerprint proves that this is the value that was recorded: a fingerprint of any other one would claim that nothing
//! changed. What cannot be proved stays as it is. Its key tells plans to say *cannot verify*, and not *changed*.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Entry;
use super::fingerprint::Fingerprinter;
use super::record::{Record, SecretRecord};
use super::revise::{Destination, Stamp, carry};
use super::view::State;
use crate::address::Address;
use crate::secret::Secret;

/// The key that fingerprints have and the one that they get, both for one state.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'r> {
    /// Has the old key.
    pub old: &'r Fingerprinter,
    /// Has the new key.
    pub new: &'r Fingerprinter,
}

/// Why a fingerprint stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// There is no value for it.
    NoValue,
    /// The value at hand is not the one that was recorded.
    OtherValue,
    /// It was made with neither of the two keys.
    OtherKey,
}

/// A fingerprint that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The connection.
    pub address: Address,
    /// The object's id.
    pub id: String,
    /// The place of the secret.
    pub path: String,
    /// Why.
    pub why: Stays,
}

/// What another key makes of a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// The records to write.
    pub entries: Vec<Entry>,
    /// How many fingerprints are made anew.
    pub made: usize,
    /// How many of these had something beside them that the API showed, and that is not known any more.
    pub masks: usize,
    /// How many have the new key already.
    pub already: usize,
    /// What stays with an old one.
    pub left: Vec<Left>,
}

/// Makes every fingerprint with the new key that can be. `values` has the candidates for a record, by path.
///
/// The time of a record stays, too: it tells when the object was written, and that does not change.
#[must_use]
pub fn rekey(
    state: &State,
    rotation: &Rotation<'_>,
    stamp: &Stamp<'_>,
    mut values: impl FnMut(&Record) -> BTreeMap<String, Vec<Secret>>,
) -> Rekeyed {
    let mut rekeyed = Rekeyed::default();
    let addresses: BTreeSet<&Address> = state.records().map(|record| &record.address).collect();
    let mut operations = 1..;
    for address in addresses {
        let before = rekeyed.made;
        let mut records = Vec::new();
        // The oldest first: the newest of several objects stays the newest.
        for (rev, record) in (state.rev(address) + 1..).zip(state.siblings(address).into_iter().rev()) {
            let op = stamp.op(operations.next().unwrap_or_default());
            let secrets = renewed(record, rotation, &op, &values(record), &mut rekeyed);
            records.push(Entry::Record(Record { rev, op, secrets, ..record.clone() }));
        }
        // All of an address or none of it: one alone would become the newest.
        if rekeyed.made > before {
            rekeyed.entries.extend(records);
        }
    }
    rekeyed
}

fn renewed(
    record: &Record,
    rotation: &Rotation<'_>,
    op: &str,
    values: &BTreeMap<String, Vec<Secret>>,
    rekeyed: &mut Rekeyed,
) -> BTreeMap<String, SecretRecord> {
    let to = Destination { printer: rotation.new, address: &record.address, op };
    let made = carry(rotation.old, values, record, &to);
    // With the new key already, and bound to an operation: it goes along to the next one.
    let doubts = carry(rotation.new, &BTreeMap::new(), record, &to);
    let mut secrets = record.secrets.clone();
    for (path, secret) in &mut secrets {
        let key = secret.fp.key_id();
        if key == rotation.new.key_id() {
            rekeyed.already += 1;
            if let Some(doubt) = doubts.get(path) {
                secret.clone_from(doubt);
            }
        } else if let Some(made) = made.get(path) {
            rekeyed.made += 1;
            rekeyed.masks += usize::from(secret.mask.is_some());
            secret.clone_from(made);
        } else {
            let why = match values.get(path) {
                _ if key != rotation.old.key_id() => Stays::OtherKey,
                Some(values) if !values.is_empty() => Stays::OtherValue,
                _ => Stays::NoValue,
            };
            rekeyed.left.push(Left { address: record.address.clone(), id: record.id.clone(), path: path.clone(), why });
        }
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::Key;
    use super::super::samples::{address, record};
    use super::*;

    const STAMP: Stamp<'static> = Stamp { run: "R/host/1.2", at: "2026-11-22T00:00:00Z" };

    fn printer(seed: u8) -> Fingerprinter {
        Fingerprinter::new(&Key::new([seed; 32]), "L")
    }

    fn of(records: &[&Record]) -> State {
        let mut state = State::empty();
        for record in records {
            state.absorb(&Entry::Record((*record).clone()));
        }
        state
    }

    /// `t/<key>` with these secrets: path, seed of the key, value.
    fn with(key: &str, id: &str, rev: u64, secrets: &[(&str, u8, &str)]) -> Record {
        let at = format!("t/{key}");
        let mut record = record(&at, id, rev, &format!("A-{id}"));
        record.seen = Some("2026-11-21".to_owned());
        for (path, seed, value) in secrets {
            let printer = printer(*seed);
            let mask = Some(printer.mask(&record.address, path, "***"));
            let fp = printer.secret(&record.address, path, value);
            let secret = SecretRecord { fp, assumed: false, mask, mask_at: Some("read".to_owned()) };
            record.secrets.insert((*path).to_owned(), secret);
        }
        record
    }

    /// What becomes of a state when its key goes from seed 1 to seed 2 and these values are at hand.
    fn rotated(state: &State, values: &[(&str, &str)]) -> (State, Rekeyed) {
        let values: BTreeMap<String, Vec<Secret>> =
            values.iter().map(|(path, value)| ((*path).to_owned(), vec![Secret::new(*value)])).collect();
        let (old, new) = (printer(1), printer(2));
        let rekeyed = rekey(state, &Rotation { old: &old, new: &new }, &STAMP, |_| values.clone());
        let mut after = state.clone();
        rekeyed.entries.iter().for_each(|entry| after.absorb(entry));
        (after, rekeyed)
    }

    fn left(rekeyed: &Rekeyed) -> Vec<(&str, Stays)> {
        rekeyed.left.iter().map(|left| (left.path.as_str(), left.why)).collect()
    }

    #[test]
    fn what_is_proved_gets_the_new_key_and_the_rest_keeps_its_own() {
        let old = with("a", "1", 4, &[("known", 1, "sk-1"), ("other", 1, "sk-2"), ("stranger", 3, "sk-3"), ("unset", 1, "sk-4")]);
        let (after, rekeyed) = rotated(&of(&[&old]), &[("known", "sk-1"), ("other", "sk-9"), ("stranger", "sk-3")]);
        let expected = [("other", Stays::OtherValue), ("stranger", Stays::OtherKey), ("unset", Stays::NoValue)];
        assert_eq!(left(&rekeyed), expected);
        assert_eq!((rekeyed.made, rekeyed.masks, rekeyed.already, rekeyed.entries.len()), (1, 1, 0, 1));
        let now = after.record(&old.address).unwrap();
        assert_eq!(now.secrets["known"].fp, printer(2).secret(&old.address, "known", "sk-1"));
        assert_eq!((&now.secrets["known"].mask, &now.secrets["known"].mask_at), (&None, &None));
        for path in ["other", "stranger", "unset"] {
            assert_eq!(now.secrets[path], old.secrets[path], "{path}");
        }
        let expected = Record { rev: 5, op: "R-1".to_owned(), secrets: now.secrets.clone(), ..old };
        assert_eq!(*now, expected, "nothing else is another");
    }

    #[test]
    fn what_was_interrupted_goes_on_and_what_is_done_is_left_alone() {
        let [a, b] = ["a", "b"].map(|key| with(key, "1", 1, &[("p", 1, "sk-1")]));
        let state = of(&[&a, &b]);
        let (whole, rekeyed) = rotated(&state, &[("p", "sk-1")]);
        assert_eq!((rekeyed.made, rekeyed.entries.len()), (2, 2));
        let (again, rekeyed) = rotated(&whole, &[("p", "sk-1")]);
        assert_eq!((again, rekeyed.made, rekeyed.already), (whole.clone(), 0, 2));
        assert!(rekeyed.entries.is_empty());
        // Only one of two lines was durable.
        let half = of(&[whole.record(&a.address).unwrap(), &b]);
        let (done, rekeyed) = rotated(&half, &[("p", "sk-1")]);
        assert_eq!((rekeyed.made, rekeyed.already), (1, 1));
        assert_eq!(done.record(&b.address).map(|record| &record.secrets), whole.record(&b.address).map(|record| &record.secrets));
    }

    #[test]
    fn of_several_objects_the_newest_stays_the_newest() {
        let older = with("a", "1", 6, &[("p", 1, "sk-1")]);
        let newer = with("a", "2", 7, &[("p", 1, "sk-2")]);
        let (after, rekeyed) = rotated(&of(&[&older, &newer]), &[("p", "sk-1")]);
        assert_eq!((rekeyed.made, left(&rekeyed)), (1, vec![("p", Stays::OtherValue)]));
        let now: Vec<(&str, u64)> = after.siblings(&address("t/a")).iter().map(|r| (r.id.as_str(), r.rev)).collect();
        assert_eq!(now, [("2", 9), ("1", 8)]);
        assert_eq!(after.record(&address("t/a")).map(|record| &record.secrets), Some(&newer.secrets));
    }

    #[test]
    fn a_doubt_stays_a_doubt() {
        let at = address("t/a");
        let mut old = with("a", "1", 1, &[("p", 1, "sk-1"), ("q", 1, "sk-2")]);
        for path in ["p", "q"] {
            let doubt = SecretRecord { fp: printer(1).mask(&at, path, "A-1"), assumed: false, mask: None, mask_at: None };
            old.secrets.insert(path.to_owned(), doubt);
        }
        old.secrets.insert("r".to_owned(), with("a", "1", 1, &[("r", 1, "sk-3")]).secrets["r"].clone());
        let (after, rekeyed) = rotated(&of(&[&old]), &[("p", "sk-1")]);
        assert_eq!((rekeyed.made, rekeyed.masks, left(&rekeyed)), (2, 0, vec![("r", Stays::NoValue)]));
        let doubted = |state: &State, op: &str| {
            let record = state.record(&at).unwrap();
            assert_eq!(record.op, op);
            ["p", "q"].iter().all(|path| record.secrets[*path].fp == printer(2).mask(&at, path, op))
        };
        assert!(doubted(&after, "R-1"));
        // The rest follows later, and the doubt with it.
        let (old, new) = (printer(1), printer(2));
        let later = Stamp { run: "S/host/1.2", at: STAMP.at };
        let values = BTreeMap::from([("r".to_owned(), vec![Secret::new("sk-3")])]);
        let mut last = after.clone();
        let rekeyed = rekey(&after, &Rotation { old: &old, new: &new }, &later, |_| values.clone());
        rekeyed.entries.iter().for_each(|entry| last.absorb(entry));
        assert!(doubted(&last, "S-1"));
        assert_eq!((rekeyed.made, rekeyed.already, last.record(&at).map(|record| record.rev)), (1, 2, Some(3)));
    }

    #[test]
    fn a_record_without_secrets_is_not_written() {
        let plain = with("a", "1", 1, &[]);
        assert_eq!(rotated(&of(&[&plain]), &[]).1, Rekeyed::default());
    }
}
