//! Claims: which of two runs may write an address. An intent is the claim, and its place in the file is the ticket:
//! the earlier one goes, the later one yields before it sends anything. Where two runs cannot tell who was first, both
//! yield; that costs a repetition, never a double call.

use std::collections::BTreeMap;

use super::entry::Intent;
use super::view::State;
use crate::diagnostic::{Diagnostic, codes};

/// The place of an intent that stands in the file only as somebody's late copy: behind everything.
pub const LATE: u64 = u64::MAX;

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The address is ours until the intent is done or void.
    Won,
    /// Another run announced first, and nobody knows yet what came of it.
    Taken(Box<Intent>),
    /// The address has a newer record than the plan knew.
    Moved {
        /// Its revision now.
        rev: u64,
    },
}

/// Everything that is durable at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'h> {
    /// The state file.
    pub file: &'h State,
    /// Where each intent stands in that file: 0 in the sorted part, else its offset; [`LATE`] for copies.
    pub places: &'h BTreeMap<String, u64>,
    /// What other runs have in part files.
    pub parts: &'h State,
}

/// Decides a claim, once its intent is durable.
#[must_use]
pub fn decide(mine: &Intent, heads: &Heads<'_>) -> Claim {
    let Heads { file, places, parts } = heads;
    let rev = file.rev(&mine.address).max(parts.rev(&mine.address));
    if rev > mine.base {
        return Claim::Moved { rev };
    }
    let place = |op: &str| places.get(op).copied().unwrap_or(LATE);
    let my_place = place(&mine.op);
    let is_rival = |other: &Intent| other.address == mine.address && other.run != mine.run;
    // An intent in a part has no place that could be compared with ours, nor has one in the sorted part or a copy.
    let in_parts = parts.open_intents().filter(|other| is_rival(other) && !file.is_closed(&other.op));
    let in_file = file.open_intents().filter(|other| {
        let its_place = place(&other.op);
        is_rival(other) && !parts.is_closed(&other.op) && (its_place == 0 || its_place == LATE || its_place < my_place)
    });
    match in_parts.chain(in_file).next() {
        Some(other) => Claim::Taken(Box::new(other.clone())),
        None => Claim::Won,
    }
}

