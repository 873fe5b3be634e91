//! What the store promises, tried: every call fails once, runs meet on one file, files are cut at every byte.

use std::path::Path;
use std::sync::Arc;

use super::faulty::{Fault, Faulty};
use super::fs::{Fs, RealFs, raw};
use super::local::LocalStore;
use super::site::Site;
use crate::state::samples::{LINEAGE, address, done, header, intent, record, text, tombstone};
use crate::state::{Claim, Entry, JOURNAL, MINOR, State, StateError, StateWarning};

fn open_with(fs: Faulty, path: &Path, run: &str) -> Result<LocalStore, StateError> {
    let (store, _, _) = LocalStore::open(path, Arc::new(fs), LINEAGE.to_owned(), run.to_owned())?;
    Ok(store)
}

fn open(path: &Path, run: &str) -> LocalStore {
    open_with(Faulty::healthy(), path, run).unwrap()
}

fn read(path: &Path) -> State {
    LocalStore::read_only(path, &RealFs).unwrap().0
}

fn live(at: &str, id: &str, rev: u64, op: &str) -> Entry {
    Entry::Record(record(at, id, rev, op))
}

/// A file with two records and, beside it, the part of a run that died.
fn prepare(path: &Path) -> Vec<Entry> {
    let old = vec![live("t/a", "a", 1, "A-1"), live("t/b", "b", 1, "A-2")];
    let mut store = open(path, "A");
    store.append(&old).unwrap();
    store.finish().unwrap();
    let lost = live("t/c", "c", 1, "A-3");
    raw::write(&Site::new(&RealFs, path).part("1-dead-1"), &text(&[header(), lost.clone()]));
    [old, vec![lost]].concat()
}

/// A run on a file system on which something goes wrong. Gives what it may rely on.
fn run(fs: Faulty, path: &Path) -> Vec<Entry> {
    let mut safe = Vec::new();
    let Ok(mut store) = open_with(fs, path, "B") else { return safe };
    // The answer to the second request never comes, so its intent must stay open whatever happens.
    let (sent, lost) = (intent("B-1", "t/new", 0, "B"), intent("B-2", "t/lost", 0, "B"));
    if matches!(store.announce(&[sent, lost.clone()]).as_deref(), Ok([Claim::Won, Claim::Won])) {
        safe.push(Entry::Intent(lost));
    }
    for results in [
        vec![done(record("t/new", "n", 1, "B-1"))],
        vec![live("t/a", "a", 2, "B-3"), Entry::Tombstone(tombstone("t/b", "b", 2, "B-4"))],
    ] {
        match store.append(&results) {
            Err(error) if error.saved().is_none() => {}
            _ => safe.extend(results),
        }
    }
    drop(store.finish());
    safe
}

/// Everybody sees what was promised, at once and after the next run, which leaves no litter.
fn check(path: &Path, safe: &[Entry], case: &str) {
    let holds = |state: &State| {
        for entry in safe {
            assert!(state.holds(entry), "{case}: {entry:?} is lost");
        }
        let is_open = |op: &str| state.open_intents().any(|intent| intent.op == op);
        let was_sent = safe.iter().any(|entry| matches!(entry, Entry::Intent(_)));
        assert!(!was_sent || is_open("B-2"), "{case}: the open intent is lost");
    };
    holds(&read(path));
    let mut next = open(path, "C");
    next.append(&[live("t/next", "x", 1, "C-1")]).unwrap();
    let (state, warnings) = next.finish().unwrap();
    assert!(warnings.is_empty(), "{case}: {warnings:?}");
    holds(&state);
    holds(&read(path));
    assert_eq!(raw::names(path.parent().unwrap()), ["s"], "{case}");
}

