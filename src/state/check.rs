//! A survey of a state file: everything that it says and everything that is wrong with it, line by line, and what can be
//! kept of it. Reading a state stops at the first damage, because no plan may rest on half of what is known; whoever
//! repairs a file wants to see all of it.
//!
//! Deliberately absent: guessing. A line is whole and stays, or it is dropped and named; nothing is put right in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::entry::{Entry, Header, Intent, MAJOR, MINOR};
use super::error::{StateError, StateWarning};
use super::record::Record;
use super::scan::{NO_HEADER, Scanner};
use super::view::State;
use crate::address::Address;
use crate::diagnostic::{Diagnostic, codes};

/// A diagnostic names at most so many damaged lines.
const SHOWN: usize = 20;

/// An entry that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The line that it stands in, from 1.
    pub line: usize,
    /// The entry.
    pub entry: Entry,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It does not begin with a whole header; says how.
    Opening(&'static str),
    /// A line that was whole once is not any more.
    Damaged {
        /// The connection that the line seems to be about.
        about: Option<Address>,
        /// What is wrong with it.
        why: String,
    },
    /// One of git's conflict markers.
    Marker,
    /// The header of another state.
    Foreign {
        /// Its lineage.
        lineage: String,
    },
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The line, from 1.
    pub line: usize,
    /// What it is.
    pub wrong: Wrong,
}

impl Flaw {
    /// The connection that the line seems to be about.
    #[must_use]
    pub fn about(&self) -> Option<&Address> {
        match &self.wrong {
            Wrong::Damaged { about, .. } => about.as_ref(),
            Wrong::Opening(_) | Wrong::Marker | Wrong::Foreign { .. } => None,
        }
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn why(&self) -> String {
        match &self.wrong {
            Wrong::Opening(why) => (*why).to_owned(),
            Wrong::Damaged { why, .. } => why.clone(),
            Wrong::Marker => "a git conflict marker".to_owned(),
            Wrong::Foreign { lineage } => format!("the header of another state, lineage {lineage}"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, .. } = self;
        match self.about() {
            Some(about) => write!(f, "line {line}, about `{about}`: {}", self.why()),
            None => write!(f, "line {line}: {}", self.why()),
        }
    }
}

/// A line that a repaired file does not have any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its number in the damaged file, from 1.
    pub line: usize,
    /// The connection that it seems to be about.
    pub about: Option<Address>,
    /// What is wrong with it.
    pub why: String,
}

/// Where the lineage of a repaired file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A header in the file is whole.
    Own,
    /// The part files beside it, which belong to the same state.
    Parts,
    /// Nothing tells any more which state it was. Fingerprints are bound to the lineage: kept under another one, they
    /// would show every secret as changed. So they are dropped, and plans say that they cannot be verified.
    New,
}

/// A repaired file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// All of it.
    pub text: String,
    /// Where its lineage comes from.
    pub origin: Origin,
    /// How many entries were kept.
    pub kept: usize,
    /// What was not.
    pub dropped: Vec<Dropped>,
}

/// Everything that one file says, damage included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The file's name.
    pub name: String,
    /// Its first whole header.
    pub header: Option<Header>,
    /// What is whole, in the order of the file.
    pub whole: Vec<Whole>,
    /// What is damaged, in the order of the file.
    pub flaws: Vec<Flaw>,
    /// Lines that a run did not finish. They were never acknowledged, and are no damage.
    pub torn: Vec<usize>,
}

