//! One wanted connection against one live object and one record: unit by unit, a verdict each.

use super::model::{Cause, FieldChange, Outside, Side, Unproved, Verdict};
use super::sides::in_their_places;
use super::unit::{Content, Unit, emptied, item_keys, units};
use super::verdict::{self, Evidence, Recorded, Shown, Stamp};
use crate::config::desired::Connection;
use crate::config::spec::span_of;
use crate::path::FieldPath;
use crate::platform::compare;
use crate::platform::mask::{looks_masked, masks};
use crate::platform::model::{Kind, ReadBack, ReadsAs};
use crate::platform::object::Object;
use crate::platform::parse::is_secret;
use crate::state::{Fingerprinter, Record, SecretRecord, digest};
use crate::value::Value;

/// Prefix of a recorded digest that was taken over at adoption without being seen at the API.
pub const ASSUMED: &str = "~";

/// The live side of a comparison.
#[derive(Clone, Copy, Debug)]
pub enum Live<'l> {
    /// There is no object.
    Absent,
    /// There is one, and its record is trusted: its stamp has not moved, or nothing was to be read.
    Trusted,
    /// It was read.
    Read(&'l Object),
}

/// What a comparison works on.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// What is wanted.
    pub connection: &'s Connection,
    /// Its kind.
    pub kind: &'s Kind,
    /// What was recorded of it.
    pub record: Option<&'s Record>,
    /// What is there.
    pub live: Live<'s>,
    /// Makes fingerprints.
    pub fingerprinter: &'s Fingerprinter,
    /// Are secrets that cannot be verified to be written again?
    pub rewrite_secrets: bool,
}

impl Subject<'_> {
    /// Is the object recorded, and nothing of this place? An adopted object is recorded with all that was declared of it.
    fn was_without(&self, path: &str) -> bool {
        self.record.is_some_and(|r| !r.fields.contains_key(path) && !r.secrets.contains_key(path))
    }

    /// Is the object recorded, and nothing of this readable place, or a secret that is another value?
    fn was_other(&self, unit: &Unit<'_>, path: &str) -> bool {
        let text = match &unit.content {
            Content::Plain(wanted, _) => wanted.as_str(),
            _ => None,
        };
        self.record.filter(|r| !r.fields.contains_key(path)).is_some_and(|record| match (record.secrets.get(path), text) {
            (Some(secret), Some(text)) => self.fingerprinter.secret(&record.address, path, text) != secret.fp,
            _ => true,
        })
    }
}

/// The result of a comparison.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Fields that change or cannot be verified, in the order of the spec.
    pub fields: Vec<FieldChange>,
    /// How many are as they should be.
    pub unchanged: usize,
}

impl Comparison {
    /// The paths to be written.
    #[must_use]
    pub fn writes(&self) -> Vec<FieldPath> {
        self.fields.iter().filter(|f| f.verdict.is_write()).map(|f| f.path.clone()).collect()
    }
}

/// Compares every declared unit that is not ignored.
#[must_use]
pub fn compare(s: &Subject<'_>) -> Comparison {
    let mut result = Comparison::default();
    let exists = !matches!(s.live, Live::Absent);
    let stamp = stamp(s);
    for unit in units(s.kind, &s.connection.spec) {
        if exists && s.connection.lifecycle.ignore_changes.iter().any(|ignored| unit.path.starts_with(ignored)) {
            continue;
        }
        if !exists && matches!(unit.content, Content::Keys(..)) {
            // Every item of a new list is shown; the list of their keys says nothing more.
            continue;
        }
        let change = judge(s, &unit, stamp);
        if exists {
            result.fields.extend(leaving(s, &unit, &change));
        }
        if change.verdict == Verdict::Unchanged {
            result.unchanged += 1;
        } else {
            result.fields.push(change);
        }
    }
    if let Live::Read(object) = s.live {
        result.fields.extend(constants(s, object));
    }
    result
}

