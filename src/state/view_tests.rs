use proptest::prelude::*;

use super::super::samples::{address, done, header, intent, record, text, tombstone};
use super::*;

fn of(entries: &[Entry]) -> State {
    let mut state = State::empty();
    for entry in entries {
        state.absorb(entry);
    }
    state
}

fn void(op: &str) -> Entry {
    Entry::Void { op: op.to_owned(), why: "no".to_owned() }
}

#[test]
fn the_newest_record_of_an_object_wins() {
    let old = record("t/a", "1", 1, "A-1");
    let tie = record("t/a", "1", 2, "A-2");
    let new = record("t/a", "1", 2, "B-1");
    let state = of(&[Entry::Record(new.clone()), done(tie), Entry::Record(old)]);
    assert_eq!(state.record(&address("t/a")), Some(&new));
    assert_eq!(state.siblings(&address("t/a")), [&new]);
    assert_eq!(state.rev(&address("t/a")), 2);
}

#[test]
fn two_objects_under_one_address_both_stay() {
    let one = record("t/a", "1", 1, "A-1");
    let two = record("t/a", "2", 1, "B-1");
    let other = record("s/z", "9", 1, "A-9");
    let state = of(&[one.clone(), other.clone(), two.clone()].map(Entry::Record));
    assert_eq!(state.siblings(&address("t/a")), [&two, &one]);
    assert_eq!(state.records().collect::<Vec<_>>(), [&other, &one, &two]);
    assert_eq!(state.record(&address("t/b")), None);
}

#[test]
fn a_tombstone_outranks_what_it_buried_and_nothing_else() {
    let buried = record("t/a", "1", 3, "A-1");
    let state = of(&[Entry::Tombstone(tombstone("t/a", "1", 4, "B-1")), Entry::Record(buried)]);
    assert_eq!(state.record(&address("t/a")), None);
    assert_eq!(state.rev(&address("t/a")), 4);
    assert!(!state.is_empty());
    let again = record("t/a", "1", 5, "C-1");
    let mut state = state;
    state.absorb(&Entry::Record(again.clone()));
    assert_eq!(state.record(&address("t/a")), Some(&again));
}

#[test]
fn an_intent_is_open_until_its_operation_ends_in_any_way() {
    let open = Entry::Intent(intent("B-1", "t/a", 0, "B"));
    assert_eq!(of(std::slice::from_ref(&open)).open_intents().count(), 1);
    for end in [
        void("B-1"),
        done(record("t/a", "1", 1, "B-1")),
        Entry::Record(record("t/a", "1", 1, "B-1")),
        Entry::Tombstone(tombstone("t/a", "1", 1, "B-1")),
    ] {
        for entries in [[open.clone(), end.clone()], [end.clone(), open.clone()]] {
            let state = of(&entries);
            assert_eq!(state.open_intents().count(), 0);
            assert!(state.is_closed("B-1"));
            assert!(entries.iter().all(|entry| state.holds(entry)));
        }
    }
    assert_eq!(of(&[open, void("B-2")]).open_intents().count(), 1);
}

#[test]
fn a_record_that_lost_still_closes_its_intent() {
    let newer = Entry::Record(record("t/a", "1", 9, "C-1"));
    let open = Entry::Intent(intent("B-1", "t/a", 0, "B"));
    let late = Entry::Record(record("t/a", "1", 2, "B-1"));
    let before = of(&[newer.clone(), open.clone()]);
    assert!(!before.holds(&late));
    assert_eq!(of(&[newer, open, late]).open_intents().count(), 0);
}

#[test]
fn a_late_copy_does_not_hide_the_original() {
    let original = intent("B-1", "t/a", 0, "B");
    let copy = Intent { late: true, ..original.clone() };
    for entries in [[original.clone(), copy.clone()], [copy, original.clone()]] {
        let state = of(&entries.map(Entry::Intent));
        assert_eq!(state.open_intents().collect::<Vec<_>>(), [&original]);
    }
}

#[test]
fn a_file_at_rest_has_no_journal_line() {
    let entries = [
        header(),
        Entry::Journal,
        Entry::Intent(intent("B-1", "t/b", 0, "B")),
        done(record("t/b", "2", 1, "B-1")),
        Entry::Tombstone(tombstone("t/a", "0", 1, "A-0")),
        Entry::Record(record("t/a", "1", 1, "A-1")),
    ];
    let expected = text(&[
        header(),
        Entry::Record(record("t/a", "1", 1, "A-1")),
        Entry::Record(record("t/b", "2", 1, "B-1")),
        Entry::Tombstone(tombstone("t/a", "0", 1, "A-0")),
    ]);
    assert_eq!(of(&entries).render(), expected);
    let open = Entry::Intent(intent("B-2", "t/c", 0, "B"));
    let mut state = of(&entries);
    state.absorb(&open);
    assert_eq!(state.render(), expected + &text(&[open, Entry::Journal]));
}