impl Survey {
    /// Looks at a state file.
    ///
    /// # Errors
    /// A newer major version wrote it: nobody here can tell what is whole in it.
    pub fn of(name: &str, bytes: &[u8]) -> Result<Self, StateError> {
        let header = bytes.split(|b| *b == b'\n').find_map(whole_header);
        let lineage = header.as_ref().map(|header| header.lineage.clone()).unwrap_or_default();
        let mut scanner = Scanner::survey(name, lineage);
        let mut survey = Self { name: name.to_owned(), header, whole: Vec::new(), flaws: Vec::new(), torn: Vec::new() };
        for (n, raw) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let line = n + 1;
            let wrong = match scanner.feed(raw) {
                Ok(found) => {
                    survey.whole.extend(found.into_iter().map(|found| Whole { line, entry: found.entry }));
                    continue;
                }
                Err(StateError::Damaged { about, why, .. }) => Wrong::Damaged { about, why },
                Err(StateError::Markers { .. }) => Wrong::Marker,
                Err(StateError::Lineage { found, .. }) => Wrong::Foreign { lineage: found },
                Err(error) => return Err(error),
            };
            survey.flaws.push(Flaw { line, wrong });
        }
        let torn = scanner.warnings().iter().filter_map(|warning| match warning {
            StateWarning::Torn { line, .. } => Some(*line),
            _ => None,
        });
        survey.torn = torn.collect();
        if !survey.whole.first().is_some_and(|first| matches!(first.entry, Entry::Header(_))) {
            let line = survey.whole.first().map_or(1, |first| first.line);
            let why = if bytes.is_empty() { "it is empty" } else { NO_HEADER };
            survey.flaws.push(Flaw { line, wrong: Wrong::Opening(why) });
            survey.flaws.sort_by_key(|flaw| flaw.line);
        }
        Ok(survey)
    }

    /// What the whole lines mean.
    #[must_use]
    pub fn state(&self) -> State {
        let mut state = State::empty();
        for whole in &self.whole {
            state.absorb(&whole.entry);
        }
        state
    }

    /// Is anything wrong with it that forbids to use it?
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !self.flaws.is_empty()
    }

    /// All of the damage in one error; none if there is none.
    #[must_use]
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        let lines: BTreeSet<usize> = self.flaws.iter().map(|flaw| flaw.line).collect();
        let lines = match lines.len() {
            0 => return None,
            1 => "1 line".to_owned(),
            many => format!("{many} lines"),
        };
        let mut error = Diagnostic::error(codes::STATE_DAMAGED, format!("`{}` is damaged: {lines}", self.name));
        for flaw in self.flaws.iter().take(SHOWN) {
            error = error.note(flaw.to_string());
        }
        if let Some(more) = self.flaws.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            error = error.note(format!("and {more} more; all of them: patchbay state check --json"));
        }
        if let [flaw] = self.flaws.as_slice()
            && let Some(about) = flaw.about()
        {
            error = error.about(about);
        }
        if let Some(hopeless) = self.hopeless() {
            return Some(error.help_opt(hopeless.help));
        }
        let help = "`patchbay state repair` keeps every whole line and both sides of a conflict, and saves this file beside it";
        Some(error.help(help))
    }

    /// Why nobody can repair this file; none if it can be done.
    #[must_use]
    pub fn hopeless(&self) -> Option<Diagnostic> {
        let foreign: Vec<&Flaw> = self.flaws.iter().filter(|flaw| matches!(flaw.wrong, Wrong::Foreign { .. })).collect();
        if !foreign.is_empty() {
            let mut error = Diagnostic::error(codes::STATE_LINEAGE, format!("`{}` holds more than one state", self.name))
                .note("fingerprints are bound to their state, and no record says to which one it belongs");
            for flaw in foreign {
                error = error.note(flaw.to_string());
            }
            return Some(error.help("take one of them whole from version control, then run `patchbay plan`"));
        }
        let says_something = self.header.is_some()
            || self.whole.iter().any(|whole| !matches!(whole.entry, Entry::Journal | Entry::Header(_) | Entry::Other(_)));
        (!says_something).then(|| {
            Diagnostic::error(codes::STATE_DAMAGED, format!("nothing in `{}` is whole", self.name))
                .help("restore it from version control, or delete it: `patchbay plan` finds the objects again by their names")
        })
    }

    /// The file without what is damaged. `in_parts` is the lineage that the part files beside it have; `new` is one for
    /// the case that nothing tells it any more.
    ///
    /// The lines keep their order, since the place of an intent is its rank. What stands on both sides of a conflict
    /// stays once.
    #[must_use]
    pub fn repaired(&self, in_parts: Option<&str>, new: &str) -> Repaired {
        let made =
            |lineage: &str| Header { major: MAJOR, minor: MINOR, lineage: lineage.to_owned(), extra: serde_json::Map::new() };
        let (header, origin) = match (&self.header, in_parts) {
            (Some(header), _) => (header.clone(), Origin::Own),
            (None, Some(lineage)) => (made(lineage), Origin::Parts),
            (None, None) => (made(new), Origin::New),
        };
        let mut lines = vec![Entry::Header(header).encode()];
        lines.extend(self.whole.iter().map(|whole| match origin {
            Origin::Own | Origin::Parts => whole.entry.encode(),
            Origin::New => without_fingerprints(&whole.entry).encode(),
        }));
        let mut seen = BTreeSet::new();
        let mut text = String::new();
        for line in lines.iter().filter(|line| seen.insert(line.as_str())) {
            text.push_str(line);
            text.push('\n');
        }
        Repaired { text, origin, kept: self.whole.len(), dropped: self.dropped() }
    }

    fn dropped(&self) -> Vec<Dropped> {
        let damaged = self.flaws.iter().filter(|flaw| !matches!(flaw.wrong, Wrong::Opening(_)));
        let damaged = damaged.map(|flaw| Dropped { line: flaw.line, about: flaw.about().cloned(), why: flaw.why() });
        let unfinished = |line: &usize| Dropped { line: *line, about: None, why: "it was never finished".to_owned() };
        let mut all: Vec<Dropped> = damaged.chain(self.torn.iter().map(unfinished)).collect();
        all.sort_by_key(|dropped| dropped.line);
        all
    }
}

