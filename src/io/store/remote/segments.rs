//! The protocol for object storage: a base, numbered segments, a seal, and one more look.
//!
//! ```text
//! load    base; segments from 1 until one is not there or is a seal; is the base still the same? else again
//! put     the next segment, if its name is free; else look who has it, and take the one after it
//!         is the base still the same? then it is durable; else load: it is there, or again
//! tidy    a seal, in the same way; then the next base, if the base is still the same; then sweep
//! ```
//!
//! Why nothing is lost: a segment is written behind everything that its author has read, and that had no seal in it.
//! If the base is unchanged after the write, then no base was made of this log before the write, so whoever makes one
//! reads up to a seal, which stands behind the segment. If the base was changed, the slot may have been swept and free
//! again, and only the new base tells whether the segment was in time.
//!
//! Without the look afterwards, a writer that was held up writes into a swept log and believes that it is heard.
//! Without the seal, a segment that comes between the reading and the writing of a base is in neither. Tests let both
//! happen and see that it is noticed.
//!
//! Everybody who finds a seal makes the next base, so a run that dies after sealing stops nobody. Its content is made
//! of the sealed log alone; of all who try, one is not refused, and it is no matter who.

use std::collections::BTreeSet;
use std::pin::pin;

use futures_util::stream::{self, StreamExt as _};

use super::bucket::{Bucket, Condition, Put, Trouble, Version};
use super::content::{self, BASE, Segment, plain, slot, slot_of};
use super::ledger::Ledger;
use super::link::Link;
use super::patience::Attempts;
use super::selftest;
use crate::io::clock;
use crate::state::{Entry, Header, StateError};

/// So many segments are read, or swept, at a time.
const AT_ONCE: usize = 8;

/// A log longer than this is folded. Reading it costs a request for each segment, folding it an upload of everything.
const LONG_LOG: u64 = 16;

/// What the broken variants lack, which tests must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    NoLookAfterwards,
    NoSeal,
}

/// Where a run stands in the log.
#[derive(Clone, Debug)]
struct At {
    /// The base's version.
    version: Version,
    /// The base's header, without what the protocol added.
    header: Header,
    epoch: u64,
    /// The last segment that was read.
    seq: u64,
    /// The stores that passed the self-test, as the base says.
    tested: BTreeSet<String>,
    seal: Option<Seal>,
}

/// The end of a log.
#[derive(Clone, Debug)]
struct Seal {
    batch: String,
    tested: BTreeSet<String>,
}

/// Whose segment has the next number.
enum Slot {
    /// The one that was to be written.
    Ours,
    /// Another one. It was read, and counts.
    Theirs,
    /// Nobody's, and why it is not ours.
    Free(String),
}

/// A state in object storage, as one run sees it.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) link: Link,
    ledger: Ledger,
    /// None before the first look, and where there is no base.
    at: Option<At>,
    /// The lineage to make a base with, if there is none: that of the last one, or else the caller's.
    lineage: String,
    #[cfg(test)]
    flaw: Option<Flaw>,
}

