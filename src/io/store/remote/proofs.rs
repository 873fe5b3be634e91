//! What the remote store promises, tried: runs that meet on one store in any order, answers that get lost or come to
//! pass later, runs that die at any moment, logs that are folded in between. And that broken variants are noticed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::bucket::{Bucket, Condition};
use super::content::{self, BASE, slot};
use super::document::Document;
use super::link::Link;
use super::memory::{Dice, Fault, Memory, Task, finish, interleave};
use super::patience::Patience;
use super::run::{Form, Run};
use super::segments::{Flaw, Segments};
use crate::state::samples::{LINEAGE, address, done, intent, record, text};
use crate::state::{Claim, Entry, Header, Intent, MINOR, State, StateError};

/// Which protocol, and what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Segments(Option<Flaw>),
    Document,
}

const SOUND: [Kind; 2] = [Kind::Segments(None), Kind::Document];

fn form(kind: Kind, memory: &Memory, name: &str) -> Form {
    let link = Link::new(Arc::new(memory.clone()), Patience::NONE, format!("nonce-{name}")).trusting();
    match kind {
        Kind::Segments(flaw) => Form::Segments(Segments::new(link).with(flaw)),
        Kind::Document => Form::Document(Document::new(link)),
    }
}

async fn open(kind: Kind, memory: &Memory, name: &str) -> Result<Run, StateError> {
    Ok(Run::open(form(kind, memory, name), LINEAGE.to_owned(), name.to_owned(), || 0).await?.0)
}

fn ready(kind: Kind, memory: &Memory, name: &str) -> Run {
    let mut run = finish(open(kind, memory, name)).unwrap();
    finish(run.begin()).unwrap();
    run
}

fn read(kind: Kind, memory: &Memory) -> Result<State, StateError> {
    let mut form = form(kind, memory, "reader");
    finish(form.load())?;
    Ok(form.ledger().state().clone())
}

fn live(at: &str, rev: u64, op: &str) -> Entry {
    Entry::Record(record(at, "1", rev, op))
}

fn claim_of(op: &str, at: &str, run: &str) -> Intent {
    Intent { until: None, ..intent(op, at, 0, run) }
}

/// What runs were told.
#[derive(Default)]
struct Told {
    /// That it is durable.
    safe: RefCell<Vec<Entry>>,
    /// That an address is theirs: address and run.
    won: RefCell<BTreeSet<(String, String)>>,
}

/// One run: it records objects of its own and claims addresses that all want, and tidies more often than any run would.
async fn work(kind: Kind, memory: &Memory, name: String, mut dice: Dice, told: &Told) -> Result<(), StateError> {
    let mut run = open(kind, memory, &name).await?;
    for n in 0..5 {
        let op = format!("{name}-{n}");
        if dice.roll(2) == 0 {
            let entry = live(&format!("t/{op}"), 1, &op);
            run.append(std::slice::from_ref(&entry)).await?;
            told.safe.borrow_mut().push(entry);
        } else {
            let mine = claim_of(&op, &format!("t/all-{n}"), &name);
            run.append(&[Entry::Intent(mine.clone())]).await?;
            if run.claim(std::slice::from_ref(&mine)).await? == [Claim::Won] {
                told.won.borrow_mut().insert((mine.address.to_string(), name.clone()));
                told.safe.borrow_mut().push(Entry::Intent(mine));
            }
        }
        if dice.roll(3) == 0 {
            run.tidy().await?;
        }
    }
    run.finish().await.map(|_| ())
}