fn whole_header(raw: &[u8]) -> Option<Header> {
    let text = std::str::from_utf8(raw.strip_suffix(b"\r").unwrap_or(raw)).ok()?;
    match Entry::decode(text) {
        Ok(Entry::Header(header)) => Some(header),
        _ => None,
    }
}

fn without_fingerprints(entry: &Entry) -> Entry {
    let bare = |record: &Record| Record { secrets: BTreeMap::new(), ..record.clone() };
    match entry {
        Entry::Record(record) => Entry::Record(bare(record)),
        Entry::Done { op, record } => Entry::Done { op: op.clone(), record: Box::new(bare(record)) },
        Entry::Intent(intent) => Entry::Intent(Intent { fp: BTreeMap::new(), ..intent.clone() }),
        other => other.clone(),
    }
}

/// Connections for which more than one object is recorded, with the ids.
#[must_use]
pub fn twins(state: &State) -> Vec<(Address, Vec<String>)> {
    let mut all: BTreeMap<&Address, Vec<String>> = BTreeMap::new();
    for record in state.records() {
        all.entry(&record.address).or_default().push(record.id.clone());
    }
    all.into_iter().filter(|(_, ids)| ids.len() > 1).map(|(address, ids)| (address.clone(), ids)).collect()
}

/// What a run left in a file beside the state, or is writing there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The file's name.
    pub name: String,
    /// What is whole in it.
    pub entries: Vec<Entry>,
    /// What that means.
    pub state: State,
    /// Does it belong to another state? Then nobody looks at it.
    pub is_foreign: bool,
    /// What is odd about it.
    pub warnings: Vec<StateWarning>,
}

impl Part {
    /// Looks at a part file; `lineage` is that of the state beside it.
    ///
    /// # Errors
    /// A newer major version wrote it.
    pub fn of(name: &str, bytes: &[u8], lineage: Option<&str>) -> Result<Self, StateError> {
        let (entries, mut warnings, is_mixed) = match Scanner::part(name).read(bytes) {
            Ok((found, warnings)) => (found.into_iter().map(|found| found.entry).collect(), warnings, false),
            Err(StateError::Lineage { .. }) => (Vec::new(), Vec::new(), true),
            Err(error) => return Err(error),
        };
        let mut state = State::empty();
        for entry in &entries {
            state.absorb(entry);
        }
        let is_foreign = is_mixed || state.lineage().zip(lineage).is_some_and(|(its, ours)| its != ours);
        if is_foreign {
            warnings.push(StateWarning::ForeignPart { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), entries, state, is_foreign, warnings })
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
