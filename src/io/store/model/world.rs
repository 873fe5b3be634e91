//! Processes on one disk. Only one of them runs at a time; at each of its calls the plan may hand over to another one,
//! end it, or cut the power.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::super::fs::{Fs, Handle, Identity};
use super::disk::{Chance, Disk};

/// What happens at a call, instead of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deviation {
    /// Another process goes on first.
    Switch(usize),
    /// The process is killed before the call.
    Kill,
    /// The write, if it is one, takes half of its bytes.
    Short,
    /// The power fails: every process is gone.
    Cut,
}

/// A schedule: what deviates from running each process to its end, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// By the number of the call.
    pub(super) at: BTreeMap<usize, Deviation>,
    /// Deviations by chance, besides.
    pub(super) chance: Option<Random>,
}

/// Repeatable chance.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
    /// Of a thousand calls so many hand over, end in a kill, fall short, lose the power.
    pub(super) rates: [usize; 4],
}

impl Random {
    pub(super) fn new(seed: u64, rates: [usize; 4]) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, rates }
    }
}

impl Chance for Random {
    fn pick(&mut self, below: usize) -> usize {
        // xorshift64*: small, and good enough to choose schedules.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let high = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % below.max(1)
    }
}

/// A file system that breaks one promise: the explorer must find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Keeps all of them.
    None,
    /// A sync of a file does nothing.
    NoSync,
    /// A sync of the folder does nothing.
    NoFolderSync,
    /// The state file is replaced, and what it held is gone.
    PlainRename,
    /// A writer never sees that its file was exchanged.
    NoCheckAfterAppend,
    /// Of what was swapped out or taken over only the header is read, so nothing is merged.
    NoMerge,
    /// Part files are not seen.
    NoParts,
    /// A writer does not see what others appended after it opened the file.
    NoReread,
    /// A part is removed as soon as it is taken over, before it is merged.
    RemoveBeforeMerge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ready,
    Over,
    Dead,
}

/// One call of a run, for the search: who could have gone on instead.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) others: Vec<usize>,
    pub(super) is_write: bool,
}

struct Inner {
    disk: Disk,
    plan: Plan,
    statuses: Vec<Status>,
    running: usize,
    trace: Vec<Step>,
    is_cut: bool,
    /// Which files were the state file once.
    swapped_out: Vec<u64>,
}

