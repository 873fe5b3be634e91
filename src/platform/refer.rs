//! References between live objects: the ids of others that an object holds.

use indexmap::IndexMap;

use super::model::{Field, Kind};
use crate::value::{Map, Value};

/// The ids in a body by the fields with `references`, each with the kind that it is an id of.
#[must_use]
pub fn references<'k>(kind: &'k Kind, body: &Value) -> Vec<(&'k str, String)> {
    let mut found = Vec::new();
    if let Value::Map(map) = body {
        collect(&kind.fields, map, &mut found);
    }
    found
}

fn collect<'k>(fields: &'k IndexMap<String, Field>, map: &Map, found: &mut Vec<(&'k str, String)>) {
    for (name, field) in fields {
        if let Some(value) = map.get(name) {
            one(field, value, found);
        }
    }
}

fn one<'k>(field: &'k Field, value: &Value, found: &mut Vec<(&'k str, String)>) {
    match value {
        Value::Map(map) => {
            collect(&field.fields, map, found);
            let others = map.iter().filter(|(name, _)| !field.fields.contains_key(*name));
            if let Some(rules) = &field.values {
                others.for_each(|(_, value)| one(rules, value, found));
            }
        }
        Value::List(items) => {
            for item in items {
                match item {
                    Value::Map(map) => collect(&field.item, map, found),
                    id => found.extend(field.references.as_deref().zip(text(id))),
                }
            }
        }
        id => found.extend(field.references.as_deref().zip(text(id))),
    }
}

/// Puts other values in the places of ids: `new` is asked with the kind that each is an id of.
pub fn replace(kind: &Kind, spec: &mut Value, new: &dyn Fn(&str, &str) -> Option<Value>) {
    if let Value::Map(map) = spec {
        replace_in(&kind.fields, None, map, new);
    }
}

fn replace_in(
    fields: &IndexMap<String, Field>,
    values: Option<&Field>,
    map: &mut Map,
    new: &dyn Fn(&str, &str) -> Option<Value>,
) {
    for (name, value) in map.iter_mut() {
        if let Some(field) = fields.get(name).or(values) {
            replace_one(field, value, new);
        }
    }
}

fn replace_one(field: &Field, value: &mut Value, new: &dyn Fn(&str, &str) -> Option<Value>) {
    match value {
        Value::Map(map) => replace_in(&field.fields, field.values.as_deref(), map, new),
        Value::List(items) => {
            for item in items {
                match item {
                    Value::Map(map) => replace_in(&field.item, None, map, new),
                    id => replace_id(field, id, new),
                }
            }
        }
        id => replace_id(field, id, new),
    }
}

fn replace_id(field: &Field, id: &mut Value, new: &dyn Fn(&str, &str) -> Option<Value>) {
    if let Some((kind, text)) = field.references.as_deref().zip(text(id))
        && let Some(value) = new(kind, &text)
    {
        *id = value;
    }
}

fn text(id: &Value) -> Option<String> {
    match id {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_found_wherever_a_field_refers() {
        let kind: Kind = serde_json::from_value(json!({
            "title": "T", "collection": "things", "create": { "method": "POST", "path": "/things" }, "delete": "none",
            "fields": {
                "secret_id": { "references": "secret" },
                "uses": { "type": "list", "references": "tool" },
                "models": { "type": "list", "keyed_by": "id", "item": { "id": { "references": "model" }, "weight": {} } },
                "deep": { "type": "object", "fields": { "owner": { "type": "integer", "references": "user" } } },
                "any": { "type": "object", "values": { "references": "model" } },
                "name": {},
            },
        }))
        .unwrap();
        for (body, expected) in [
            (json!({ "secret_id": "s-1", "name": "n" }), vec![("secret", "s-1")]),
            (json!({ "secret_id": null }), vec![]),
            (json!({ "secret_id": "" }), vec![]),
            (json!({ "uses": ["t-1", "t-2"] }), vec![("tool", "t-1"), ("tool", "t-2")]),
            (json!({ "models": [{ "id": "m-1", "weight": 1 }, { "weight": 2 }] }), vec![("model", "m-1")]),
            (json!({ "deep": { "owner": 7 } }), vec![("user", "7")]),
            (json!({ "any": { "a": "m-1" } }), vec![("model", "m-1")]),
            (json!([]), vec![]),
        ] {
            let found = references(&kind, &Value::from(body.clone()));
            let found: Vec<(&str, &str)> = found.iter().map(|(kind, id)| (*kind, id.as_str())).collect();
            assert_eq!(found, expected, "{body}");
        }
        let mut spec = Value::from(json!({ "secret_id": "s-1", "models": [{ "id": "m-1" }], "uses": ["t-1"], "name": "s-1" }));
        replace(&kind, &mut spec, &|kind, id| (kind != "tool").then(|| Value::String(format!("{kind} {id}"))));
        let expected = json!({ "secret_id": "secret s-1", "models": [{ "id": "model m-1" }], "uses": ["t-1"], "name": "s-1" });
        assert_eq!(spec, Value::from(expected));
        assert!(kind.refers_to("model") && kind.refers_to("user") && !kind.refers_to("thing"));
    }
}
