//! The view: what a set of entries means, whatever their order and however often each of them is there.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Header, Intent, MINOR, Tombstone};
use super::error::{StateError, StateWarning};
use super::record::Record;
use super::scan::Scanner;
use crate::address::Address;

/// One remote object: there or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Object {
    Live(Record),
    Gone(Tombstone),
}

impl Object {
    fn order(&self) -> (u64, &str) {
        match self {
            Self::Live(record) => (record.rev, record.op.as_str()),
            Self::Gone(tombstone) => (tombstone.rev, tombstone.op.as_str()),
        }
    }

    fn entry(&self) -> Entry {
        match self {
            Self::Live(record) => Entry::Record(record.clone()),
            Self::Gone(tombstone) => Entry::Tombstone(tombstone.clone()),
        }
    }

    /// Is this the newer one? Two objects of one revision and operation cannot happen; if a hand made them, their
    /// texts decide, so that everybody decides alike.
    fn beats(&self, other: &Self) -> bool {
        match self.order().cmp(&other.order()) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => self != other && self.entry().encode() > other.entry().encode(),
        }
    }
}

/// The join of entries: records by address and id, open intents, and what came along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    header: Option<Header>,
    objects: BTreeMap<Address, BTreeMap<String, Object>>,
    /// Only open ones: an intent whose operation is in `closed` never enters, or leaves.
    intents: BTreeMap<String, Intent>,
    closed: BTreeSet<String>,
    others: BTreeSet<String>,
}

impl State {
    /// Nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The state in a file.
    ///
    /// # Errors
    /// Damage, conflict markers, a newer major version, two lineages, no header.
    pub fn from_text(name: &str, bytes: &[u8]) -> Result<(Self, Vec<StateWarning>), StateError> {
        Self::scanned(Scanner::state_file(name), bytes)
    }

    /// The state in a part file: one that a run is writing, or was writing when it died. It may end anywhere.
    ///
    /// # Errors
    /// A newer major version, two lineages.
    pub fn from_part(name: &str, bytes: &[u8]) -> Result<(Self, Vec<StateWarning>), StateError> {
        Self::scanned(Scanner::part(name), bytes)
    }

    fn scanned(scanner: Scanner, bytes: &[u8]) -> Result<(Self, Vec<StateWarning>), StateError> {
        let (found, warnings) = scanner.read(bytes)?;
        let mut state = Self::empty();
        for found in &found {
            state.absorb(&found.entry);
        }
        Ok((state, warnings))
    }

    /// Adds an entry. Adding it twice, or in another order, makes no difference. The caller sees to it that a header
    /// is of the same lineage.
    pub fn absorb(&mut self, entry: &Entry) {
        match entry {
            Entry::Header(header) => self.put_header(header),
            Entry::Record(record) => self.put(Object::Live(record.clone()), &record.address, &record.id),
            Entry::Tombstone(gone) => self.put(Object::Gone(gone.clone()), &gone.address, &gone.id),
            Entry::Intent(intent) => self.announce(intent),
            Entry::Done { op, record } => {
                self.close(op);
                self.put(Object::Live(record.as_ref().clone()), &record.address, &record.id);
            }
            Entry::Void { op, .. } => self.close(op),
            Entry::Journal => {}
            Entry::Other(raw) => {
                self.others.insert(raw.clone());
            }
        }
    }

    /// Adds everything that another state has. Commutative, associative and idempotent. The caller sees to it that
    /// both are of one lineage.
    pub fn join(&mut self, other: &Self) {
        if let Some(header) = &other.header {
            self.put_header(header);
        }
        for op in &other.closed {
            self.close(op);
        }
        for intent in other.intents.values() {
            self.announce(intent);
        }
        for (address, objects) in &other.objects {
            for (id, object) in objects {
                self.put(object.clone(), address, id);
            }
        }
        self.others.extend(other.others.iter().cloned());
    }

    fn put_header(&mut self, header: &Header) {
        let order = |h: &Header| (h.major, h.minor, Entry::Header(h.clone()).encode());
        if self.header.as_ref().is_none_or(|held| held != header && order(held) < order(header)) {
            self.header = Some(header.clone());
        }
    }

    fn put(&mut self, object: Object, address: &Address, id: &str) {
        let op = object.order().1.to_owned();
        self.close(&op);
        // Not by entry: nearly every call finds the address, and an entry wants a key of its own.
        if let Some(objects) = self.objects.get_mut(address) {
            if objects.get(id).is_none_or(|held| object.beats(held)) {
                objects.insert(id.to_owned(), object);
            }
        } else {
            self.objects.insert(address.clone(), BTreeMap::from([(id.to_owned(), object)]));
        }
    }

    fn announce(&mut self, intent: &Intent) {
        if self.closed.contains(&intent.op) {
            return;
        }
        let text = |intent: &Intent| Entry::Intent(intent.clone()).encode();
        let is_better = match self.intents.get(&intent.op) {
            None => true,
            // A copy that somebody made late must not hide the line that the author wrote in time.
            Some(held) if held.late != intent.late => held.late,
            Some(held) => held != intent && text(intent) > text(held),
        };
        if is_better {
            self.intents.insert(intent.op.clone(), intent.clone());
        }
    }

    fn close(&mut self, op: &str) {
        if self.closed.insert(op.to_owned()) {
            self.intents.remove(op);
        }
    }

