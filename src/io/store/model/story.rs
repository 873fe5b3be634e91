//! What processes do on the disk, and what must hold whatever became of them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::Disk;
use super::world::{Mutant, Plan, Random, Step, View, World};
use crate::io::store::fs::Fs as _;
use crate::io::store::local::LocalStore;
use crate::state::samples::{LINEAGE, address, done, header, intent, record, text};
use crate::state::{Claim, Entry, Intent, State};

const PATH: &str = "/w/s";
/// The address that every applier wants.
const SHARED: &str = "t/shared";

/// What one process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Announces a change of its own and one of the address that all want, sends what it won, records it, tidies.
    Applier,
    /// Records something and leaves without tidying.
    Brief,
    /// Reads, and changes nothing.
    Reader,
}

/// A disk to begin with, and the processes on it.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) roles: Vec<Role>,
    /// Is there a state with records, and beside it the part of a run that died?
    pub(super) has_past: bool,
    pub(super) can_exchange: bool,
}

/// What processes were promised, in the order of the promises.
#[derive(Debug, Default)]
struct Ledger {
    /// Entries that were acknowledged.
    safe: Vec<Entry>,
    /// Requests that left: their intents.
    sent: Vec<Intent>,
    /// What went wrong.
    wrong: Vec<String>,
}

type Shared = Arc<Mutex<Ledger>>;

fn with<T>(ledger: &Shared, act: impl FnOnce(&mut Ledger) -> T) -> T {
    act(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner))
}

/// How a schedule ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) trace: Vec<Step>,
    pub(super) wrong: Vec<String>,
}

/// Plays one schedule to its end, restarts, and checks.
pub(super) fn play(story: &Story, plan: Plan, mutant: Mutant) -> Outcome {
    let chance = plan.chance.clone().unwrap_or_else(|| Random::new(plan.at.keys().sum::<usize>() as u64 + 1, [0; 4]));
    let (disk, past) = beginning(story);
    let world = World::new(disk, story.roles.len(), plan, mutant, story.can_exchange);
    let ledger: Shared = Arc::new(Mutex::new(Ledger { safe: past, ..Ledger::default() }));
    std::thread::scope(|scope| {
        for (actor, role) in story.roles.iter().enumerate() {
            let (world, ledger) = (Arc::clone(&world), Arc::clone(&ledger));
            scope.spawn(move || {
                world.arrive(actor);
                let view = View::new(&world, Some(actor));
                match role {
                    Role::Applier => apply(&view, actor, true, &ledger),
                    Role::Brief => apply(&view, actor, false, &ledger),
                    Role::Reader => look(&view, &ledger),
                }
                world.leave(actor);
            });
        }
    });
    let mut chance = chance;
    let after = World::new(world.restart(&mut chance), 0, Plan::default(), Mutant::None, true);
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    check(&after, &mut ledger);
    Outcome { trace: world.trace(), wrong: std::mem::take(&mut ledger.wrong) }
}

fn beginning(story: &Story) -> (Disk, Vec<Entry>) {
    let mut disk = Disk::default();
    if !story.has_past {
        return (disk, Vec::new());
    }
    let past = vec![Entry::Record(record("t/old", "o", 1, "P-1")), Entry::Record(record("t/left", "l", 1, "P-2"))];
    let mut put = |path: &str, entry: &Entry| {
        let file = disk.create(Path::new(path));
        if let Ok(file) = file {
            disk.append(file, text(&[header(), entry.clone()]).as_bytes());
            disk.sync(file);
        }
    };
    put(PATH, &past[0]);
    put("/w/.s.0-dead-1.part", &past[1]);
    disk.sync_names();
    (disk, past)
}

