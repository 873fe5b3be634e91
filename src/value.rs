//! Values: JSON with two more leaves, a secret and a value that is known only after apply.

use indexmap::IndexMap;
use serde_json::Number;

use crate::path::{FieldPath, Step};
use crate::secret::Secret;

/// A map that keeps the author's order of keys.
pub type Map = IndexMap<String, Value>;

/// A value of a spec, a request body or an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any JSON number.
    Number(Number),
    /// A text that may be shown.
    String(String),
    /// A text that may not.
    Secret(Secret),
    /// Depends on another connection's id or field that is known only after apply; the text says on what.
    Unknown(String),
    /// A list.
    List(Vec<Self>),
    /// A map.
    Map(Map),
}

impl Value {
    /// What people call this type of value.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) | Self::Secret(_) => "a string",
            Self::Unknown(_) => "a value known after apply",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }

    /// The text of a string that may be shown.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text of any string, secret or not. As delicate as [`Secret::expose`].
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Secret(secret) => Some(secret.expose()),
            _ => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Is it `null`?
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Does it hold a secret anywhere?
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.any(&|v| matches!(v, Self::Secret(_)))
    }

    /// Does it hold a value that is known only after apply?
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.any(&|v| matches!(v, Self::Unknown(_)))
    }

    fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        is(self)
            || match self {
                Self::List(list) => list.iter().any(|v| v.any(is)),
                Self::Map(map) => map.values().any(|v| v.any(is)),
                _ => false,
            }
    }

    /// The value at a path, if there is one.
    #[must_use]
    pub fn at(&self, path: &FieldPath) -> Option<&Self> {
        path.steps().iter().try_fold(self, |value, step| match (value, step) {
            (Self::Map(map), Step::Key(key)) => map.get(key),
            (Self::List(list), Step::Index(index)) => list.get(*index),
            (Self::List(list), Step::Item { by, value }) => {
                fn key<'i>(item: &'i Value, by: &str) -> Option<&'i str> {
                    item.as_map().and_then(|m| m.get(by)).and_then(Value::expose_str)
                }
                // Exactly this key, or else the one that differs in case only: servers lower-case header names.
                list.iter()
                    .find(|item| key(item, by) == Some(value))
                    .or_else(|| list.iter().find(|item| key(item, by).is_some_and(|k| k.eq_ignore_ascii_case(value))))
            }
            _ => None,
        })
    }

    /// Puts a value at a path of keys, making the maps on the way. Steps that are no keys are for lists, which are
    /// always sent whole, so they end the path.
    pub fn put(&mut self, path: &FieldPath, new: Self) {
        let mut place = self;
        for step in path.steps() {
            let Step::Key(key) = step else { break };
            if !matches!(place, Self::Map(_)) {
                *place = Self::Map(Map::new());
            }
            let Self::Map(map) = place else { return };
            place = map.entry(key.clone()).or_insert(Self::Null);
        }
        *place = new;
    }

    /// The same with every text that holds a known secret as a secret.
    #[must_use]
    pub fn veiled(&self, redactor: &crate::secret::Redactor) -> Self {
        match self {
            Self::String(text) if redactor.finds(text) => Self::Secret(Secret::new(text.as_str())),
            Self::List(list) => Self::List(list.iter().map(|value| value.veiled(redactor)).collect()),
            Self::Map(map) => Self::Map(map.iter().map(|(key, value)| (key.clone(), value.veiled(redactor))).collect()),
            other => other.clone(),
        }
    }

    /// Replaces the value at a path that exists, through maps, lists and keyed items. False if there is none.
    pub fn replace(&mut self, path: &FieldPath, new: Self) -> bool {
        let mut place = self;
        for step in path.steps() {
            let next = match (step, place) {
                (Step::Key(key), Self::Map(map)) => map.get_mut(key),
                (Step::Index(n), Self::List(list)) => list.get_mut(*n),
                (Step::Item { by, value }, Self::List(list)) => {
                    list.iter_mut().find(|item| item.as_map().and_then(|m| m.get(by)).and_then(Self::expose_str) == Some(value))
                }
                _ => None,
            };
            match next {
                Some(next) => place = next,
                None => return false,
            }
        }
        *place = new;
        true
    }

    /// Takes the value at a path of keys out, together with the maps that are empty then.
    pub fn take(&mut self, path: &FieldPath) -> Option<Self> {
        fn take(value: &mut Value, steps: &[Step]) -> Option<Value> {
            let (Value::Map(map), Some((Step::Key(key), rest))) = (value, steps.split_first()) else { return None };
            if rest.is_empty() {
                return map.shift_remove(key);
            }
            let inner = map.get_mut(key)?;
            let taken = take(inner, rest);
            if inner.as_map().is_some_and(Map::is_empty) {
                map.shift_remove(key);
            }
            taken
        }
        take(self, path.steps())
    }

    /// A text that is equal for equal values and different for different ones: keys sorted, numbers by value, secrets
    /// in the clear. For digests only.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.write_canonical(&mut text);
        text
    }

    fn write_canonical(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Number(n) => out.push_str(&canonical_number(n)),
            Self::String(s) => push_json_string(out, s),
            Self::Secret(s) => push_json_string(out, s.expose()),
            Self::Unknown(what) => {
                out.push('?');
                push_json_string(out, what);
            }
            Self::List(list) => {
                out.push('[');
                for (n, item) in list.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Self::Map(map) => {
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort();
                out.push('{');
                for (n, key) in keys.into_iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    push_json_string(out, key);
                    out.push(':');
                    map[key].write_canonical(out);
                }
                out.push('}');
            }
        }
    }

    /// The JSON that goes over the wire, secrets in the clear. `None` if something is still unknown.
    #[must_use]
    pub fn expose_json(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(b) => (*b).into(),
            Self::Number(n) => n.clone().into(),
            Self::String(s) => s.clone().into(),
            Self::Secret(s) => s.expose().into(),
            Self::Unknown(_) => return None,
            Self::List(list) => list.iter().map(Self::expose_json).collect::<Option<Vec<_>>>()?.into(),
            Self::Map(map) => {
                let map: Option<serde_json::Map<_, _>> =
                    map.iter().map(|(k, v)| v.expose_json().map(|v| (k.clone(), v))).collect();
                map?.into()
            }
        })
    }
}

