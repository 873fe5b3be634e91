//! All schedules with few deviations, and many random ones. A schedule that goes wrong is printed, so that it can be
//! played again.

use std::collections::BTreeMap;

use super::story::{Outcome, Role, Story, play};
use super::world::{Deviation, Mutant, Plan, Random};

use Role::{Applier, Brief, Reader};

fn story(roles: &[Role], has_past: bool, can_exchange: bool) -> Story {
    Story { roles: roles.to_vec(), has_past, can_exchange }
}

/// Every way to deviate at one call.
fn deviations(outcome: &Outcome, from: usize) -> Vec<(usize, Deviation)> {
    let mut all = Vec::new();
    for (n, step) in outcome.trace.iter().enumerate().skip(from) {
        all.extend(step.others.iter().map(|other| (n, Deviation::Switch(*other))));
        all.push((n, Deviation::Kill));
        if step.is_write {
            all.push((n, Deviation::Short));
        }
    }
    all
}

/// All schedules with at most `depth` deviations; gives their number, or the first that goes wrong.
fn exhaust(story: &Story, depth: usize, mutant: Mutant) -> Result<usize, String> {
    let mut open: Vec<BTreeMap<usize, Deviation>> = vec![BTreeMap::new()];
    let mut played = 0;
    while let Some(at) = open.pop() {
        let outcome = play(story, Plan { at: at.clone(), chance: None }, mutant);
        played += 1;
        if let Some(wrong) = outcome.wrong.first() {
            return Err(format!("{story:?}, deviations {at:?}: {wrong}"));
        }
        if at.len() < depth {
            let from = at.keys().next_back().map_or(0, |last| last + 1);
            for (n, deviation) in deviations(&outcome, from) {
                let mut more = at.clone();
                more.insert(n, deviation);
                open.push(more);
            }
        }
    }
    Ok(played)
}

/// Random schedules by seed; gives their number, or the first that goes wrong.
fn roam(story: &Story, seeds: std::ops::Range<u64>, rates: [usize; 4], mutant: Mutant) -> Result<usize, String> {
    let mut played = 0;
    for seed in seeds {
        let plan = Plan { at: BTreeMap::new(), chance: Some(Random::new(seed, rates)) };
        let outcome = play(story, plan, mutant);
        played += 1;
        if let Some(wrong) = outcome.wrong.first() {
            return Err(format!("{story:?}, seed {seed}, rates {rates:?}: {wrong}"));
        }
    }
    Ok(played)
}

/// How many random schedules a test plays: more by hand, `EXPLORE=100000 cargo test --lib explore`.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    0..option_env!("EXPLORE").and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[track_caller]
fn holds(outcome: Result<usize, String>, least: usize) {
    match outcome {
        Ok(played) => assert!(played >= least, "only {played} schedules were played"),
        Err(wrong) => panic!("{wrong}"),
    }
}

#[test]
fn one_deviation_anywhere_harms_nothing() {
    for can_exchange in [true, false] {
        for has_past in [true, false] {
            for roles in [&[Applier, Applier][..], &[Applier, Brief, Reader], &[Applier, Applier, Applier]] {
                holds(exhaust(&story(roles, has_past, can_exchange), 1, Mutant::None), 100);
            }
        }
    }
}

#[test]
fn two_deviations_anywhere_harm_nothing() {
    holds(exhaust(&story(&[Brief, Brief], false, true), 2, Mutant::None), 1000);
    holds(exhaust(&story(&[Applier, Reader], false, true), 2, Mutant::None), 1000);
}

#[test]
fn random_schedules_with_kills_and_short_writes_harm_nothing() {
    for can_exchange in [true, false] {
        for has_past in [true, false] {
            for roles in [&[Applier, Applier, Reader][..], &[Applier, Applier, Applier]] {
                let story = story(roles, has_past, can_exchange);
                holds(roam(&story, seeds(150), [150, 3, 10, 0], Mutant::None), 150);
                holds(roam(&story, seeds(100), [400, 8, 0, 0], Mutant::None), 100);
            }
        }
    }
}

#[test]
fn the_power_may_fail_at_any_call() {
    for can_exchange in [true, false] {
        for has_past in [true, false] {
            let story = story(&[Applier, Applier], has_past, can_exchange);
            holds(roam(&story, seeds(400), [150, 0, 5, 8], Mutant::None), 400);
        }
    }
}

/// A harness that finds nothing proves nothing: each broken file system must be found out.
#[test]
fn broken_promises_are_found_out() {
    let pair = story(&[Applier, Applier], true, true);
    let crowd = story(&[Applier, Applier, Reader], true, true);
    for mutant in [
        Mutant::NoSync,
        Mutant::NoFolderSync,
        Mutant::PlainRename,
        Mutant::NoCheckAfterAppend,
        Mutant::NoMerge,
        Mutant::NoParts,
        Mutant::NoReread,
        Mutant::RemoveBeforeMerge,
    ] {
        let found = roam(&crowd, 0..500, [200, 2, 0, 0], mutant).and_then(|_| roam(&pair, 0..1000, [150, 0, 0, 8], mutant));
        assert!(found.is_err(), "{mutant:?} was not found out");
    }
}