fn apply(view: &View, actor: usize, tidies: bool, ledger: &Shared) {
    let run = format!("R{actor}");
    let opened = LocalStore::open(Path::new(PATH), Arc::new(view.clone()), LINEAGE.to_owned(), run.clone());
    let Ok((store, ..)) = opened else { return };
    let mut store = store.with_nonce(&format!("1-r{actor}"));
    if store.begin().is_err() {
        return;
    }
    let own = format!("t/own{actor}");
    let wanted = if tidies { vec![own.as_str(), SHARED] } else { vec![own.as_str()] };
    let intents: Vec<Intent> = wanted.iter().enumerate().map(|(n, at)| intent(&format!("{run}-{n}"), at, 0, &run)).collect();
    let Ok(claims) = store.announce(&intents) else { return };
    let mut results = Vec::new();
    for (intent, claim) in intents.into_iter().zip(claims) {
        match claim {
            Claim::Won => {
                results.push(done(record(&intent.address.to_string(), &intent.op, 1, &intent.op)));
                // The request leaves here; whatever happens from now on, the object must be found again.
                with(ledger, |l| l.sent.push(intent));
            }
            Claim::Taken(_) | Claim::Moved { .. } => {}
        }
    }
    match store.append(&results) {
        Err(error) if error.saved().is_none() => return,
        _ => with(ledger, |l| l.safe.extend(results)),
    }
    if tidies {
        drop(store.finish());
    }
}

/// Nothing that was acknowledged before may be missing from what is read after.
fn look(view: &View, ledger: &Shared) {
    for _ in 0..2 {
        let promised = with(ledger, |l| l.safe.clone());
        match LocalStore::read_only(Path::new(PATH), view) {
            Ok((state, _)) => with(ledger, |l| missing(&state, &promised, "a reader", &mut l.wrong)),
            Err(_) if view.world.is_dead(view.actor.unwrap_or_default()) => return,
            Err(error) => with(ledger, |l| l.wrong.push(format!("a reader got an error: {error}"))),
        }
    }
}

fn missing(state: &State, promised: &[Entry], whose: &str, wrong: &mut Vec<String>) {
    for entry in promised.iter().filter(|entry| !state.holds(entry)) {
        wrong.push(format!("{whose} misses {}", entry.encode()));
    }
}

fn check(world: &Arc<World>, ledger: &mut Ledger) {
    let view = View::new(world, None);
    let mut wrong = std::mem::take(&mut ledger.wrong);
    match LocalStore::read_only(Path::new(PATH), &view) {
        Ok((state, _)) => {
            missing(&state, &ledger.safe, "the end", &mut wrong);
            for intent in &ledger.sent {
                let open = state.open_intents().any(|open| open.op == intent.op);
                let recorded = state.siblings(&intent.address).iter().any(|record| record.op == intent.op);
                if !open && !recorded {
                    wrong.push(format!("the object of {} is forgotten", intent.op));
                }
            }
        }
        Err(error) => wrong.push(format!("the state cannot be read: {error}")),
    }
    let shared = address(SHARED);
    let sent: Vec<&str> = ledger.sent.iter().filter(|i| i.address == shared).map(|i| i.op.as_str()).collect();
    if sent.len() > 1 {
        wrong.push(format!("sent twice: {}", sent.join(", ")));
    }
    recover(&view, ledger, &mut wrong);
    ledger.wrong = wrong;
}

/// The next run finds everything and leaves no litter.
fn recover(view: &View, ledger: &Ledger, wrong: &mut Vec<String>) {
    let opened = LocalStore::open(Path::new(PATH), Arc::new(view.clone()), LINEAGE.to_owned(), "N".to_owned());
    let next = Entry::Record(record("t/next", "n", 1, "N-1"));
    let finished = opened.and_then(|(store, ..)| {
        let mut store = store.with_nonce("2-next");
        store.append(std::slice::from_ref(&next))?;
        store.finish()
    });
    match finished {
        Ok((state, warnings)) => {
            missing(&state, &ledger.safe, "the next run", wrong);
            // Bytes that a power cut turned to zeroes are set aside and told; nothing that was promised was in them.
            let odd: Vec<String> = warnings.iter().map(|w| format!("{w:?}")).filter(|w| !w.contains("DamagedPart")).collect();
            if !odd.is_empty() {
                wrong.push(format!("the next run warns: {}", odd.join("; ")));
            }
        }
        Err(error) => wrong.push(format!("the next run fails: {error}")),
    }
    let names = view.list(Path::new("/w")).unwrap_or_default();
    let litter: Vec<_> = names.iter().filter(|name| name.to_string_lossy().ends_with(".part")).collect();
    if !litter.is_empty() {
        wrong.push(format!("litter: {litter:?}"));
    }
}
