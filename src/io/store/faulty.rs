//! A file system that fails on purpose: it passes every call on to the real one, counts them, and lets one go wrong.
//!
//! It never syncs: what these tests kill is the process, and what a process wrote survives it.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::fs::{Fs, Handle, Identity, RealFs};

/// What goes wrong, at the first call from the given number on that it can happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process dies: in the middle of a write, before any other call. No later call does anything.
    Kill,
    /// The disk is full from here on. The first write finds room for half of its bytes.
    NoSpace,
    /// One write takes only half of its bytes.
    ShortWrite,
    /// One sync fails.
    NoSync,
    /// One sync of a file that was opened, not made, fails: of the state file itself.
    NoLogSync,
}

#[derive(Debug, Default)]
struct Plan {
    fault: Option<(Fault, usize)>,
    cannot_exchange: bool,
    calls: AtomicUsize,
    /// The call at which it went wrong; 0 before.
    fired_at: AtomicUsize,
    is_dead: AtomicBool,
    is_full: AtomicBool,
}

/// The failing file system. Clones share the plan.
#[derive(Clone, Debug)]
pub(super) struct Faulty(Arc<Plan>);

impl Faulty {
    /// Nothing goes wrong.
    pub(super) fn healthy() -> Self {
        Self(Arc::new(Plan::default()))
    }

    /// One thing goes wrong, at this call or the first after it that it can happen to; calls count from 1.
    pub(super) fn with(fault: Fault, at: usize) -> Self {
        Self(Arc::new(Plan { fault: Some((fault, at)), ..Plan::default() }))
    }

    /// The same on a file system that cannot swap two names.
    pub(super) fn without_exchange(self) -> Self {
        Self(Arc::new(Plan { fault: self.0.fault, cannot_exchange: true, ..Plan::default() }))
    }

    /// At which call it went wrong, if it did.
    pub(super) fn fired_at(&self) -> Option<usize> {
        Some(self.0.fired_at.load(Ordering::SeqCst)).filter(|at| *at > 0)
    }
}

impl Plan {
    /// Counts a call. Dead processes make none.
    fn call(&self) -> io::Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_dead.load(Ordering::SeqCst) { Err(io::Error::other("the process is dead")) } else { Ok(()) }
    }

    /// Is it this fault's turn?
    fn is_due(&self, fault: Fault) -> bool {
        let call = self.calls.load(Ordering::SeqCst);
        self.fault.is_some_and(|(planned, at)| planned == fault && call >= at)
            && self.fired_at.compare_exchange(0, call, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Any call but a write.
    fn enter(&self) -> io::Result<()> {
        self.call()?;
        if self.is_due(Fault::Kill) {
            self.is_dead.store(true, Ordering::SeqCst);
            return Err(io::Error::other("killed"));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyFile {
    plan: Arc<Plan>,
    inner: Box<dyn Handle>,
    is_log: bool,
}

impl Handle for FaultyFile {
    fn identity(&self) -> io::Result<Identity> {
        self.plan.enter()?;
        self.inner.identity()
    }

    fn size(&self) -> io::Result<u64> {
        self.plan.enter()?;
        self.inner.size()
    }

    fn read_from(&self, offset: u64) -> io::Result<Vec<u8>> {
        self.plan.enter()?;
        self.inner.read_from(offset)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.plan.call()?;
        let half = &bytes[..bytes.len().div_ceil(2)];
        if self.plan.is_full.load(Ordering::SeqCst) {
            return Err(ErrorKind::StorageFull.into());
        }
        if self.plan.is_due(Fault::Kill) {
            self.plan.is_dead.store(true, Ordering::SeqCst);
            self.inner.append(half)?;
            return Err(io::Error::other("killed"));
        }
        if self.plan.is_due(Fault::NoSpace) {
            self.plan.is_full.store(true, Ordering::SeqCst);
            return self.inner.append(half);
        }
        if self.plan.is_due(Fault::ShortWrite) {
            return self.inner.append(half);
        }
        self.inner.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.plan.enter()?;
        if self.plan.is_due(Fault::NoSync) || (self.is_log && self.plan.is_due(Fault::NoLogSync)) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }
}

impl Faulty {
    fn file(&self, inner: Box<dyn Handle>, is_log: bool) -> Box<dyn Handle> {
        Box::new(FaultyFile { plan: Arc::clone(&self.0), inner, is_log })
    }
}

impl Fs for Faulty {
    fn resolve(&self, path: &Path) -> PathBuf {
        RealFs.resolve(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.0.enter()?;
        RealFs.open_read(path).map(|file| self.file(file, false))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.0.enter()?;
        RealFs.open_append(path).map(|file| self.file(file, true))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.0.enter()?;
        RealFs.create_new(path).map(|file| self.file(file, false))
    }

    fn exchange(&self, one: &Path, two: &Path) -> io::Result<()> {
        self.0.enter()?;
        if self.0.cannot_exchange { Err(ErrorKind::Unsupported.into()) } else { RealFs.exchange(one, two) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.enter()?;
        RealFs.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.enter()?;
        RealFs.link(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.0.enter()?;
        RealFs.unlink(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.0.enter()?;
        RealFs.list(folder)
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        self.0.enter()?;
        RealFs.identity(path)
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        self.0.enter()
    }

    fn mimic(&self, like: &Path, path: &Path) -> io::Result<()> {
        self.0.enter()?;
        RealFs.mimic(like, path)
    }
}
