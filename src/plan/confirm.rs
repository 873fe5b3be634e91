//! After a write: what the read-back proves, what goes into the record, and what must be reported.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::{ASSUMED, is_same, left, live_value, wanted_digest};
use super::unit::{Content, Unit, units};
use crate::config::desired::Connection;
use crate::path::FieldPath;
use crate::platform::compare;
use crate::platform::mask::Mask;
use crate::platform::model::{Kind, ReadBack, ReadsAs};
use crate::platform::object::Object;
use crate::state::{Fingerprinter, Intent, Record, SecretRecord, digest};
use crate::value::Value;

/// What is known once a write, or an adoption, is done.
#[derive(Debug)]
pub struct Written<'w> {
    /// What was wanted, references filled in.
    pub connection: &'w Connection,
    /// Its kind.
    pub kind: &'w Kind,
    /// The object's id.
    pub id: &'w str,
    /// The object's name.
    pub name: &'w str,
    /// The object before the write, if it was read.
    pub before: Option<&'w Object>,
    /// The object in the answer to the write.
    pub answer: Option<&'w Object>,
    /// The object as it was read after the write.
    pub read_back: Option<&'w Object>,
    /// The record before.
    pub prior: Option<&'w Record>,
    /// The revision that the new record gets.
    pub rev: u64,
    /// What interrupted creates of ours had announced: if the object is found again, one of them wrote it. Where they
    /// differ, nobody knows which.
    pub announced: &'w [&'w Intent],
    /// The paths that were written; empty for an adoption or a move.
    pub writes: &'w [FieldPath],
    /// Was everything sent, or only `writes`?
    pub sent_all: bool,
    /// The target's address.
    pub host: &'w str,
    /// The operation.
    pub op: &'w str,
    /// Now, RFC 3339.
    pub at: &'w str,
}

/// The key under which an intent carries the digest of the spec that it announces.
pub const SPEC: &str = "spec";

/// The digest of a spec without its secrets, for intents.
#[must_use]
pub fn spec_digest(connection: &Connection) -> String {
    let mut plain = connection.spec.clone();
    without_secrets(&mut plain);
    digest("", &plain.canonical())
}

fn without_secrets(value: &mut Value) {
    match value {
        Value::Secret(_) => *value = Value::Null,
        Value::List(list) => list.iter_mut().for_each(without_secrets),
        Value::Map(map) => map.values_mut().for_each(without_secrets),
        _ => {}
    }
}

/// Is this the place of a secret that leaves an object that is compared as one?
fn takes_out(written: &FieldPath, unit: &Unit<'_>) -> bool {
    match (&unit.content, written.below(&unit.path)) {
        (Content::Plain(wanted, _), Some(below)) => !below.steps().is_empty() && wanted.at(&below).is_none(),
        _ => false,
    }
}

impl Written<'_> {
    /// Whichever of the interrupted creates made the object: does this hold for it?
    fn is_announced(&self, holds: impl Fn(&Intent) -> bool) -> bool {
        !self.announced.is_empty() && self.announced.iter().all(|intent| holds(intent))
    }

    /// Was the object there before this write?
    fn exists_already(&self) -> bool {
        !self.sent_all || self.before.is_some()
    }
}

/// What the API made of a field that was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The live value is still the old one: the API ignored the field.
    Ignored(FieldPath),
    /// The live value is a third one: the API's own form of what was sent.
    Normalised(FieldPath, Value),
    /// The live mask cannot have been made from the secret that was sent.
    OtherSecret(FieldPath),
}

