//! The way to a store, as one run has it: what both protocols need, whichever it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::bucket::Bucket;
use super::patience::{Attempts, Patience};
use super::selftest;
use crate::state::StateError;

/// A store, and how one run deals with it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) bucket: Arc<dyn Bucket>,
    patience: Patience,
    /// What is in no other run's names.
    nonce: String,
    batches: u64,
    /// How the store is written down where it passed the self-test.
    mark: String,
    is_tested: bool,
    is_weary: bool,
    /// Writes that were acknowledged.
    pub(super) writes: u64,
    /// Bytes that were sent to be written.
    pub(super) bytes: u64,
}

impl Link {
    /// `nonce` must be unique: it is how a run knows its own writes again.
    pub(super) fn new(bucket: Arc<dyn Bucket>, patience: Patience, nonce: String) -> Self {
        let mark = selftest::mark(&bucket.server());
        Self { bucket, patience, nonce, batches: 0, mark, is_tested: false, is_weary: false, writes: 0, bytes: 0 }
    }

    /// The address of the store.
    pub(super) fn place(&self) -> &str {
        self.bucket.label()
    }

    /// A piece of work begins.
    pub(super) fn begin(&self) -> Attempts {
        let patience = if self.is_weary { self.patience.weary() } else { self.patience };
        patience.begin(self.place())
    }

    /// Says how the last piece of work went. After a failure the next one is not tried as often, or a run with many
    /// changes would wait for a store that is gone as many times.
    pub(super) fn went(&mut self, outcome: &Result<(), StateError>) {
        self.is_weary = outcome.is_err();
    }

    /// A name for one batch of entries.
    pub(super) fn batch(&mut self) -> String {
        self.batches += 1;
        format!("{}-{}", self.nonce, self.batches)
    }

    /// Tries the store, unless it stands among those that passed.
    pub(super) async fn test(&mut self, tested: &BTreeSet<String>) -> Result<(), StateError> {
        if !self.is_tested && !tested.contains(&self.mark) {
            selftest::run(&*self.bucket, &self.nonce, self.begin()).await?;
        }
        self.is_tested = true;
        Ok(())
    }

    /// Is it written down already that this store passed?
    pub(super) fn is_marked(&self, tested: &BTreeSet<String>) -> bool {
        !self.is_tested || tested.contains(&self.mark)
    }

    /// The stores that passed, this one among them if it did.
    pub(super) fn marked(&self, tested: &BTreeSet<String>) -> BTreeSet<String> {
        let mut tested = tested.clone();
        if self.is_tested {
            tested.insert(self.mark.clone());
        }
        tested
    }

    /// For tests of the protocols, which have a store that answers as it likes.
    #[cfg(test)]
    pub(super) fn trusting(mut self) -> Self {
        self.is_tested = true;
        self
    }
}
