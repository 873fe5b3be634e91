//! Part files: what dead runs left, what could not be appended, and the way from the old file to the new one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::site::join_parts;
use super::super::{Context as _, ROUNDS, if_there, unsettled, write_whole};
use super::LocalStore;
use crate::state::{Entry, State, StateError, StateWarning};

impl LocalStore {
    /// Writes results that could not be appended into a part file, which the next run merges.
    pub(super) fn rescue(&mut self, entries: &[Entry], error: StateError) -> StateError {
        let results: Vec<&Entry> = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Record(_) | Entry::Tombstone(_) | Entry::Done { .. } | Entry::Void { .. }))
            .collect();
        if results.is_empty() {
            return error;
        }
        let mut text = self.header().encode() + "\n";
        for entry in results {
            text.push_str(&entry.encode());
            text.push('\n');
        }
        match self.write_part(&text) {
            Ok(part) => error.saved_in(&part),
            Err(_) => error,
        }
    }

    fn next_nonce(&mut self) -> String {
        self.parts_made += 1;
        format!("{}-{}", self.nonce, self.parts_made)
    }

    fn next_part(&mut self) -> PathBuf {
        let nonce = self.next_nonce();
        self.site.part(&nonce)
    }

    /// A new part file with this text, durable with its name.
    pub(super) fn write_part(&mut self, text: &str) -> Result<PathBuf, StateError> {
        let part = self.next_part();
        let mut file = self.fs.create_new(&part).context("create", &part)?;
        let written = write_whole(&mut *file, text.as_bytes())
            .and_then(|()| if_there(self.fs.mimic(&self.site.path, &part)))
            .and_then(|_| file.sync())
            .and_then(|()| self.fs.sync_folder(&self.site.folder));
        if written.is_err() {
            self.discard(&part);
        }
        written.context("write", &part)?;
        Ok(part)
    }

    /// Removes a part whose content is elsewhere. If that fails, the next run merges it and tries again.
    pub(super) fn discard(&self, part: &Path) {
        drop(self.fs.unlink(part));
    }

    pub(super) fn sync_folder(&self) -> Result<(), StateError> {
        self.fs.sync_folder(&self.site.folder).context("sync", &self.site.folder)
    }

    /// What all parts say, as of a moment at which the open file is the state file. An intent of ours that is durable
    /// before is seen by every other run that does the same after us.
    pub(super) fn collect(&mut self) -> Result<State, StateError> {
        for _ in 0..ROUNDS {
            let parts = self.site.parts(&*self.fs)?;
            let identity = self.log()?.identity();
            let Some(read) = self.site.read_parts(&*self.fs, &parts, Some(identity))? else { continue };
            self.log_mut()?.refresh()?;
            if !self.is_current()? {
                self.reopen()?;
                continue;
            }
            if !parts.is_empty() && self.site.parts(&*self.fs)? != parts {
                continue;
            }
            let mut state = State::empty();
            state.absorb(&self.header());
            join_parts(&mut state, &read, &mut Vec::new())?;
            return Ok(state);
        }
        Err(unsettled(&self.site.path))
    }

    /// Merges what other runs left behind. Each part is renamed first: whoever succeeds has it for himself. Taking one
    /// from a run that is alive does no harm, it finds its part gone and goes on.
    pub(super) fn adopt(&mut self) -> Result<(), StateError> {
        for part in self.site.parts(&*self.fs)? {
            let taken = self.next_part();
            if if_there(self.fs.rename(&part, &taken)).context("take over", &part)?.is_some() {
                self.absorb(&taken)?;
            }
        }
        Ok(())
    }

    /// Brings over what a part has and the state file lacks, and removes the part. Its name must be ours alone, and
    /// it must not be the state file any more: what is appended to it from now on is repeated by its author.
    fn absorb(&mut self, part: &Path) -> Result<(), StateError> {
        let Some(file) = if_there(self.fs.open_read(part)).context("read", part)? else { return Ok(()) };
        let bytes = file.read_from(0).context("read", part)?;
        let (theirs, is_whole) = match State::from_part(&part.display().to_string(), &bytes) {
            Ok((state, odd)) => (state, odd.is_empty()),
            Err(StateError::Lineage { .. }) => (State::empty(), false),
            Err(error) => return Err(error),
        };
        if let Some((major, minor)) = theirs.newer_format() {
            return Err(StateError::Newer { name: part.display().to_string(), major, minor });
        }
        let is_ours = theirs.lineage().is_none_or(|lineage| lineage == self.lineage);
        if is_ours {
            self.settle()?;
            let missing = theirs.missing_in(self.log()?.view());
            // Even if nothing is missing: somebody may have written it a moment ago and not have synced it.
            self.put(&missing)?;
        }
        self.sync_folder()?;
        if is_ours && is_whole {
            return if_there(self.fs.unlink(part)).context("remove", part).map(|_| ());
        }
        let nonce = self.next_nonce();
        let aside = self.site.aside(&nonce);
        if_there(self.fs.rename(part, &aside)).context("set aside", part)?;
        let name = aside.display().to_string();
        self.warnings.push(if is_ours {
            StateWarning::DamagedPart { name, line: 1, why: "some of its lines cannot be read".to_owned() }
        } else {
            StateWarning::ForeignPart { name }
        });
        Ok(())
    }

    /// Folds the journal into the sorted part, if that works. Everything is durable without it.
    pub(super) fn tidy(&mut self) {
        if let Err(error) = self.compact() {
            let warning = StateWarning::NotTidied { why: error.to_string() };
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    fn compact(&mut self) -> Result<(), StateError> {
        self.settle()?;
        let text = self.log()?.view().render();
        let part = self.write_part(&text)?;
        if !self.is_current()? {
            self.discard(&part);
            return Ok(());
        }
        if let Err(error) = self.fs.exchange(&part, &self.site.path) {
            return match error.kind() {
                ErrorKind::Unsupported => self.take_away(&part),
                // Somebody took the part, or the file is away for a moment. Nothing was exchanged.
                ErrorKind::NotFound => {
                    self.discard(&part);
                    Ok(())
                }
                // Perhaps it was exchanged after all; then the part is what holds everything. It stays.
                _ => Err(StateError::io("exchange", &self.site.path, &error)),
            };
        }
        self.sync_folder()?;
        self.reopen()?;
        self.absorb(&part)
    }

    /// The same where two names cannot be swapped: the old file goes aside, the new one takes its name if nobody else
    /// made a file there meanwhile, and both are merged into whatever has the name then.
    fn take_away(&mut self, part: &Path) -> Result<(), StateError> {
        let old = self.next_part();
        if if_there(self.fs.rename(&self.site.path, &old)).context("move", &self.site.path)?.is_none() {
            self.discard(part);
            return Ok(());
        }
        // Whatever comes of this: if there is no file then, reopening makes one.
        drop(self.fs.link(part, &self.site.path));
        self.sync_folder()?;
        self.reopen()?;
        self.absorb(&old)?;
        self.absorb(part)
    }
}