/// Are all wanted values the recorded ones, so that an unmoved stamp alone proves the object unchanged?
#[must_use]
pub fn as_recorded(connection: &Connection, kind: &Kind, record: &Record, fingerprinter: &Fingerprinter) -> bool {
    record.kind == connection.kind
        && units(kind, &connection.spec).iter().all(|unit| match &unit.content {
            Content::Pending(_) => false,
            Content::Secret(secret) => record
                .secrets
                .get(&unit.path.to_string())
                .is_some_and(|r| r.fp == fingerprinter.secret(&record.address, &unit.path.to_string(), secret.expose())),
            _ => {
                let recorded = record.fields.get(&unit.path.to_string());
                recorded.is_some_and(|r| r.strip_prefix(ASSUMED).unwrap_or(r) == wanted_digest(unit))
                    && left(record, unit).next().is_none()
            }
        })
}

/// Does a list item, as far as it shows declared fields, show what was recorded? A stamp of whole seconds does not move
/// twice in one second.
#[must_use]
pub fn shows_wanted(connection: &Connection, kind: &Kind, record: &Record, listed: &Object) -> bool {
    units(kind, &connection.spec).iter().filter(|unit| matches!(unit.content, Content::Plain(..))).all(|unit| {
        let Some((live, live_digest)) = live_value(kind, unit, listed) else { return true };
        is_same(unit, Some(&live)) || record.stored_as.get(&unit.path.to_string()) == Some(&live_digest)
    })
}

/// One digest of all declared readable fields as they were read.
#[must_use]
pub fn live_digest(connection: &Connection, kind: &Kind, object: &Object) -> String {
    let units = units(kind, &connection.spec);
    let parts: Vec<String> = units.iter().filter_map(|unit| Some(live_value(kind, unit, object)?.1)).collect();
    digest("", &parts.join(" "))
}

/// The digest of a wanted readable unit.
#[must_use]
pub fn wanted_digest(unit: &Unit<'_>) -> String {
    let path = unit.path.to_string();
    match &unit.content {
        Content::Plain(value, _) => digest(&path, &compare::normal(unit.field, value)),
        Content::Keys(_, keys) => digest(&path, &keys.join("\n")),
        Content::Secret(_) | Content::Pending(_) => String::new(),
    }
}

/// The live value of a readable unit and its digest; `None` if the answer does not have it.
#[must_use]
pub fn live_value(kind: &Kind, unit: &Unit<'_>, object: &Object) -> Option<(Value, String)> {
    let path = unit.path.to_string();
    let live = object.body.at(&unit.path)?;
    // Where a read gives back only a part, null is one of the ways not to give a thing back.
    if live.is_null() && kind.read_back == ReadBack::Partial {
        return None;
    }
    // Some servers mask a whole list because one of its items is secret.
    if unit.field.reads_as == ReadsAs::Mask && live.as_str().is_some_and(looks_masked) {
        return None;
    }
    Some(match &unit.content {
        Content::Keys(by, _) => {
            let mut keys = item_keys(live.as_list().unwrap_or_default(), by);
            if unit.field.keyed_ignores_case {
                keys.iter_mut().for_each(|key| *key = key.to_lowercase());
            }
            keys.sort();
            let digest = digest(&path, &keys.join("\n"));
            (Value::List(keys.into_iter().map(Value::String).collect()), digest)
        }
        Content::Plain(_, places) if !places.is_empty() => {
            let live = emptied(live, places);
            let digest = digest(&path, &compare::normal(unit.field, &live));
            (live, digest)
        }
        _ => (live.clone(), digest(&path, &compare::normal(unit.field, live))),
    })
}

/// Is the live value the wanted one, under the field's own equality?
#[must_use]
pub fn is_same(unit: &Unit<'_>, live: Option<&Value>) -> bool {
    match &unit.content {
        Content::Plain(wanted, _) => compare::same(unit.field, wanted, live),
        Content::Keys(_, keys) => live
            .and_then(Value::as_list)
            .is_some_and(|list| list.len() == keys.len() && list.iter().zip(keys).all(|(live, key)| live.as_str() == Some(key))),
        Content::Secret(_) | Content::Pending(_) => false,
    }
}

