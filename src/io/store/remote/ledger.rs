//! What was read of a remote state, and in which order the intents in it became known.
//!
//! Offsets in a file tell which of two intents stands first. A base that was folded has no order, and a document never
//! had one. But a writer only has to know which intents were there *before its own*, and that it knows: a segment is
//! written behind everything that was read, and a document in the place of what was read. So an intent of ours gets its
//! turn when it is offered, and one that shows up later gets a later turn. If the offer is refused, it is made again
//! after what came first was read, and gets a later turn itself.
//!
//! Of two runs, the one that is later in truth has read the earlier one's intent before it offered its own, or else its
//! write would have been refused. So it yields, whatever the earlier one believes.

use std::collections::{BTreeMap, BTreeSet};

use crate::state::{Entry, LATE, State, StateError};

/// What is known of a state.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    state: State,
    places: BTreeMap<String, u64>,
    turns: u64,
}

impl Ledger {
    /// What is durable, as far as it was read.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// May this patchbay write to the state at this place?
    pub(super) fn check_format(&self, place: &str) -> Result<(), StateError> {
        match self.state.newer_format() {
            Some((major, minor)) => Err(StateError::Newer { name: place.to_owned(), major, minor }),
            None => Ok(()),
        }
    }

    /// The turn of each open intent.
    pub(super) fn places(&self) -> &BTreeMap<String, u64> {
        &self.places
    }

    /// A ledger to read everything into anew. Turns go along: what was offered and is found again keeps its turn.
    pub(super) fn start_over(&self) -> Self {
        Self { state: State::empty(), places: self.places.clone(), turns: self.turns }
    }

    /// Everything is read. Turns of intents that are not there any more are forgotten.
    pub(super) fn settle(&mut self) {
        let open: BTreeSet<&str> = self.state.open_intents().map(|intent| intent.op.as_str()).collect();
        self.places.retain(|op, _| open.contains(op.as_str()));
    }

    /// Adds an entry that is durable.
    pub(super) fn absorb(&mut self, entry: &Entry) {
        if let Entry::Intent(intent) = entry {
            let turn = if intent.late { LATE } else { self.turn() };
            let earliest = self.places.entry(intent.op.clone()).or_insert(turn);
            *earliest = turn.min(*earliest);
        }
        self.state.absorb(entry);
    }

    /// Entries are about to be written behind everything that was read.
    pub(super) fn offer(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Entry::Intent(intent) = entry {
                let turn = if intent.late { LATE } else { self.turn() };
                self.places.insert(intent.op.clone(), turn);
            }
        }
    }

    /// Which of these entries are not there yet.
    pub(super) fn missing(&self, entries: &[Entry]) -> Vec<Entry> {
        entries.iter().filter(|entry| !self.state.holds(entry)).cloned().collect()
    }

    fn turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::samples::intent;
    use crate::state::{Claim, Heads, Intent, decide};

    fn claim(ledger: &Ledger, mine: &Intent) -> Claim {
        decide(mine, &Heads { file: ledger.state(), places: ledger.places(), parts: &State::empty() })
    }

    #[test]
    fn an_offer_that_is_refused_loses_its_turn() {
        let (mine, other) = (intent("M-1", "t/a", 0, "M"), intent("O-1", "t/a", 0, "O"));
        let mut ledger = Ledger::default();
        ledger.offer(&[Entry::Intent(mine.clone())]);
        ledger.absorb(&Entry::Intent(other.clone()));
        ledger.offer(&[Entry::Intent(mine.clone())]);
        ledger.absorb(&Entry::Intent(mine.clone()));
        assert!(matches!(claim(&ledger, &mine), Claim::Taken(by) if by.op == "O-1"));
        assert_eq!(claim(&ledger, &other), Claim::Won);
    }

    #[test]
    fn an_offer_that_was_accepted_keeps_its_turn_when_everything_is_read_anew() {
        let (mine, other) = (intent("M-1", "t/a", 0, "M"), intent("O-1", "t/a", 0, "O"));
        let mut ledger = Ledger::default();
        ledger.offer(&[Entry::Intent(mine.clone())]);
        let mut ledger = ledger.start_over();
        // A fold sorts by operation, or as it likes.
        ledger.absorb(&Entry::Intent(other));
        ledger.absorb(&Entry::Intent(mine.clone()));
        ledger.settle();
        assert_eq!(claim(&ledger, &mine), Claim::Won);
    }

    #[test]
    fn turns_of_what_is_gone_are_forgotten_and_late_copies_have_none() {
        let mut ledger = Ledger::default();
        ledger.offer(&[Entry::Intent(intent("M-1", "t/a", 0, "M"))]);
        ledger.absorb(&Entry::Intent(Intent { late: true, ..intent("O-1", "t/b", 0, "O") }));
        ledger.settle();
        assert_eq!(ledger.places(), &BTreeMap::from([("O-1".to_owned(), LATE)]));
    }
}
