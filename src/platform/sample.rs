//! A spec made up from a kind's fields, and other values for each of them.

use super::model::{Compare, Field, FieldType, Kind, SecretRule};
use super::parse::is_secret;
use crate::secret::Secret;
use crate::value::{Map, Value};

/// A spec with every field that the kind knows.
#[must_use]
pub fn spec(kind: &Kind) -> Value {
    Value::Map(kind.fields.iter().map(|(name, field)| (name.clone(), value(field, name, 0))).collect())
}

/// The `n`th value of a field; `None` where it has no more.
#[must_use]
pub fn other(field: &Field, name: &str, n: usize) -> Option<Value> {
    let last = match (field.accepted.len(), field.kind) {
        (0, FieldType::Boolean) => 1,
        // A set of words: all of them, and one alone.
        (words, FieldType::Set | FieldType::List) if words > 0 => 1,
        (0, _) => 1,
        (words, _) => words - 1,
    };
    (n <= last).then(|| value(field, name, n))
}

fn value(field: &Field, name: &str, n: usize) -> Value {
    if field.secret == SecretRule::Always {
        return secret(name, n);
    }
    match field.kind {
        FieldType::Boolean => Value::Bool(n == 0),
        FieldType::Integer => Value::Number((7 + n).into()),
        FieldType::Number => {
            serde_json::Number::from_f64(1.5 + if n == 0 { 0.0 } else { 1.0 }).map_or(Value::Null, Value::Number)
        }
        FieldType::String => match field.accepted.get(n) {
            Some(word) => Value::String(word.clone()),
            None if field.compare == Compare::Url => Value::String(format!("https://sample-{n}.example/{name}")),
            None => Value::String(format!("{name} {n}")),
        },
        FieldType::Object if field.is_free() => Value::Map([("sample".to_owned(), text(name, n))].into_iter().collect()),
        FieldType::Object => {
            let others = field.values.iter().map(|rules| (SAMPLE_KEY.to_owned(), keyed(rules, SAMPLE_KEY, n)));
            Value::Map(field.fields.iter().map(|(name, field)| (name.clone(), value(field, name, n))).chain(others).collect())
        }
        FieldType::List | FieldType::Set => match &field.keyed_by {
            Some(by) => Value::List(["Authorization", "X-Sample"].into_iter().map(|key| item(field, by, key, n)).collect()),
            None if field.accepted.is_empty() => Value::List(vec![text(name, n)]),
            None => {
                let words = if n == 0 { field.accepted.as_slice() } else { &field.accepted[..1] };
                Value::List(words.iter().cloned().map(Value::String).collect())
            }
        },
        FieldType::Any => text(name, n),
    }
}

/// The key of a value whose key the definition does not know; it looks like a credential's.
const SAMPLE_KEY: &str = "sample_token";

fn keyed(rules: &Field, key: &str, n: usize) -> Value {
    if is_secret(rules, Some(key)) { secret(key, n) } else { value(rules, key, n) }
}

fn item(field: &Field, by: &str, key: &str, n: usize) -> Value {
    let mut map = Map::new();
    for (name, rules) in &field.item {
        let secret_here = match rules.secret {
            SecretRule::Always => true,
            SecretRule::WhenKeyMatchesAuth => crate::platform::parse::is_auth_key(key),
            SecretRule::Never => false,
        };
        let value = match name.as_str() {
            name if name == by => Value::String(key.to_owned()),
            name if secret_here => secret(name, n),
            name => value(rules, name, n),
        };
        map.insert(name.clone(), value);
    }
    Value::Map(map)
}

fn text(name: &str, n: usize) -> Value {
    Value::String(format!("{name} {n}"))
}

/// Long enough that a mask of it hides something.
fn secret(name: &str, n: usize) -> Value {
    Value::Secret(Secret::new(format!("sample-{n}-of-the-secret-{name}-{n}{n}{n}{n}")))
}
