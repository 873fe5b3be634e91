//! Units: the smallest parts of a spec that are compared, recorded and reported one by one.
//!
//! What is one unit follows from the definition: a plain field, a key of a merged object, an item's field of a keyed
//! list, the set of such a list's keys; anything else is atomic. A secret is always a unit of its own, wherever it sits,
//! so that no digest of readable content ever covers it.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::config::desired::Connection;
use crate::path::{FieldPath, Step};
use crate::platform::model::{Field, FieldType, Kind};
use crate::platform::parse::is_secret;
use crate::secret::Secret;
use crate::value::{Map, Value};

/// The rules of free content: any type, compared as JSON.
static FREE: LazyLock<Field> = LazyLock::new(|| Field { kind: FieldType::Any, ..Field::default() });

/// One unit of a wanted spec.
#[derive(Debug)]
pub struct Unit<'s> {
    /// Where it is.
    pub path: FieldPath,
    /// Its rules.
    pub field: &'s Field,
    /// What is wanted.
    pub content: Content<'s>,
}

/// What is wanted of a unit.
#[derive(Debug)]
pub enum Content<'s> {
    /// A readable value; secrets inside it are taken out, and these are the places that were emptied.
    Plain(Cow<'s, Value>, Vec<FieldPath>),
    /// The keys of a keyed list: `by` and the keys, sorted.
    Keys(String, Vec<String>),
    /// A secret.
    Secret(&'s Secret),
    /// Known after apply.
    Pending(&'s str),
}

/// The units of a wanted spec, in its order.
#[must_use]
pub fn units<'s>(kind: &'s Kind, spec: &'s Value) -> Vec<Unit<'s>> {
    let mut all = Vec::new();
    if let Value::Map(map) = spec {
        for (name, value) in map {
            let field = kind.fields.get(name).unwrap_or(&FREE);
            collect(FieldPath::root().key(name), field, value, &mut all);
        }
    }
    all
}

fn collect<'s>(path: FieldPath, field: &'s Field, value: &'s Value, all: &mut Vec<Unit<'s>>) {
    match value {
        Value::Secret(secret) => all.push(Unit { path, field, content: Content::Secret(secret) }),
        Value::Unknown(what) => all.push(Unit { path, field, content: Content::Pending(what) }),
        Value::Map(map) if field.merge => {
            for (name, value) in map {
                collect(path.key(name), field.rules(name).unwrap_or(&FREE), value, all);
            }
        }
        Value::List(items) if field.keyed_by.is_some() => keyed(path, field, items, all),
        _ if value.has_secret() || value.has_unknown() => {
            let (mut plain, mut emptied) = (value.clone(), Vec::new());
            take_out(value, &mut plain, &FieldPath::root(), &mut emptied);
            for inner in &emptied {
                let content = match value.at(inner) {
                    Some(Value::Secret(secret)) => Content::Secret(secret),
                    Some(Value::Unknown(what)) => Content::Pending(what),
                    _ => continue,
                };
                all.push(Unit { path: path.concat(inner), field: below(field, inner), content });
            }
            all.push(Unit { path, field, content: Content::Plain(Cow::Owned(plain), emptied) });
        }
        _ => all.push(Unit { path, field, content: Content::Plain(Cow::Borrowed(value), Vec::new()) }),
    }
}

/// The rules of a place inside a value.
fn below<'f>(field: &'f Field, path: &FieldPath) -> &'f Field {
    let steps = path.steps().iter().try_fold(field, |field, step| match step {
        Step::Key(key) => field.rules(key),
        _ => None,
    });
    steps.unwrap_or(&FREE)
}

fn keyed<'s>(path: FieldPath, field: &'s Field, items: &'s [Value], all: &mut Vec<Unit<'s>>) {
    let by = field.keyed_by.as_deref().unwrap_or_default();
    let mut keys = item_keys(items, by);
    if field.keyed_ignores_case {
        keys.iter_mut().for_each(|key| *key = key.to_lowercase());
    }
    for item in items {
        let Some(map) = item.as_map() else { continue };
        let Some(key) = map.get(by).and_then(Value::expose_str) else { continue };
        let path = path.join(Step::Item { by: by.to_owned(), value: key.to_owned() });
        for (name, value) in map.iter().filter(|(name, _)| *name != by) {
            collect(path.key(name), field.item.get(name).unwrap_or(&FREE), value, all);
        }
    }
    keys.sort();
    all.push(Unit { path, field, content: Content::Keys(by.to_owned(), keys) });
}

