//! Group commit: many callers hand in entries, one thread owns the store and makes all that is waiting durable with one
//! write and one sync. While a sync runs the next group gathers, so there is no timer and nobody waits for company.
//!
//! The thread is a thread of its own because syncs block; callers only await an answer, on any runtime. Nothing rests
//! on it being joined or dropped in order: what was acknowledged is durable, what was not is nobody's.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use tokio::sync::oneshot;

use super::journal::Journal;
use crate::state::{Claim, Entry, Intent, State, StateError, StateWarning};

/// A group takes no more entries than this, so that the first caller of it does not wait for a crowd.
const GROUP: usize = 256;

type Answer<T> = oneshot::Sender<Result<T, StateError>>;

enum Job {
    Commit(Vec<Entry>, Answer<()>),
    Announce(Box<Intent>, Answer<Claim>),
    Finish(Answer<Finished>),
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Calls that were answered with success.
    pub commits: u64,
    /// Syncs of the state file that this took.
    pub syncs: u64,
    /// Bytes appended to it.
    pub bytes: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The state now.
    pub state: State,
    /// What was odd.
    pub warnings: Vec<StateWarning>,
    /// What it cost.
    pub stats: CommitStats,
}

/// The one writer of a run, for any number of callers.
#[derive(Debug)]
pub struct Committer {
    jobs: Sender<Job>,
    lineage: String,
    run: String,
}

impl Committer {
    /// Hands the journal to a thread of its own. Call [`super::begin`] before, if fingerprints are to be made: it is
    /// what settles the lineage.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut store: Box<dyn Journal>) -> Result<Self, StateError> {
        let (jobs, waiting) = mpsc::channel();
        let (lineage, run) = (store.lineage().to_owned(), store.run().to_owned());
        thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || work(&mut *store, &waiting))
            .map_err(|error| StateError::io("start a thread for", Path::new("the state"), &error))?;
        Ok(Self { jobs, lineage, run })
    }

    /// The lineage of the state.
    #[must_use]
    pub fn lineage(&self) -> &str {
        &self.lineage
    }

    /// The name of this run, which its intents carry.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Makes entries durable, together with everybody else's that wait.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn commit(&self, entries: Vec<Entry>) -> Result<(), StateError> {
        self.ask(|answer| Job::Commit(entries, answer)).await
    }

    /// Announces a request: makes its intent durable and decides whether it may be sent; see [`Journal::claim`].
    ///
    /// # Errors
    /// As [`Journal::append`]; then nothing may be sent.
    pub async fn announce(&self, intent: Intent) -> Result<Claim, StateError> {
        self.ask(|answer| Job::Announce(Box::new(intent), answer)).await
    }

    /// Ends the run; see [`Journal::finish`].
    ///
    /// # Errors
    /// As [`Journal::finish`].
    pub async fn finish(self) -> Result<Finished, StateError> {
        self.ask(Job::Finish).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StateError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(job(answer)).map_err(|_| StateError::Stopped)?;
        answered.await.map_err(|_| StateError::Stopped)?
    }
}

/// What one write takes.
#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    commits: Vec<Answer<()>>,
    announces: Vec<(Intent, Answer<Claim>)>,
    finish: Option<Answer<Finished>>,
}

/// The first job and all that wait behind it, up to the size of a group.
fn gather(first: Job, waiting: &Receiver<Job>) -> Group {
    let mut group = Group::default();
    let mut next = Some(first);
    while let Some(job) = next {
        match job {
            Job::Commit(entries, answer) => {
                group.entries.extend(entries);
                group.commits.push(answer);
            }
            Job::Announce(intent, answer) => {
                group.entries.push(Entry::Intent(intent.as_ref().clone()));
                group.announces.push((*intent, answer));
            }
            Job::Finish(answer) => {
                group.finish = Some(answer);
                return group;
            }
        }
        next = if group.entries.len() < GROUP { waiting.try_recv().ok() } else { None };
    }
    group
}

fn work(store: &mut dyn Journal, waiting: &Receiver<Job>) {
    let mut commits = 0;
    while let Ok(first) = waiting.recv() {
        let group = gather(first, waiting);
        commits += settle(store, &group.entries, group.commits, group.announces);
        if let Some(answer) = group.finish {
            let outcome = store.finish();
            let stats = CommitStats { commits, syncs: store.syncs(), bytes: store.bytes() };
            reply(answer, outcome.map(|(state, warnings)| Finished { state, warnings, stats }));
            return;
        }
    }
}

/// Makes a group durable and answers everybody in it. Says how many answers were good ones.
fn settle(store: &mut dyn Journal, entries: &[Entry], commits: Vec<Answer<()>>, announces: Vec<(Intent, Answer<Claim>)>) -> u64 {
    let appended = store.append(entries);
    let mut good = if appended.is_ok() { commits.len() as u64 } else { 0 };
    for answer in commits {
        reply(answer, appended.clone());
    }
    let (intents, answers): (Vec<Intent>, Vec<Answer<Claim>>) = announces.into_iter().unzip();
    match appended.and_then(|()| store.claim(&intents)) {
        Ok(claims) => {
            good += claims.len() as u64;
            answers.into_iter().zip(claims).for_each(|(answer, claim)| reply(answer, Ok(claim)));
        }
        Err(error) => answers.into_iter().for_each(|answer| reply(answer, Err(error.clone()))),
    }
    good
}

