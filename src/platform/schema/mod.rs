//! JSON Schemas for editors: of the definition language, from the model's own types; of connection files and of
//! `patchbay.toml`, from the definitions, built in or a project's own.

mod project;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use self::project::project;
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

/// Definitions by the name of their platform.
pub type Definitions = BTreeMap<String, Definition>;

/// These built-in definitions with a project's own, which take the place of a built-in one of the same name.
fn all(built_in: impl Iterator<Item = (&'static str, &'static str)>, own: &Definitions) -> Vec<(String, Definition)> {
    let mut sources = Sources::default();
    let built_in = built_in.filter(|(name, _)| !own.contains_key(*name));
    let built_in = built_in.filter_map(|(name, _)| Some((name.to_owned(), builtin::load(name, &mut sources)?.ok()?)));
    built_in.chain(own.iter().map(|(name, definition)| (name.clone(), definition.clone()))).collect()
}

/// The schema of connection files. An unknown kind is no error, so that an editor stays quiet about platforms that this
/// schema was not made for; `patchbay validate` is the judge. `lenient` is for a catalogue, whose copy outlives this
/// version: nothing is closed there.
#[must_use]
pub fn connections(own: &Definitions, lenient: bool) -> Value {
    let mut kinds: Vec<(String, Vec<Kind>)> = Vec::new();
    for (_, definition) in all(builtin::ALL.iter().copied(), own) {
        for (name, kind) in definition.kinds {
            match kinds.iter_mut().find(|(known, _)| *known == name) {
                Some((_, kinds)) => kinds.push(kind),
                None => kinds.push((name, vec![kind])),
            }
        }
    }
    // Two platforms may have a kind of one name; which of them is meant, the target knows.
    let spec_of = |kinds: &[Kind]| match kinds {
        [only] => spec(only),
        several => json!({ "anyOf": several.iter().map(spec).collect::<Vec<_>>() }),
    };
    let rules: Vec<Value> = kinds
        .iter()
        .map(|(name, kinds)| {
            json!({
                "if": { "properties": { "kind": { "const": name } }, "required": ["kind"] },
                "then": { "properties": { "spec": spec_of(kinds) } }
            })
        })
        .collect();
    let titles = |kinds: &[Kind]| kinds.iter().map(|kind| kind.title.as_str()).collect::<Vec<_>>().join("; or: ");
    let names: Vec<Value> = kinds.iter().map(|(name, kinds)| json!({ "const": name, "description": titles(kinds) })).collect();
    let schema = strict(&names, &rules);
    if lenient { loosened(schema) } else { schema }
}