#[test]
fn unknown_lines_and_keys_survive_a_rewrite_byte_for_byte() {
    let mut strange = record("t/a", "1", 1, "A-1");
    strange.extra.insert("zebra".to_owned(), serde_json::json!({"b": [1, "ä"], "a": null}));
    let other = super::super::line::seal(serde_json::Map::from_iter([
        ("+".to_owned(), serde_json::json!("lease")),
        ("until".to_owned(), serde_json::json!(5)),
    ]));
    let before = text(&[header(), Entry::Record(strange), Entry::Other(other)]);
    let (state, warnings) = State::from_text("s", before.as_bytes()).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(state.render(), before);
}

#[test]
fn a_newer_minor_version_is_read_and_not_written() {
    let Entry::Header(mut newer) = header() else { unreachable!() };
    newer.minor = MINOR + 1;
    let file = text(&[Entry::Header(newer), Entry::Record(record("t/a", "1", 1, "A-1"))]);
    let (state, _) = State::from_text("s", file.as_bytes()).unwrap();
    assert!(state.record(&address("t/a")).is_some());
    assert!(!state.writable());
    assert_eq!(state.newer_format(), Some((1, MINOR + 1)));
    assert!(State::empty().writable() && of(&[header()]).writable());
}

#[test]
fn what_is_missing_elsewhere_is_exactly_what_closes_the_gap() {
    let open = Entry::Intent(intent("B-1", "t/b", 0, "B"));
    let here =
        of(&[header(), Entry::Record(record("t/a", "1", 2, "A-2")), Entry::Intent(intent("B-9", "t/c", 0, "B")), void("B-1")]);
    let there = of(&[header(), Entry::Record(record("t/a", "1", 1, "A-1")), open]);
    let missing = here.missing_in(&there);
    assert_eq!(missing.len(), 3, "{missing:?}");
    assert!(missing.iter().any(|entry| matches!(entry, Entry::Intent(i) if i.op == "B-9" && i.late)));
    let mut both = there;
    for entry in &missing {
        both.absorb(entry);
    }
    assert!(here.missing_in(&both).is_empty());
    assert_eq!(both.open_intents().map(|i| i.op.as_str()).collect::<Vec<_>>(), ["B-9"]);
}

/// Few addresses, ids, revisions and operations, so that everything meets everything.
fn entry() -> impl Strategy<Value = Entry> {
    (0..7_u8, 0..3_u8, 0..2_u8, 1..4_u64, 0..4_u8, any::<bool>()).prop_map(|(kind, key, id, rev, op, late)| {
        let at = format!("t/k{key}");
        let id = format!("id{id}");
        let op = format!("B-{op}");
        match kind {
            0 => header(),
            1 => Entry::Record(record(&at, &id, rev, &op)),
            2 => Entry::Tombstone(tombstone(&at, &id, rev, &op)),
            3 => Entry::Intent(Intent { late, ..intent(&op, &at, rev, "B") }),
            4 => done(record(&at, &id, rev, &op)),
            5 => void(&op),
            _ => Entry::Journal,
        }
    })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(entry(), 0..12)
}

fn joined(one: &State, two: &State) -> State {
    let mut both = one.clone();
    both.join(two);
    both
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn join_is_commutative_associative_and_idempotent(a in entries(), b in entries(), c in entries()) {
        let (a, b, c) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(&joined(&a, &a), &a);
        prop_assert_eq!(joined(&State::empty(), &a), a);
    }

    #[test]
    fn join_is_absorbing_all_entries(a in entries(), b in entries()) {
        let all: Vec<Entry> = a.iter().chain(&b).cloned().collect();
        prop_assert_eq!(joined(&of(&a), &of(&b)), of(&all));
    }

    #[test]
    fn order_and_repetition_do_not_matter(all in entries(), again in any::<prop::sample::Index>()) {
        let mut other: Vec<Entry> = all.iter().rev().cloned().collect();
        if !other.is_empty() {
            other.push(other[again.index(other.len())].clone());
            let middle = again.index(other.len());
            other.rotate_left(middle);
        }
        prop_assert_eq!(of(&all), of(&other));
        prop_assert!(all.iter().all(|entry| matches!(entry, Entry::Header(_)) || of(&all).holds(entry)));
    }

    #[test]
    fn a_rendered_state_reads_as_itself(all in entries()) {
        let mut state = of(&all);
        state.absorb(&header());
        let (read, warnings) = State::from_text("s", state.render().as_bytes()).unwrap();
        prop_assert!(warnings.is_empty());
        prop_assert_eq!(read.render(), state.render());
        prop_assert!(state.missing_in(&read).is_empty());
    }

    #[test]
    fn any_union_of_lines_is_a_state(all in entries(), keep in prop::collection::vec(any::<bool>(), 12)) {
        let some: Vec<Entry> = all.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(entry, _)| entry.clone()).collect();
        let file = text(&[header()]) + &text(&some);
        prop_assert!(State::from_text("s", file.as_bytes()).is_ok());
    }
}
