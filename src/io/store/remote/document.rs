//! The protocol for plain HTTP: one document, read and written whole.
//!
//! ```text
//! load    the document and its tag
//! put     the document with the entries in it, if it still has that tag; refused or unclear: load, and what is missing again
//! ```
//!
//! A document is its own base, so there is nothing to fold and nothing to seal. It is written once for a group of
//! entries, and whoever was slower reads it again: right for a team, wrong for a crowd. It costs the size of the whole
//! state for each group, which object storage does not.

use std::collections::BTreeSet;

use super::bucket::{Condition, Put, Trouble, Version};
use super::content::{self, plain};
use super::ledger::Ledger;
use super::link::Link;
use crate::state::{Entry, Header, StateError};

/// The document has no name beside its address.
const NAME: &str = "";

/// What was read.
#[derive(Clone, Debug)]
struct At {
    version: Version,
    /// The header, without what the protocol added.
    header: Header,
    serial: u64,
    /// The servers that passed the self-test, as the document says.
    tested: BTreeSet<String>,
}

/// A state in one document, as one run sees it.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) link: Link,
    ledger: Ledger,
    /// None before the first look, and where there is no document.
    at: Option<At>,
    /// The lineage to make a document with, if there is none: that of the last one, or else the caller's.
    lineage: String,
}

impl Document {
    pub(super) fn new(link: Link) -> Self {
        Self { link, ledger: Ledger::default(), at: None, lineage: String::new() }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Reads the document. Writes nothing.
    pub(super) async fn load(&mut self) -> Result<(), StateError> {
        let mut attempts = self.link.begin();
        loop {
            match self.look().await {
                Ok(()) => return Ok(()),
                Err(trouble) => attempts.failed("read", trouble).await?,
            }
        }
    }

    /// Gets the place ready for writes: tries the server if nobody has, and makes a document if there is none.
    pub(super) async fn begin(&mut self, lineage: &str) -> Result<(), StateError> {
        lineage.clone_into(&mut self.lineage);
        self.load().await?;
        self.ledger.check_format(self.link.place())?;
        let tested = self.at.as_ref().map(|at| at.tested.clone()).unwrap_or_default();
        self.link.test(&tested).await?;
        self.put(&[]).await
    }

    /// Makes entries durable.
    pub(super) async fn put(&mut self, entries: &[Entry]) -> Result<(), StateError> {
        let mut attempts = self.link.begin();
        loop {
            self.ledger.check_format(self.link.place())?;
            let missing = self.ledger.missing(entries);
            if missing.is_empty() && self.at.is_some() {
                return Ok(());
            }
            self.ledger.offer(&missing);
            let (condition, next, body) = self.compose(&missing);
            self.link.bytes += body.len() as u64;
            match self.link.bucket.put(NAME, body, condition).await {
                Ok(Put::Done(version)) => return self.written(&missing, version, next).await,
                Ok(Put::Refused) => {
                    self.load().await?;
                    if self.at.is_some() {
                        attempts.lost("write").await?;
                    } else {
                        let why = "it was refused, and nothing is there".to_owned();
                        attempts.failed("write", Trouble::Unclear(why)).await?;
                    }
                }
                Err(trouble) => {
                    attempts.failed("write", trouble).await?;
                    // If it happened all the same, nothing is missing now.
                    self.load().await?;
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), Trouble> {
        let mut ledger = self.ledger.start_over();
        let mut at = None;
        if let Some(object) = self.link.bucket.get(NAME).await? {
            let document = content::read_document(self.link.place(), &object.bytes)?;
            ledger.absorb(&Entry::Header(document.header.clone()));
            document.entries.iter().for_each(|entry| ledger.absorb(entry));
            self.lineage.clone_from(&document.header.lineage);
            let (version, header) = (object.version, document.header);
            at = Some(At { version, header, serial: document.serial, tested: document.tested });
        }
        ledger.settle();
        (self.ledger, self.at) = (ledger, at);
        Ok(())
    }

    /// The document with these entries in it: when it may be written, where that leads to, and its text.
    fn compose(&mut self, missing: &[Entry]) -> (Condition, At, Vec<u8>) {
        let batch = self.link.batch();
        let nothing = || At {
            version: Version { etag: None, number: None },
            header: plain(&self.lineage),
            serial: 0,
            tested: BTreeSet::new(),
        };
        let condition = self.at.as_ref().map_or(Condition::Absent, |at| Condition::Is(at.version.clone()));
        let mut next = self.at.clone().unwrap_or_else(nothing);
        next.serial += 1;
        next.tested = self.link.marked(&next.tested);
        let mut state = self.ledger.state().clone();
        missing.iter().for_each(|entry| state.absorb(entry));
        let body = content::document(&next.header, next.serial, &batch, &next.tested, &state);
        (condition, next, body)
    }

    async fn written(&mut self, missing: &[Entry], version: Option<Version>, next: At) -> Result<(), StateError> {
        self.link.writes += 1;
        self.ledger.absorb(&Entry::Header(next.header.clone()));
        missing.iter().for_each(|entry| self.ledger.absorb(entry));
        match version {
            Some(version) => self.at = Some(At { version, ..next }),
            // The answer does not say how the new content is called. The entries are durable all the same; whoever
            // writes next finds out, by being refused at worst.
            None => drop(self.look().await),
        }
        Ok(())
    }
}
