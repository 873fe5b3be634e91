//! One connection three times: as it is declared, as it was recorded, as it is live.
//!
//! A state keeps digests and no values, so the recorded side is told by what it equals.

use std::collections::BTreeSet;

use super::diff::{self, ASSUMED, Live, Subject, live_value, wanted_digest};
use super::model::{FieldChange, Side};
use super::planner::{Rules, World, live_object};
use super::unit::{Content, guard, units};
use crate::address::Address;
use crate::config::desired::Connection;
use crate::path::FieldPath;
use crate::platform::compare;
use crate::platform::model::ReadsAs;
use crate::platform::object::Object;
use crate::source::Span;
use crate::state::{Record, digest};
use crate::value::Value;

/// A connection from three sides.
#[derive(Debug)]
pub struct Beside<'w> {
    /// Which one.
    pub address: Address,
    /// Its kind.
    pub kind: String,
    /// Where it is declared.
    pub source: Option<Span>,
    /// What was recorded.
    pub record: Option<&'w Record>,
    /// What is known of the live object.
    pub live: LiveSide,
    /// Field by field: what is declared, in the file's order, then what only the others have.
    pub rows: Vec<Row>,
}

/// The live object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveSide {
    /// It is there.
    There {
        /// Its id.
        id: String,
        /// Its modification stamp.
        watermark: Option<String>,
        /// Was it read in full? Otherwise there is only what the list says.
        read: bool,
    },
    /// There is none.
    None,
    /// Nobody knows: it could not be read, or more than one has its name.
    Unknown,
}

/// One field.
#[derive(Debug)]
pub struct Row {
    /// Which one.
    pub path: FieldPath,
    /// In the files.
    pub declared: Side,
    /// At the last write.
    pub recorded: Recorded,
    /// At the API.
    pub live: Side,
    /// Does the live value equal the declared one, under the field's own equality?
    pub same: bool,
    /// What a plan concludes, unless nothing is to be said.
    pub finding: Option<FieldChange>,
}

/// What a digest says about the recorded side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing was recorded.
    Nothing,
    /// The declared value.
    AsDeclared,
    /// The live value, which is not the declared one.
    AsLive,
    /// A value that is neither declared nor live.
    Other,
    /// The declared value, taken over and never written by patchbay.
    Assumed,
    /// A fingerprint made with another key: nothing can be said.
    OtherKey,
}

impl Recorded {
    /// Its stable spelling.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::AsDeclared => "as-declared",
            Self::AsLive => "as-live",
            Self::Other => "other",
            Self::Assumed => "as-declared-unproved",
            Self::OtherKey => "other-key",
        }
    }
}

/// Lays the three sides of an address beside each other. `None` if it is neither declared nor recorded. Without the
/// fingerprint key (`has_key`) fingerprints are made with one that nobody else has, and are not shown.
#[must_use]
pub fn beside<'w>(world: &World<'w>, address: &Address, has_key: bool) -> Option<Beside<'w>> {
    let declared = world.desired.connections.iter().find(|c| c.address == *address);
    let record = match declared {
        Some(_) => world.record(address),
        None => world.state.record(address),
    };
    let Some(declared) = declared else { return record.map(|record| recorded_only(world, record)) };
    let rules = world.rules(declared)?;
    let known = |other: &Address, reference: &crate::config::template::Reference| match &reference.field {
        None => world.record(other).map(|r| Value::String(r.id.clone())),
        Some(path) => {
            let other = world.desired.connections.iter().find(|c| c.address == *other)?;
            other.spec.at(path).filter(|v| !v.has_unknown()).cloned()
        }
    };
    let connection = world.references.fill(declared, rules.kind, known);
    let (live, object) = live_side(world, &connection, rules, record);
    let rows = rows(world, &connection, rules, record, &live, object.as_ref(), has_key);
    Some(Beside { address: address.clone(), kind: connection.kind.clone(), source: Some(connection.source), record, live, rows })
}