/// The keys of a keyed list's items.
#[must_use]
pub fn item_keys(items: &[Value], by: &str) -> Vec<String> {
    let key = |item: &Value| item.as_map().and_then(|m| m.get(by)).and_then(Value::expose_str).map(ToOwned::to_owned);
    items.iter().filter_map(key).collect()
}

fn take_out(value: &Value, plain: &mut Value, path: &FieldPath, emptied: &mut Vec<FieldPath>) {
    match (value, plain) {
        (Value::Secret(_) | Value::Unknown(_), plain) => {
            *plain = Value::Null;
            emptied.push(path.clone());
        }
        (Value::Map(map), Value::Map(plain)) => {
            for (name, value) in map {
                if let Some(plain) = plain.get_mut(name) {
                    take_out(value, plain, &path.key(name), emptied);
                }
            }
        }
        (Value::List(list), Value::List(plain)) => {
            for (n, (value, plain)) in list.iter().zip(plain).enumerate() {
                take_out(value, plain, &path.join(Step::Index(n)), emptied);
            }
        }
        _ => {}
    }
}

/// A live value with the same places emptied as in the wanted one, so that the rest can be compared.
#[must_use]
pub fn emptied(live: &Value, places: &[FieldPath]) -> Value {
    fn clear(value: &mut Value, steps: &[Step]) {
        match (steps.split_first(), value) {
            (None, value) => *value = Value::Null,
            (Some((Step::Key(key), rest)), Value::Map(map)) => {
                if let Some(value) = map.get_mut(key) {
                    clear(value, rest);
                }
            }
            (Some((Step::Index(n), rest)), Value::List(list)) => {
                if let Some(value) = list.get_mut(*n) {
                    clear(value, rest);
                }
            }
            _ => {}
        }
    }
    let mut live = live.clone();
    for place in places {
        clear(&mut live, place.steps());
    }
    live
}

/// Wraps what must not be shown of a live body: every secret field, and every place where the wanted spec has a
/// secret. The API may return secrets in the clear.
#[must_use]
pub fn guard(kind: &Kind, wanted: Option<&Value>, body: &Value) -> Value {
    let Value::Map(map) = body else { return body.clone() };
    let guarded: Map = map
        .iter()
        .map(|(name, value)| {
            let wanted = wanted.and_then(Value::as_map).and_then(|m| m.get(name));
            (name.clone(), guard_field(kind.fields.get(name), Some(name), wanted, value))
        })
        .collect();
    Value::Map(guarded)
}

fn guard_field(field: Option<&Field>, key: Option<&str>, wanted: Option<&Value>, live: &Value) -> Value {
    let secret = field.is_some_and(|f| is_secret(f, key)) || matches!(wanted, Some(Value::Secret(_)));
    match live {
        Value::String(text) if secret => Value::Secret(Secret::new(text.as_str())),
        Value::Map(map) => Value::Map(
            map.iter()
                .map(|(name, value)| {
                    let field = field.and_then(|f| f.rules(name));
                    let wanted = wanted.and_then(Value::as_map).and_then(|m| m.get(name));
                    (name.clone(), guard_field(field, Some(name), wanted, value))
                })
                .collect(),
        ),
        Value::List(items) => {
            let by = field.and_then(|f| f.keyed_by.as_deref());
            let wanted_items = wanted.and_then(Value::as_list).unwrap_or_default();
            let guarded = items.iter().enumerate().map(|(n, item)| match (by, item.as_map()) {
                (Some(by), Some(map)) => {
                    let key = map.get(by).and_then(Value::as_str);
                    let wanted = wanted_items.iter().find(|w| w.as_map().and_then(|m| m.get(by)).and_then(Value::as_str) == key);
                    Value::Map(
                        map.iter()
                            .map(|(name, value)| {
                                let field = field.and_then(|f| f.item.get(name));
                                let wanted = wanted.and_then(Value::as_map).and_then(|m| m.get(name));
                                (name.clone(), guard_field(field, Some(key.unwrap_or("authorization")), wanted, value))
                            })
                            .collect(),
                    )
                }
                _ => guard_field(None, None, wanted_items.get(n), item),
            });
            Value::List(guarded.collect())
        }
        other => other.clone(),
    }
}

/// The natural key of a connection as people read it.
#[must_use]
pub fn display_name(connection: &Connection, kind: &Kind, natural_key: &[String]) -> String {
    let part = |path: &String| match connection.spec.at(&FieldPath::parse(path)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Secret(_)) => "(secret)".to_owned(),
        _ => kind.constants.get(path).and_then(|c| c.as_str()).unwrap_or(connection.address.key()).to_owned(),
    };
    natural_key.iter().map(part).collect::<Vec<_>>().join(" / ")
}
