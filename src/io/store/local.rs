//! The protocol on a local file. Here is *append and check*; *exchange and merge* and *take and merge* are in `parts`.

mod parts;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use super::fs::Fs;
use super::log::Log;
use super::site::{Joined, Site};
use super::{ROUNDS, unsettled};
use crate::state::{Claim, Entry, Header, Heads, Intent, MAJOR, MINOR, State, StateError, StateWarning, decide};

/// A journal longer than this, and than twice the sorted part, is tidied while the run goes on.
const LONG_TAIL: usize = 4096;

/// A state in a local file, as one run sees it.
#[derive(Debug)]
pub struct LocalStore {
    fs: Arc<dyn Fs>,
    site: Site,
    run: String,
    lineage: String,
    /// Was the lineage read from something durable? Before that another first run may still decide it.
    is_settled: bool,
    nonce: String,
    parts_made: u64,
    /// The open file; none before the first append.
    log: Option<Log>,
    /// Why nothing is written any more.
    poison: Option<StateError>,
    /// What this run had acknowledged.
    mine: State,
    is_dirty: bool,
    warnings: Vec<StateWarning>,
    syncs: u64,
    bytes: u64,
}

impl LocalStore {
    /// Reads the state and gets ready to write it. Creates and changes nothing yet.
    ///
    /// `lineage_for_new` becomes the lineage if there is no state; `run` is the unique name of this run, which its
    /// intents carry.
    ///
    /// # Errors
    /// The file cannot be read, is damaged or was written by a newer major version.
    pub fn open(
        path: &Path,
        fs: Arc<dyn Fs>,
        lineage_for_new: String,
        run: String,
    ) -> Result<(Self, State, Vec<StateWarning>), StateError> {
        let site = Site::new(&*fs, path);
        let Joined { state, warnings } = site.read(&*fs)?;
        let nonce = getrandom::u64().map_err(|error| StateError::io("get randomness for", path, &error))?;
        let known = state.lineage().map(str::to_owned);
        let store = Self {
            fs,
            site,
            run,
            is_settled: known.is_some(),
            lineage: known.unwrap_or(lineage_for_new),
            nonce: format!("{}-{nonce:016x}", rustix::process::getpid().as_raw_nonzero()),
            parts_made: 0,
            log: None,
            poison: None,
            mine: State::empty(),
            is_dirty: false,
            warnings: Vec::new(),
            syncs: 0,
            bytes: 0,
        };
        Ok((store, state, warnings))
    }

    /// The same with names for its part files that do not hang on chance, so that a test can be repeated.
    #[cfg(test)]
    pub(super) fn with_nonce(self, nonce: &str) -> Self {
        Self { nonce: nonce.to_owned(), ..self }
    }

    /// Reads the state and never creates or changes anything. A file that is not there is an empty state.
    ///
    /// # Errors
    /// As [`LocalStore::open`].
    pub fn read_only(path: &Path, fs: &dyn Fs) -> Result<(State, Vec<StateWarning>), StateError> {
        let Joined { state, warnings } = Site::new(fs, path).read(fs)?;
        Ok((state, warnings))
    }

    /// The name of this run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The lineage of the state. Final once [`LocalStore::begin`] returned, or if there was a state at opening.
    #[must_use]
    pub fn lineage(&self) -> &str {
        &self.lineage
    }

    /// How often the state file was synced.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// How many bytes were appended to it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gets the file ready for appends: makes it if it is not there and merges what dead runs left beside it. Gives
    /// the lineage, which fingerprints must be made with; where two first runs meet it may be the other one's.
    ///
    /// The first append does this too, but then another lineage than at opening is an error.
    ///
    /// # Errors
    /// The file cannot be made or written, or a newer version made it.
    pub fn begin(&mut self) -> Result<&str, StateError> {
        if self.log.is_none() {
            self.reopen()?;
            // Another process may have made the name and not have got to this yet.
            self.sync_folder()?;
            if let Err(error) = self.adopt() {
                self.log = None;
                return Err(error);
            }
        }
        Ok(&self.lineage)
    }