/// The processes and their disk.
pub(super) struct World {
    inner: Mutex<Inner>,
    turn: Condvar,
    mutant: Mutant,
    can_exchange: bool,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    pub(super) fn new(disk: Disk, actors: usize, plan: Plan, mutant: Mutant, can_exchange: bool) -> Arc<Self> {
        let inner = Inner {
            disk,
            plan,
            statuses: vec![Status::Ready; actors],
            running: 0,
            trace: Vec::new(),
            is_cut: false,
            swapped_out: Vec::new(),
        };
        Arc::new(Self { inner: Mutex::new(inner), turn: Condvar::new(), mutant, can_exchange })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a process, and lets the next one go on.
    pub(super) fn leave(&self, actor: usize) {
        let mut inner = self.lock();
        if inner.statuses[actor] == Status::Ready {
            inner.statuses[actor] = Status::Over;
        }
        inner.hand_over();
        self.turn.notify_all();
    }

    /// Waits for the first turn.
    pub(super) fn arrive(&self, actor: usize) {
        let mut inner = self.lock();
        while inner.running != actor && inner.statuses[actor] == Status::Ready {
            inner = self.turn.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Was this process killed, or did the power fail?
    pub(super) fn is_dead(&self, actor: usize) -> bool {
        self.lock().statuses[actor] == Status::Dead
    }

    pub(super) fn trace(&self) -> Vec<Step> {
        self.lock().trace.clone()
    }

    /// The turn of a process at a call: what the plan says about it. `None` where no process calls but the test.
    fn call(&self, actor: Option<usize>, is_write: bool) -> io::Result<(MutexGuard<'_, Inner>, bool)> {
        let mut inner = self.lock();
        let Some(actor) = actor else { return Ok((inner, false)) };
        if inner.statuses[actor] != Status::Ready {
            return Err(io::Error::other("the process is dead"));
        }
        let number = inner.trace.len();
        let others: Vec<usize> = inner.ready().filter(|other| *other != actor).collect();
        inner.trace.push(Step { others: others.clone(), is_write });
        let mut short = false;
        match inner.deviation(number, &others) {
            None => {}
            Some(Deviation::Short) => short = true,
            Some(Deviation::Kill) => {
                inner.statuses[actor] = Status::Dead;
                inner.hand_over();
                self.turn.notify_all();
                return Err(io::Error::other("killed"));
            }
            Some(Deviation::Cut) => {
                inner.statuses.iter_mut().filter(|s| **s == Status::Ready).for_each(|s| *s = Status::Dead);
                inner.is_cut = true;
                self.turn.notify_all();
                return Err(io::Error::other("the power failed"));
            }
            Some(Deviation::Switch(other)) if inner.statuses.get(other) == Some(&Status::Ready) => {
                inner.running = other;
                self.turn.notify_all();
                while inner.running != actor && inner.statuses[actor] == Status::Ready {
                    inner = self.turn.wait(inner).unwrap_or_else(PoisonError::into_inner);
                }
                if inner.statuses[actor] != Status::Ready {
                    return Err(io::Error::other("the process is dead"));
                }
            }
            Some(Deviation::Switch(_)) => {}
        }
        Ok((inner, short))
    }

    /// After everything: if the power failed, the disk as it comes back.
    pub(super) fn restart(&self, chance: &mut dyn Chance) -> Disk {
        let mut inner = self.lock();
        if inner.is_cut {
            inner.disk.cut(chance);
        }
        inner.disk.clone()
    }
}

impl Inner {
    fn ready(&self) -> impl Iterator<Item = usize> + '_ {
        self.statuses.iter().enumerate().filter(|(_, s)| **s == Status::Ready).map(|(n, _)| n)
    }

    fn hand_over(&mut self) {
        let next = self.ready().next();
        self.running = next.unwrap_or(self.running);
    }

    fn deviation(&mut self, number: usize, others: &[usize]) -> Option<Deviation> {
        if let Some(planned) = self.plan.at.get(&number) {
            return Some(*planned);
        }
        let chance = self.plan.chance.as_mut()?;
        let [switch, kill, short, cut] = chance.rates;
        let roll = chance.pick(1000);
        if roll < switch {
            return (!others.is_empty()).then(|| Deviation::Switch(others[chance.pick(others.len())]));
        }
        match roll - switch {
            n if n < kill => Some(Deviation::Kill),
            n if n < kill + short => Some(Deviation::Short),
            n if n < kill + short + cut => Some(Deviation::Cut),
            _ => None,
        }
    }
}

/// The file system as one process has it.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) world: Arc<World>,
    /// None for the test itself, whose calls nobody schedules.
    pub(super) actor: Option<usize>,
    /// The file that it opened last for appending: all that [`Mutant::NoCheckAfterAppend`] looks at.
    opened: Arc<Mutex<Option<u64>>>,
}

#[derive(Debug)]
struct Open {
    view: View,
    file: u64,
    /// What this process wrote, and what was there when it opened the file: all that [`Mutant::NoReread`] lets it see.
    known: Mutex<Vec<u8>>,
    writes: bool,
}

fn identity(file: u64) -> Identity {
    Identity::made_up(file)
}

impl View {
    pub(super) fn new(world: &Arc<World>, actor: Option<usize>) -> Self {
        Self { world: Arc::clone(world), actor, opened: Arc::default() }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.actor.is_some() && self.world.mutant == mutant
    }

