//! Which objects must be read in detail before a plan can be made.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::diff;
use super::model::Refresh;
use super::observed::{LiveList, Located};
use super::order::topological;
use super::planner::{Rules, World};
use crate::address::Address;
use crate::config::desired::Connection;
use crate::config::template::Reference;
use crate::state::Record;
use crate::value::Value;

/// One object: `(target, collection, id)`.
type Place = (String, String, String);

/// A connection that was looked at, for those that refer to it.
struct Seen<'w> {
    connection: Cow<'w, Connection>,
    /// Where its object is.
    id: Option<String>,
    /// Does the list alone prove that it is as recorded and as wanted?
    proved: bool,
}

/// The objects that must be read in detail before a plan can be made.
#[must_use]
pub fn needed_reads(world: &World<'_>) -> Vec<Place> {
    let mut reads = BTreeSet::new();
    let mut seen: BTreeMap<&Address, Seen<'_>> = BTreeMap::new();
    let connections = world.chosen();
    let nodes: Vec<(&Address, &[Address])> = connections.iter().map(|c| (&c.address, c.depends_on.as_slice())).collect();
    for n in topological(&nodes) {
        let declared = connections[n];
        let Some(rules) = world.rules(declared) else { continue };
        // A natural key may have a reference in it, so what is referred to is looked for first.
        let connection = match declared.references.is_empty() {
            true => Cow::Borrowed(declared),
            false => Cow::Owned(world.references.fill(declared, rules.kind, |address, what| value(world, &seen, address, what))),
        };
        if let Some((id, proved)) = look(world, &connection, rules, &seen, &mut reads) {
            seen.insert(&declared.address, Seen { connection, id, proved });
        }
    }
    reads.extend(left_behind(world));
    reads.into_iter().collect()
}

/// The value of a reference, as far as the lists and the files tell it.
fn value(world: &World<'_>, seen: &BTreeMap<&Address, Seen<'_>>, address: &Address, reference: &Reference) -> Option<Value> {
    let other = seen.get(address);
    match &reference.field {
        None => other.map_or_else(|| world.record(address).map(|r| r.id.clone()), |other| other.id.clone()).map(Value::String),
        Some(path) => {
            let declared = || world.desired.connections.iter().find(|c| c.address == *address);
            let other = other.map(|other| &*other.connection).or_else(declared)?;
            other.spec.at(path).filter(|v| !v.has_unknown()).cloned()
        }
    }
}

/// Where a connection's object is, and whether the list proves it unchanged; if it does not, the object is to be read.
fn look(
    world: &World<'_>,
    connection: &Connection,
    rules: Rules<'_>,
    seen: &BTreeMap<&Address, Seen<'_>>,
    reads: &mut BTreeSet<Place>,
) -> Option<(Option<String>, bool)> {
    let target = connection.address.target();
    let list = world.observed.list(target, &rules.kind.collection)?;
    let record = world.record(&connection.address);
    let can_read = rules.collection.read.is_some();
    let is_seen = |id: &str| rules.collection.is_read_by_list() && list.object(id).is_some();
    let mut read = |id: &str| {
        if can_read && !is_seen(id) {
            reads.insert((target.to_owned(), rules.kind.collection.clone(), id.to_owned()));
        }
    };
    if let Some(record) = record.filter(|_| can_read)
        && list.object(&record.id).is_none()
    {
        read(&record.id);
        return Some((Some(record.id.clone()), false));
    }
    let Located::At { id, by_name } = world.locate(connection, rules, record) else { return Some((None, false)) };
    // If what it refers to may be made anew, it will be written, and a write rests on what was read.
    let stands = connection.references.is_empty()
        || connection.depends_on.iter().all(|other| seen.get(other).is_none_or(|other| other.proved));
    let proved = stands && is_proved(world, connection, rules, record, list, &id);
    let wanted = match world.options.refresh {
        Refresh::Full => true,
        Refresh::Auto => !proved,
        // Nothing is taken over unseen.
        Refresh::None => by_name,
    };
    if wanted {
        read(&id);
    }
    Some((Some(id), proved))
}

/// Nothing is forgotten because a list did not show it.
fn left_behind(world: &World<'_>) -> Vec<Place> {
    let mut reads = Vec::new();
    for record in world.state.records().filter(|r| world.options.selector.matches(&r.address) && !world.is_declared(&r.address)) {
        let target = record.address.target();
        let Some(definition) = world.definitions.get(target) else { continue };
        let Some(kind) = definition.kinds.get(&record.kind) else { continue };
        let can_read = definition.collections.get(&kind.collection).is_some_and(|c| c.read.is_some());
        if can_read && world.observed.list(target, &kind.collection).is_some_and(|list| list.object(&record.id).is_none()) {
            reads.push((target.to_owned(), kind.collection.clone(), record.id.clone()));
        }
    }
    reads
}

/// Does the list alone prove that the object is as recorded and as wanted?
fn is_proved(
    world: &World<'_>,
    connection: &Connection,
    rules: Rules<'_>,
    record: Option<&Record>,
    list: &LiveList,
    id: &str,
) -> bool {
    let Some(record) = record.filter(|r| r.id == id) else { return false };
    is_unmoved(record, list, id)
        && list.object(id).is_some_and(|listed| diff::shows_wanted(connection, rules.kind, record, listed))
        && diff::as_recorded(connection, rules.kind, record, world.fingerprinter)
}

fn is_unmoved(record: &Record, list: &LiveList, id: &str) -> bool {
    let now = list.object(id).and_then(|o| o.watermark.as_ref());
    now.is_some() && now == record.seen.as_ref()
}