/// Lets three runs meet. Says what was promised and is not kept.
fn broken(kind: Kind, seed: u64) -> Option<String> {
    let memory = Memory::new(seed);
    memory.set(Some(Fault::Answers { of: 20 }));
    let told = Told::default();
    let mut dice = Dice::new(seed + 1_000_000);
    let tasks: Vec<(Task<'_>, usize)> = (0..3)
        .map(|n| {
            let own = Dice::new(seed * 7 + n + 1);
            let task = work(kind, &memory, format!("W{n}"), own, &told);
            // Some die on the way.
            let turns = if dice.roll(5) < 2 { 20 + dice.roll(280) } else { usize::MAX };
            let task: Task<'_> = Box::pin(async move { drop(task.await) });
            (task, turns)
        })
        .collect();
    interleave(&mut dice, tasks);
    memory.land();
    memory.set(None);
    let state = match read(kind, &memory) {
        Ok(state) => state,
        Err(error) => return Some(error.to_string()),
    };
    let lost = told.safe.borrow().iter().find(|entry| !state.holds(entry)).map(|entry| format!("lost: {entry:?}"));
    let won = told.won.borrow();
    let twice = won.iter().zip(won.iter().skip(1)).find(|(one, two)| one.0 == two.0).map(|both| format!("two winners: {both:?}"));
    lost.or(twice)
}

#[test]
fn nothing_acknowledged_is_lost_and_no_address_has_two_winners() {
    for kind in SOUND {
        for seed in 0..200 {
            assert_eq!(broken(kind, seed), None, "{kind:?}, seed {seed}");
        }
    }
}

#[test]
fn a_protocol_that_lacks_a_part_is_noticed() {
    for flaw in [Flaw::NoLookAfterwards, Flaw::NoSeal] {
        let noticed = (0..60).filter(|seed| broken(Kind::Segments(Some(flaw)), *seed).is_some()).count();
        assert!(noticed > 3, "{flaw:?}: noticed {noticed} times, so this test proves nothing");
    }
}

#[test]
fn a_run_may_die_at_any_moment() {
    for kind in SOUND {
        let mut turns = 0;
        loop {
            turns += 1;
            let (memory, told) = (Memory::new(1), Told::default());
            let mut old = ready(kind, &memory, "A");
            finish(old.append(&[live("t/old", 1, "A-1")])).unwrap();
            let is_over = RefCell::new(false);
            let task: Task<'_> = Box::pin(async {
                work(kind, &memory, "B".to_owned(), Dice::new(3), &told).await.unwrap();
                *is_over.borrow_mut() = true;
            });
            interleave(&mut Dice::new(1), vec![(task, turns)]);
            // The next run goes on as if nothing had been, and what it finds half done it finishes.
            let mut next = ready(kind, &memory, "C");
            finish(next.append(&[live("t/next", 1, "C-1")])).unwrap();
            finish(next.tidy()).unwrap();
            let (state, warnings) = finish(next.finish()).unwrap();
            assert!(warnings.is_empty(), "{warnings:?}");
            for entry in told.safe.borrow().iter().chain(&[live("t/old", 1, "A-1"), live("t/next", 1, "C-1")]) {
                assert!(state.holds(entry), "{kind:?}, {turns} turns: {entry:?}");
            }
            assert_eq!(read(kind, &memory).unwrap().render(), state.render());
            // And sweeps.
            assert_eq!(memory.all().len(), 1, "{kind:?}, {turns} turns: {:?}", memory.all());
            if *is_over.borrow() {
                break;
            }
        }
        assert!(turns > 10, "{kind:?} was over after {turns} turns");
    }
}

#[test]
fn readers_write_nothing_whatever_they_find() {
    for kind in SOUND {
        let memory = Memory::new(1);
        assert!(read(kind, &memory).unwrap().is_empty());
        let mut run = finish(open(kind, &memory, "A")).unwrap();
        assert!(finish(run.finish()).unwrap().0.is_empty());
        assert_eq!(memory.writes(), 0, "{kind:?}");
        finish(run.append(&[live("t/a", 1, "A-1")])).unwrap();
        let writes = memory.writes();
        assert_eq!(read(kind, &memory).unwrap().records().count(), 1);
        assert_eq!(memory.writes(), writes, "{kind:?}");
    }
}

/// The epoch of the base.
fn epoch(memory: &Memory) -> u64 {
    content::read_base(BASE, memory.read(BASE).unwrap().as_bytes()).unwrap().epoch
}

#[test]
fn a_log_that_was_sealed_by_a_dead_run_is_read_by_readers_and_folded_by_the_next_writer() {
    let (kind, memory) = (Kind::Segments(None), Memory::new(1));
    let mut one = ready(kind, &memory, "A");
    finish(one.append(&[live("t/a", 1, "A-1")])).unwrap();
    let before = epoch(&memory);
    let seal = content::seal(LINEAGE, before, 2, "dead", &BTreeSet::new());
    finish(memory.put(&slot(before, 2), seal, Condition::Absent)).unwrap();
    let writes = memory.writes();
    assert_eq!(read(kind, &memory).unwrap().records().count(), 1);
    assert_eq!((epoch(&memory), memory.writes()), (before, writes));
    finish(one.append(&[live("t/b", 1, "A-2")])).unwrap();
    assert_eq!(epoch(&memory), before + 1);
    assert_eq!(read(kind, &memory).unwrap().records().count(), 2);
}