    fn open(&self, path: &Path, writes: bool) -> io::Result<Box<dyn Handle>> {
        let (inner, _) = self.world.call(self.actor, false)?;
        let file = inner.disk.find(path)?;
        if writes {
            *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        }
        let known = Mutex::new(inner.disk.bytes(file).to_vec());
        Ok(Box::new(Open { view: self.clone(), file, known, writes }))
    }
}

impl Handle for Open {
    fn identity(&self) -> io::Result<Identity> {
        let (_turn, _) = self.view.world.call(self.view.actor, false)?;
        Ok(identity(self.file))
    }

    fn size(&self) -> io::Result<u64> {
        let (inner, _) = self.view.world.call(self.view.actor, false)?;
        Ok(inner.disk.bytes(self.file).len() as u64)
    }

    fn read_from(&self, offset: u64) -> io::Result<Vec<u8>> {
        let (inner, _) = self.view.world.call(self.view.actor, false)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let cut = |bytes: &[u8]| bytes.get(from..).unwrap_or_default().to_vec();
        if self.writes && self.view.is(Mutant::NoReread) {
            return Ok(cut(&self.known.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        let bytes = inner.disk.bytes(self.file);
        if !self.writes && self.view.is(Mutant::NoMerge) && inner.swapped_out.contains(&self.file) {
            return Ok(cut(bytes.split_inclusive(|b| *b == b'\n').next().unwrap_or_default()));
        }
        Ok(cut(bytes))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut inner, short) = self.view.world.call(self.view.actor, true)?;
        let taken = if short { bytes.len() / 2 } else { bytes.len() };
        inner.disk.append(self.file, &bytes[..taken]);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut inner, _) = self.view.world.call(self.view.actor, false)?;
        if !self.view.is(Mutant::NoSync) {
            inner.disk.sync(self.file);
        }
        Ok(())
    }
}

impl Fs for View {
    fn resolve(&self, path: &Path) -> PathBuf {
        path.to_path_buf()
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.open(path, false)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.open(path, true)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let (mut inner, _) = self.world.call(self.actor, false)?;
        let file = inner.disk.create(path)?;
        Ok(Box::new(Open { view: self.clone(), file, known: Mutex::default(), writes: true }))
    }

    fn exchange(&self, one: &Path, two: &Path) -> io::Result<()> {
        let (mut inner, _) = self.world.call(self.actor, false)?;
        if self.is(Mutant::PlainRename) {
            return inner.disk.rename(one, two);
        }
        if !self.world.can_exchange {
            return Err(ErrorKind::Unsupported.into());
        }
        let old = inner.disk.find(two)?;
        inner.disk.exchange(one, two)?;
        inner.swapped_out.push(old);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut inner, _) = self.world.call(self.actor, false)?;
        let file = inner.disk.find(from)?;
        inner.disk.rename(from, to)?;
        if self.is(Mutant::RemoveBeforeMerge) {
            // Its content is read from memory that a crash takes along; here it is lost at once.
            inner.disk.unlink(to)?;
        }
        inner.swapped_out.push(file);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world.call(self.actor, false)?.0.disk.link(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.world.call(self.actor, false)?.0.disk.unlink(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let (inner, _) = self.world.call(self.actor, false)?;
        if self.is(Mutant::NoParts) {
            return Ok(Vec::new());
        }
        let inside = |path: &PathBuf| path.parent() == Some(folder);
        let names = inner.disk.names().into_iter().filter(inside);
        Ok(names.filter_map(|path| path.file_name().map(ToOwned::to_owned)).collect())
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        let (inner, _) = self.world.call(self.actor, false)?;
        if self.is(Mutant::NoCheckAfterAppend)
            && let Some(opened) = *self.opened.lock().unwrap_or_else(PoisonError::into_inner)
        {
            return Ok(identity(opened));
        }
        inner.disk.find(path).map(identity)
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        let (mut inner, _) = self.world.call(self.actor, false)?;
        if !self.is(Mutant::NoFolderSync) {
            inner.disk.sync_names();
        }
        Ok(())
    }

    fn mimic(&self, _like: &Path, path: &Path) -> io::Result<()> {
        let (inner, _) = self.world.call(self.actor, false)?;
        inner.disk.find(path).map(|_| ())
    }
}
