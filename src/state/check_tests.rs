use super::super::fingerprint::Fingerprint;
use super::super::record::SecretRecord;
use super::super::samples::{LINEAGE, address, done, header, intent, record, text, tombstone};
use super::*;

/// Two records and a tombstone, the journal line, an intent, its end and another intent's.
fn entries() -> Vec<Entry> {
    vec![
        header(),
        Entry::Record(record("t/a", "1", 1, "A-1")),
        Entry::Record(record("t/b", "2", 1, "A-2")),
        Entry::Tombstone(tombstone("t/x", "9", 4, "A-3")),
        Entry::Journal,
        Entry::Intent(intent("B-1", "t/c", 0, "B")),
        done(record("t/c", "3", 1, "B-1")),
        Entry::Void { op: "B-2".to_owned(), why: "x".to_owned() },
    ]
}

fn survey(text: &str) -> Survey {
    Survey::of("s", text.as_bytes()).unwrap()
}

fn of(entries: &[Entry]) -> State {
    let mut state = State::empty();
    for entry in entries {
        state.absorb(entry);
    }
    state
}

/// What a repaired text means to everybody who reads it.
#[track_caller]
fn read(repaired: &Repaired) -> State {
    let (state, warnings) = State::from_text("s", repaired.text.as_bytes()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    state
}

fn places(survey: &Survey) -> Vec<(usize, String)> {
    survey.flaws.iter().map(|flaw| (flaw.line, flaw.why())).collect()
}

#[test]
fn a_whole_file_has_no_flaw_and_is_repaired_to_itself() {
    let whole = text(&entries());
    let found = survey(&whole);
    assert!(!found.is_damaged() && found.diagnostic().is_none() && found.hopeless().is_none());
    assert_eq!(found.header.as_ref().map(|h| h.lineage.as_str()), Some(LINEAGE));
    assert_eq!(found.whole.iter().map(|w| w.line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(found.state(), State::from_text("s", whole.as_bytes()).unwrap().0);
    let repaired = found.repaired(None, "NEW");
    assert_eq!((repaired.text, repaired.origin, repaired.dropped), (whole, Origin::Own, Vec::new()));
}

#[test]
fn every_damaged_line_is_named_and_all_others_stay() {
    for broken in 2..=8 {
        let lines: Vec<String> = entries()
            .iter()
            .enumerate()
            // The seal does not fit any more: as if a hand had changed it.
            .map(|(n, entry)| if n + 1 == broken { entry.encode().replace("\"~\":\"", "\"~\":\"z") } else { entry.encode() })
            .collect();
        let found = survey(&(lines.join("\n") + "\n"));
        assert_eq!(found.flaws.len(), 1, "line {broken}: {:?}", found.flaws);
        assert_eq!(found.flaws[0].line, broken);
        let mut others = entries();
        let lost = others.remove(broken - 1);
        let repaired = found.repaired(None, "NEW");
        assert_eq!(read(&repaired), of(&others), "line {broken}");
        assert_eq!(repaired.kept, 7);
        assert_eq!(repaired.dropped.iter().map(|d| d.line).collect::<Vec<_>>(), [broken]);
        if let Entry::Record(record) = lost {
            assert_eq!(repaired.dropped[0].about, Some(record.address));
        }
    }
}

#[test]
fn damage_is_one_error_with_all_places() {
    let text =
        text(&entries()).replace("\"id\":\"2\"", "\"id\":\"7\"").replace("{\"+\":\"void\"", "<<<<<<< HEAD\n{\"+\":\"void\"");
    let error = survey(&text).diagnostic().unwrap();
    assert_eq!((error.code, error.summary.as_str()), (codes::STATE_DAMAGED, "`s` is damaged: 2 lines"));
    assert_eq!(error.notes, ["line 3, about `t/b`: its checksum differs", "line 8: a git conflict marker"]);
    assert!(error.help.is_some_and(|help| help.contains("patchbay state repair")));
    assert_eq!(error.address, None);
    let many = format!("{}{}", self::text(&entries()), "=======\n".repeat(SHOWN + 3));
    let notes = survey(&many).diagnostic().unwrap().notes;
    assert_eq!((notes.len(), notes[SHOWN].as_str()), (SHOWN + 1, "and 3 more; all of them: patchbay state check --json"));
}

#[test]
fn both_sides_of_a_conflict_are_joined() {
    let common = [header(), Entry::Record(record("t/a", "1", 1, "A-1"))];
    let ours = [Entry::Record(record("t/b", "2", 2, "B-1")), Entry::Record(record("t/o", "5", 1, "B-2"))];
    let theirs = [
        Entry::Record(record("t/b", "2", 3, "C-1")),
        Entry::Journal,
        Entry::Intent(intent("C-2", "t/n", 0, "C")),
        Entry::Record(record("t/a", "1", 1, "A-1")),
    ];
    let file = format!("{}<<<<<<< HEAD\n{}=======\n{}>>>>>>> theirs\n", text(&common), text(&ours), text(&theirs));
    let found = survey(&file);
    let marker = "a git conflict marker".to_owned();
    assert_eq!(places(&found), [(3, marker.clone()), (6, marker.clone()), (11, marker)]);
    let repaired = found.repaired(None, "NEW");
    let all: Vec<Entry> = [&common[..], &ours, &theirs].concat();
    assert_eq!(read(&repaired), of(&all));
    assert_eq!(read(&repaired).record(&address("t/b")).map(|r| r.rev), Some(3));
    // The line that both sides have stands there once.
    assert_eq!(repaired.text.lines().count(), 7);
}

#[test]
fn a_torn_tail_is_no_damage_and_goes_only_with_damage() {
    let torn = text(&entries()) + "{\"+\":\"int";
    let found = survey(&torn);
    assert!(!found.is_damaged());
    assert_eq!(found.torn, [9]);
    let damaged = survey(&torn.replace("\"id\":\"1\"", "\"id\":\"7\""));
    assert_eq!(damaged.repaired(None, "NEW").dropped.iter().map(|d| d.line).collect::<Vec<_>>(), [2, 9]);
}

#[test]
fn a_lost_lineage_is_taken_from_the_parts_or_costs_the_fingerprints() {
    let mut with_secret = record("t/a", "1", 1, "A-1");
    let fp = Fingerprint::parse("k47015493:5e21aa90c4d3b7f1086e9d24").unwrap();
    let secret = SecretRecord { fp: fp.clone(), assumed: false, mask: None, mask_at: None };
    with_secret.secrets.insert("key".to_owned(), secret);
    let mut open = intent("B-1", "t/c", 0, "B");
    open.fp.insert("key".to_owned(), fp);
    let body = [Entry::Record(with_secret.clone()), Entry::Intent(open), done(record("t/d", "4", 1, "B-2"))];
    for first in ["", "{\"patchbay_state\":1,\"lineage\":\"changed by hand\"}\n"] {
        let found = survey(&(first.to_owned() + &text(&body)));
        assert!(found.is_damaged() && found.header.is_none() && found.hopeless().is_none());
        assert!(places(&found).contains(&(found.whole[0].line, NO_HEADER.to_owned())), "{:?}", found.flaws);
        let known = found.repaired(Some(LINEAGE), "NEW");
        assert_eq!((known.origin, read(&known).lineage()), (Origin::Parts, Some(LINEAGE)));
        assert_eq!(read(&known).record(&address("t/a")), Some(&with_secret));
        let lost = found.repaired(None, "NEW");
        assert_eq!((lost.origin, read(&lost).lineage()), (Origin::New, Some("NEW")));
        assert_eq!(read(&lost).record(&address("t/a")).map(|r| r.secrets.len()), Some(0));
        assert!(read(&lost).open_intents().all(|intent| intent.fp.is_empty()));
        assert!(read(&lost).record(&address("t/d")).is_some());
    }
}

#[test]
fn lines_in_front_of_the_header_are_kept_behind_it() {
    let file = text(&[Entry::Record(record("t/a", "1", 1, "A-1")), header()]);
    let found = survey(&file);
    assert_eq!(places(&found), [(1, NO_HEADER.to_owned())]);
    let repaired = found.repaired(None, "NEW");
    assert_eq!(repaired.text, text(&[header(), Entry::Record(record("t/a", "1", 1, "A-1"))]));
    assert_eq!((repaired.origin, repaired.dropped), (Origin::Own, Vec::new()));
}

#[test]
fn what_cannot_be_repaired_says_why() {
    let Entry::Header(mut other) = header() else { unreachable!() };
    other.lineage = "OTHER".to_owned();
    let two = survey(&(text(&entries()) + &text(&[Entry::Header(other)])));
    let why = two.hopeless().unwrap();
    assert_eq!(why.code, codes::STATE_LINEAGE);
    assert!(why.notes.contains(&"line 9: the header of another state, lineage OTHER".to_owned()), "{why:?}");
    for nothing in ["", "\n\n", "hello\nworld\n", "<<<<<<< HEAD\n"] {
        let found = survey(nothing);
        assert!(found.is_damaged(), "{nothing:?}");
        assert_eq!(found.hopeless().map(|why| why.code), Some(codes::STATE_DAMAGED), "{nothing:?}");
    }
    let newer = text(&entries()).replace("patchbay_state\":1", "patchbay_state\":2");
    assert!(matches!(Survey::of("s", newer.as_bytes()), Err(StateError::Newer { major: 2, .. })));
}

#[test]
fn objects_that_share_an_address_are_named() {
    let state = of(&[
        Entry::Record(record("t/a", "1", 1, "A-1")),
        Entry::Record(record("t/a", "2", 2, "B-1")),
        Entry::Record(record("t/b", "3", 1, "A-2")),
    ]);
    assert_eq!(twins(&state), [(address("t/a"), vec!["1".to_owned(), "2".to_owned()])]);
}

#[test]
fn a_part_is_ours_or_foreign() {
    let file = text(&entries());
    let ours = Part::of("p", file.as_bytes(), Some(LINEAGE)).unwrap();
    assert!(!ours.is_foreign && ours.warnings.is_empty());
    assert_eq!((ours.entries.len(), ours.state), (8, of(&entries())));
    let foreign = Part::of("p", file.as_bytes(), Some("OTHER")).unwrap();
    assert!(foreign.is_foreign);
    assert_eq!(foreign.warnings, [StateWarning::ForeignPart { name: "p".to_owned() }]);
    assert!(!Part::of("p", b"", Some(LINEAGE)).unwrap().is_foreign);
}
