//! JSON Schemas for editors: of the definition language, from the model's own types, and of connection files, from the
//! built-in definitions.

use serde_json::{Map, Value, json};

use super::builtin;
use super::model::{Definition, Field, FieldType, Kind};
use crate::source::Sources;

/// The schema of platform definitions.
#[must_use]
pub fn platform() -> Value {
    let mut schema = schemars::schema_for!(Definition);
    schema.insert("$id".to_owned(), "https://patchbay.example/schemas/platform.schema.json".into());
    schema.to_value()
}

/// The schema of connection files. Kinds of the user's own platforms are allowed and not described; so that an editor
/// stays quiet there, an unknown kind is no error here. `patchbay validate` is the judge.
#[must_use]
pub fn connections() -> Value {
    let mut kinds: Vec<(String, Kind)> = Vec::new();
    for (name, _) in builtin::ALL {
        if let Some(Ok(definition)) = builtin::load(name, &mut Sources::default()) {
            kinds.extend(definition.kinds);
        }
    }
    let rules: Vec<Value> = kinds
        .iter()
        .map(|(name, kind)| {
            json!({
                "if": { "properties": { "kind": { "const": name } }, "required": ["kind"] },
                "then": { "properties": { "spec": spec(kind) } }
            })
        })
        .collect();
    let names: Vec<Value> = kinds.iter().map(|(name, kind)| json!({ "const": name, "description": kind.title })).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://patchbay.example/schemas/connections.schema.json",
        "title": "patchbay connections",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "connections": {
                "description": "Connections by key. An address is target/key.",
                "type": ["object", "null"],
                "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$" },
                "additionalProperties": { "$ref": "#/$defs/connection" }
            },
            "moved": {
                "description": "Connections that were renamed.",
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["from", "to"],
                    "properties": { "from": { "type": "string" }, "to": { "type": "string" } }
                }
            }
        },
        "$defs": {
            "template": { "type": "string", "pattern": "\\$\\{\\{" },
            "connection": {
                "type": "object",
                "additionalProperties": false,
                "required": ["kind", "spec"],
                "anyOf": [{ "required": ["target"] }, { "required": ["targets"] }],
                "properties": {
                    "target": { "type": "string", "description": "A target of patchbay.toml." },
                    "targets": { "type": ["array", "string"], "items": { "type": "string" }, "description": "One connection on several targets." },
                    "kind": { "description": "The shape of the connection.", "anyOf": [{ "oneOf": names }, { "type": "string" }] },
                    "spec": { "type": "object", "description": "The body as the vendor documents it." },
                    "depends_on": { "type": ["array", "string"], "items": { "type": "string" }, "description": "Addresses or keys that come first." },
                    "lifecycle": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "prevent_destroy": { "type": "boolean", "description": "Never delete it, not even when the block is removed." },
                            "ignore_changes": { "type": ["array", "string"], "items": { "type": "string" }, "description": "Fields that others may change." },
                            "replace": { "type": "boolean", "description": "May an unchangeable field be changed by delete and create?" },
                            "test": { "enum": ["never", "after"], "description": "Run the API's own test after a write?" }
                        }
                    }
                },
                "allOf": rules
            }
        }
    })
}

fn spec(kind: &Kind) -> Value {
    let mut properties = properties(&kind.fields);
    for (name, constant) in &kind.constants {
        properties.insert(name.clone(), json!({ "const": constant, "description": "Implied by the kind." }));
    }
    let required: Vec<&String> = kind.fields.iter().filter(|(_, f)| f.required).map(|(n, _)| n).collect();
    json!({ "description": kind.title, "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn properties(fields: &indexmap::IndexMap<String, Field>) -> Map<String, Value> {
    fields.iter().map(|(name, field)| (name.clone(), described(field))).collect()
}

fn described(field: &Field) -> Value {
    let mut schema = shape(field);
    if let (Some(description), Value::Object(map)) = (&field.description, &mut schema) {
        map.insert("description".to_owned(), description.as_str().into());
    }
    schema
}

/// A template is allowed wherever a scalar is: it is a string until it is rendered.
fn shape(field: &Field) -> Value {
    let or_template = |schema: Value| json!({ "anyOf": [schema, { "$ref": "#/$defs/template" }] });
    match field.kind {
        FieldType::String if field.accepted.is_empty() => json!({ "type": "string" }),
        FieldType::String => or_template(json!({ "enum": field.accepted })),
        FieldType::Boolean => or_template(json!({ "type": "boolean" })),
        FieldType::Integer => or_template(json!({ "type": "integer" })),
        FieldType::Number => or_template(json!({ "type": "number" })),
        FieldType::Object if field.fields.is_empty() => json!({ "type": "object" }),
        FieldType::Object => {
            let required: Vec<&String> = field.fields.iter().filter(|(_, f)| f.required).map(|(n, _)| n).collect();
            json!({ "type": "object", "additionalProperties": false, "properties": properties(&field.fields), "required": required })
        }
        FieldType::List | FieldType::Set if field.keyed_by.is_some() => {
            let required: Vec<&String> = field.item.iter().filter(|(_, f)| f.required).map(|(n, _)| n).collect();
            json!({ "type": "array", "items": { "type": "object", "additionalProperties": false, "properties": properties(&field.item), "required": required } })
        }
        FieldType::List | FieldType::Set if !field.accepted.is_empty() => {
            json!({ "type": "array", "items": or_template(json!({ "enum": field.accepted })) })
        }
        FieldType::List | FieldType::Set => json!({ "type": "array" }),
        FieldType::Any => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_of(yaml: &str) -> Value {
        let mut sources = Sources::default();
        let file = sources.add("t", yaml);
        crate::config::yaml::parse(file, yaml).unwrap().unwrap().to_json()
    }

    #[test]
    fn built_in_definitions_are_valid_under_the_published_schema() {
        let validator = jsonschema::validator_for(&platform()).unwrap();
        for (name, text) in builtin::ALL {
            let errors: Vec<String> =
                validator.iter_errors(&json_of(text)).map(|e| format!("{} at {}", e, e.instance_path())).collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
        }
        for broken in ["platform: p", "platform: p\nlanguage: 1\ntitle: t\nauth: {}\ncollections: {}\nkinds: {}\nnonsense: 1"] {
            assert!(!validator.is_valid(&json_of(broken)), "{broken}");
        }
    }

    #[test]
    fn connection_files_are_judged_by_kind() {
        let validator = jsonschema::validator_for(&connections()).unwrap();
        for (yaml, expected) in [
            (
                "connections: { a: { target: t, kind: openai, spec: { connectionName: n, model: m, fields: { API_KEY: '${{ env.K }}' } } } }",
                true,
            ),
            (
                "connections: { a: { target: t, kind: openai, spec: { connectionName: n, model: m, fields: { API_KEE: x } } } }",
                false,
            ),
            ("connections: { a: { target: t, kind: openai, spec: { connectionName: n, fields: { API_KEY: x } } } }", false),
            ("connections: { a: { target: t, kind: own-kind, spec: { anything: 1 } } }", true),
            ("connections: { a: { kind: openai, spec: {} } }", false),
            (
                "connections: { a: { targets: [t, u], kind: custom, spec: { connectionName: n, model: m, endpointUrl: u, isEnable: '${{ env.E }}' } } }",
                true,
            ),
            (
                "connections: { a: { target: t, kind: custom, spec: { connectionName: n, model: m, endpointUrl: u, status: LIVE } } }",
                false,
            ),
            ("conections: {}", false),
        ] {
            assert_eq!(validator.is_valid(&json_of(yaml)), expected, "{yaml}");
        }
    }
}