#[test]
fn a_long_log_is_folded_at_the_end_and_a_short_one_is_not() {
    let (kind, memory) = (Kind::Segments(None), Memory::new(1));
    let mut run = ready(kind, &memory, "A");
    let before = epoch(&memory);
    for n in 0..5 {
        finish(run.append(&[live(&format!("t/k{n}"), 1, &format!("A-{n}"))])).unwrap();
    }
    finish(run.finish()).unwrap();
    assert_eq!((epoch(&memory), memory.all().len()), (before, 6));
    let mut run = ready(kind, &memory, "B");
    for n in 5..20 {
        finish(run.append(&[live(&format!("t/k{n}"), 1, &format!("B-{n}"))])).unwrap();
    }
    finish(run.finish()).unwrap();
    assert_eq!((epoch(&memory), memory.all()), (before + 1, vec![BASE.to_owned()]));
    assert_eq!(read(kind, &memory).unwrap().records().count(), 20);
}

#[test]
fn of_two_claims_the_earlier_one_wins_also_when_the_log_is_folded_in_between() {
    for kind in SOUND {
        let memory = Memory::new(1);
        let (mut one, mut two) = (ready(kind, &memory, "B"), ready(kind, &memory, "C"));
        let (first, second) = (claim_of("B-1", "t/a", "B"), claim_of("C-1", "t/a", "C"));
        finish(one.append(&[Entry::Intent(first.clone())])).unwrap();
        assert_eq!(finish(one.claim(&[first])).unwrap(), [Claim::Won]);
        finish(ready(kind, &memory, "D").tidy()).unwrap();
        finish(two.append(&[Entry::Intent(second.clone())])).unwrap();
        let claims = finish(two.claim(&[second])).unwrap();
        assert!(matches!(claims.as_slice(), [Claim::Taken(other)] if other.op == "B-1"), "{kind:?}: {claims:?}");
        finish(one.append(&[done(record("t/a", "a", 1, "B-1"))])).unwrap();
        let third = claim_of("C-2", "t/a", "C");
        finish(two.append(&[Entry::Intent(third.clone())])).unwrap();
        assert_eq!(finish(two.claim(&[third])).unwrap(), [Claim::Moved { rev: 1 }]);
        assert_eq!(read(kind, &memory).unwrap().open_intents().count(), 0, "{kind:?}: who loses leaves nothing open");
    }
}

#[test]
fn an_intent_that_took_too_long_is_not_won() {
    for kind in SOUND {
        let memory = Memory::new(1);
        let opened = Run::open(form(kind, &memory, "A"), LINEAGE.to_owned(), "A".to_owned(), || 1000);
        let (mut run, _) = finish(opened).unwrap();
        let [in_time, late] =
            [("A-1", 1001), ("A-2", 999)].map(|(op, until)| Intent { until: Some(until), ..claim_of(op, "t/a", "A") });
        finish(run.append(&[Entry::Intent(in_time.clone())])).unwrap();
        assert_eq!(finish(run.claim(std::slice::from_ref(&in_time))).unwrap(), [Claim::Won]);
        finish(run.append(&[Entry::Intent(late.clone())])).unwrap();
        let error = finish(run.claim(&[late])).unwrap_err();
        assert!(error.to_string().contains("after the time limit"), "{error}");
        let open: Vec<String> = read(kind, &memory).unwrap().open_intents().map(|intent| intent.op.clone()).collect();
        assert_eq!(open, ["A-1"], "{kind:?}");
    }
}

#[test]
fn two_first_runs_agree_on_a_lineage_or_say_so() {
    for kind in SOUND {
        let memory = Memory::new(1);
        let open = |lineage: &str| {
            finish(Run::open(form(kind, &memory, lineage), lineage.to_owned(), lineage.to_owned(), || 0)).unwrap().0
        };
        let (mut one, mut two, mut three) = (open("ONE"), open("TWO"), open("THREE"));
        finish(one.append(&[live("t/a", 1, "A-1")])).unwrap();
        // Who asks first learns the lineage that his fingerprints need; who does not must not write.
        finish(two.begin()).unwrap();
        assert_eq!(two.lineage(), "ONE");
        finish(two.append(&[live("t/b", 1, "B-1")])).unwrap();
        for _ in 0..2 {
            let error = finish(three.append(&[live("t/c", 1, "C-1")])).unwrap_err();
            assert!(matches!(error, StateError::Lineage { .. }), "{error}");
        }
        assert_eq!(read(kind, &memory).unwrap().records().count(), 2);
    }
}

