//! A spec made up from a kind's fields, and other values for each of them.

use super::bounds::fits;
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
    let made = (n <= last).then(|| value(field, name, n))?;
    // A narrow range may hold one value alone.
    (n == 0 || made != value(field, name, 0)).then_some(made)
}

fn value(field: &Field, name: &str, n: usize) -> Value {
    if field.secret == SecretRule::Always {
        return secret(field, name, n);
    }
    match field.kind {
        FieldType::Boolean => Value::Bool(n == 0),
        FieldType::Integer => Value::Number(whole(field, n).into()),
        FieldType::Number => serde_json::Number::from_f64(number(field, n)).map_or(Value::Null, Value::Number),
        FieldType::String => match field.accepted.get(n) {
            Some(word) => Value::String(word.clone()),
            None if field.compare == Compare::Url => {
                let long = format!("https://sample-{n}.example/{name}");
                Value::String(said(field, n, [long, format!("https://sample-{n}.example"), format!("http://{n}.example")]))
            }
            None => Value::String(said(field, n, [format!("{name} {n}")])),
        },
        FieldType::Object if field.is_free() => Value::Map([("sample".to_owned(), text(name, n))].into_iter().collect()),
        FieldType::Object => {
            let known = field.fields.iter().map(|(name, field)| (name.clone(), value(field, name, n)));
            Value::Map(known.chain(field.values.iter().flat_map(|rules| free(rules, n))).collect())
        }
        FieldType::List | FieldType::Set => match &field.keyed_by {
            Some(by) => Value::List(item_keys(field, by).iter().map(|key| item(field, by, key, n)).collect()),
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
const SECRET_KEY: &str = "sample_token";
/// One that does not.
const PLAIN_KEY: &str = "sample";

/// Values whose keys the definition does not know. A rule that goes by the key is shown on both sides.
#[must_use]
pub fn free(rules: &Field, n: usize) -> Vec<(String, Value)> {
    let mut keys = vec![SECRET_KEY];
    if rules.secret == SecretRule::WhenKeyMatchesAuth {
        keys.push(PLAIN_KEY);
    }
    keys.into_iter().map(|key| (key.to_owned(), keyed(rules, key, n))).collect()
}

fn keyed(rules: &Field, key: &str, n: usize) -> Value {
    if is_secret(rules, Some(key)) { secret(rules, key, n) } else { value(rules, key, n) }
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
            name if secret_here => secret(rules, name, n),
            name => value(rules, name, n),
        };
        map.insert(name.clone(), value);
    }
    Value::Map(map)
}

fn text(name: &str, n: usize) -> Value {
    Value::String(format!("{name} {n}"))
}

/// A secret's `n`th value: long enough that a mask of it hides something, if the field lets it.
#[must_use]
pub fn secret(field: &Field, name: &str, n: usize) -> Value {
    Value::Secret(Secret::new(said(field, n, [format!("sample-{n}-of-the-secret-{name}-{n}{n}{n}{n}")])))
}

/// The `n`th text: an example, the first of these that the field accepts, or else the end of the last, which tells it from
/// the others.
fn said<const N: usize>(field: &Field, n: usize, texts: [String; N]) -> String {
    if let Some(example) = field.examples.get(n) {
        return example.clone();
    }
    let short = texts.last().map(|text| {
        let count = text.chars().count();
        let end: String = text.chars().skip(count.saturating_sub(field.max_length.unwrap_or(count))).collect();
        end.trim_start().to_owned()
    });
    let made_up = texts.into_iter().chain(short.clone()).find(|text| fits(field, &Value::String(text.clone())));
    made_up.or_else(|| field.examples.last().cloned()).or(short).unwrap_or_default()
}

/// The keys of a list's items: one that looks like a credential's and one that does not, if the definition names no others.
fn item_keys(field: &Field, by: &str) -> Vec<String> {
    let known = ["Authorization", "X-Sample"].map(ToOwned::to_owned).to_vec();
    field.item.get(by).map(|rules| rules.examples.clone()).filter(|keys| !keys.is_empty()).unwrap_or(known)
}

/// The `n`th whole number in a field's range.
fn whole(field: &Field, n: usize) -> i64 {
    let limit = |given: &Option<serde_json::Number>| given.as_ref().and_then(serde_json::Number::as_i64);
    let (min, max) = (limit(&field.min).unwrap_or(i64::MIN), limit(&field.max).unwrap_or(i64::MAX));
    // Room for one more after the first.
    let first = 7.min(max.saturating_sub(1)).max(min);
    first.saturating_add(i64::try_from(n).unwrap_or(i64::MAX)).min(max)
}

/// The `n`th number in a field's range; there are two.
fn number(field: &Field, n: usize) -> f64 {
    let limit = |given: &Option<serde_json::Number>| given.as_ref().and_then(serde_json::Number::as_f64);
    let (usual, step) = if n == 0 { (1.5, 0.25) } else { (2.5, 0.75) };
    match (limit(&field.min), limit(&field.max)) {
        (Some(min), Some(max)) if min > 1.5 || max < 2.5 => min + (max - min) * step,
        (Some(min), None) if min > 1.5 => min + usual,
        (None, Some(max)) if max < 2.5 => max - usual,
        _ => usual,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn both(rules: serde_json::Value) -> (serde_json::Value, Option<serde_json::Value>) {
        let field: Field = serde_json::from_value(rules).unwrap();
        let made = |n| {
            let value = other(&field, "name", n)?;
            assert!(fits(&field, &value), "{field:?}: {value:?}");
            value.expose_json()
        };
        (made(0).unwrap(), made(1))
    }

    #[test]
    fn values_are_what_their_fields_ask_for() {
        for (rules, first, second) in [
            (json!({ "type": "integer" }), json!(7), Some(json!(8))),
            (json!({ "type": "integer", "min": 1 }), json!(7), Some(json!(8))),
            (json!({ "type": "integer", "min": 100 }), json!(100), Some(json!(101))),
            (json!({ "type": "integer", "max": 7 }), json!(6), Some(json!(7))),
            (json!({ "type": "integer", "min": 3, "max": 3 }), json!(3), None),
            (json!({ "type": "integer", "min": i64::MAX }), json!(i64::MAX), None),
            (json!({ "type": "integer", "max": i64::MIN }), json!(i64::MIN), None),
            (json!({ "type": "number" }), json!(1.5), Some(json!(2.5))),
            (json!({ "type": "number", "min": 0, "max": 5 }), json!(1.5), Some(json!(2.5))),
            (json!({ "type": "number", "min": 0, "max": 2 }), json!(0.5), Some(json!(1.5))),
            (json!({ "type": "number", "min": 10 }), json!(11.5), Some(json!(12.5))),
            (json!({ "type": "number", "max": 0 }), json!(-1.5), Some(json!(-2.5))),
            (json!({ "type": "number", "min": 1, "max": 1 }), json!(1.0), None),
            (json!({}), json!("name 0"), Some(json!("name 1"))),
            (json!({ "max_length": 6 }), json!("name 0"), Some(json!("name 1"))),
            (json!({ "max_length": 3 }), json!("e 0"), Some(json!("e 1"))),
            (json!({ "max_length": 2 }), json!("0"), Some(json!("1"))),
            (json!({ "pattern": "[a-z0-9 ]+" }), json!("name 0"), Some(json!("name 1"))),
            (json!({ "pattern": "[a-z]+", "examples": ["one", "two"] }), json!("one"), Some(json!("two"))),
            (json!({ "pattern": "[a-z]+", "examples": ["one"] }), json!("one"), None),
            (json!({ "examples": ["one"] }), json!("one"), Some(json!("name 1"))),
            (json!({ "enum": ["a", "b"] }), json!("a"), Some(json!("b"))),
            (json!({ "compare": "url" }), json!("https://sample-0.example/name"), Some(json!("https://sample-1.example/name"))),
            (
                json!({ "compare": "url", "max_length": 25 }),
                json!("https://sample-0.example"),
                Some(json!("https://sample-1.example")),
            ),
            (json!({ "compare": "url", "max_length": 16 }), json!("http://0.example"), Some(json!("http://1.example"))),
            (json!({ "secret": "always", "max_length": 8 }), json!("ame-0000"), Some(json!("ame-1111"))),
            (json!({ "secret": "always", "pattern": "k[0-9]", "examples": ["k1", "k2"] }), json!("k1"), Some(json!("k2"))),
        ] {
            assert_eq!(both(rules.clone()), (first, second), "{rules}");
        }
    }

    #[test]
    fn the_keys_of_items_may_be_given() {
        let item = |examples: serde_json::Value| json!({ "key": { "pattern": "[a-z]+", "examples": examples } });
        for (examples, expected) in [(json!([]), vec!["Authorization", "X-Sample"]), (json!(["own"]), vec!["own"])] {
            let field: Field =
                serde_json::from_value(json!({ "type": "list", "keyed_by": "key", "item": item(examples) })).unwrap();
            assert_eq!(item_keys(&field, "key"), expected);
        }
    }
}