impl Segments {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            ledger: Ledger::default(),
            at: None,
            lineage: String::new(),
            #[cfg(test)]
            flaw: None,
        }
    }

    #[cfg(test)]
    pub(super) fn with(mut self, flaw: Option<Flaw>) -> Self {
        self.flaw = flaw;
        self
    }

    #[cfg(test)]
    fn lacks(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    #[cfg(not(test))]
    fn lacks(&self, _: Flaw) -> bool {
        false
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Reads everything that is durable, as of one moment. Writes nothing.
    pub(super) async fn load(&mut self) -> Result<(), StateError> {
        let mut attempts = self.link.begin();
        loop {
            match self.look().await {
                Ok(true) => return Ok(()),
                Ok(false) => attempts.lost("read").await?,
                Err(trouble) => attempts.failed("read", trouble).await?,
            }
        }
    }

    /// Gets the place ready for writes: tries the store if nobody has, and makes a base if there is none.
    pub(super) async fn begin(&mut self, lineage: &str) -> Result<(), StateError> {
        lineage.clone_into(&mut self.lineage);
        self.load().await?;
        self.ledger.check_format(self.link.place())?;
        let tested = self.at.as_ref().map(|at| at.tested.clone()).unwrap_or_default();
        self.link.test(&tested).await?;
        self.ready().await?;
        // Left by runs that did not come to their end.
        if self.at.as_ref().is_some_and(|at| at.seq > LONG_LOG) { self.tidy().await } else { Ok(()) }
    }

    /// Makes entries durable.
    pub(super) async fn put(&mut self, entries: &[Entry]) -> Result<(), StateError> {
        let batch = self.link.batch();
        let mut attempts = self.link.begin();
        loop {
            self.ready().await?;
            let missing = self.ledger.missing(entries);
            if missing.is_empty() {
                return Ok(());
            }
            let Some(at) = &self.at else {
                // Somebody removed the base a moment ago. Another one is made.
                attempts.lost("write").await?;
                continue;
            };
            let body = content::segment(&at.header.lineage, at.epoch, at.seq + 1, &batch, &missing);
            self.ledger.offer(&missing);
            match self.fill(&batch, body).await {
                Ok(Slot::Ours) => {
                    if self.lacks(Flaw::NoLookAfterwards) || self.is_open(&mut attempts).await? {
                        missing.iter().for_each(|entry| self.ledger.absorb(entry));
                        self.advance(None);
                        self.link.writes += 1;
                        return Ok(());
                    }
                    // The log was folded, with this segment or without it.
                    self.load().await?;
                    attempts.lost("write").await?;
                }
                Ok(Slot::Theirs) => attempts.lost("write").await?,
                Ok(Slot::Free(why)) => self.go_on(why, &mut attempts).await?,
                Err(trouble) => attempts.failed("write", trouble).await?,
            }
        }
    }

    /// Is it worth an upload of everything to have a short log?
    pub(super) fn wants_tidying(&self) -> bool {
        self.at.as_ref().is_some_and(|at| at.seq > LONG_LOG || !self.link.is_marked(&at.tested))
    }

    /// Folds the log into the base, and removes what is left of older ones. Everything is durable without it.
    pub(super) async fn tidy(&mut self) -> Result<(), StateError> {
        self.ready().await?;
        self.seal().await?;
        self.fold().await?;
        self.sweep().await;
        Ok(())
    }

    /// One look at everything; `false` if the base was exchanged meanwhile. Changes what is known only if it succeeds:
    /// a base is made of what is known, and must not be made of half of it.
    async fn look(&mut self) -> Result<bool, Trouble> {
        let mut ledger = self.ledger.start_over();
        let Some(object) = self.link.bucket.get(BASE).await? else {
            // An empty place and one that does not exist look alike, until one asks for the list.
            self.link.bucket.names().await?;
            ledger.settle();
            (self.ledger, self.at) = (ledger, None);
            return Ok(true);
        };
        let base = content::read_base(&self.label(BASE), &object.bytes)?;
        ledger.absorb(&Entry::Header(base.header.clone()));
        base.entries.iter().for_each(|entry| ledger.absorb(entry));
        let (version, header) = (object.version, base.header);
        let mut at = At { version, header, epoch: base.epoch, seq: 0, tested: base.tested, seal: None };
        let names = self.link.bucket.names().await?.unwrap_or_default();
        let slots = names.iter().filter_map(|name| slot_of(name)).filter(|(epoch, _)| *epoch == at.epoch);
        let listed = slots.map(|(_, seq)| seq).max().unwrap_or(0);
        self.read_log(&mut at, &mut ledger, listed).await?;
        if self.link.bucket.version(BASE).await?.as_ref() != Some(&at.version) {
            return Ok(false);
        }
        if at.seal.is_none() && at.seq < listed {
            // The base is the same, so nobody swept. Somebody's hand did it.
            let name = self.label(&slot(at.epoch, at.seq + 1));
            return Err(super::failed("read", &name, "it is gone, and later ones are there").into());
        }
        ledger.settle();
        self.lineage.clone_from(&at.header.lineage);
        (self.ledger, self.at) = (ledger, Some(at));
        Ok(true)
    }

    /// Reads the log up to its end. The list says where that was a moment ago, so that most of it is read at once.
    async fn read_log(&self, at: &mut At, ledger: &mut Ledger, listed: u64) -> Result<(), Trouble> {
        let (bucket, epoch): (&dyn Bucket, u64) = (&*self.link.bucket, at.epoch);
        let get = |seq| {
            let name = slot(epoch, seq);
            async move { bucket.get(&name).await }
        };
        let mut segments = pin!(stream::iter(1..=listed).map(get).buffered(AT_ONCE));
        while let Some(object) = segments.next().await {
            let Some(object) = object? else { return Ok(()) };
            self.take(self.read(at, &object.bytes)?, at, ledger)?;
            if at.seal.is_some() {
                return Ok(());
            }
        }
        while at.seal.is_none() {
            let Some(object) = bucket.get(&slot(epoch, at.seq + 1)).await? else { return Ok(()) };
            self.take(self.read(at, &object.bytes)?, at, ledger)?;
        }
        Ok(())
    }

    fn read(&self, at: &At, bytes: &[u8]) -> Result<Segment, StateError> {
        content::read_segment(&self.label(&slot(at.epoch, at.seq + 1)), bytes)
    }

    /// The next segment of a log was read.
    fn take(&self, segment: Segment, at: &mut At, ledger: &mut Ledger) -> Result<(), StateError> {
        let name = || self.label(&slot(at.epoch, at.seq + 1));
        if segment.header.lineage != at.header.lineage {
            let expected = at.header.lineage.clone();
            return Err(StateError::Lineage { name: name(), found: segment.header.lineage, expected });
        }
        if (segment.epoch, segment.seq) != (at.epoch, at.seq + 1) {
            return Err(super::failed("read", &name(), "it was made for another place"));
        }
        at.seq += 1;
        at.seal = segment.seal.map(|tested| Seal { batch: segment.batch, tested });
        ledger.absorb(&Entry::Header(segment.header));
        segment.entries.iter().for_each(|entry| ledger.absorb(entry));
        Ok(())
    }

    /// Sees to it that there is a base, and that its log may be written.
    async fn ready(&mut self) -> Result<(), StateError> {
        self.ledger.check_format(self.link.place())?;
        if self.at.is_none() {
            self.create().await?;
        }
        self.fold().await
    }

    /// Makes the first base. Epochs begin with the clock, so that what is left of a state that somebody removed is of
    /// an earlier epoch than its successor, and is swept.
    async fn create(&mut self) -> Result<(), StateError> {
        let mut attempts = self.link.begin();
        let epoch = u64::try_from(clock::now().as_second()).unwrap_or(1);
        loop {
            let tested = self.link.marked(&BTreeSet::new());
            let batch = self.link.batch();
            let body = content::base(&plain(&self.lineage), epoch, &batch, &tested, &crate::state::State::empty());
            let answer = self.link.bucket.put(BASE, body, Condition::Absent).await;
            // Done, refused or unclear: what is there now is what counts.
            let trouble = unless_final(answer, "there is still none").map_err(|t| t.into_error("create", self.link.place()))?;
            self.load().await?;
            if self.at.is_some() {
                return self.ledger.check_format(self.link.place());
            }
            attempts.failed("create", trouble).await?;
        }
    }

    /// Writes a segment under the next number. Where the answer does not say whose it is now, looks.
    async fn fill(&mut self, batch: &str, body: Vec<u8>) -> Result<Slot, Trouble> {
        let Some(mut at) = self.at.clone() else { return Ok(Slot::Free("there is no base".to_owned())) };
        let name = slot(at.epoch, at.seq + 1);
        self.link.bytes += body.len() as u64;
        let why = match self.link.bucket.put(&name, body, Condition::Absent).await {
            Ok(Put::Done(_)) => return Ok(Slot::Ours),
            Ok(Put::Refused) => "it was refused, and nothing is there".to_owned(),
            Err(Trouble::Unclear(why)) => why,
            Err(trouble) => return Err(trouble),
        };
        let Some(object) = self.link.bucket.get(&name).await? else { return Ok(Slot::Free(why)) };
        let segment = self.read(&at, &object.bytes)?;
        if segment.batch == batch {
            return Ok(Slot::Ours);
        }
        let mut ledger = std::mem::take(&mut self.ledger);
        let taken = self.take(segment, &mut at, &mut ledger);
        (self.ledger, self.at) = (ledger, Some(at));
        taken?;
        Ok(Slot::Theirs)
    }

    /// The next number was ours.
    fn advance(&mut self, seal: Option<Seal>) {
        if let Some(at) = &mut self.at {
            at.seq += 1;
            at.seal = seal;
        }
    }

    /// Is the epoch that was read still the one of the base?
    async fn is_open(&self, attempts: &mut Attempts) -> Result<bool, StateError> {
        loop {
            match self.link.bucket.version(BASE).await {
                Ok(version) => return Ok(version.is_some() && version.as_ref() == self.at.as_ref().map(|at| &at.version)),
                Err(trouble) => attempts.failed("check", trouble).await?,
            }
        }
    }

    /// The number is still free: because the log was folded and swept, or because the write did not happen.
    async fn go_on(&mut self, why: String, attempts: &mut Attempts) -> Result<(), StateError> {
        if self.is_open(attempts).await? {
            return attempts.failed("write", Trouble::Unclear(why)).await;
        }
        self.load().await?;
        attempts.lost("write").await
    }

    /// Ends the log, unless somebody else did or a new one was begun.
    async fn seal(&mut self) -> Result<(), StateError> {
        let batch = self.link.batch();
        let mut attempts = self.link.begin();
        let epoch = self.at.as_ref().map(|at| at.epoch);
        loop {
            let Some(at) = self.at.as_ref().filter(|at| Some(at.epoch) == epoch && at.seal.is_none()) else { return Ok(()) };
            let tested = self.link.marked(&at.tested);
            if self.lacks(Flaw::NoSeal) {
                self.advance(Some(Seal { batch, tested }));
                return Ok(());
            }
            let body = content::seal(&at.header.lineage, at.epoch, at.seq + 1, &batch, &tested);
            match self.fill(&batch, body).await {
                Ok(Slot::Ours) => self.advance(Some(Seal { batch: batch.clone(), tested })),
                Ok(Slot::Theirs) => attempts.lost("write").await?,
                Ok(Slot::Free(why)) => self.go_on(why, &mut attempts).await?,
                Err(trouble) => attempts.failed("write", trouble).await?,
            }
        }
    }

    /// Makes the next base of a sealed log, until somebody has made it.
    async fn fold(&mut self) -> Result<(), StateError> {
        let mut attempts = self.link.begin();
        while let Some((epoch, body)) = self.next_base() {
            let Some(version) = self.at.as_ref().map(|at| at.version.clone()) else { return Ok(()) };
            self.ledger.check_format(self.link.place())?;
            self.link.bytes += body.len() as u64;
            let answer = self.link.bucket.put(BASE, body, Condition::Is(version)).await;
            let trouble = unless_final(answer, "it stays as it was").map_err(|t| t.into_error("write", self.link.place()))?;
            self.load().await?;
            match self.at.as_ref().map(|at| at.epoch) {
                Some(now) if now == epoch => attempts.failed("write", trouble).await?,
                // It was made, by whomever. Its log may be sealed again by now.
                _ => attempts.lost("write").await?,
            }
        }
        Ok(())
    }

    /// The epoch of a sealed log and the base that follows it.
    fn next_base(&self) -> Option<(u64, Vec<u8>)> {
        let at = self.at.as_ref()?;
        let seal = at.seal.as_ref()?;
        let body = content::base(&at.header, at.epoch + 1, &seal.batch, &seal.tested, self.ledger.state());
        Some((at.epoch, body))
    }

    /// Removes the logs of earlier epochs, and what self-tests left behind long ago. If that fails, the next one does it.
    async fn sweep(&self) {
        let (bucket, Some(at)): (&dyn Bucket, _) = (&*self.link.bucket, &self.at) else { return };
        let Ok(Some(names)) = bucket.names().await else { return };
        let now = clock::now().as_second();
        let is_old = |name: &str| match slot_of(name) {
            Some((epoch, _)) => epoch < at.epoch,
            None => selftest::is_left_over(name, now),
        };
        let old = names.iter().filter(|name| is_old(name));
        stream::iter(old)
            .for_each_concurrent(AT_ONCE, |name| async move {
                drop(bucket.remove(name).await);
            })
            .await;
    }

    fn label(&self, name: &str) -> String {
        format!("{}/{name}", self.link.place())
    }
}

/// What to say if the next look shows that a write did not happen; an error if it never will.
fn unless_final(answer: Result<Put, Trouble>, refused: &str) -> Result<Trouble, Trouble> {
    match answer {
        Ok(_) => Ok(Trouble::Unclear(refused.to_owned())),
        Err(trouble @ Trouble::Unclear(_)) => Ok(trouble),
        Err(trouble) => Err(trouble),
    }
}