fn stamp<'s>(s: &Subject<'s>) -> Stamp<'s> {
    let recorded = s.record.and_then(|r| r.seen.as_deref());
    match (s.live, recorded) {
        (Live::Trusted, Some(_)) => Stamp::Same,
        (Live::Read(object), Some(recorded)) => match object.watermark.as_deref() {
            Some(now) if now == recorded => Stamp::Same,
            Some(now) => Stamp::Moved(now),
            None => Stamp::None,
        },
        _ => Stamp::None,
    }
}

fn judge(s: &Subject<'_>, unit: &Unit<'_>, stamp: Stamp<'_>) -> FieldChange {
    let path = unit.path.to_string();
    let span = || span_of(&s.connection.node, &unit.path).map(|(_, value)| value);
    let change = |before: Side, after: Side, (verdict, cause): (Verdict, Cause)| FieldChange {
        origin: s.connection.origins.get(&path).cloned(),
        span: if verdict == Verdict::Unchanged { None } else { span() },
        path: unit.path.clone(),
        before,
        after,
        verdict,
        cause,
    };
    match &unit.content {
        Content::Pending(what) => {
            let verdict = if matches!(s.live, Live::Absent) { Verdict::New } else { Verdict::Changed };
            change(before(s, unit), Side::Pending((*what).to_owned()), (verdict, Cause::Config))
        }
        Content::Secret(wanted) => {
            // Fingerprints are bound to an address; a connection that moved is compared under its old one.
            let address = s.record.map_or(&s.connection.address, |r| &r.address);
            let fingerprint = s.fingerprinter.secret(address, &path, wanted.expose());
            let record = s.record.and_then(|r| r.secrets.get(&path));
            if matches!(s.live, Live::Absent) {
                return change(Side::Absent, Side::Secret(Some(fingerprint)), (Verdict::New, Cause::Config));
            }
            let shown_text = match s.live {
                Live::Read(object) => object.body.at(&unit.path).and_then(Value::as_str),
                _ => None,
            };
            let shown = match (s.live, shown_text) {
                (Live::Trusted, _) => Shown::NotRead,
                (_, Some(text)) if !matches!(unit.field.reads_as, ReadsAs::Nothing | ReadsAs::Presence) => Shown::Text(text),
                _ => Shown::Nothing,
            };
            // A value that is only secret because of where it comes from has its field's own equality.
            let plain = !is_secret(unit.field, unit.path.name());
            let live = match s.live {
                Live::Read(object) => object.body.at(&unit.path),
                _ => None,
            };
            if plain && live.is_some() && compare::same(unit.field, &Value::String(wanted.expose().to_owned()), live) {
                let unchanged = record.is_none_or(|r| r.fp == fingerprint || r.fp.key_id() != fingerprint.key_id());
                if unchanged {
                    return change(Side::Absent, Side::Absent, (Verdict::Unchanged, Cause::Unknown));
                }
            }
            // Whether there is one is all that is told. That there is none is news; that there is one proves nothing.
            let is_told = unit.field.reads_as == ReadsAs::Presence && !matches!(s.live, Live::Trusted);
            let is_missing = live.is_none_or(|live| matches!(live, Value::Null | Value::Bool(false)));
            if is_told && is_missing && (live.is_some() || s.kind.read_back == ReadBack::Full) {
                let judged = (Verdict::ChangedOutside(Outside::ValueDiffers), Cause::Drift);
                return change(Side::Secret(record.map(|r| r.fp.clone())), Side::Secret(Some(fingerprint)), judged);
            }
            // It had a mask after our write, and a whole object without one has no secret behind it.
            let had_mask = unit.field.reads_as == ReadsAs::Mask && record.is_some_and(|r| r.mask_at.as_deref() == Some("read"));
            if had_mask
                && matches!(s.live, Live::Read(_))
                && live.is_none_or(Value::is_null)
                && s.kind.read_back == ReadBack::Full
            {
                let judged = (Verdict::ChangedOutside(Outside::MaskDiffers), Cause::Drift);
                return change(Side::Secret(record.map(|r| r.fp.clone())), Side::Secret(Some(fingerprint)), judged);
            }
            let mask = shown_text.map(|text| s.fingerprinter.mask(address, &path, text));
            let mut judged = verdict::secret(&Evidence {
                wanted: wanted.expose(),
                fingerprint: &fingerprint,
                record,
                shown,
                mask: mask.as_ref().map(|m| (m, "read")),
                stamp,
                // A header that is no credential is shown as it is, though its neighbours are masked.
                masked: unit.field.reads_as == ReadsAs::Mask && is_secret(unit.field, unit.path.name()),
            });
            // It stood in the file until now, and what was recorded of it is what the API shows: only the files changed.
            let was_plain = s
                .record
                .and_then(|r| r.fields.get(&path))
                .zip(live)
                .is_some_and(|(then, live)| *then == digest(&path, &compare::normal(unit.field, live)));
            if record.is_none() && was_plain && matches!(judged.0, Verdict::ChangedOutside(_)) {
                judged = (Verdict::ChangedHere, Cause::Config);
            }
            // We know the object, and it had no such secret then: it was declared since, and the API has nothing of it to show.
            if s.was_without(&path) && !matches!(shown, Shown::Text(_)) {
                judged = (Verdict::ChangedHere, Cause::Config);
            }
            if s.rewrite_secrets && matches!(judged.0, Verdict::CannotVerify(_)) {
                judged = (Verdict::ChangedHere, Cause::Unknown);
            }
            change(Side::Secret(record.map(|r| r.fp.clone())), Side::Secret(Some(fingerprint)), judged)
        }
        Content::Plain(..) | Content::Keys(..) => {
            let after = Side::Value(match &unit.content {
                Content::Plain(value, places) => in_their_places(value, places, &s.connection.spec, &unit.path),
                Content::Keys(_, keys) => Value::List(keys.iter().map(|k| Value::String(k.clone())).collect()),
                _ => Value::Null,
            });
            let object = match s.live {
                Live::Absent => return change(Side::Absent, after, (Verdict::New, Cause::Config)),
                Live::Trusted => None,
                Live::Read(object) => Some(object),
            };
            let recorded = s.record.and_then(|r| r.fields.get(&path));
            let record = Recorded {
                wanted: recorded.map(|r| r.strip_prefix(ASSUMED).unwrap_or(r)),
                shown: s.record.and_then(|r| r.stored_as.get(&path)).map(String::as_str),
                assumed: recorded.is_some_and(|r| r.starts_with(ASSUMED)),
            };
            let wanted = wanted_digest(unit);
            let live = object.and_then(|object| live_value(s.kind, unit, object));
            match (object, live) {
                (Some(_), Some((live, live_digest))) => {
                    let same = is_same(unit, Some(&live));
                    // Live content with secrets in it is never shown: a place that held one may have shifted.
                    let held = held_secrets(s, unit);
                    let holds_secrets = matches!(&unit.content, Content::Plain(_, places) if !places.is_empty());
                    // What was recorded of it was recorded with the places of its secrets emptied.
                    let live_digest = match held.is_empty() {
                        true => live_digest,
                        false => digest(&path, &compare::normal(unit.field, &emptied(&live, &held))),
                    };
                    let before = if holds_secrets || !held.is_empty() { Side::Hidden } else { Side::Value(live) };
                    change(before, after, verdict::readable(same, &wanted, &live_digest, record))
                }
                (Some(_), None) if s.kind.read_back == ReadBack::Full && unit.field.reads_as == ReadsAs::Value => {
                    let nothing = digest(&path, &compare::normal(unit.field, &Value::Null));
                    change(Side::Absent, after, verdict::readable(is_same(unit, None), &wanted, &nothing, record))
                }
                (object, _) => {
                    // A mask in its place is all that can be read of a secret.
                    let is_masked = object.and_then(|o| o.body.at(&unit.path)).is_some_and(|live| !live.is_null());
                    let before = if is_masked { Side::Secret(None) } else { Side::Unread };
                    let judged = if s.was_other(unit, &path) {
                        (Verdict::Changed, Cause::Config)
                    } else {
                        verdict::unread(&wanted, record, stamp)
                    };
                    change(before, after, judged)
                }
            }
        }
    }
}

