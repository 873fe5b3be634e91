//! One run on a remote state: what it may rely on, what it claims, how it ends. The same for both protocols.

use super::document::Document;
use super::failed;
use super::ledger::Ledger;
use super::link::Link;
use super::segments::Segments;
use crate::state::{Claim, Entry, Heads, Intent, State, StateError, StateWarning, decide};

/// Which protocol.
#[derive(Debug)]
pub(super) enum Form {
    Segments(Segments),
    Document(Document),
}

impl Form {
    pub(super) fn link(&self) -> &Link {
        match self {
            Self::Segments(segments) => &segments.link,
            Self::Document(document) => &document.link,
        }
    }

    fn link_mut(&mut self) -> &mut Link {
        match self {
            Self::Segments(segments) => &mut segments.link,
            Self::Document(document) => &mut document.link,
        }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        match self {
            Self::Segments(segments) => segments.ledger(),
            Self::Document(document) => document.ledger(),
        }
    }

    /// Reads everything that is durable. Writes nothing.
    pub(super) async fn load(&mut self) -> Result<(), StateError> {
        match self {
            Self::Segments(segments) => segments.load().await,
            Self::Document(document) => document.load().await,
        }
    }

    async fn begin(&mut self, lineage: &str) -> Result<(), StateError> {
        match self {
            Self::Segments(segments) => segments.begin(lineage).await,
            Self::Document(document) => document.begin(lineage).await,
        }
    }

    async fn put(&mut self, entries: &[Entry]) -> Result<(), StateError> {
        let outcome = match self {
            Self::Segments(segments) => segments.put(entries).await,
            Self::Document(document) => document.put(entries).await,
        };
        self.link_mut().went(&outcome);
        outcome
    }

    /// Shortens the log, where there is one.
    pub(super) async fn tidy(&mut self) -> Result<(), StateError> {
        match self {
            Self::Segments(segments) => segments.tidy().await,
            Self::Document(_) => Ok(()),
        }
    }

    fn wants_tidying(&self) -> bool {
        match self {
            Self::Segments(segments) => segments.wants_tidying(),
            Self::Document(_) => false,
        }
    }
}

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    form: Form,
    name: String,
    lineage: String,
    /// Was the lineage read from something durable? Before that another first run may still decide it.
    is_settled: bool,
    is_ready: bool,
    /// Why nothing is written any more.
    poison: Option<StateError>,
    /// What this run had acknowledged.
    mine: State,
    is_dirty: bool,
    /// Seconds since 1970.
    now: fn() -> i64,
}

impl Run {
    /// Reads the state and gets ready to write it. Writes nothing yet.
    pub(super) async fn open(
        mut form: Form,
        lineage_for_new: String,
        name: String,
        now: fn() -> i64,
    ) -> Result<(Self, State), StateError> {
        form.load().await?;
        let state = form.ledger().state().clone();
        let known = state.lineage().map(str::to_owned);
        let run = Self {
            form,
            name,
            is_settled: known.is_some(),
            lineage: known.unwrap_or(lineage_for_new),
            is_ready: false,
            poison: None,
            mine: State::empty(),
            is_dirty: false,
            now,
        };
        Ok((run, state))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn lineage(&self) -> &str {
        &self.lineage
    }

    pub(super) fn link(&self) -> &Link {
        self.form.link()
    }

    /// Gets the place ready for writes. Afterwards the lineage is final; it may be that of another first run.
    pub(super) async fn begin(&mut self) -> Result<(), StateError> {
        if self.is_ready {
            return Ok(());
        }
        self.form.begin(&self.lineage).await?;
        let found = self.form.ledger().state().lineage().unwrap_or_default().to_owned();
        self.check_lineage(&found)?;
        self.lineage = found;
        (self.is_settled, self.is_ready) = (true, true);
        Ok(())
    }

    fn check_lineage(&self, found: &str) -> Result<(), StateError> {
        if self.is_settled && found != self.lineage {
            let (name, expected) = (self.link().place().to_owned(), self.lineage.clone());
            return Err(StateError::Lineage { name, found: found.to_owned(), expected });
        }
        Ok(())
    }

    async fn ready(&mut self) -> Result<(), StateError> {
        if let Some(error) = &self.poison {
            return Err(error.clone());
        }
        let expected = self.lineage.clone();
        self.begin().await?;
        if self.lineage == expected {
            return Ok(());
        }
        // What the caller made with the lineage that we told him, fingerprints above all, would be wrong here.
        let error = StateError::Lineage { name: self.link().place().to_owned(), found: self.lineage.clone(), expected };
        self.poison = Some(error.clone());
        Err(error)
    }

    /// Makes entries durable. Once this returns, every later reader sees them.
    pub(super) async fn append(&mut self, entries: &[Entry]) -> Result<(), StateError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.ready().await?;
        // Even if it fails, it may have happened.
        self.is_dirty = true;
        self.form.put(entries).await?;
        entries.iter().for_each(|entry| self.mine.absorb(entry));
        Ok(())
    }