#[test]
fn any_call_may_fail_and_nothing_that_was_promised_is_lost() {
    for fault in [Fault::Kill, Fault::NoSpace, Fault::ShortWrite, Fault::NoSync, Fault::NoLogSync] {
        for (is_new, can_exchange) in [(false, true), (false, false), (true, true), (true, false)] {
            let mut at = 1;
            loop {
                let case = format!("{fault:?} at call {at}, new {is_new}, exchange {can_exchange}");
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("s");
                let mut safe = if is_new { Vec::new() } else { prepare(&path) };
                let planned = Faulty::with(fault, at);
                let fs = if can_exchange { planned } else { planned.without_exchange() };
                safe.extend(run(fs.clone(), &path));
                let Some(fired_at) = fs.fired_at() else { break };
                check(&path, &safe, &case);
                at = fired_at + 1;
            }
            assert!(at > 1, "{fault:?} never happened");
        }
    }
}

#[test]
fn a_journal_may_be_cut_at_any_byte() {
    let sorted = text(&[header(), live("t/a", "a", 1, "A-1"), Entry::Journal]);
    let tail = [Entry::Intent(intent("B-1", "t/b", 0, "B")), done(record("t/b", "b", 1, "B-1")), live("t/c", "c", 1, "B-2")];
    let whole = sorted.clone() + &text(&tail);
    for end in sorted.len()..=whole.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        raw::write(&path, &whole[..end]);
        let kept = (whole[..end].matches('\n').count() + usize::from(whole[end..].starts_with('\n'))).saturating_sub(3);
        let safe: Vec<Entry> = [vec![live("t/a", "a", 1, "A-1")], tail[..kept].to_vec()].concat();
        assert!(safe.iter().all(|entry| read(&path).holds(entry)), "cut at {end}");
        let mut store = open(&path, "C");
        store.append(&[live("t/d", "d", 1, "C-1")]).unwrap();
        let (state, _) = store.finish().unwrap();
        assert!(safe.iter().all(|entry| state.holds(entry)), "cut at {end}");
        assert_eq!(read(&path).render(), state.render());
    }
}

#[test]
fn a_run_that_changes_nothing_leaves_every_byte_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    open(&path, "A").finish().unwrap();
    assert!(raw::names(folder.path()).is_empty());
    prepare(&path);
    let (before, names) = (raw::read(&path), raw::names(folder.path()));
    let identity = RealFs.identity(&path).unwrap();
    let mut store = open(&path, "B");
    store.append(&[]).unwrap();
    assert_eq!(store.finish().unwrap().0.records().count(), 3);
    assert_eq!((raw::read(&path), raw::names(folder.path())), (before, names));
    assert_eq!(RealFs.identity(&path).unwrap(), identity);
}

#[test]
fn a_finished_file_is_sorted_and_has_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut store = open(&path, "B");
    store.append(&[live("t/b", "b", 1, "B-2")]).unwrap();
    store.append(&[live("t/a", "a", 1, "B-1")]).unwrap();
    assert!(raw::read(&path).contains(JOURNAL));
    raw::set_mode(&path, 0o640);
    store.finish().unwrap();
    assert_eq!(raw::read(&path), text(&[header(), live("t/a", "a", 1, "B-1"), live("t/b", "b", 1, "B-2")]));
    assert_eq!(raw::mode(&path), 0o640);
}

#[test]
fn two_stores_on_one_file_both_land() {
    for fs in [Faulty::healthy(), Faulty::healthy().without_exchange()] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut one = open_with(fs.clone(), &path, "B").unwrap();
        let mut two = open_with(fs, &path, "C").unwrap();
        one.append(&[live("t/a", "a", 1, "B-1")]).unwrap();
        two.append(&[live("t/b", "b", 1, "C-1")]).unwrap();
        // The first one tidies: the second one's file is not the state any more, and it must notice.
        one.finish().unwrap();
        two.append(&[live("t/c", "c", 1, "C-2")]).unwrap();
        assert_eq!(read(&path).records().count(), 3);
        two.finish().unwrap();
        assert_eq!(read(&path).records().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(raw::names(folder.path()), ["s"]);
    }
}

