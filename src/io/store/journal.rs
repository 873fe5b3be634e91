//! What a run needs of the place that its entries go to, wherever that is.

use std::fmt;

use super::local::LocalStore;
use crate::state::{Claim, Entry, Intent, State, StateError, StateWarning};

/// The writing side of a state, for one run. Its calls block until what they promise is true, so they are made on a
/// thread that nobody else needs; [`super::Committer`] has one.
pub trait Journal: Send + fmt::Debug {
    /// The name of this run, which its intents carry.
    fn run(&self) -> &str;

    /// The lineage of the state. Final once [`Journal::begin`] returned, or if there was a state at opening.
    fn lineage(&self) -> &str;

    /// Gets the place ready for writes. Gives the lineage, which fingerprints must be made with; where two first runs
    /// meet it may be the other one's.
    ///
    /// # Errors
    /// The place cannot be written, or a newer version wrote there.
    fn begin(&mut self) -> Result<&str, StateError>;

    /// Makes entries durable. Once this returns, every later reader sees them.
    ///
    /// # Errors
    /// Then nobody may rely on them, except that results may be safe elsewhere: [`StateError::saved`].
    fn append(&mut self, entries: &[Entry]) -> Result<(), StateError>;

    /// Decides which of these intents, which were appended before, may be sent. One answer for each, in their order;
    /// those that lost are void afterwards.
    ///
    /// # Errors
    /// Then nothing may be sent.
    fn claim(&mut self, intents: &[Intent]) -> Result<Vec<Claim>, StateError>;

    /// Ends the run, and gives the state as it is now. A run that appended nothing changes nothing.
    ///
    /// # Errors
    /// Something of this run is not durable.
    fn finish(&mut self) -> Result<(State, Vec<StateWarning>), StateError>;

    /// How many durable writes it took.
    fn syncs(&self) -> u64;

    /// How many bytes were written.
    fn bytes(&self) -> u64;
}

impl Journal for LocalStore {
    fn run(&self) -> &str {
        self.run()
    }

    fn lineage(&self) -> &str {
        self.lineage()
    }

    fn begin(&mut self) -> Result<&str, StateError> {
        self.begin()
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StateError> {
        self.append(entries)
    }

    fn claim(&mut self, intents: &[Intent]) -> Result<Vec<Claim>, StateError> {
        self.claim(intents)
    }

    fn finish(&mut self) -> Result<(State, Vec<StateWarning>), StateError> {
        self.finish()
    }

    fn syncs(&self) -> u64 {
        self.syncs()
    }

    fn bytes(&self) -> u64 {
        self.bytes()
    }
}