    /// Would absorbing this entry change nothing?
    #[must_use]
    pub fn holds(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Header(header) => self.lineage() == Some(header.lineage.as_str()),
            Entry::Record(record) => self.holds_object(&record.address, &record.id, (record.rev, record.op.as_str())),
            Entry::Tombstone(gone) => self.holds_object(&gone.address, &gone.id, (gone.rev, gone.op.as_str())),
            Entry::Intent(intent) => self.intents.contains_key(&intent.op) || self.closed.contains(&intent.op),
            Entry::Done { op, record } => {
                self.closed.contains(op) && self.holds_object(&record.address, &record.id, (record.rev, record.op.as_str()))
            }
            Entry::Void { op, .. } => self.closed.contains(op),
            Entry::Journal => true,
            Entry::Other(raw) => self.others.contains(raw),
        }
    }

    fn holds_object(&self, address: &Address, id: &str, order: (u64, &str)) -> bool {
        // An older object is held by a newer one, but its operation may still stand open.
        !self.intents.contains_key(order.1)
            && self.objects.get(address).and_then(|ids| ids.get(id)).is_some_and(|held| held.order() >= order)
    }

    /// What another state lacks of this one, as lines to append there. Intents come late: whoever appends them is not
    /// their author, so they give no priority.
    #[must_use]
    pub fn missing_in(&self, there: &Self) -> Vec<Entry> {
        let mut missing: Vec<Entry> =
            self.objects.values().flat_map(BTreeMap::values).map(Object::entry).filter(|entry| !there.holds(entry)).collect();
        let settled: BTreeSet<&str> = self.objects.values().flat_map(BTreeMap::values).map(|o| o.order().1).collect();
        for op in there.intents.keys().filter(|op| self.closed.contains(*op) && !settled.contains(op.as_str())) {
            missing.push(Entry::Void { op: op.clone(), why: "settled in another file of this state".to_owned() });
        }
        for intent in self.intents.values().filter(|intent| !there.closed.contains(&intent.op)) {
            if !there.intents.contains_key(&intent.op) {
                missing.push(Entry::Intent(Intent { late: true, ..intent.clone() }));
            }
        }
        missing.extend(self.others.difference(&there.others).cloned().map(Entry::Other));
        missing
    }

    /// The text of a file that says the same: header, records, tombstones, lines that we do not know and open intents,
    /// each sorted, and the journal line behind them where a run was not finished.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        if let Some(header) = &self.header {
            line(&Entry::Header(header.clone()).encode());
        }
        let objects = || self.objects.values().flat_map(BTreeMap::values);
        for object in objects().filter(|object| matches!(object, Object::Live(_))) {
            line(&object.entry().encode());
        }
        for object in objects().filter(|object| matches!(object, Object::Gone(_))) {
            line(&object.entry().encode());
        }
        for other in &self.others {
            line(other);
        }
        for intent in self.intents.values() {
            line(&Entry::Intent(intent.clone()).encode());
        }
        if !self.intents.is_empty() {
            line(&Entry::Journal.encode());
        }
        text
    }

    /// The newest record of an address.
    #[must_use]
    pub fn record(&self, address: &Address) -> Option<&Record> {
        self.live(address).max_by_key(|record| (record.rev, &record.op))
    }

    /// All records of an address, the newest first. More than one means that several remote objects were made for one
    /// connection: nothing here decides which of them is the right one.
    #[must_use]
    pub fn siblings(&self, address: &Address) -> Vec<&Record> {
        let mut all: Vec<&Record> = self.live(address).collect();
        all.sort_by(|a, b| (b.rev, &b.op).cmp(&(a.rev, &a.op)));
        all
    }

    fn live(&self, address: &Address) -> impl Iterator<Item = &Record> {
        self.objects.get(address).into_iter().flat_map(BTreeMap::values).filter_map(|object| match object {
            Object::Live(record) => Some(record),
            Object::Gone(_) => None,
        })
    }

    /// All records, sorted by address and id.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.objects.keys().flat_map(move |address| self.live(address))
    }

    /// The objects that are known to be gone, sorted by address and id.
    pub fn tombstones(&self) -> impl Iterator<Item = &Tombstone> {
        self.objects.values().flat_map(BTreeMap::values).filter_map(|object| match object {
            Object::Gone(tombstone) => Some(tombstone),
            Object::Live(_) => None,
        })
    }

    /// The highest revision of an address, objects that are gone included; 0 if there never was one. A plan is made at
    /// this revision, and the next record of the address gets the one above it.
    #[must_use]
    pub fn rev(&self, address: &Address) -> u64 {
        let objects = self.objects.get(address).into_iter().flat_map(BTreeMap::values);
        objects.map(|object| object.order().0).max().unwrap_or(0)
    }

    /// The intents of which nobody knows what came of them, sorted by operation.
    pub fn open_intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.values()
    }

    /// Is it known that this operation came to an end?
    #[must_use]
    pub fn is_closed(&self, op: &str) -> bool {
        self.closed.contains(op)
    }

    /// Which state this is; none before the first write.
    #[must_use]
    pub fn lineage(&self) -> Option<&str> {
        self.header.as_ref().map(|header| header.lineage.as_str())
    }

    /// The version of its format, if it is one that we may read and not write.
    #[must_use]
    pub fn newer_format(&self) -> Option<(u64, u64)> {
        self.header.as_ref().filter(|header| header.minor > MINOR).map(|header| (header.major, header.minor))
    }

    /// May this program write it?
    #[must_use]
    pub fn writable(&self) -> bool {
        self.newer_format().is_none()
    }

    /// How many lines the sorted part needs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.values().map(BTreeMap::len).sum::<usize>() + self.others.len() + self.intents.len()
    }

    /// Does it know nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