fn live_side(
    world: &World<'_>,
    connection: &Connection,
    rules: Rules<'_>,
    record: Option<&Record>,
) -> (LiveSide, Option<Object>) {
    use super::observed::Located;
    let target = connection.address.target();
    let Some(list) = world.observed.list(target, &rules.kind.collection) else { return (LiveSide::Unknown, None) };
    match world.locate(connection, rules, record) {
        Located::At { id, .. } => match live_object(world, rules, target, list, &id) {
            Some(object) => {
                let watermark = object.watermark.clone();
                (LiveSide::There { id, watermark, read: true }, Some(object.into_owned()))
            }
            None => match list.object(&id) {
                Some(listed) => (LiveSide::There { id, watermark: listed.watermark.clone(), read: false }, None),
                None => (LiveSide::Unknown, None),
            },
        },
        Located::Absent { .. } => (LiveSide::None, None),
        Located::Ambiguous(_) | Located::Uncertain => (LiveSide::Unknown, None),
    }
}

fn rows(
    world: &World<'_>,
    connection: &Connection,
    rules: Rules<'_>,
    record: Option<&Record>,
    live: &LiveSide,
    object: Option<&Object>,
    has_key: bool,
) -> Vec<Row> {
    let kind = rules.kind;
    let comparison = diff::compare(&Subject {
        connection,
        kind,
        record: record.filter(|r| matches!(live, LiveSide::There { id, .. } if *id == r.id)),
        live: match (live, object) {
            (_, Some(object)) => Live::Read(object),
            (LiveSide::There { .. } | LiveSide::Unknown, None) => Live::Trusted,
            (LiveSide::None, None) => Live::Absent,
        },
        fingerprinter: world.fingerprinter,
        rewrite_secrets: false,
    });
    // Of what was not read, nothing is concluded.
    let mut findings: Vec<FieldChange> = if object.is_some() { comparison.fields } else { Vec::new() };
    let unseen = if *live == LiveSide::None { Side::Absent } else { Side::Unread };
    let mut shown = BTreeSet::new();
    let mut rows = Vec::new();
    for unit in units(kind, &connection.spec) {
        let path = unit.path.to_string();
        let live_value = object.and_then(|object| live_value(kind, &unit, object));
        let same = live_value.as_ref().is_some_and(|(live, _)| diff::is_same(&unit, Some(live)));
        let (declared, recorded, live) = match &unit.content {
            Content::Secret(secret) => {
                // Fingerprints are bound to an address; a connection that moved is compared under its old one.
                let home = record.map_or(&connection.address, |r| &r.address);
                let fp = world.fingerprinter.secret(home, &path, secret.expose());
                let recorded = match record.and_then(|r| r.secrets.get(&path)) {
                    None => Recorded::Nothing,
                    Some(r) if r.fp.key_id() != fp.key_id() => Recorded::OtherKey,
                    Some(r) if r.fp != fp => Recorded::Other,
                    Some(r) if r.assumed => Recorded::Assumed,
                    Some(_) => Recorded::AsDeclared,
                };
                let answered = object.and_then(|o| o.body.at(&unit.path)).is_some_and(|v| !v.is_null());
                let is_returned = answered && unit.field.reads_as != ReadsAs::Nothing;
                let live = if is_returned { Side::Secret(None) } else { unseen.clone() };
                (Side::Secret(Some(fp).filter(|_| has_key)), recorded, live)
            }
            content => {
                let wanted = wanted_digest(&unit);
                let live_digest = live_value.as_ref().map(|(_, digest)| digest.as_str());
                let form = record.and_then(|r| r.stored_as.get(&path)).map(String::as_str);
                let recorded = match record.and_then(|r| r.fields.get(&path)) {
                    None => Recorded::Nothing,
                    Some(r) if *r == wanted => Recorded::AsDeclared,
                    Some(r) if r.strip_prefix(ASSUMED) == Some(&wanted) => Recorded::Assumed,
                    Some(r) if live_digest.is_some() && (Some(r.as_str()) == live_digest || form == live_digest) => {
                        Recorded::AsLive
                    }
                    Some(_) => Recorded::Other,
                };
                let declared = match content {
                    Content::Plain(value, _) => Side::Value(value.clone().into_owned()),
                    Content::Keys(_, keys) => Side::Value(Value::List(keys.iter().cloned().map(Value::String).collect())),
                    Content::Pending(what) => Side::Pending((*what).to_owned()),
                    Content::Secret(_) => Side::Secret(None),
                };
                let held_secret = record.is_some_and(|r| r.secrets.keys().any(|p| FieldPath::parse(p).starts_with(&unit.path)));
                let live = match (live_value, object) {
                    (Some(_), _) if held_secret => Side::Secret(None),
                    (Some((value, _)), _) => shown_live(rules, connection, &unit.path, value),
                    (None, Some(_)) if kind.read_back == crate::platform::model::ReadBack::Full => Side::Absent,
                    _ => unseen.clone(),
                };
                let live = match live {
                    Side::Value(value) => Side::Value(value.veiled(world.redactor)),
                    other => other,
                };
                (declared, recorded, live)
            }
        };
        shown.insert(unit.path.top().unwrap_or_default().to_owned());
        let finding = findings.iter().position(|f| f.path == unit.path).map(|at| findings.remove(at));
        rows.push(Row { path: unit.path, declared, recorded, live, same, finding });
    }
    let more = undeclared(rules, connection, record, object, &shown).into_iter().map(|row| match row.live {
        Side::Value(value) => Row { live: Side::Value(value.veiled(world.redactor)), ..row },
        _ => row,
    });
    rows.extend(more);
    rows
}

