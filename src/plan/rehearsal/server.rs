//! A server that behaves as a definition says: what it stores, and what it gives back.

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use crate::path::{FieldPath, Step};
use crate::platform::model::{Collection, Field, Kind, PatchForm, ReadsAs, Semantics, Update};
use crate::platform::parse::is_secret;
use crate::value::{Map, Value};

/// How much it gives back, where the definition leaves that open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// Every field that can be read.
    Everything,
    /// No objects and no lists.
    Scalars,
}

/// One object and its server.
#[derive(Debug)]
pub(super) struct Server<'d> {
    collection: &'d Collection,
    kind: &'d Kind,
    gives: Gives,
    stored: Option<Value>,
    stamp: u32,
}

impl<'d> Server<'d> {
    pub(super) fn new(collection: &'d Collection, kind: &'d Kind, gives: Gives) -> Self {
        Self { collection, kind, gives, stored: None, stamp: 0 }
    }

    /// Stores a new object; gives the answer.
    pub(super) fn create(&mut self, body: &Json) -> Json {
        self.stored = Some(Value::from(body.clone()));
        self.stamp += 1;
        let mut object = self.shown();
        if let Some(path) = &self.kind.create.id {
            place(&mut object, path, Value::String(self.id()));
        }
        wrapped(&self.kind.create.item, object)
    }

    /// Changes the object as the verb does; gives the answer.
    pub(super) fn update(&mut self, verb: &Update, body: &Json) -> Json {
        let mut body = Value::from(body.clone());
        for (path, other) in &verb.writes_as {
            if let Some(value) = body.take(&FieldPath::parse(other)) {
                body.put(&FieldPath::parse(path), value);
            }
        }
        let stored = self.stored.take().unwrap_or_else(|| Value::Map(Map::new()));
        self.stored = Some(match verb.semantics {
            Semantics::Merge => merged(&self.kind.fields, stored, body),
            Semantics::Replace | Semantics::Upsert => {
                let constants = self.kind.constants.iter().map(|(k, v)| (k.clone(), Value::from(v.clone())));
                let mut whole = Value::Map(constants.collect());
                if let (Value::Map(whole), Value::Map(body)) = (&mut whole, body) {
                    whole.extend(body);
                }
                whole
            }
        });
        self.stamp += 1;
        wrapped(&verb.item, self.shown())
    }

    /// The list.
    pub(super) fn list(&self) -> Json {
        let items: Vec<Json> = self.stored.iter().filter_map(|_| self.shown().expose_json()).collect();
        let count = items.len();
        let list = &self.collection.list;
        if list.items.is_empty() {
            return Json::Array(items);
        }
        let mut answer = Value::Map(Map::new());
        place(&mut answer, &list.items, Value::from(Json::Array(items)));
        if let Some(path) = &list.total {
            place(&mut answer, path, Value::Number(count.into()));
        }
        answer.expose_json().unwrap_or_default()
    }

    /// The object.
    pub(super) fn read(&self) -> Json {
        wrapped(self.collection.read.as_ref().map_or("", |read| read.item.as_str()), self.shown())
    }

    /// A natural key may be the id.
    fn id(&self) -> String {
        let own = self.stored.as_ref().and_then(|s| s.at(&FieldPath::parse(&self.collection.id)));
        match own.and_then(Value::as_str) {
            Some(text) if self.collection.natural_key_ignores_case => text.to_lowercase(),
            Some(text) => text.to_owned(),
            None => "sample-id".to_owned(),
        }
    }

    /// What a read shows.
    fn shown(&self) -> Value {
        let mut answer = Value::Map(Map::new());
        let Some(stored) = &self.stored else { return answer };
        for name in self.kind.constants.keys() {
            if let Some(value) = stored.at(&FieldPath::root().key(name)) {
                answer.put(&FieldPath::root().key(name), value.clone());
            }
        }
        show(&self.kind.fields, &FieldPath::root(), stored, &mut answer);
        if self.gives == Gives::Scalars
            && let Value::Map(map) = &mut answer
        {
            map.retain(|_, value| !matches!(value, Value::Map(_) | Value::List(_)));
        }
        place(&mut answer, &self.collection.id, Value::String(self.id()));
        if let Some(path) = &self.collection.watermark {
            place(&mut answer, path, Value::String(format!("2030-01-01T00:00:{:02}Z", self.stamp)));
        }
        answer
    }
}