#[test]
fn a_crowd_on_one_file_all_lands() {
    for fs in [Faulty::healthy(), Faulty::healthy().without_exchange()] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::thread::scope(|scope| {
            for writer in 0..6 {
                let (fs, path) = (fs.clone(), &path);
                scope.spawn(move || {
                    for round in 0..5 {
                        let run = format!("W{writer}R{round}");
                        let mut store = open_with(fs.clone(), path, &run).unwrap();
                        for n in 0..6 {
                            store.append(&[live(&format!("t/{run}-{n}"), "x", 1, &format!("{run}-{n}"))]).unwrap();
                        }
                        store.finish().unwrap();
                    }
                });
            }
        });
        // Whoever ended last may have left the part of somebody who was overtaken; it is a head like any other.
        assert_eq!(read(&path).records().count(), 6 * 5 * 6);
        let mut last = open(&path, "Z");
        last.append(&[live("t/z", "z", 1, "Z-1")]).unwrap();
        last.finish().unwrap();
        assert_eq!(read(&path).records().count(), 6 * 5 * 6 + 1);
        assert_eq!(raw::names(folder.path()), ["s"]);
    }
}

#[test]
fn of_two_claims_the_earlier_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (mut one, mut two) = (open(&path, "B"), open(&path, "C"));
    assert_eq!(one.announce(&[intent("B-1", "t/a", 0, "B")]), Ok(vec![Claim::Won]));
    let claims = two.announce(&[intent("C-1", "t/a", 0, "C"), intent("C-2", "t/b", 0, "C")]).unwrap();
    assert!(matches!(claims.as_slice(), [Claim::Taken(other), Claim::Won] if other.op == "B-1"));
    one.append(&[done(record("t/a", "a", 1, "B-1"))]).unwrap();
    assert_eq!(two.announce(&[intent("C-3", "t/a", 0, "C")]), Ok(vec![Claim::Moved { rev: 1 }]));
    assert_eq!(two.announce(&[intent("C-4", "t/a", 1, "C")]), Ok(vec![Claim::Won]));
    let open: Vec<String> = read(&path).open_intents().map(|intent| intent.op.clone()).collect();
    assert_eq!(open, ["C-2", "C-4"]);
}

#[test]
fn a_claim_holds_when_the_file_is_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (mut one, mut two, mut three) = (open(&path, "B"), open(&path, "C"), open(&path, "D"));
    assert_eq!(one.announce(&[intent("B-1", "t/a", 0, "B")]), Ok(vec![Claim::Won]));
    three.append(&[live("t/z", "z", 1, "D-1")]).unwrap();
    three.finish().unwrap();
    let claims = two.announce(&[intent("C-1", "t/a", 0, "C")]).unwrap();
    assert!(matches!(claims.as_slice(), [Claim::Taken(other)] if other.op == "B-1"));
}

#[test]
fn a_failed_sync_stops_the_run_and_saves_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut store = open_with(Faulty::with(Fault::NoLogSync, 1), &path, "B").unwrap();
    let first = store.append(&[live("t/a", "a", 1, "B-1")]).unwrap_err();
    assert!(matches!(&first, StateError::Saved { cause, .. } if matches!(**cause, StateError::Sync { .. })));
    assert!(Path::new(first.saved().unwrap()).starts_with(folder.path()));
    assert!(store.append(&[live("t/b", "b", 1, "B-2")]).unwrap_err().saved().is_some());
    assert_eq!(store.announce(&[intent("B-3", "t/c", 0, "B")]).unwrap_err().saved(), None);
    assert_eq!(read(&path).records().count(), 2);
}

