//! When two values of a field are the same to the API, though not the same text.

use super::model::{Compare, Field, FieldType};
use crate::value::Value;

/// Is the observed value what `desired` looks like after the API has stored it?
#[must_use]
pub fn same(field: &Field, desired: &Value, observed: Option<&Value>) -> bool {
    let observed = observed.unwrap_or(&Value::Null);
    if normal(field, desired) == normal(field, observed) {
        return true;
    }
    match (desired.as_str(), observed.as_str()) {
        (Some(written), Some(read)) => field.equals.get(written).is_some_and(|others| others.iter().any(|o| o == read)),
        _ => false,
    }
}

/// The one text for all spellings of a value; what digests are made of.
#[must_use]
pub fn normal(field: &Field, value: &Value) -> String {
    if field.emptied_by.is_some() && value.expose_str() == field.emptied_by.as_deref() {
        return Value::Null.canonical();
    }
    if let (FieldType::Set, Some(list)) = (field.kind, value.as_list()) {
        let mut items: Vec<String> = list.iter().map(Value::canonical).collect();
        items.sort();
        items.dedup();
        return format!("[{}]", items.join(","));
    }
    // Some servers give typed values back as texts.
    if let Some(text) = value.expose_str() {
        let typed = match field.kind {
            FieldType::Boolean => text.parse::<bool>().ok().map(Value::Bool),
            FieldType::Integer | FieldType::Number => serde_json::from_str(text).ok().map(Value::Number),
            _ => None,
        };
        if let Some(typed) = typed {
            return typed.canonical();
        }
    }
    match (field.compare, value.expose_str()) {
        (Compare::IgnoreCase, Some(text)) => text.to_lowercase(),
        (Compare::Url, Some(text)) => normal_url(text),
        _ => normal_json(value).canonical(),
    }
}

/// Null equals absent inside objects, too.
fn normal_json(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            Value::Map(map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), normal_json(v))).collect())
        }
        Value::List(list) => Value::List(list.iter().map(normal_json).collect()),
        other => other.clone(),
    }
}

fn normal_url(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(url) => url.as_str().trim_end_matches('/').to_owned(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(yaml: serde_json::Value) -> Field {
        serde_json::from_value(yaml).unwrap()
    }

    #[test]
    fn spellings_of_one_value_are_the_same() {
        for (rules, desired, observed, expected) in [
            (json!({}), json!("a"), json!("a"), true),
            (json!({}), json!("a"), json!("A"), false),
            (json!({"compare": "ignore-case"}), json!("OpenAI"), json!("openai"), true),
            (json!({"compare": "url"}), json!("https://A.example/v1/"), json!("https://a.example/v1"), true),
            (json!({"compare": "url"}), json!("https://a.example/v1"), json!("https://a.example/v2"), false),
            (json!({"compare": "url"}), json!("not a url"), json!("not a url"), true),
            (json!({"type": "number"}), json!(1), json!(1.0), true),
            (json!({"type": "boolean"}), json!(true), json!("true"), true),
            (json!({"type": "boolean"}), json!(true), json!("false"), false),
            (json!({"type": "integer"}), json!(5), json!("5"), true),
            (json!({}), json!("true"), json!(true), false),
            (json!({"type": "object"}), json!({"a": null, "b": 1}), json!({"b": 1}), true),
            (json!({"type": "object"}), json!({"a": 1}), json!({"a": 1, "b": 2}), false),
            (json!({"type": "list"}), json!(["a", "b"]), json!(["b", "a"]), false),
            (json!({"type": "set"}), json!(["a", "b", "a"]), json!(["b", "a"]), true),
            (json!({"equals": {"FINALIZED": ["ACTIVE"]}}), json!("FINALIZED"), json!("ACTIVE"), true),
            (json!({"equals": {"FINALIZED": ["ACTIVE"]}}), json!("DRAFT"), json!("ACTIVE"), false),
            (json!({}), json!(null), json!(null), true),
            (json!({}), json!(""), json!(null), false),
        ] {
            let is = same(&field(rules.clone()), &desired.clone().into(), Some(&observed.clone().into()));
            assert_eq!(is, expected, "{rules} {desired} {observed}");
        }
    }

    #[test]
    fn absent_is_null() {
        assert!(same(&field(json!({})), &Value::Null, None));
        assert!(!same(&field(json!({})), &"x".into(), None));
    }
}