    /// Makes entries durable. Once this returns, every later reader sees them.
    ///
    /// # Errors
    /// Then nobody may rely on them, except that results (everything but intents) may be safe elsewhere:
    /// [`StateError::saved`]. After a failed sync all further appends fail.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StateError> {
        if entries.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.ready().and_then(|()| self.put(entries)) {
            return Err(self.rescue(entries, error));
        }
        for entry in entries {
            self.mine.absorb(entry);
        }
        self.is_dirty = true;
        if self.log.as_ref().is_some_and(|log| log.tail() > LONG_TAIL.max(2 * log.view().len())) {
            self.tidy();
        }
        Ok(())
    }

    /// Announces requests: makes their intents durable and decides which of them may be sent. One answer per intent,
    /// in their order. Intents that lost are void already.
    ///
    /// # Errors
    /// As [`LocalStore::append`]; then nothing may be sent.
    pub fn announce(&mut self, intents: &[Intent]) -> Result<Vec<Claim>, StateError> {
        let entries: Vec<Entry> = intents.iter().cloned().map(Entry::Intent).collect();
        self.append(&entries)?;
        self.claim(intents)
    }

    /// The second half of [`LocalStore::announce`], for intents that were appended already.
    ///
    /// # Errors
    /// As [`LocalStore::append`]; then nothing may be sent.
    pub fn claim(&mut self, intents: &[Intent]) -> Result<Vec<Claim>, StateError> {
        if intents.is_empty() {
            return Ok(Vec::new());
        }
        let parts = self.collect()?;
        let log = self.log()?;
        let heads = Heads { file: log.view(), places: log.places(), parts: &parts };
        let claims: Vec<Claim> = intents.iter().map(|intent| decide(intent, &heads)).collect();
        let mut lost = Vec::new();
        for (intent, claim) in intents.iter().zip(&claims) {
            let why = match claim {
                Claim::Won => continue,
                Claim::Taken(other) => format!("yielded to {}", other.run),
                Claim::Moved { rev } => format!("the address is at revision {rev}"),
            };
            lost.push(Entry::Void { op: intent.op.clone(), why });
        }
        self.append(&lost)?;
        Ok(claims)
    }

    /// Ends the run: checks once more that everything of it is there and folds the journal into the sorted part. A run
    /// that appended nothing changes nothing. Gives the state as it is now.
    ///
    /// # Errors
    /// As [`LocalStore::append`]. That the journal could not be folded is only a warning.
    pub fn finish(&mut self) -> Result<(State, Vec<StateWarning>), StateError> {
        if !self.is_dirty {
            let Joined { state, warnings } = self.site.read(&*self.fs)?;
            return Ok((state, warnings));
        }
        if let Some(error) = &self.poison {
            return Err(error.clone());
        }
        // Somebody may have put an older file in the place of ours, as a checkout does.
        self.settle()?;
        let missing = self.mine.missing_in(self.log()?.view());
        if !missing.is_empty() {
            self.put(&missing)?;
        }
        self.tidy();
        Ok((self.log()?.view().clone(), std::mem::take(&mut self.warnings)))
    }

    fn ready(&mut self) -> Result<(), StateError> {
        if let Some(error) = &self.poison {
            return Err(error.clone());
        }
        let expected = self.lineage.clone();
        let found = self.begin()?.to_owned();
        if found == expected {
            return Ok(());
        }
        // What the caller made with the lineage that we told him, fingerprints above all, would be wrong here.
        let error = StateError::Lineage { name: self.site.label(), found, expected };
        self.poison = Some(error.clone());
        Err(error)
    }

    fn put(&mut self, entries: &[Entry]) -> Result<(), StateError> {
        if let Some(error) = &self.poison {
            return Err(error.clone());
        }
        for _ in 0..ROUNDS {
            let log = self.log.as_mut().ok_or(StateError::Stopped)?;
            log.refresh()?;
            let missing: Vec<&Entry> = entries.iter().filter(|entry| !log.view().holds(entry)).collect();
            if !missing.is_empty() {
                self.bytes += log.write(&missing)? as u64;
            }
            self.sync()?;
            self.log_mut()?.refresh()?;
            // A short write, or somebody's fragment in front of ours: once more, for what is not whole.
            if !self.holds(entries)? {
                continue;
            }
            if self.is_current()? {
                return Ok(());
            }
            // The file was exchanged. Whoever did it may have brought our entries over already.
            self.reopen()?;
            if self.holds(entries)? && self.is_current()? {
                return Ok(());
            }
        }
        Err(unsettled(&self.site.path))
    }

    fn sync(&mut self) -> Result<(), StateError> {
        if let Err(error) = self.log()?.sync() {
            self.poison = Some(error.clone());
            return Err(error);
        }
        self.syncs += 1;
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), StateError> {
        for _ in 0..ROUNDS {
            match Log::open(&*self.fs, &self.site)? {
                Some(log) => return self.enter(log),
                None => self.create()?,
            }
        }
        Err(unsettled(&self.site.path))
    }

    fn enter(&mut self, log: Log) -> Result<(), StateError> {
        if let Some((major, minor)) = log.view().newer_format() {
            return Err(StateError::Newer { name: self.site.label(), major, minor });
        }
        let found = log.view().lineage().unwrap_or_default().to_owned();
        if found != self.lineage && self.is_settled {
            return Err(StateError::Lineage { name: self.site.label(), found, expected: self.lineage.clone() });
        }
        self.lineage = found;
        self.is_settled = true;
        self.log = Some(log);
        Ok(())
    }

    /// Makes the file. It appears with its header in it, or not at all.
    fn create(&mut self) -> Result<(), StateError> {
        if !self.is_settled {
            // The file may only be away for a moment, while somebody tidies; then its parts know the lineage.
            if let Some(lineage) = self.site.read(&*self.fs)?.state.lineage() {
                self.lineage = lineage.to_owned();
            }
        }
        let header = self.header().encode() + "\n";
        let part = self.write_part(&header)?;
        let linked = self.fs.link(&part, &self.site.path);
        self.sync_folder()?;
        self.discard(&part);
        match linked {
            // Somebody else was first, or took the part for a dead run's. The next look tells.
            Err(error) if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
                Err(StateError::io("create", &self.site.path, &error))
            }
            _ => Ok(()),
        }
    }

    fn header(&self) -> Entry {
        let lineage = self.lineage.clone();
        Entry::Header(Header { major: MAJOR, minor: MINOR, lineage, extra: serde_json::Map::new() })
    }

    fn log(&self) -> Result<&Log, StateError> {
        self.log.as_ref().ok_or(StateError::Stopped)
    }

    fn log_mut(&mut self) -> Result<&mut Log, StateError> {
        self.log.as_mut().ok_or(StateError::Stopped)
    }

    fn holds(&self, entries: &[Entry]) -> Result<bool, StateError> {
        let view = self.log()?.view();
        Ok(entries.iter().all(|entry| view.holds(entry)))
    }

    fn is_current(&self) -> Result<bool, StateError> {
        self.log()?.is_current(&*self.fs)
    }

    /// Reads on until what was read is the file that the path names.
    fn settle(&mut self) -> Result<(), StateError> {
        for _ in 0..ROUNDS {
            self.log_mut()?.refresh()?;
            if self.is_current()? {
                return Ok(());
            }
            self.reopen()?;
        }
        Err(unsettled(&self.site.path))
    }
}
