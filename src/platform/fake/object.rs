//! What an API keeps of an object, and what it shows of it.

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use super::Keeper;
use crate::path::{FieldPath, Step};
use crate::platform::exchange::json_at;
use crate::platform::model::{Collection, Field, Kind, PatchForm, ReadsAs, Semantics, Update};
use crate::platform::object::folded;
use crate::platform::parse::is_secret;

/// When the first version of an object was written: `2030-01-01T00:00:00Z`.
const EPOCH: i64 = 1_893_456_000;

/// One object: its fields as they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its kind.
    pub kind: String,
    /// How often it was written.
    pub stamp: u32,
    /// The fields, where a create has them.
    pub fields: Json,
}

impl Stored {
    /// From what [`Self::to_json`] gave.
    #[must_use]
    pub fn from_json(json: &Json) -> Option<Self> {
        Some(Self {
            kind: json.get("kind")?.as_str()?.to_owned(),
            stamp: u32::try_from(json.get("stamp")?.as_u64()?).ok()?,
            fields: json.get("fields")?.clone(),
        })
    }

    /// As it is kept.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({ "kind": self.kind, "stamp": self.stamp, "fields": self.fields })
    }

    /// The id, if it is one of its fields.
    #[must_use]
    pub fn own_id(&self, collection: &Collection) -> Option<String> {
        let own = json_at(&self.fields, &collection.id)?.as_str()?;
        Some(folded(collection.natural_key_as, own))
    }

    /// The natural key.
    #[must_use]
    pub fn natural_key(&self, collection: &Collection) -> Option<Vec<String>> {
        let part = |path: &String| {
            let part = json_at(&self.fields, path)?.as_str()?;
            Some(folded(collection.natural_key_as, part))
        };
        collection.natural_key.iter().map(part).collect()
    }

    /// The object after a verb. `fields` stand where a create has them.
    #[must_use]
    pub fn updated(&self, kind: &Kind, verb: &Update, fields: Map<String, Json>) -> Self {
        let fields = match verb.semantics {
            Semantics::Merge => merged(&kind.fields, self.fields.clone(), Json::Object(fields)),
            Semantics::Replace | Semantics::Upsert => {
                let constants = kind.constants.iter().map(|(name, value)| (name.clone(), value.clone()));
                Json::Object(constants.chain(fields).collect())
            }
        };
        Self { kind: self.kind.clone(), stamp: self.stamp + 1, fields }
    }

    /// Puts what may be kept of a secret where a secret is, and where nothing is ever shown.
    pub fn seal(&mut self, kind: &Kind, keeper: &dyn Keeper, mask: &dyn Fn(&str, &str) -> String) {
        let seal = |name: &str, text: &str| keeper.sealed(text, &mask(name, text));
        if let Json::Object(map) = &mut self.fields {
            for (name, value) in map {
                if let Some(field) = kind.fields.get(name) {
                    seal_field(field, None, name, value, &seal);
                }
            }
        }
    }

    /// What lists and reads show.
    #[must_use]
    pub fn shown(&self, collection: &Collection, kind: &Kind, id: &str) -> Json {
        let mut answer = json!({});
        for name in kind.constants.keys() {
            if let Some(value) = self.fields.get(name) {
                place(&mut answer, name, value.clone());
            }
        }
        if let Json::Object(stored) = &self.fields {
            show(&kind.fields, &FieldPath::root(), stored, &mut answer);
        }
        self.sign(collection, id, &mut answer);
        answer
    }

    /// Puts its id and its modification stamp into an answer.
    pub fn sign(&self, collection: &Collection, id: &str, answer: &mut Json) {
        place(answer, &collection.id, id.into());
        if let Some(path) = &collection.watermark {
            place(answer, path, stamp(self.stamp).into());
        }
    }

    /// The answer to its create.
    #[must_use]
    pub fn created(&self, collection: &Collection, kind: &Kind, id: &str) -> Json {
        let mut object = self.shown(collection, kind, id);
        if let Some(path) = &kind.create.id {
            place(&mut object, path, id.into());
        }
        wrapped(&kind.create.item, object)
    }
}

/// A body with the fields of a verb where a create has them.
#[must_use]
pub fn as_created(verb: &Update, body: Map<String, Json>) -> Map<String, Json> {
    let mut body = crate::value::Value::from(Json::Object(body));
    for (path, other) in &verb.writes_as {
        if let Some(value) = body.take(&FieldPath::parse(other)) {
            body.put(&FieldPath::parse(path), value);
        }
    }
    match body.expose_json() {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    }
}

fn stamp(n: u32) -> String {
    jiff::Timestamp::from_second(EPOCH + i64::from(n)).map_or_else(|_| n.to_string(), |stamp| stamp.to_string())
}

/// An object at the place where an answer has it.
#[must_use]
pub fn wrapped(item: &str, object: Json) -> Json {
    if item.is_empty() {
        return object;
    }
    let mut answer = json!({});
    place(&mut answer, item, object);
    answer
}

/// Puts a value where a path of the definition will look for it, in maps and lists that are made on the way.
pub fn place(answer: &mut Json, path: &str, new: Json) {
    place_at(answer, &FieldPath::parse(path), new);
}

fn place_at(answer: &mut Json, path: &FieldPath, new: Json) {
    let mut at = answer;
    for step in path.steps() {
        match step {
            Step::Key(key) => {
                if !at.is_object() {
                    *at = json!({});
                }
                let Json::Object(map) = at else { return };
                at = map.entry(key.clone()).or_insert(Json::Null);
            }
            Step::Index(n) => {
                if !at.is_array() {
                    *at = json!([]);
                }
                let Json::Array(list) = at else { return };
                if list.len() <= *n {
                    list.resize(n + 1, Json::Null);
                }
                at = &mut list[*n];
            }
            // Nothing is read from there.
            Step::Item { .. } => return,
        }
    }
    *at = new;
}