fn wrapped(item: &str, object: Value) -> Json {
    if item.is_empty() {
        return object.expose_json().unwrap_or_default();
    }
    let mut answer = Value::Map(Map::new());
    place(&mut answer, item, object);
    answer.expose_json().unwrap_or(json!({}))
}

/// Puts a value where a path of the definition will look for it, in maps and lists that are made on the way.
fn place(answer: &mut Value, path: &str, new: Value) {
    let mut at = answer;
    for step in FieldPath::parse(path).steps() {
        match step {
            Step::Key(key) => {
                if !matches!(at, Value::Map(_)) {
                    *at = Value::Map(Map::new());
                }
                let Value::Map(map) = at else { return };
                at = map.entry(key.clone()).or_insert(Value::Null);
            }
            Step::Index(n) => {
                if !matches!(at, Value::List(_)) {
                    *at = Value::List(Vec::new());
                }
                let Value::List(list) = at else { return };
                if list.len() <= *n {
                    list.resize(n + 1, Value::Null);
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
fn merged(fields: &IndexMap<String, Field>, stored: Value, body: Value) -> Value {
    let (Value::Map(mut stored), Value::Map(body)) = (stored, body) else { return Value::Null };
    for (name, new) in body {
        let rules = fields.get(&name);
        let value = match (rules, stored.get(&name).cloned()) {
            (Some(field), Some(old @ Value::Map(_))) if field.merge && field.patch == PatchForm::Parts => {
                merged(&field.fields, old, new)
            }
            _ => new,
        };
        stored.insert(name, value);
    }
    Value::Map(stored)
}

fn show(fields: &IndexMap<String, Field>, at: &FieldPath, stored: &Value, answer: &mut Value) {
    for (name, field) in fields {
        let path = at.key(name);
        let Some(value) = stored.at(&path) else { continue };
        if field.reads_as == ReadsAs::Nothing {
            continue;
        }
        if !field.is_free() && field.read.is_none() {
            show(&field.fields, &path, stored, answer);
            let others = value.as_map().into_iter().flatten().filter(|(key, _)| !field.fields.contains_key(*key));
            for (key, value) in others {
                let Some(rules) = field.values.as_deref().filter(|rules| rules.reads_as != ReadsAs::Nothing) else { continue };
                let shown = as_read(rules, Some(key), value);
                match &rules.read {
                    Some(read) => place(answer, &read.replace("{key}", key), shown),
                    None => answer.put(&path.key(key), shown),
                }
            }
            continue;
        }
        let shown = as_read(field, None, value);
        match &field.read {
            Some(read) => place(answer, read, shown),
            None => answer.put(&path, shown),
        }
    }
}

fn as_read(field: &Field, key: Option<&str>, value: &Value) -> Value {
    match value {
        Value::String(_) if field.reads_as == ReadsAs::Presence => Value::Bool(true),
        Value::String(text) if field.reads_as == ReadsAs::Mask && is_secret(field, key) => Value::String(mask(text)),
        Value::String(word) => match field.equals.get(word).and_then(|others| others.first()) {
            Some(other) => Value::String(other.clone()),
            None => value.clone(),
        },
        Value::List(items) => match &field.keyed_by {
            Some(by) => Value::List(items.iter().map(|item| item_as_read(field, by, item)).collect()),
            None => value.clone(),
        },
        Value::Map(map) if !field.is_free() => {
            let shown = map.iter().filter_map(|(key, value)| match field.rules(key) {
                Some(rules) if rules.reads_as == ReadsAs::Nothing => None,
                Some(rules) => Some((key.clone(), as_read(rules, Some(key), value))),
                None => Some((key.clone(), value.clone())),
            });
            Value::Map(shown.collect())
        }
        other => other.clone(),
    }
}

fn item_as_read(field: &Field, by: &str, item: &Value) -> Value {
    let Value::Map(map) = item else { return item.clone() };
    let key = map.get(by).and_then(Value::as_str);
    let shown = map.iter().filter_map(|(name, value)| match field.item.get(name) {
        Some(rules) if rules.reads_as == ReadsAs::Nothing => None,
        Some(rules) => Some((name.clone(), as_read(rules, key, value))),
        None => Some((name.clone(), value.clone())),
    });
    Value::Map(shown.collect())
}

fn mask(secret: &str) -> String {
    let tail: String = secret.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    format!("***************{tail}")
}