fn strict(names: &[Value], rules: &[Value]) -> Value {
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

/// Draft-07, which catalogues want, with every door open: keys and values that a later version knows are no errors.
fn loosened(schema: Value) -> Value {
    fn loose(value: Value) -> Value {
        match value {
            Value::Object(mut map) => {
                if map.get("additionalProperties") == Some(&Value::Bool(false)) {
                    map.remove("additionalProperties");
                }
                // What a value must look like; the form of a template and of a key stays.
                let is_bound = |key: &str, value: &Value| match key {
                    "minimum" | "maximum" | "maxLength" => value.is_number(),
                    "pattern" => value.as_str().is_some_and(|pattern| pattern.starts_with("^(?:")),
                    _ => false,
                };
                map.retain(|key, value| !is_bound(key, value));
                let map: Map<String, Value> = map
                    .into_iter()
                    .map(
                        |(key, value)| {
                            if key == "$defs" { ("definitions".to_owned(), loose(value)) } else { (key, loose(value)) }
                        },
                    )
                    .collect();
                if map.contains_key("enum") && !map.contains_key("anyOf") {
                    return json!({ "anyOf": [map, { "type": "string" }] });
                }
                Value::Object(map)
            }
            Value::Array(list) => Value::Array(list.into_iter().map(loose).collect()),
            Value::String(text) => Value::String(text.replace("#/$defs/", "#/definitions/")),
            other => other,
        }
    }
    let mut schema = loose(schema);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema
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
        FieldType::String if !field.accepted.is_empty() => or_template(json!({ "enum": field.accepted })),
        FieldType::String if field.max_length.is_some() || field.pattern.is_some() => or_template(bounded("string", field)),
        FieldType::String => bounded("string", field),
        FieldType::Boolean => or_template(json!({ "type": "boolean" })),
        FieldType::Integer => or_template(bounded("integer", field)),
        FieldType::Number => or_template(bounded("number", field)),
        FieldType::Object if field.is_free() => json!({ "type": "object" }),
        FieldType::Object => {
            let required: Vec<&String> = field.fields.iter().filter(|(_, f)| f.required).map(|(n, _)| n).collect();
            // Null takes a key away that nobody can read.
            let others =
                field.values.as_ref().map_or(json!(false), |rules| json!({ "anyOf": [described(rules), { "type": "null" }] }));
            json!({ "type": "object", "additionalProperties": others, "properties": properties(&field.fields), "required": required })
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

/// A scalar with what a value of it must look like.
fn bounded(kind: &str, field: &Field) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), json!(kind))]);
    let rules = [
        ("minimum", field.min.clone().map(Value::Number)),
        ("maximum", field.max.clone().map(Value::Number)),
        ("maxLength", field.max_length.map(|max| json!(max))),
        ("pattern", field.pattern.as_ref().map(|pattern| json!(pattern.anchored()))),
        ("examples", (!field.examples.is_empty()).then(|| json!(field.examples))),
    ];
    schema.extend(rules.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(schema)
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
        for (name, text) in builtin::every() {
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
        let validator = jsonschema::validator_for(&connections(&Definitions::new(), false)).unwrap();
        let lenient = jsonschema::validator_for(&connections(&Definitions::new(), true)).unwrap();
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
            assert!(!expected || lenient.is_valid(&json_of(yaml)), "{yaml}");
        }
        for later in [
            "connections: { a: { target: t, kind: openai, of_a_later_version: 1, spec: { connectionName: n, model: m, fields: { API_KEY: k }, new: 1 } } }",
            "connections: { a: { target: t, kind: custom, spec: { connectionName: n, model: m, endpointUrl: u, status: LIVE } } }",
        ] {
            assert!(lenient.is_valid(&json_of(later)) && !validator.is_valid(&json_of(later)), "{later}");
        }
    }

    #[test]
    fn a_projects_own_kinds_are_known() {
        let definition = r#"
platform: mine
title: Mine
language: 1
auth: { token: { header: Authorization, prefix: "Bearer " } }
collections:
  things:
    list: { path: /things, items: things }
    id: id
    natural_key: [name]
kinds:
  provider:
    title: A thing
    collection: things
    fields:
      name: { type: string, required: true }
      size: { type: integer, min: 1, max: 9 }
      heat: { type: number, max: 0.5 }
      tag: { pattern: "[a-z]+|[0-9]+", max_length: 4, examples: [ab, cd] }
    create: { method: POST, path: /things }
    delete: none
"#;
        let mut sources = Sources::default();
        let file = sources.add("mine.yaml", definition);
        let own = Definitions::from([("mine".to_owned(), super::super::parse::parse(file, definition).unwrap())]);
        let validator = jsonschema::validator_for(&connections(&own, false)).unwrap();
        let with = |spec: &str| json_of(&format!("connections: {{ a: {{ target: t, kind: provider, spec: {spec} }} }}"));
        assert!(validator.is_valid(&with("{ name: n, size: 3 }")), "of the own platform");
        assert!(validator.is_valid(&with("{ name: n, apiKey: k }")), "of the built-in one");
        assert!(!validator.is_valid(&with("{ name: n, size: big }")));
        assert!(!validator.is_valid(&with("{ name: n, sise: 3 }")));
        let lenient = jsonschema::validator_for(&connections(&own, true)).unwrap();
        for (rest, expected) in [
            ("size: 1, heat: 0.5, tag: abcd", true),
            ("size: 0", false),
            ("size: 10", false),
            ("size: '${{ env.SIZE }}'", true),
            ("heat: 0.51", false),
            ("heat: '${{ env.HEAT }}'", true),
            ("tag: abcde", false),
            ("tag: ab12", false),
            ("tag: '12'", true),
            ("tag: Ab", false),
            ("tag: 'A${{ env.TAG }}'", true),
        ] {
            let spec = with(&format!("{{ name: n, {rest} }}"));
            assert_eq!(validator.is_valid(&spec), expected, "{rest}");
            assert!(lenient.is_valid(&spec), "{rest}");
        }
    }
}
