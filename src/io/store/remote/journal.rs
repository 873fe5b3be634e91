//! A remote state for callers that block, as the committer does: it has a runtime of its own.

use tokio::runtime::{Builder, Runtime};

use super::super::journal::Journal;
use super::address::Remote;
use super::failed;
use super::patience::Patience;
use super::run::Run;
use crate::io::clock;
use crate::state::{Claim, Entry, Intent, State, StateError, StateWarning};

/// A state on the network, as one run sees it.
///
/// Its calls block, so they must not be made where other work waits on the same thread; see [`super::super::Location`].
#[derive(Debug)]
pub struct RemoteStore {
    driver: Driver,
    run: Run,
}

/// A runtime that may be dropped anywhere. Tokio's own panics where it must not block.
#[derive(Debug)]
struct Driver(Option<Runtime>);

impl Driver {
    fn new(place: &str) -> Result<Self, StateError> {
        match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => Ok(Self(Some(runtime))),
            Err(error) => Err(failed("start a runtime for", place, error.to_string())),
        }
    }

    /// Works until it is done. Connections are served only meanwhile, so one that the server closed in between is
    /// noticed when it is used again; that is one more unclear answer.
    fn wait<T>(&self, work: impl Future<Output = Result<T, StateError>>) -> Result<T, StateError> {
        self.0.as_ref().map_or(Err(StateError::Stopped), |runtime| runtime.block_on(work))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl RemoteStore {
    /// Reads the state and gets ready to write it. Writes nothing yet.
    ///
    /// `lineage_for_new` becomes the lineage if there is no state; `run` is the unique name of this run, which its
    /// intents carry.
    ///
    /// # Errors
    /// The store cannot be reached, or what is there is no state or one of a newer major version.
    pub fn open(remote: &Remote, lineage_for_new: String, run: String) -> Result<(Self, State), StateError> {
        let driver = Driver::new(remote.label())?;
        let (run, state) = driver.wait(async {
            let form = remote.form(Patience::STANDARD)?;
            Run::open(form, lineage_for_new, run, || clock::now().as_second()).await
        })?;
        Ok((Self { driver, run }, state))
    }
}

impl Journal for RemoteStore {
    fn run(&self) -> &str {
        self.run.name()
    }

    fn lineage(&self) -> &str {
        self.run.lineage()
    }

    fn begin(&mut self) -> Result<&str, StateError> {
        self.driver.wait(self.run.begin())?;
        Ok(self.run.lineage())
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StateError> {
        self.driver.wait(self.run.append(entries))
    }

    fn claim(&mut self, intents: &[Intent]) -> Result<Vec<Claim>, StateError> {
        self.driver.wait(self.run.claim(intents))
    }

    fn finish(&mut self) -> Result<(State, Vec<StateWarning>), StateError> {
        self.driver.wait(self.run.finish())
    }

    fn syncs(&self) -> u64 {
        self.run.link().writes
    }

    fn bytes(&self) -> u64 {
        self.run.link().bytes
    }
}