/// `1`, `1.0` and `1e0` are one number to every JSON API that we know.
fn canonical_number(number: &Number) -> String {
    if number.is_f64()
        && let Some(float) = number.as_f64()
        && float.fract() == 0.0
        && float.abs() < 9e15
    {
        #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53, just checked")]
        return (float as i64).to_string();
    }
    number.to_string()
}

fn push_json_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(b),
            serde_json::Value::Number(n) => Self::Number(n),
            serde_json::Value::String(s) => Self::String(s),
            serde_json::Value::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(map) => Self::Map(map.into_iter().map(|(k, v)| (k, Self::from(v))).collect()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(json: serde_json::Value) -> Value {
        Value::from(json)
    }

    #[test]
    fn canonical_text_ignores_key_order_and_number_spelling() {
        let a = value(json!({"b": [1, 2.5], "a": {"y": null, "x": "t\"q"}}));
        let b = value(json!({"a": {"x": "t\"q", "y": null}, "b": [1.0, 2.5]}));
        assert_eq!(a.canonical(), r#"{"a":{"x":"t\"q","y":null},"b":[1,2.5]}"#);
        assert_eq!(a.canonical(), b.canonical());
        assert_ne!(value(json!("1")).canonical(), value(json!(1)).canonical());
    }

    #[test]
    fn paths_find_and_put() {
        let mut spec = value(json!({"headers": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]}));
        assert_eq!(spec.at(&FieldPath::parse("headers[key=b].value")), Some(&"2".into()));
        assert_eq!(spec.at(&FieldPath::parse("headers[0].key")), Some(&"a".into()));
        assert_eq!(spec.at(&FieldPath::parse("headers[key=c]")), None);
        spec.put(&FieldPath::parse("fields.API_KEY"), Value::Secret(Secret::new("k")));
        assert!(spec.has_secret());
        assert_eq!(spec.at(&FieldPath::parse("fields.API_KEY")).and_then(Value::expose_str), Some("k"));
    }

    #[test]
    fn taking_out_leaves_no_empty_maps() {
        let mut body = value(json!({"name": "n", "metadata": {"displayName": "D"}}));
        assert_eq!(body.take(&FieldPath::parse("metadata.displayName")), Some("D".into()));
        assert_eq!(body, value(json!({"name": "n"})));
        assert_eq!(body.take(&FieldPath::parse("metadata.displayName")), None);
    }

    #[test]
    fn json_waits_for_what_is_unknown() {
        assert_eq!(value(json!({"a": [1, "x"]})).expose_json(), Some(json!({"a": [1, "x"]})));
        let pending = Value::List(vec![Value::Unknown("kore/a.id".into())]);
        assert!(pending.has_unknown());
        assert_eq!(pending.expose_json(), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let spec = Value::Map(Map::from([("k".to_owned(), Value::Secret(Secret::new("hunter22")))]));
        assert!(!format!("{spec:?}").contains("hunter22"));
    }
}