#[test]
fn two_first_runs_agree_on_a_lineage_or_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let open =
        |lineage: &str| LocalStore::open(&path, Arc::new(Faulty::healthy()), lineage.to_owned(), lineage.to_owned()).unwrap().0;
    let (mut one, mut two, mut three) = (open("ONE"), open("TWO"), open("THREE"));
    one.append(&[live("t/a", "a", 1, "A-1")]).unwrap();
    // Who asks first learns the lineage that his fingerprints need; who does not must not write.
    assert_eq!(two.begin(), Ok("ONE"));
    two.append(&[live("t/b", "b", 1, "B-1")]).unwrap();
    for _ in 0..2 {
        let error = three.announce(&[intent("C-1", "t/c", 0, "C")]).unwrap_err();
        assert!(matches!(error, StateError::Lineage { .. }), "{error}");
    }
    assert_eq!(read(&path).records().count(), 2);
}

#[test]
fn what_must_not_be_written_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let Entry::Header(mut newer) = header() else { unreachable!() };
    newer.minor = MINOR + 1;
    let content = text(&[Entry::Header(newer), live("t/a", "a", 1, "A-1")]);
    raw::write(&path, &content);
    let mut store = open(&path, "B");
    let error = store.announce(&[intent("B-1", "t/b", 0, "B")]).unwrap_err();
    assert!(matches!(error, StateError::Newer { .. }), "{error}");
    assert_eq!(raw::read(&path), content);
    raw::write(&path, &content.replacen("\"id\":\"a\"", "\"id\":\"b\"", 1));
    assert!(matches!(LocalStore::read_only(&path, &RealFs), Err(StateError::Damaged { line: 2, .. })));
    assert!(open_with(Faulty::healthy(), &path, "B").is_err());
}

#[test]
fn a_part_that_cannot_be_merged_is_set_aside_and_its_good_lines_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    prepare(&path);
    let broken =
        text(&[header(), live("t/x", "x", 1, "X-1"), live("t/y", "y", 1, "X-2")]).replace("\"id\":\"y\"", "\"id\":\"z\"");
    raw::write(&Site::new(&RealFs, &path).part("2-dead-1"), &broken);
    let mut store = open(&path, "B");
    store.append(&[live("t/b", "b", 2, "B-1")]).unwrap();
    let (state, warnings) = store.finish().unwrap();
    assert!(matches!(warnings.as_slice(), [StateWarning::DamagedPart { .. }]), "{warnings:?}");
    assert!(state.record(&address("t/x")).is_some() && state.record(&address("t/y")).is_none());
    let names = raw::names(folder.path());
    assert!(names.len() == 2 && names[0] == "s" && names[1].starts_with("s.damaged."), "{names:?}");
}

#[test]
fn an_older_file_put_in_our_place_is_made_whole_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    prepare(&path);
    let mut store = open(&path, "B");
    store.append(&[live("t/new", "n", 1, "B-1")]).unwrap();
    // As a checkout does: another file under the same name.
    raw::remove(&path);
    raw::write(&path, &text(&[header(), live("t/a", "a", 1, "A-1")]));
    let (state, _) = store.finish().unwrap();
    assert_eq!(state.records().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["a", "n"]);
    assert_eq!(read(&path).render(), state.render());
}

#[test]
fn a_long_journal_is_folded_while_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut store = open(&path, "B");
    for round in 0..5 {
        let many: Vec<Entry> = (0..1000).map(|n| live("t/a", "a", round * 1000 + n, &format!("B-{round}-{n}"))).collect();
        store.append(&many).unwrap();
    }
    assert!(raw::read(&path).lines().count() < 3000);
    assert_eq!(store.finish().unwrap().0.record(&address("t/a")).map(|r| r.rev), Some(4999));
    assert_eq!(raw::read(&path).lines().count(), 2);
}

#[test]
fn a_state_behind_a_link_stays_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    raw::write(&real, &text(&[header()]));
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mut store = open(&link, "B");
    store.append(&[live("t/a", "a", 1, "B-1")]).unwrap();
    store.finish().unwrap();
    assert_eq!(raw::names(folder.path()), ["link", "real"]);
    assert_eq!(read(&real).records().count(), 1);
    assert_eq!(RealFs.resolve(&link).file_name(), real.file_name());
}
