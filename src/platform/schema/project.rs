//! The schema of `patchbay.toml`. Templates are texts wherever they stand, and allowed wherever a text is.

use serde_json::{Map, Value, json};

use super::{Definitions, all};
use crate::platform::builtin;
use crate::platform::model::Definition;

/// The schema of `patchbay.toml`; targets are described by the definitions of their platforms.
#[must_use]
pub fn project(own: &Definitions) -> Value {
    let definitions = all(builtin::every(), own);
    let platforms: Vec<Value> =
        definitions.iter().map(|(name, definition)| json!({ "const": name, "description": definition.title })).collect();
    let rules: Vec<Value> = definitions
        .iter()
        .map(|(name, definition)| {
            json!({
                "if": { "properties": { "platform": { "const": name } }, "required": ["platform"] },
                "then": { "properties": { "auth": auth(definition) } }
            })
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://patchbay.example/schemas/project.schema.json",
        "title": "patchbay.toml",
        "description": "A patchbay project: targets, where their connections are declared, and what holds for them.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "project": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "name": text("The project's name, for people."),
                    "connections": {
                        "description": "Files and globs of the connection files; connections/**/*.yaml otherwise.",
                        "type": ["array", "string"],
                        "items": { "type": "string" }
                    }
                }
            },
            "targets": targets(),
            "state": state(),
            "safety": safety(),
            "vars": {
                "description": "Values for templates: var.NAME.",
                "type": "object"
            },
            "platforms": {
                "description": "Platforms of your own, by name.",
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["definition"],
                    "properties": { "definition": text("The file of the platform definition, relative to patchbay.toml.") }
                }
            },
            "profile": {
                "description": "Profiles: --profile NAME merges one of them over the rest. Each has its own state.",
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "project": { "$ref": "#/properties/project" },
                        "targets": {
                            "type": "object",
                            "additionalProperties": { "$ref": "#/$defs/settings" }
                        },
                        "state": { "$ref": "#/properties/state" },
                        "safety": { "$ref": "#/properties/safety" },
                        "vars": { "$ref": "#/properties/vars" }
                    }
                }
            }
        },
        "$defs": {
            "platform": { "anyOf": [{ "oneOf": platforms }, { "type": "string" }] },
            "settings": { "type": "object", "additionalProperties": false, "properties": settings() },
            "target": {
                "type": "object",
                "additionalProperties": false,
                "required": ["platform", "base_url"],
                "properties": settings(),
                "allOf": rules
            },
            "threshold": {
                "anyOf": [
                    { "type": "integer", "minimum": 0 },
                    { "type": "string", "pattern": "^\\s*[0-9]+\\s*%?\\s*$|\\$\\{\\{" }
                ]
            }
        }
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn targets() -> Value {
    json!({
        "description": "Deployments of platforms by name; an address is TARGET/KEY.",
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$" },
        "additionalProperties": { "$ref": "#/$defs/target" }
    })
}

fn settings() -> Value {
    json!({
        "platform": { "$ref": "#/$defs/platform", "description": "The kind of API that it is." },
        "base_url": text("Where the API is; or sandbox:, for one inside patchbay."),
        "auth": { "type": "object", "description": "Credentials, as templates: ${{ env.NAME }}.", "additionalProperties": { "type": "string" } },
        "parallelism": { "type": "integer", "minimum": 1, "maximum": 128, "description": "Requests in flight; the platform's default otherwise." },
        "timeout": { "type": "integer", "minimum": 1, "description": "Seconds until a request is given up; 30 otherwise." },
        "list_limit": { "type": "integer", "minimum": 1, "description": "The page size of a list that has no paging." },
        "prune": { "type": "boolean", "description": "May a connection that left the files be deleted? Otherwise it stays as an orphan." },
        "adopt": { "type": "boolean", "description": "May a live object with our name be taken over? Shown in the plan; true otherwise." },
        "ca_file": text("A file of certificates to trust beside the system's."),
        "allow_http": { "type": "boolean", "description": "May it be plain http to another machine?" },
        "login_path": text("Where to log in, if elsewhere than the definition says.")
    })
}

fn state() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "path": text("The state file; patchbay.state otherwise."),
            "url": text("A shared state: s3://bucket/prefix, az://…, gs://…, or the URL of a web server with ETags."),
            "allow_http": { "type": "boolean", "description": "May the shared state be at plain http on another machine?" }
        }
    })
}

fn safety() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "max_deletes": { "$ref": "#/$defs/threshold", "description": "Refuse if more of a target would be deleted: a number, or a share such as 30%." },
            "max_updates": { "$ref": "#/$defs/threshold", "description": "Refuse if more of a target would be changed: a number, or a share such as 30%." }
        }
    })
}

/// One way to authenticate, and all of it.
fn auth(definition: &Definition) -> Value {
    let ways: Vec<Value> = definition
        .auth
        .iter()
        .map(|(name, scheme)| {
            let keys = scheme.keys(name);
            let described = |key: &&str| ((*key).to_owned(), text(&format!("Sent as {}.", scheme.header)));
            let properties: Map<String, Value> = keys.iter().map(described).collect();
            json!({ "type": "object", "additionalProperties": false, "required": keys, "properties": properties })
        })
        .collect();
    json!({ "description": format!("Credentials for {}, as templates.", definition.title), "anyOf": ways })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::project::{TARGET, TOP};
    use crate::config::toml;
    use crate::source::Sources;

    fn json_of(text: &str) -> Value {
        let mut sources = Sources::default();
        let file = sources.add("patchbay.toml", text);
        toml::parse(file, text).unwrap().to_json()
    }

    #[test]
    fn every_setting_is_described() {
        let schema = project(&Definitions::new());
        let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        let own = |list: &[&str]| sorted(list.iter().map(|key| (*key).to_owned()).collect());
        assert_eq!(sorted(keys(&schema["properties"])), own(&TOP));
        assert_eq!(sorted(keys(&schema["$defs"]["target"]["properties"])), own(&TARGET));
    }

    #[test]
    fn project_files_are_judged_by_platform() {
        let validator = jsonschema::validator_for(&project(&Definitions::new())).unwrap();
        let target = "[targets.t]\nplatform = \"koreai\"\nbase_url = \"https://h.example/api/public\"\n";
        for (text, expected) in [
            ("", true),
            ("[project]\nname = \"x\"\nconnections = [\"a/*.yaml\"]\n", true),
            ("[project]\nnam = \"x\"\n", false),
            (&format!("{target}auth = {{ api_key = \"${{{{ env.K }}}}\" }}\n"), true),
            (&format!("{target}auth = {{ token = \"x\" }}\n"), false),
            (&format!("{target}prune = true\nparallelism = 8\n"), true),
            (&format!("{target}prune = \"yes\"\n"), false),
            (&format!("{target}pruned = true\n"), false),
            ("[targets.t]\nplatform = \"mine\"\nbase_url = \"https://h.example\"\nauth = { any = \"x\" }\n", true),
            ("[targets.t]\nplatform = \"koreai\"\n", false),
            (&format!("{target}[profile.staging.targets.t]\nbase_url = \"sandbox:\"\n"), true),
            ("[safety]\nmax_deletes = 3\nmax_updates = \"30%\"\n", true),
            ("[safety]\nmax_deletes = \"many\"\n", false),
            ("[platforms.mine]\ndefinition = \"mine.yaml\"\n", true),
        ] {
            assert_eq!(validator.is_valid(&json_of(text)), expected, "{text}");
        }
    }
}
