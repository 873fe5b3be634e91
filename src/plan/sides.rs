//! A connection before and after its change, whole, and without a secret.

use super::diff::Subject;
use super::unit::{Content, guard, units};
use crate::path::FieldPath;
use crate::platform::model::Kind;
use crate::platform::object::Object;
use crate::state::Record;
use crate::value::{Map, Value};

/// A live body reduced to what the wanted spec declares, secrets as words; for the plan's `before`.
#[must_use]
pub(super) fn before_view(kind: &Kind, spec: &Value, object: &Object, record: Option<&Record>) -> Value {
    let mut guarded = guard(kind, Some(spec), &object.body);
    // Where a secret was written, the API has it until something else is.
    let held: Vec<FieldPath> = record.map(|r| r.secrets.keys().map(|path| FieldPath::parse(path)).collect()).unwrap_or_default();
    for path in &held {
        if guarded.at(path).is_some_and(|live| live.as_str().is_some()) {
            guarded.replace(path, Value::String("(secret)".to_owned()));
        }
    }
    let (Value::Map(wanted), Value::Map(live)) = (spec, &guarded) else { return Value::Null };
    let names = kind.constants.keys().chain(wanted.keys());
    let view = |name: &String, live: &Value| {
        let structured = kind.fields.get(name).is_some_and(|f| f.merge || f.keyed_by.is_some());
        let holds_secrets = wanted.get(name).is_some_and(Value::has_secret)
            || held.iter().any(|path| path.top() == Some(name) && path.steps().len() > 1);
        if holds_secrets && !structured { Value::String("(not shown: it holds secrets)".to_owned()) } else { in_words(live) }
    };
    let kept: Map = names.filter_map(|name| live.get(name).map(|v| (name.clone(), view(name, v)))).collect();
    Value::Map(kept)
}

/// A wanted body with every secret replaced by its fingerprint; for the plan's `after`. The places of the secrets are
/// added to `sensitive`.
#[must_use]
pub(super) fn after_view(s: &Subject<'_>, sensitive: &mut Vec<FieldPath>) -> Value {
    let mut map: Map = s.kind.constants.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
    let Value::Map(spec) = &s.connection.spec else { return Value::Map(map) };
    for (name, value) in spec {
        map.insert(name.clone(), value.clone());
    }
    let mut view = Value::Map(map);
    for unit in units(s.kind, &s.connection.spec) {
        if let Content::Secret(secret) = unit.content {
            let address = s.record.map_or(&s.connection.address, |r| &r.address);
            let fp = s.fingerprinter.secret(address, &unit.path.to_string(), secret.expose());
            view.replace(&unit.path, Value::String(format!("(secret {})", fp.short())));
            sensitive.push(unit.path);
        }
    }
    in_words(&view)
}

/// A value from which secrets were taken out, with a word in the place of each.
pub(super) fn in_their_places(plain: &Value, places: &[FieldPath], spec: &Value, at: &FieldPath) -> Value {
    let mut value = plain.clone();
    for place in places {
        if let Some(wanted) = spec.at(&at.concat(place)) {
            value.replace(place, in_words(wanted));
        }
    }
    value
}

fn in_words(value: &Value) -> Value {
    match value {
        Value::Secret(_) => Value::String("(secret)".into()),
        Value::Unknown(_) => Value::String("(known after apply)".into()),
        Value::List(list) => Value::List(list.iter().map(in_words).collect()),
        Value::Map(map) => Value::Map(map.iter().map(|(k, v)| (k.clone(), in_words(v))).collect()),
        other => other.clone(),
    }
}