/// A live value that may be shown.
fn shown_live(rules: Rules<'_>, connection: &Connection, path: &FieldPath, value: Value) -> Side {
    let mut whole = Value::Map(crate::value::Map::new());
    whole.put(path, value);
    match guard(rules.kind, Some(&connection.spec), &whole).at(path) {
        Some(value) => Side::Value(value.clone()),
        None => Side::Unread,
    }
}

/// What the API has and nobody declared: fields that the definition knows, so that stamps and ids do not fill the screen.
fn undeclared(
    rules: Rules<'_>,
    connection: &Connection,
    record: Option<&Record>,
    object: Option<&Object>,
    shown: &BTreeSet<String>,
) -> Vec<Row> {
    let Some(object) = object else { return Vec::new() };
    let body = guard(rules.kind, Some(&connection.spec), &object.body);
    let Value::Map(body) = body else { return Vec::new() };
    let known = |name: &str| rules.kind.fields.contains_key(name) || rules.kind.constants.contains_key(name);
    body.into_iter()
        .filter(|(name, value)| known(name) && !shown.contains(name) && !value.is_null())
        .map(|(name, value)| {
            let path = FieldPath::root().key(&name);
            let constant = rules.kind.constants.get(&name).cloned().map(Value::from);
            let recorded = match record.and_then(|r| r.fields.get(&name)) {
                None => Recorded::Nothing,
                Some(r) if rules.kind.fields.get(&name).is_some_and(|f| *r == digest(&name, &compare::normal(f, &value))) => {
                    Recorded::AsLive
                }
                Some(_) => Recorded::Other,
            };
            let same = constant.as_ref() == Some(&value);
            let declared = constant.map_or(Side::Absent, Side::Value);
            Row { path, declared, recorded, live: Side::Value(value), same, finding: None }
        })
        .collect()
}

/// What no file declares any more.
fn recorded_only<'w>(world: &World<'w>, record: &'w Record) -> Beside<'w> {
    let target = record.address.target();
    let home = world.definitions.get(target).and_then(|d| {
        let kind = d.kinds.get(&record.kind)?;
        Some((kind, d.collections.get(&kind.collection)?, world.observed.list(target, &kind.collection)?))
    });
    let (live, object) = match home {
        None => (LiveSide::Unknown, None),
        Some((_, collection, list)) => match list.object(&record.id) {
            Some(listed) => {
                let read = collection.is_read_by_list();
                let side = LiveSide::There { id: record.id.clone(), watermark: listed.watermark.clone(), read };
                (side, Some(listed))
            }
            None if list.is_complete() => (LiveSide::None, None),
            None => (LiveSide::Unknown, None),
        },
    };
    let body = home.zip(object).map(|((kind, ..), object)| guard(kind, None, &object.clone().as_written(kind).body));
    let paths = record.fields.keys().chain(record.secrets.keys());
    let rows = paths
        .map(|text| {
            let path = FieldPath::parse(text);
            let live = match body.as_ref().and_then(|body| body.at(&path)) {
                // What was written there as a secret is one, whatever the definition says.
                Some(_) if record.secrets.keys().any(|p| FieldPath::parse(p).starts_with(&path)) => Side::Secret(None),
                Some(value) => Side::Value(value.veiled(world.redactor)),
                None => Side::Unread,
            };
            Row { path, declared: Side::Absent, recorded: Recorded::Other, live, same: false, finding: None }
        })
        .collect();
    Beside { address: record.address.clone(), kind: record.kind.clone(), source: None, record: Some(record), live, rows }
}
