//! Apply: runs a plan's changes in dependency order, many at once, and records each as it is done.
//!
//! One write is: intent durable → precondition re-checked → request → answer checked → read back → record durable.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;

use super::event::{Ending, Event, Outcome, Report};
use super::refresh::Lanes;
use super::turn::{Turn, Watched};
use super::write;
use crate::address::Address;
use crate::config::desired::Connection;
use crate::diagnostic::Diagnostic;
use crate::io::clock;
use crate::io::store::Committer;
use crate::plan::model::{Action, Change, Plan};
use crate::plan::planner::World;
use crate::secret::Redactor;

/// How urgently a run is asked to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    #[default]
    No,
    /// Start nothing new, finish what is in flight; the signal's number.
    Gently(i32),
    /// Leave everything; the signal's number.
    Now(i32),
}

/// What an apply works with.
#[derive(Clone, Copy)]
pub struct Run<'r> {
    /// Everything that the plan was made from.
    pub world: World<'r>,
    /// The targets' requests.
    pub lanes: &'r Lanes,
    /// Makes records durable.
    pub committer: &'r Committer,
    /// Knows the secrets.
    pub redactor: &'r Redactor,
    /// Where events go.
    pub report: &'r dyn Report,
    /// The name of this run.
    pub run: &'r str,
    /// Ids as far as they are known, and what else the changes share.
    pub shared: &'r Shared,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({})", self.run)
    }
}

/// What the changes of one run share.
#[derive(Debug, Default)]
pub struct Shared {
    /// The ids of objects that exist, planned or made in this run.
    pub ids: RefCell<BTreeMap<Address, String>>,
    /// What is wanted of each connection, references filled in as far as they are known.
    pub specs: RefCell<BTreeMap<Address, Arc<Connection>>>,
    /// What was deleted to be made anew.
    pub replaced: RefCell<BTreeSet<Address>>,
    /// The next operation's number.
    pub next_op: Cell<u64>,
    /// Trouble that belongs to no single change.
    pub trouble: RefCell<Vec<Diagnostic>>,
}

/// Runs every change of a plan. Nothing is printed and nothing is asked here.
pub async fn apply(run: &Run<'_>, plan: &Plan, mut stop: watch::Receiver<Stop>) -> Outcome {
    let started = clock::instant();
    let before: u64 = run.lanes.values().map(super::lane::Lane::requests).sum();
    for change in &plan.changes {
        // A replacement gets another id; what refers to it waits for that.
        if let Some(id) = change.id.as_ref().filter(|_| change.action != Action::Replace) {
            run.shared.ids.borrow_mut().insert(change.address.clone(), id.clone());
        }
        if let Some(connection) = &change.connection {
            run.shared.specs.borrow_mut().insert(change.address.clone(), Arc::clone(connection));
        }
    }
    let mut queue = Queue::new(plan, run.lanes);
    let mut endings: BTreeMap<usize, Ending> = BTreeMap::new();
    let turns: Vec<Turn> = plan.changes.iter().map(|_| Turn::default()).collect();
    let mut running = FuturesUnordered::new();
    let mut stopped = *stop.borrow();
    loop {
        while stopped == Stop::No
            && let Some(n) = queue.next()
        {
            running.push(one(run, plan, n, &turns[n], stop.clone()));
        }
        if running.is_empty() {
            // Deletes run last, and not at all if something failed: what depends on what may no longer be as planned.
            let failed = endings.values().any(|ending| !ending.is_done());
            match queue.start_deletes(run.lanes) {
                Deletes::None => break,
                Deletes::Ready if stopped == Stop::No && !failed => continue,
                Deletes::Ready => {
                    for n in queue.drop_waiting() {
                        let ending = Ending::Skipped("deletes are not started after a failure".to_owned());
                        report_end(run, &plan.changes[n], &ending, Duration::ZERO);
                        if stopped == Stop::No {
                            endings.insert(n, ending);
                        }
                    }
                    break;
                }
            }
        }
        tokio::select! {
            biased;
            Ok(()) = stop.changed() => {
                stopped = *stop.borrow();
                match stopped {
                    Stop::Gently(_) => {
                        let in_flight = queue.in_flight.iter().filter(|n| turns[**n].has_written()).count();
                        run.report.event(&Event::Stopping { in_flight });
                    }
                    Stop::Now(_) => break,
                    Stop::No => {}
                }
            }
            Some((n, ending)) = running.next() => {
                for (dependent, because) in queue.finished(n, ending.is_done()) {
                    let ending = Ending::Skipped(format!("needs `{because}`, which was not done"));
                    report_end(run, &plan.changes[dependent], &ending, Duration::ZERO);
                    endings.insert(dependent, ending);
                }
                endings.insert(n, ending);
            }
        }
    }
    drop(running);
    let mut outcome = Outcome { elapsed: started.elapsed(), ..Outcome::default() };
    outcome.signal = match stopped {
        Stop::No => None,
        Stop::Gently(signal) | Stop::Now(signal) => Some(signal),
    };
    for (n, change) in plan.changes.iter().enumerate().filter(|(_, c)| c.action.is_change()) {
        let ending = endings
            .remove(&n)
            .unwrap_or_else(|| if turns[n].has_written() { Ending::Unknown(write::abandoned(change)) } else { not_begun() });
        outcome.touched |= turns[n].has_written();
        if turns[n].has_begun() {
            outcome.took.insert(change.address.clone(), turns[n].elapsed());
        }
        outcome.endings.push((change.address.clone(), change.action, ending));
    }
    outcome.requests = run.lanes.values().map(super::lane::Lane::requests).sum::<u64>() - before;
    outcome.diagnostics = run.shared.trouble.take();
    outcome
}