fn reply<T>(answer: Answer<T>, outcome: Result<T, StateError>) {
    // Whoever does not wait any more does not want to know; the entries are durable all the same.
    drop(answer.send(outcome));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join_all;

    use super::super::faulty::{Fault, Faulty};
    use super::super::fs::{Fs, raw};
    use super::super::local::LocalStore;
    use super::*;
    use crate::state::samples::{LINEAGE, address, done, intent, record};

    fn start(fs: Arc<dyn Fs>, path: &Path) -> Committer {
        let (store, _, _) = LocalStore::open(path, fs, LINEAGE.to_owned(), "R".to_owned()).unwrap();
        Committer::start(Box::new(store)).unwrap()
    }

    fn created(n: usize) -> Entry {
        Entry::Record(record(&format!("t/k{n}"), "1", 1, &format!("R-{n}")))
    }

    #[tokio::test]
    async fn many_callers_share_few_syncs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let committer = start(Arc::new(Faulty::healthy()), &path);
        let outcomes = join_all((0..500).map(|n| committer.commit(vec![created(n)]))).await;
        assert!(outcomes.iter().all(Result::is_ok));
        let finished = committer.finish().await.unwrap();
        assert_eq!(finished.state.records().count(), 500);
        assert_eq!(finished.stats.commits, 500);
        assert!(finished.stats.syncs <= 510 && finished.stats.bytes > 0, "{:?}", finished.stats);
        assert_eq!(raw::names(folder.path()), ["s"]);
    }

    /// A thousand creates, 64 in flight: an intent and a result each.
    #[tokio::test]
    async fn creates_cost_few_syncs_and_hardly_more_than_their_own_bytes() {
        use futures_util::stream::{self, StreamExt as _};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let committer = start(Arc::new(Faulty::healthy()), &path);
        stream::iter(0..1000)
            .map(|n| {
                let (committer, at, op) = (&committer, format!("t/k{n}"), format!("R-{n}"));
                async move {
                    assert_eq!(committer.announce(intent(&op, &at, 0, "R")).await, Ok(Claim::Won));
                    committer.commit(vec![done(record(&at, "1", 1, &op))]).await.unwrap();
                }
            })
            .buffer_unordered(64)
            .for_each(|()| async {})
            .await;
        let Finished { state, stats, .. } = committer.finish().await.unwrap();
        let records = state.render().len() as u64;
        assert_eq!((state.records().count(), state.open_intents().count(), stats.commits), (1000, 0, 2000));
        assert!(stats.syncs <= 250, "{stats:?}");
        assert!(stats.bytes <= 2 * records, "{stats:?}, records {records}");
        assert_eq!(raw::read(&path), state.render(), "one snapshot at the end");
    }

    #[test]
    fn a_group_is_what_waits_up_to_its_size() {
        let (jobs, waiting) = mpsc::channel();
        let mut answers = Vec::new();
        for n in 0..300 {
            let (answer, answered) = oneshot::channel();
            answers.push(answered);
            jobs.send(Job::Commit(vec![created(n)], answer)).unwrap();
        }
        let (answer, _answered) = oneshot::channel();
        jobs.send(Job::Finish(answer)).unwrap();
        let first = gather(waiting.recv().unwrap(), &waiting);
        assert_eq!((first.entries.len(), first.commits.len(), first.finish.is_some()), (256, 256, false));
        let second = gather(waiting.recv().unwrap(), &waiting);
        assert_eq!((second.entries.len(), second.finish.is_some()), (44, true));
    }

    #[tokio::test]
    async fn each_caller_gets_its_own_claim() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let other = start(Arc::new(Faulty::healthy()), &path);
        assert_eq!(other.announce(intent("O-1", "t/b", 0, "O")).await, Ok(Claim::Won));
        let mine = start(Arc::new(Faulty::healthy()), &path);
        let (one, two, three, four) = tokio::join!(
            mine.announce(intent("R-1", "t/a", 0, "R")),
            mine.announce(intent("R-2", "t/b", 0, "R")),
            mine.commit(vec![created(7)]),
            mine.announce(intent("R-3", "t/c", 0, "R")),
        );
        assert!(matches!(two, Ok(Claim::Taken(other)) if other.op == "O-1"));
        assert_eq!((one, three, four), (Ok(Claim::Won), Ok(()), Ok(Claim::Won)));
        mine.commit(vec![done(record("t/a", "1", 1, "R-1"))]).await.unwrap();
        let finished = mine.finish().await.unwrap();
        let open: Vec<&str> = finished.state.open_intents().map(|intent| intent.op.as_str()).collect();
        assert_eq!(open, ["O-1", "R-3"]);
        assert!(finished.state.record(&address("t/a")).is_some());
    }

    #[tokio::test]
    async fn a_failed_sync_is_told_to_everybody_and_ends_the_writing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let committer = start(Arc::new(Faulty::with(Fault::NoLogSync, 1)), &path);
        let results = join_all((0..20).map(|n| committer.commit(vec![created(n)]))).await;
        assert!(results.iter().all(|outcome| outcome.as_ref().is_err_and(|error| error.saved().is_some())));
        assert!(committer.announce(intent("R-99", "t/z", 0, "R")).await.is_err());
        let (state, _) = LocalStore::read_only(&path, &Faulty::healthy()).unwrap();
        assert_eq!(state.records().count(), 20);
    }

    #[tokio::test]
    async fn a_committer_that_is_dropped_loses_nothing_that_was_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let committer = start(Arc::new(Faulty::healthy()), &path);
        committer.commit(vec![created(1)]).await.unwrap();
        drop(committer);
        let (state, _) = LocalStore::read_only(&path, &Faulty::healthy()).unwrap();
        assert_eq!(state.records().count(), 1);
    }
}