#[test]
fn what_somebody_removed_or_put_back_is_made_whole_again_at_the_end() {
    for (kind, name) in [(Kind::Segments(None), BASE), (Kind::Document, "")] {
        let memory = Memory::new(1);
        let mut run = ready(kind, &memory, "A");
        let older = memory.read(name).unwrap();
        finish(run.append(&[live("t/a", 1, "A-1")])).unwrap();
        memory.take_away(name);
        finish(run.append(&[live("t/b", 1, "A-2")])).unwrap();
        finish(run.finish()).unwrap();
        assert_eq!(read(kind, &memory).unwrap().records().count(), 2, "{kind:?}");
        let mut run = ready(kind, &memory, "B");
        finish(run.append(&[live("t/c", 1, "B-1")])).unwrap();
        memory.place(name, &older);
        finish(run.finish()).unwrap();
        assert!(read(kind, &memory).unwrap().record(&address("t/c")).is_some(), "{kind:?}");
    }
}

#[test]
fn what_a_newer_patchbay_wrote_is_read_and_not_written() {
    for (kind, name) in [(Kind::Segments(None), BASE), (Kind::Document, "")] {
        let memory = Memory::new(1);
        let newer = Header { minor: MINOR + 1, ..content::plain(LINEAGE) };
        memory.place(name, &text(&[Entry::Header(newer), live("t/a", 1, "A-1")]));
        assert_eq!(read(kind, &memory).unwrap().records().count(), 1);
        let mut run = finish(open(kind, &memory, "B")).unwrap();
        let error = finish(run.append(&[live("t/b", 1, "B-1")])).unwrap_err();
        assert!(matches!(error, StateError::Newer { .. }), "{error}");
        assert_eq!(memory.writes(), 0, "{kind:?}");
    }
}

#[test]
fn a_file_of_the_local_store_that_is_put_there_is_the_state() {
    for (kind, name) in [(Kind::Segments(None), BASE), (Kind::Document, "")] {
        let memory = Memory::new(1);
        memory.place(name, &text(&[Entry::Header(content::plain(LINEAGE)), Entry::Journal, live("t/a", 1, "A-1")]));
        let mut run = ready(kind, &memory, "B");
        finish(run.append(&[live("t/b", 1, "B-1")])).unwrap();
        finish(run.finish()).unwrap();
        assert_eq!(read(kind, &memory).unwrap().records().count(), 2, "{kind:?}");
    }
}

#[test]
fn a_missing_or_foreign_segment_is_an_error_and_not_a_shorter_log() {
    let (kind, memory) = (Kind::Segments(None), Memory::new(1));
    let mut run = ready(kind, &memory, "A");
    for n in 1..=3 {
        finish(run.append(&[live(&format!("t/k{n}"), 1, &format!("A-{n}"))])).unwrap();
    }
    let name = slot(epoch(&memory), 2);
    let kept = memory.read(&name).unwrap();
    memory.take_away(&name);
    assert!(read(kind, &memory).unwrap_err().to_string().contains("it is gone, and later ones are there"));
    memory.place(&name, &memory.read(&slot(epoch(&memory), 1)).unwrap());
    assert!(read(kind, &memory).unwrap_err().to_string().contains("made for another place"));
    let foreign = content::segment("OTHER", epoch(&memory), 2, "x", &[]);
    memory.place(&name, &String::from_utf8(foreign).unwrap());
    assert!(matches!(read(kind, &memory), Err(StateError::Lineage { .. })));
    memory.place(&name, &kept.replacen("t/k2", "t/kX", 1));
    assert!(matches!(read(kind, &memory), Err(StateError::Damaged { line: 2, .. })));
    memory.place(&name, &kept);
    assert_eq!(read(kind, &memory).unwrap().records().count(), 3);
}

#[test]
fn a_store_that_does_not_answer_is_given_up_and_tried_again_with_less_patience() {
    for kind in SOUND {
        let memory = Memory::new(1);
        let mut run = ready(kind, &memory, "A");
        memory.set(Some(Fault::Answers { of: 1 }));
        for n in 0..3 {
            let error = finish(run.append(&[live("t/a", 1, &format!("A-{n}"))])).unwrap_err();
            assert!(error.to_string().ends_with("`memory://test`: no answer"), "{kind:?}: {error}");
        }
        memory.set(None);
        finish(run.append(&[live("t/a", 2, "A-9")])).unwrap();
        assert_eq!(read(kind, &memory).unwrap().rev(&address("t/a")), 2, "{kind:?}");
    }
}