/// Runs one change. Asked to stop while no write of it has left, it is given up; after that it is finished.
async fn one(run: &Run<'_>, plan: &Plan, n: usize, turn: &Turn, mut stop: watch::Receiver<Stop>) -> (usize, Ending) {
    let change = &plan.changes[n];
    let watched = Watched { turn, change, report: run.report };
    let own = Run { report: &watched, ..*run };
    let stopped = async {
        // Fails only if the run has ended.
        drop(stop.wait_for(|stop| *stop != Stop::No).await);
        if turn.has_written() {
            std::future::pending::<()>().await;
        }
    };
    let ending = tokio::select! {
        biased;
        () = stopped => {
            if let Some(op) = turn.take_announced() {
                write::void(run, &op, "interrupted before it was sent").await;
            }
            not_begun()
        }
        ending = write::run(&own, change) => ending,
    };
    if !matches!(ending, Ending::Skipped(_)) {
        watched.begin();
    }
    turn.end();
    report_end(run, change, &ending, turn.elapsed());
    (n, ending)
}

fn not_begun() -> Ending {
    Ending::Skipped("interrupted before it began".to_owned())
}

fn report_end(run: &Run<'_>, change: &Change, ending: &Ending, elapsed: Duration) {
    let (address, action) = (change.address.clone(), change.action);
    run.report.event(&Event::Ended { address, action, ending: ending.clone(), elapsed });
}

/// Which change may start now: its dependencies are done, and its target has a place.
struct Queue<'p> {
    plan: &'p Plan,
    ready: BTreeMap<&'p str, VecDeque<usize>>,
    places: BTreeMap<&'p str, usize>,
    waiting: BTreeMap<usize, usize>,
    dependents: BTreeMap<usize, Vec<usize>>,
    in_flight: BTreeSet<usize>,
    /// Not queued yet: they wait for everything else.
    deletes: Vec<usize>,
}

/// Is there a delete left?
enum Deletes {
    /// No.
    None,
    /// Yes, and it is their turn.
    Ready,
}

impl<'p> Queue<'p> {
    fn new(plan: &'p Plan, lanes: &Lanes) -> Self {
        let (deletes, nodes): (Vec<usize>, Vec<usize>) = (0..plan.changes.len())
            .filter(|n| plan.changes[*n].action.is_change())
            .partition(|n| plan.changes[*n].action == Action::Delete);
        let mut queue = Self {
            plan,
            ready: BTreeMap::new(),
            places: BTreeMap::new(),
            waiting: BTreeMap::new(),
            dependents: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            deletes,
        };
        queue.add(&nodes, lanes, false);
        queue
    }

    /// Queues changes, dependencies first, or dependents first for deletes.
    fn add(&mut self, nodes: &[usize], lanes: &Lanes, reverse: bool) {
        let plan = self.plan;
        let position: BTreeMap<&Address, usize> = nodes.iter().map(|n| (&plan.changes[*n].address, *n)).collect();
        let mut before: BTreeMap<usize, BTreeSet<usize>> = nodes.iter().map(|n| (*n, BTreeSet::new())).collect();
        for n in nodes {
            for other in plan.changes[*n].depends_on.iter().filter_map(|d| position.get(d)).filter(|other| *other != n) {
                let (first, then) = if reverse { (n, other) } else { (other, n) };
                before.entry(*then).or_default().insert(*first);
            }
        }
        for (n, before) in before {
            let change = &plan.changes[n];
            let target = change.address.target();
            // A few more changes than requests, so that waiting for the disk does not leave a place empty.
            self.places.entry(target).or_insert_with(|| lanes.get(target).map_or(16, |lane| lane.parallelism * 2));
            for dependency in &before {
                self.dependents.entry(*dependency).or_default().push(n);
            }
            if before.is_empty() {
                self.ready.entry(target).or_default().push_back(n);
            } else {
                self.waiting.insert(n, before.len());
            }
        }
    }

    /// Queues the deletes, if there are any.
    fn start_deletes(&mut self, lanes: &Lanes) -> Deletes {
        let deletes = std::mem::take(&mut self.deletes);
        if deletes.is_empty() {
            return Deletes::None;
        }
        self.add(&deletes, lanes, true);
        Deletes::Ready
    }

    /// Takes everything out that has not begun.
    fn drop_waiting(&mut self) -> Vec<usize> {
        let ready = std::mem::take(&mut self.ready).into_values().flatten();
        ready.chain(std::mem::take(&mut self.waiting).into_keys()).collect()
    }

    fn next(&mut self) -> Option<usize> {
        for (target, ready) in &mut self.ready {
            let place = self.places.get_mut(target)?;
            if *place > 0
                && let Some(n) = ready.pop_front()
            {
                *place -= 1;
                self.in_flight.insert(n);
                return Some(n);
            }
        }
        None
    }

    /// Marks a change as ended; returns the changes that can no longer be done, with what they miss.
    fn finished(&mut self, n: usize, done: bool) -> Vec<(usize, Address)> {
        self.in_flight.remove(&n);
        if let Some(place) = self.places.get_mut(self.plan.changes[n].address.target()) {
            *place += 1;
        }
        let mut lost = Vec::new();
        let mut open = vec![n];
        while let Some(n) = open.pop() {
            for dependent in self.dependents.remove(&n).unwrap_or_default() {
                if !done {
                    if self.waiting.remove(&dependent).is_some() {
                        lost.push((dependent, self.plan.changes[n].address.clone()));
                        open.push(dependent);
                    }
                } else if let Some(count) = self.waiting.get_mut(&dependent) {
                    *count -= 1;
                    if *count == 0 {
                        self.waiting.remove(&dependent);
                        self.ready.entry(self.plan.changes[dependent].address.target()).or_default().push_back(dependent);
                    }
                }
            }
        }
        lost
    }
}