    /// Decides about intents that were appended. Everything that was there before them was read before they were
    /// written, so nothing is asked again. Those that lost are void afterwards.
    pub(super) async fn claim(&mut self, intents: &[Intent]) -> Result<Vec<Claim>, StateError> {
        let nothing = State::empty();
        let ledger = self.form.ledger();
        let heads = Heads { file: ledger.state(), places: ledger.places(), parts: &nothing };
        let claims: Vec<Claim> = intents.iter().map(|intent| decide(intent, &heads)).collect();
        let now = (self.now)();
        // The write may have taken long. Another run gives up on an intent some time after its limit, so what is sent
        // must be sent before.
        let is_late = |intent: &Intent| intent.until.is_some_and(|until| now > until);
        let mut lost = Vec::new();
        let mut late = 0;
        for (intent, claim) in intents.iter().zip(&claims) {
            let why = match claim {
                Claim::Won if !is_late(intent) => continue,
                Claim::Won => {
                    late += 1;
                    "announced too late to be sent".to_owned()
                }
                Claim::Taken(other) => format!("yielded to {}", other.run),
                Claim::Moved { rev } => format!("the address is at revision {rev}"),
            };
            lost.push(Entry::Void { op: intent.op.clone(), why });
        }
        if late > 0 {
            // All of the group are of one age. Nothing of it is sent.
            let kept = intents.iter().zip(&claims).filter(|(intent, claim)| **claim == Claim::Won && !is_late(intent));
            let why = "announced with others, too late to be sent";
            lost.extend(kept.map(|(intent, _)| Entry::Void { op: intent.op.clone(), why: why.to_owned() }));
        }
        self.append(&lost).await?;
        if late > 0 {
            let why = "it answered after the time limit of the request, which was not sent";
            return Err(failed("write", self.link().place(), why));
        }
        Ok(claims)
    }

    /// Ends the run: sees to it that everything of it is there, and shortens a long log. A run that appended nothing
    /// writes nothing. Gives the state as it is now.
    pub(super) async fn finish(&mut self) -> Result<(State, Vec<StateWarning>), StateError> {
        self.form.load().await?;
        if !self.is_dirty {
            return Ok((self.form.ledger().state().clone(), Vec::new()));
        }
        if let Some(error) = &self.poison {
            return Err(error.clone());
        }
        if let Some(found) = self.form.ledger().state().lineage().map(str::to_owned) {
            self.check_lineage(&found)?;
        }
        // Somebody may have put an older base in the place of the one that we knew, or removed it.
        let missing = self.mine.missing_in(self.form.ledger().state());
        if !missing.is_empty() {
            self.form.put(&missing).await?;
        }
        let state = self.form.ledger().state().clone();
        let mut warnings = Vec::new();
        if self.form.wants_tidying()
            && let Err(error) = self.form.tidy().await
        {
            warnings.push(StateWarning::NotTidied { why: error.to_string() });
        }
        Ok((state, warnings))
    }

    /// For tests that fold more often than a run does.
    #[cfg(test)]
    pub(super) async fn tidy(&mut self) -> Result<(), StateError> {
        self.form.tidy().await
    }
}