/// A partial update: objects that take parts are merged, everything else is replaced.
fn merged(fields: &IndexMap<String, Field>, stored: Json, body: Json) -> Json {
    let (Json::Object(mut stored), Json::Object(body)) = (stored, body) else { return Json::Null };
    for (name, new) in body {
        let value = match (fields.get(&name), stored.get(&name).cloned()) {
            (Some(field), Some(old @ Json::Object(_))) if field.merge && field.patch == PatchForm::Parts => {
                merged(&field.fields, old, new)
            }
            _ => new,
        };
        stored.insert(name, value);
    }
    Json::Object(stored)
}

fn show(fields: &IndexMap<String, Field>, at: &FieldPath, stored: &Map<String, Json>, answer: &mut Json) {
    for (name, field) in fields {
        let (path, Some(value)) = (at.key(name), stored.get(name)) else { continue };
        match (&field.read, value) {
            _ if field.reads_as == ReadsAs::Nothing => {}
            (None, Json::Object(inner)) if !field.is_free() => {
                show(&field.fields, &path, inner, answer);
                let free = inner.iter().filter(|(key, _)| !field.fields.contains_key(*key));
                for (key, value) in free {
                    show_free(field, &path, key, value, answer);
                }
            }
            (Some(read), value) => place(answer, read, as_read(field, None, value)),
            (None, value) => place_at(answer, &path, as_read(field, None, value)),
        }
    }
}

/// A value under a key that the definition has rules for without knowing it.
fn show_free(field: &Field, at: &FieldPath, key: &str, value: &Json, answer: &mut Json) {
    let Some(rules) = field.values.as_deref().filter(|rules| rules.reads_as != ReadsAs::Nothing) else { return };
    let shown = as_read(rules, Some(key), value);
    match &rules.read {
        Some(read) => place(answer, &read.replace("{key}", key), shown),
        None => place_at(answer, &at.key(key), shown),
    }
}

/// The mask of a sealed secret.
fn shown_of_sealed(value: &Json) -> Option<&Json> {
    value.get("digest").and_then(|_| value.get("read"))
}

fn as_read(field: &Field, key: Option<&str>, value: &Json) -> Json {
    if field.reads_as == ReadsAs::Presence && !value.is_null() {
        return Json::Bool(true);
    }
    if let Some(mask) = shown_of_sealed(value) {
        return mask.clone();
    }
    match value {
        Json::String(text) if field.reads_as == ReadsAs::Mask && is_secret(field, key) => mask(text).into(),
        Json::String(word) => match field.equals.get(word).and_then(|others| others.first()) {
            Some(other) => other.as_str().into(),
            None => value.clone(),
        },
        Json::Array(items) => match &field.keyed_by {
            Some(by) => items.iter().map(|item| item_as_read(field, by, item)).collect(),
            None => value.clone(),
        },
        Json::Object(map) if !field.is_free() => {
            let shown = map.iter().filter_map(|(name, value)| inner_as_read(field.rules(name), Some(name), name, value));
            Json::Object(shown.collect())
        }
        other => other.clone(),
    }
}

fn item_as_read(field: &Field, by: &str, item: &Json) -> Json {
    let Json::Object(map) = item else { return item.clone() };
    let key = map.get(by).and_then(Json::as_str);
    Json::Object(map.iter().filter_map(|(name, value)| inner_as_read(field.item.get(name), key, name, value)).collect())
}

fn inner_as_read(field: Option<&Field>, key: Option<&str>, name: &str, value: &Json) -> Option<(String, Json)> {
    match field {
        Some(field) if field.reads_as == ReadsAs::Nothing => None,
        Some(field) => Some((name.to_owned(), as_read(field, key, value))),
        None => Some((name.to_owned(), value.clone())),
    }
}

/// What is kept of a text in a field of that name.
type Seal<'s> = &'s dyn Fn(&str, &str) -> Json;

fn seal_field(field: &Field, key: Option<&str>, name: &str, value: &mut Json, seal: Seal<'_>) {
    let is_hidden = match field.reads_as {
        ReadsAs::Nothing | ReadsAs::Presence => true,
        ReadsAs::Mask => is_secret(field, key),
        ReadsAs::Value => false,
    };
    match value {
        value if is_hidden => seal_all(name, value, seal),
        Json::Array(items) => {
            for item in items {
                let Json::Object(map) = item else { continue };
                let key = field.keyed_by.as_ref().and_then(|by| map.get(by)).and_then(Json::as_str).map(str::to_owned);
                for (name, value) in map {
                    if let Some(field) = field.item.get(name) {
                        seal_field(field, key.as_deref(), name, value, seal);
                    }
                }
            }
        }
        Json::Object(map) => {
            for (name, value) in map {
                if let Some(field) = field.rules(name) {
                    seal_field(field, Some(name), name, value, seal);
                }
            }
        }
        _ => {}
    }
}

fn seal_all(name: &str, value: &mut Json, seal: Seal<'_>) {
    match value {
        Json::String(text) => *value = seal(name, text),
        Json::Array(items) => items.iter_mut().for_each(|item| seal_all(name, item, seal)),
        sealed if shown_of_sealed(sealed).is_some() => {}
        Json::Object(map) => map.values_mut().for_each(|value| seal_all(name, value, seal)),
        _ => {}
    }
}

/// Fifteen stars and the end of a secret.
#[must_use]
pub fn mask(secret: &str) -> String {
    let tail: String = secret.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    format!("***************{tail}")
}
