//! The one tree that YAML and TOML files become: plain data with a span on every value and every key.

use serde_json::Number;

use crate::source::Span;
use crate::value::{Map, Value};

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value stands, its first line only. For an alias, the place of use.
    pub span: Span,
    /// The end of the whole value, further down than `span` for texts of several lines.
    pub end: u32,
    /// What it is.
    pub kind: Kind,
}

/// The shapes of a [`Node`].
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text; templates are still texts here.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the author's order. Keys are unique: the parsers refuse duplicates.
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Nothing, at a place.
    #[must_use]
    pub fn null(span: Span) -> Self {
        Self { span, end: span.end, kind: Kind::Null }
    }

    /// The whole value, all its lines.
    #[must_use]
    pub fn extent(&self) -> Span {
        Span { end: self.end.max(self.span.end), ..self.span }
    }

    /// Adds the places of all scalars below that are no templates: what nobody has read may be a secret.
    pub fn scalars(&self, places: &mut Vec<Span>) {
        match &self.kind {
            Kind::String(text) if text.contains("${{") => {}
            Kind::String(_) | Kind::Number(_) => places.push(self.extent()),
            Kind::List(list) => list.iter().for_each(|item| item.scalars(places)),
            Kind::Map(entries) => entries.iter().for_each(|entry| entry.value.scalars(places)),
            Kind::Null | Kind::Bool(_) => {}
        }
    }

    /// What people call this type of value.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::String(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "an object",
        }
    }

    /// The entry of a map.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    /// The value of a map's key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|e| &e.value)
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text, if it is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// Plain data without spans; templates stay texts.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Number(n) => Value::Number(n.clone()),
            Kind::String(s) => Value::String(s.clone()),
            Kind::List(list) => Value::List(list.iter().map(Self::to_value).collect()),
            Kind::Map(entries) => Value::Map(entries.iter().map(|e| (e.key.clone(), e.value.to_value())).collect::<Map>()),
        }
    }

    /// Plain JSON without spans; templates stay texts.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Null => serde_json::Value::Null,
            Kind::Bool(b) => (*b).into(),
            Kind::Number(n) => n.clone().into(),
            Kind::String(s) => s.clone().into(),
            Kind::List(list) => list.iter().map(Self::to_json).collect::<Vec<_>>().into(),
            Kind::Map(entries) => {
                entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect::<serde_json::Map<_, _>>().into()
            }
        }
    }

    /// Merges `over` into `self`: maps key by key, everything else replaced. For profiles.
    pub fn merge(&mut self, over: &Self) {
        match (&mut self.kind, &over.kind) {
            (Kind::Map(mine), Kind::Map(theirs)) => {
                for entry in theirs {
                    match mine.iter_mut().find(|e| e.key == entry.key) {
                        Some(old) => old.value.merge(&entry.value),
                        None => mine.push(entry.clone()),
                    }
                }
            }
            _ => *self = over.clone(),
        }
    }
}
