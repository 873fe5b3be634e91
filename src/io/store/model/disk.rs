//! A disk: what a system sees of it, and what of that is there after a power cut.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file. It only grows, as all files of the store do.
#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// So many of its bytes were synced.
    durable: usize,
}

/// A change of names that no sync of the folder has made durable.
#[derive(Clone, Debug)]
enum Change {
    Set(PathBuf, u64),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, u64),
    Exchange((PathBuf, u64), (PathBuf, u64)),
}

/// A folder of files.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: BTreeMap<u64, File>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    changes: Vec<Change>,
    next: u64,
}

/// What a power cut does to what was not synced: chance, given from outside so that it can be repeated.
pub(super) trait Chance {
    /// A number below `below`.
    fn pick(&mut self, below: usize) -> usize;
}

impl Disk {
    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn names(&self) -> Vec<PathBuf> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        if self.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.next += 1;
        self.files.insert(self.next, File::default());
        self.names.insert(path.to_owned(), self.next);
        self.changes.push(Change::Set(path.to_owned(), self.next));
        Ok(self.next)
    }

    pub(super) fn bytes(&self, file: u64) -> &[u8] {
        self.files.get(&file).map_or(&[], |file| &file.bytes)
    }

    pub(super) fn append(&mut self, file: u64, bytes: &[u8]) {
        if let Some(file) = self.files.get_mut(&file) {
            file.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn sync(&mut self, file: u64) {
        if let Some(file) = self.files.get_mut(&file) {
            file.durable = file.bytes.len();
        }
    }

    pub(super) fn sync_names(&mut self) {
        self.durable_names = self.names.clone();
        self.changes.clear();
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.find(from)?;
        if self.names.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.change(Change::Set(to.to_owned(), file));
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.find(from)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    pub(super) fn exchange(&mut self, one: &Path, two: &Path) -> io::Result<()> {
        let (a, b) = (self.find(one)?, self.find(two)?);
        self.change(Change::Exchange((one.to_owned(), b), (two.to_owned(), a)));
        Ok(())
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.changes.push(change);
    }

    /// The power fails: of the changes of names that were not synced an arbitrary part survives, of bytes that were not
    /// synced the beginning, and in its place there may be zeroes.
    pub(super) fn cut(&mut self, chance: &mut dyn Chance) {
        let mut names = std::mem::take(&mut self.durable_names);
        // Most file systems keep the order of changes, and some do not.
        let in_order = chance.pick(2) == 0;
        let until = chance.pick(self.changes.len() + 1);
        for (n, change) in self.changes.drain(..).enumerate() {
            let survives = if in_order { n < until } else { chance.pick(2) == 0 };
            if survives {
                apply(&mut names, &change);
            }
        }
        for file in self.files.values_mut() {
            let loose = file.bytes.len() - file.durable;
            let kept = file.durable + chance.pick(loose + 1);
            let zeroed = chance.pick(4) == 0;
            file.bytes.truncate(kept);
            if zeroed {
                file.bytes[file.durable..].fill(0);
            }
            file.durable = file.bytes.len();
        }
        self.names = names.clone();
        self.durable_names = names;
    }
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, change: &Change) {
    match change {
        Change::Set(path, file) => drop(names.insert(path.clone(), *file)),
        Change::Remove(path) => drop(names.remove(path)),
        Change::Rename(from, to, file) => {
            names.remove(from);
            names.insert(to.clone(), *file);
        }
        Change::Exchange((one, a), (two, b)) => {
            names.insert(one.clone(), *a);
            names.insert(two.clone(), *b);
        }
    }
}