impl Claim {
    /// What to say where it was not won.
    #[must_use]
    pub fn diagnostic(&self, mine: &Intent) -> Option<Diagnostic> {
        let address = &mine.address;
        match self {
            Self::Won => None,
            Self::Taken(other) => {
                let summary = format!("another run works on `{address}`");
                let started = format!("run {} announced `{}` at {}", other.run, other.verb, other.at);
                let diagnostic = Diagnostic::error(codes::STATE_CONFLICT, summary).about(address).note(started);
                let until = other.until.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
                Some(match until {
                    Some(until) => diagnostic.note(format!("it finishes or gives way by {until}")),
                    None => diagnostic,
                })
            }
            Self::Moved { rev } => Some(
                Diagnostic::error(codes::STALE, format!("`{address}` was changed by another run since the plan"))
                    .about(address)
                    .note(format!("planned at revision {}, now at {rev}", mine.base)),
            ),
        }
        .map(|diagnostic| diagnostic.help("nothing was sent; run `patchbay plan` again"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Entry;
    use super::super::samples::{intent, record, tombstone};
    use super::*;

    fn of(entries: &[Entry]) -> State {
        let mut state = State::empty();
        for entry in entries {
            state.absorb(entry);
        }
        state
    }

    /// My intent `M-1` and another run's `O-1` on one address, at these places; `None` is *not in the file*.
    fn claim(mine: Option<u64>, other: Option<u64>) -> Claim {
        let me = intent("M-1", "t/a", 0, "M");
        let places: BTreeMap<String, u64> =
            [("M-1", mine), ("O-1", other)].into_iter().filter_map(|(op, at)| Some((op.to_owned(), at?))).collect();
        let mut file = State::empty();
        if mine.is_some() {
            file.absorb(&Entry::Intent(me.clone()));
        }
        if other.is_some() {
            file.absorb(&Entry::Intent(intent("O-1", "t/a", 0, "O")));
        }
        decide(&me, &Heads { file: &file, places: &places, parts: &State::empty() })
    }

    #[test]
    fn the_earlier_line_wins_and_doubt_yields() {
        for (mine, other, wins) in [
            (Some(100), None, true),
            (Some(100), Some(200), true),
            (Some(200), Some(100), false),
            (Some(0), Some(100), true),
            (Some(100), Some(0), false),
            (Some(0), Some(0), false),
            (Some(LATE), Some(100), false),
            (Some(100), Some(LATE), false),
            (Some(LATE), Some(LATE), false),
            (None, Some(100), false),
            (None, None, true),
        ] {
            assert_eq!(claim(mine, other) == Claim::Won, wins, "{mine:?} against {other:?}");
        }
    }

    #[test]
    fn two_runs_never_both_win() {
        let places = [Some(0), Some(100), Some(200), Some(LATE), None];
        for (one, two) in places.iter().flat_map(|one| places.iter().map(move |two| (*one, *two))) {
            // Two lines of a journal never share a place, and somebody without a line is seen in a part.
            let is_possible = (one != two || one == Some(0) || one == Some(LATE)) && one.is_some() && two.is_some();
            if is_possible {
                assert!(claim(one, two) != Claim::Won || claim(two, one) != Claim::Won, "{one:?} and {two:?}");
            }
        }
    }

    #[test]
    fn an_intent_in_a_part_or_another_run_only() {
        let me = intent("M-1", "t/a", 0, "M");
        let places = BTreeMap::from([("M-1".to_owned(), 1)]);
        let rival = Entry::Intent(intent("O-1", "t/a", 0, "O"));
        let decide =
            |file: &[Entry], parts: &[Entry]| decide(&me, &Heads { file: &of(file), places: &places, parts: &of(parts) });
        assert!(matches!(decide(&[], std::slice::from_ref(&rival)), Claim::Taken(other) if other.op == "O-1"));
        let void = Entry::Void { op: "O-1".to_owned(), why: "x".to_owned() };
        assert_eq!(decide(std::slice::from_ref(&void), std::slice::from_ref(&rival)), Claim::Won);
        assert_eq!(decide(std::slice::from_ref(&rival), &[void]), Claim::Won);
        assert_eq!(decide(&[], &[Entry::Intent(intent("O-1", "t/b", 0, "O"))]), Claim::Won);
        assert_eq!(decide(&[], &[Entry::Intent(intent("M-0", "t/a", 0, "M"))]), Claim::Won);
    }

    #[test]
    fn a_newer_record_anywhere_makes_the_plan_stale() {
        let me = intent("M-1", "t/a", 3, "M");
        let places = BTreeMap::new();
        let decide =
            |file: &[Entry], parts: &[Entry]| decide(&me, &Heads { file: &of(file), places: &places, parts: &of(parts) });
        let at = |rev| [Entry::Record(record("t/a", "1", rev, "X-1"))];
        assert_eq!(decide(&at(3), &[]), Claim::Won);
        assert_eq!(decide(&at(4), &[]), Claim::Moved { rev: 4 });
        assert_eq!(decide(&at(3), &at(5)), Claim::Moved { rev: 5 });
        assert_eq!(decide(&[Entry::Tombstone(tombstone("t/a", "1", 9, "X-2"))], &[]), Claim::Moved { rev: 9 });
    }

    #[test]
    fn losing_is_explained() {
        let me = intent("M-1", "t/a", 3, "M");
        let taken = Claim::Taken(Box::new(intent("O-1", "t/a", 0, "01KAHVB0/ci-7/4121")));
        let diagnostic = taken.diagnostic(&me).unwrap();
        assert_eq!(diagnostic.summary, "another run works on `t/a`");
        assert_eq!(
            diagnostic.notes,
            [
                "run 01KAHVB0/ci-7/4121 announced `create` at 2026-11-21T20:41:06Z",
                "it finishes or gives way by 2026-11-21T20:41:40Z",
            ]
        );
        assert_eq!(Claim::Moved { rev: 4 }.diagnostic(&me).map(|d| d.code), Some(codes::STALE));
        assert_eq!(Claim::Won.diagnostic(&me), None);
    }
}