/// The places below a unit that held secrets when it was recorded, also those that the files give otherwise by now: the
/// API still has what was written there.
fn held_secrets(s: &Subject<'_>, unit: &Unit<'_>) -> Vec<FieldPath> {
    let recorded = s.record.map(|record| record.secrets.keys()).into_iter().flatten();
    recorded.filter_map(|path| FieldPath::parse(path).below(&unit.path)).collect()
}

/// The secrets that were written into an object that is compared as one, and that the files no longer have there: the
/// object's readable rest says nothing of them.
pub(super) fn left<'r>(record: &'r Record, unit: &Unit<'_>) -> impl Iterator<Item = (FieldPath, &'r SecretRecord)> {
    let wanted = match &unit.content {
        Content::Plain(wanted, places) => Some((wanted, places)),
        _ => None,
    };
    record.secrets.iter().filter_map(move |(path, secret)| {
        let (wanted, places) = wanted?;
        let below = FieldPath::parse(path).below(&unit.path).filter(|below| !below.steps().is_empty())?;
        // By their texts: a key may have a dot in it.
        let is_wanted = places.iter().any(|place| unit.path.concat(place).to_string() == *path)
            || wanted.at(&below).is_some_and(|value| !value.is_null());
        (!is_wanted).then(|| (unit.path.concat(&below), secret))
    })
}