/// The record after a write, and what the read-back showed.
#[must_use]
pub fn record(w: &Written<'_>, fingerprinter: &Fingerprinter) -> (Record, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut fields = BTreeMap::new();
    let mut stored_as = BTreeMap::new();
    let mut secrets = BTreeMap::new();
    let shown = w.read_back.or(w.answer);
    // Others touched the object between our last write and this one: what we knew of fields that this write does not carry
    // and the API does not show is knowledge of what was.
    let stamps = w.prior.and_then(|r| r.seen.as_deref()).zip(w.before.and_then(|o| o.watermark.as_deref()));
    let was_touched = stamps.is_some_and(|(then, now)| then != now);
    let announced_spec = w.is_announced(|i| i.extra.get(SPEC).and_then(|s| s.as_str()) == Some(&*spec_digest(w.connection)));
    for unit in units(w.kind, &w.connection.spec) {
        let path = unit.path.to_string();
        let ignored = w.exists_already() && w.connection.lifecycle.ignore_changes.iter().any(|i| unit.path.starts_with(i));
        if ignored {
            // Not ours to write, so nothing is claimed about it: what was known stays known.
            if let Some(prior) = w.prior {
                fields.extend(prior.fields.get_key_value(&path).map(|(k, v)| (k.clone(), v.clone())));
                stored_as.extend(prior.stored_as.get_key_value(&path).map(|(k, v)| (k.clone(), v.clone())));
                secrets.extend(prior.secrets.get_key_value(&path).map(|(k, v)| (k.clone(), v.clone())));
            }
            continue;
        }
        let sent = w.sent_all || w.writes.iter().any(|written| unit.path.starts_with(written) || written.starts_with(&unit.path));
        if let Content::Secret(secret) = &unit.content {
            let value = secret.expose();
            let text = |object: Option<&Object>| {
                object.and_then(|o| o.body.at(&unit.path)).and_then(Value::as_str).map(ToOwned::to_owned)
            };
            let (mask, mask_at) = match (text(w.read_back), text(w.answer)) {
                (Some(mask), _) => (Some(mask), Some("read")),
                (None, Some(mask)) => (Some(mask), Some("write")),
                (None, None) => (None, None),
            };
            if sent && mask.as_deref().and_then(Mask::read).is_some_and(|m| !m.fits(value)) {
                findings.push(Finding::OtherSecret(unit.path.clone()));
            }
            let prior = w.prior.and_then(|r| r.secrets.get(&path));
            let fp = fingerprinter.secret(&w.connection.address, &path, value);
            let announced = w.is_announced(|i| i.fp.get(&path) == Some(&fp));
            let known = prior.is_some_and(|p| !p.assumed) && !was_touched;
            let proved = sent || announced || mask.as_deref() == Some(value) || known;
            secrets.insert(
                path.clone(),
                SecretRecord {
                    fp,
                    assumed: !proved,
                    mask: mask.map(|m| fingerprinter.mask(&w.connection.address, &path, &m)),
                    mask_at: mask_at.map(ToOwned::to_owned),
                },
            );
            continue;
        }
        if matches!(unit.content, Content::Pending(_)) {
            continue;
        }
        let wanted = wanted_digest(&unit);
        let live = shown.and_then(|object| live_value(w.kind, &unit, object));
        let readable = w.kind.read_back == ReadBack::Full && unit.field.reads_as == ReadsAs::Value;
        let live = match live {
            None if readable && w.read_back.is_some() => {
                Some((Value::Null, digest(&path, &compare::normal(unit.field, &Value::Null))))
            }
            live => live,
        };
        let Some((live, live_digest)) = live else {
            let known = w.prior.and_then(|r| r.fields.get(&path)).is_some_and(|d| !d.starts_with(ASSUMED)) && !was_touched;
            let known = sent || announced_spec || known;
            if let Some(form) = w.prior.and_then(|r| r.stored_as.get(&path)).filter(|_| !sent) {
                stored_as.insert(path.clone(), form.clone());
            }
            fields.insert(path, if known { wanted } else { format!("{ASSUMED}{wanted}") });
            continue;
        };
        if sent && !is_same(&unit, Some(&live)) {
            let before = w.before.and_then(|object| live_value(w.kind, &unit, object)).map(|(_, digest)| digest);
            let changed = w.writes.iter().any(|written| unit.path.starts_with(written) || takes_out(written, &unit));
            // Without a record of ours, an API that ignores a field looks like one that has its own form for it.
            if changed && w.prior.is_some() && before.as_ref() == Some(&live_digest) {
                // Left as it was recorded before: the next plan shows the same change again.
                if let Some(prior) = w.prior.and_then(|r| r.fields.get(&path)) {
                    fields.insert(path, prior.clone());
                }
                let held = w.prior.into_iter().flat_map(|prior| left(prior, &unit));
                secrets.extend(held.map(|(path, secret)| (path.to_string(), secret.clone())));
                findings.push(Finding::Ignored(unit.path.clone()));
                continue;
            }
            findings.push(Finding::Normalised(unit.path.clone(), live.clone()));
        }
        let known_form = w.prior.and_then(|r| r.stored_as.get(&path)) == Some(&live_digest);
        // A form that is neither what we sent nor what we knew is somebody else's change, and stays one.
        if live_digest != wanted && (sent || known_form || is_same(&unit, Some(&live))) {
            stored_as.insert(path.clone(), live_digest);
        }
        fields.insert(path, wanted);
    }
    let mut guards = BTreeSet::new();
    if w.connection.lifecycle.prevent_destroy {
        guards.insert("prevent_destroy".to_owned());
    }
    let record = Record {
        address: w.connection.address.clone(),
        id: w.id.to_owned(),
        rev: w.rev,
        op: w.op.to_owned(),
        kind: w.connection.kind.clone(),
        name: w.name.to_owned(),
        host: w.host.to_owned(),
        fields,
        stored_as,
        secrets,
        seen: shown
            .and_then(|object| object.watermark.clone())
            .or_else(|| w.answer.and_then(|a| a.watermark.clone()))
            .or_else(|| w.prior.filter(|_| w.writes.is_empty() && !w.sent_all).and_then(|r| r.seen.clone())),
        guards,
        depends_on: w.connection.depends_on.iter().cloned().collect(),
        at: w.at.to_owned(),
        extra: w.prior.map(|r| r.extra.clone()).unwrap_or_default(),
    };
    (record, findings)
}