/// The secrets that a change takes out of an object that is compared as one, each on a line of its own: those that the
/// files had there, and those of others that the API masks, where the object itself is not shown.
fn leaving(s: &Subject<'_>, unit: &Unit<'_>, judged: &FieldChange) -> Vec<FieldChange> {
    let Content::Plain(wanted, places) = &unit.content else { return Vec::new() };
    let gone = |path: FieldPath, before: Side, cause: Cause| FieldChange {
        path,
        before,
        after: Side::Absent,
        verdict: Verdict::Changed,
        cause,
        origin: None,
        span: None,
    };
    let ours = s.record.into_iter().flat_map(|record| left(record, unit));
    let mut all: Vec<FieldChange> =
        ours.map(|(path, secret)| gone(path, Side::Secret(Some(secret.fp.clone())), Cause::Config)).collect();
    if let Live::Read(object) = s.live
        && judged.verdict.is_write()
        && judged.before == Side::Hidden
        && let Some(live) = object.body.at(&unit.path)
    {
        for place in masks(live).into_iter().filter(|place| !places.contains(place) && wanted.at(place).is_none()) {
            let path = unit.path.concat(&place);
            if !all.iter().any(|ours| ours.path == path) {
                all.push(gone(path, Side::Secret(None), Cause::Drift));
            }
        }
    }
    all
}

fn before(s: &Subject<'_>, unit: &Unit<'_>) -> Side {
    match s.live {
        Live::Absent => Side::Absent,
        Live::Trusted => Side::Unread,
        Live::Read(object) => object.body.at(&unit.path).map_or(Side::Absent, |v| Side::Value(v.clone())),
    }
}

/// A constant that differs shows that the object is of another kind; no API changes that.
fn constants(s: &Subject<'_>, object: &Object) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    // An object that we made as this kind is of this kind, however the API spells it.
    if s.record.is_some_and(|r| r.kind == s.connection.kind) {
        return changes;
    }
    for (name, constant) in &s.kind.constants {
        let path = FieldPath::parse(name);
        let constant = Value::from(constant.clone());
        if let Some(live) = object.body.at(&path)
            && !live.is_null()
            && *live != constant
        {
            changes.push(FieldChange {
                path,
                before: Side::Value(live.clone()),
                after: Side::Value(constant),
                verdict: Verdict::Changed,
                cause: Cause::Config,
                origin: None,
                span: None,
            });
        }
    }
    changes
}

/// The words for a field that nobody can vouch for.
#[must_use]
pub fn unproved_words(why: &Unproved, secret: bool) -> String {
    match why {
        Unproved::FirstTime if secret => "first time recorded".into(),
        Unproved::FirstTime => "cannot verify: this API does not return it".into(),
        Unproved::NeverWritten => "cannot verify: not written by patchbay, or touched by others since".into(),
        Unproved::OtherKey => "cannot verify: fingerprinted with another key".into(),
        Unproved::ModifiedOutside(at) => format!("cannot verify: modified outside at {at}"),
        Unproved::NoEvidence => "cannot verify: this API shows neither the value nor a modification time".into(),
    }
}
