//! Laws of the whole program over generated projects: the plan after an apply is empty, whatever the vendor reads back;
//! what a plan announces is what an apply does; a killed or refused apply loses nothing and makes nothing twice.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use common::{Project, Server, actions};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One generated connection: its kind and its spec.
#[derive(Clone, Debug)]
struct Generated {
    kind: &'static str,
    spec: Value,
}

fn text() -> impl Strategy<Value = String> {
    // Quotes, colons, placeholders, non-ASCII: what a file, a shell or a template engine could stumble over.
    prop::sample::select(vec![
        "plain",
        "two words",
        "ü–ñ",
        "a: b",
        "it's \"quoted\"",
        "{{prompt}}",
        "line\nbreak",
        "no",
        "0755",
        "~",
        "#x",
        " lead",
    ])
    .prop_map(ToOwned::to_owned)
}

fn free() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1000i32..1000).prop_map(|n| json!(f64::from(n) / 8.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4).prop_map(|m| json!(m)),
        ]
    })
}

fn secret(n: usize) -> Value {
    json!(format!("${{{{ env.SECRET_{n} }}}}"))
}

fn headers() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(
        prop::sample::select(vec!["Authorization", "x-api-key", "Content-Type", "X-Tenant", "api_token"]),
        (0usize..4, any::<bool>()),
        1..4,
    )
    .prop_map(|map| {
        let item = |(key, (n, template)): (&str, (usize, bool))| {
            let auth = !matches!(key, "Content-Type" | "X-Tenant");
            let value = match (auth, template) {
                (true, true) => json!(format!("Bearer ${{{{ env.SECRET_{n} }}}}")),
                (true, false) => secret(n),
                (false, true) => secret(n),
                (false, false) => json!("application/json"),
            };
            json!({ "key": key, "value": value })
        };
        map.into_iter().map(item).collect()
    })
}

fn custom() -> impl Strategy<Value = Generated> {
    (headers(), free(), text(), prop::sample::select(vec!["DRAFT", "FINALIZED"]), any::<Option<bool>>()).prop_map(
        |(headers, payload, output, status, enabled)| {
            let mut spec = json!({
                "model": "m", "endpointUrl": "https://LLM.example/v1/", "headers": headers, "promptVars": [], "customVars": [],
                "payload": { "body": payload, "text": "{{prompt}}" }, "outputPath": output, "status": status
            });
            if let Some(enabled) = enabled {
                spec["isEnable"] = enabled.into();
            }
            Generated { kind: "custom", spec }
        },
    )
}

fn existing() -> impl Strategy<Value = Generated> {
    let features = prop::collection::btree_map(
        prop::sample::select(vec!["toolCalling", "supportTools", "structuredResponse", "streaming"]),
        any::<bool>(),
        0..4,
    );
    let modes =
        prop::collection::vec(prop::sample::select(vec!["textToText", "textToImage", "imageToText", "audioToText"]), 1..4);
    (headers(), features, modes, prop::sample::select(vec!["DRAFT", "FINALIZED"])).prop_map(
        |(headers, features, modes, status)| Generated {
            kind: "custom-existing",
            spec: json!({
                "model": "m", "endpointUrl": "https://llm.example/v1", "headers": headers, "mapProvider": "openAIModel",
                "llmFeatures": features, "IOMappings": modes, "status": status, "idp": "none"
            }),
        },
    )
}

fn simple() -> impl Strategy<Value = Generated> {
    (0usize..4, prop::sample::select(vec!["openai", "anthropic", "azure-openai", "custom-legacy"])).prop_map(|(n, kind)| {
        let spec = match kind {
            "azure-openai" => json!({ "model": "m", "fields": { "API_KEY": secret(n), "api_version": "2024-08-01", "your_resource_name": "r", "deployment_id": "d" } }),
            "custom-legacy" => json!({ "fields": { "BASE_URL": "https://b.example", "API_KEY": secret(n) } }),
            _ => json!({ "model": "m", "fields": { "API_KEY": secret(n) } }),
        };
        Generated { kind, spec }
    })
}

fn connections() -> impl Strategy<Value = Vec<Generated>> {
    prop::collection::vec(prop_oneof![simple(), custom(), existing()], 1..6)
}

fn quirks() -> impl Strategy<Value = String> {
    (any::<bool>(), any::<bool>()).prop_map(|(top, written)| {
        format!(
            "read_back={}&status_words={}",
            if top { "top-level" } else { "everything" },
            if written { "written" } else { "list-vocabulary" }
        )
    })
}

/// The project file of generated connections. JSON is YAML.
fn file(all: &[Generated]) -> String {
    let map: BTreeMap<String, Value> = all
        .iter()
        .enumerate()
        .map(|(n, one)| {
            let mut spec = one.spec.clone();
            spec["connectionName"] = format!("Connection {n}").into();
            (format!("c{n}"), json!({ "target": "kore", "kind": one.kind, "spec": spec }))
        })
        .collect();
    json!({ "connections": map }).to_string()
}

fn project(server: &Server, all: &[Generated]) -> Project {
    let mut project = Project::kore(&server.url(), &file(all));
    for n in 0..4 {
        project.set(&format!("SECRET_{n}"), &format!("sk-law-{n}{n}{n}{n}{n}{n}{n}{n}-{n}tail"));
    }
    project
}

/// Nothing to do, in every way of looking.
fn check_settled(project: &Project, why: &str) -> Result<(), TestCaseError> {
    for refresh in ["auto", "full", "none"] {
        let (document, code) = project.json(&["plan", "--refresh", refresh, "--detailed-exitcode"]);
        prop_assert_eq!(actions(&document), Vec::<String>::new(), "{} --refresh {}: {:#}", why, refresh, document);
        prop_assert_eq!(code, 0, "{} --refresh {}", why, refresh);
    }
    Ok(())
}

fn cases(n: u32) -> ProptestConfig {
    ProptestConfig { cases: n, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn the_plan_after_an_apply_is_empty(all in connections(), quirks in quirks()) {
        let server = Server::quirky(&quirks);
        let project = project(&server, &all);
        let ran = project.run(&["apply", "--yes"]);
        prop_assert_eq!(ran.code, 0, "{}", ran);
        check_settled(&project, &quirks)?;
        // And an apply that has nothing to do leaves every byte of the state alone.
        let state = project.read("patchbay.state");
        prop_assert_eq!(project.run(&["apply", "--yes"]).code, 0);
        prop_assert_eq!(project.read("patchbay.state"), state);
    }

    #[test]
    fn edits_and_rotations_settle_too(all in connections(), quirks in quirks(), replacement in connections(), rotated in 0usize..4) {
        let server = Server::quirky(&quirks);
        let mut project = project(&server, &all);
        prop_assert_eq!(project.run(&["apply", "--yes"]).code, 0);
        project.set(&format!("SECRET_{rotated}"), "sk-law-rotated-000000");
        // Only what an API can change of an object: specs of the same kind.
        let edited: Vec<Generated> = all.iter().map(|one| {
            let editable = matches!(one.kind, "custom" | "custom-existing");
            replacement.iter().find(|r| editable && r.kind == one.kind).unwrap_or(one).clone()
        }).collect();
        project.write("connections/all.yaml", &file(&edited));
        let ran = project.run(&["apply", "--yes"]);
        // Going back from FINALIZED to DRAFT may be refused; anything else must work.
        prop_assert_eq!(ran.code, 0, "{}", ran);
        check_settled(&project, &quirks)?;
    }

    #[test]
    fn a_lost_state_is_rebuilt_without_a_write(all in connections(), quirks in quirks()) {
        let server = Server::quirky(&quirks);
        let project = project(&server, &all);
        prop_assert_eq!(project.run(&["apply", "--yes"]).code, 0);
        std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
        server.clear_requests();
        let (document, _) = project.json(&["plan"]);
        for line in actions(&document) {
            prop_assert!(line.ends_with(" adopt"), "{} {:#}", line, document);
        }
        prop_assert_eq!(project.run(&["apply", "--yes"]).code, 0);
        prop_assert!(server.requests().iter().all(|r| r.method == "GET"), "adoption writes nothing to the API");
        check_settled(&project, &quirks)?;
    }

    #[test]
    fn trouble_on_the_way_loses_nothing_and_makes_nothing_twice(
        all in connections(),
        quirks in quirks(),
        faults in prop::collection::vec((prop::sample::select(vec!["POST", "GET", "*"]), 0u32..6, prop::sample::select(vec!["status=500", "status=429", "status=400", "reset-before", "reset-after", "truncate", "html=200"])), 1..4),
    ) {
        let server = Server::quirky(&quirks);
        let project = project(&server, &all);
        for (method, skip, kind) in &faults {
            server.fault(&format!("{method} * skip={skip} times=1 {kind}"));
        }
        let first = project.run(&["apply", "--yes", "--retries", "1"]);
        prop_assert!([0, 1, 3].contains(&first.code), "{}", first);
        server.clear_faults();
        let second = project.run(&["apply", "--yes"]);
        prop_assert_eq!(second.code, 0, "{}\nafter {}", second, first);
        check_settled(&project, &quirks)?;
        let names = server.edit(|store| store.list(patchbay::sandbox::Platform::Koreai).map(|(_, o)| o["connectionName"].to_string()).collect::<Vec<_>>());
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        prop_assert_eq!(distinct.len(), names.len(), "no twin");
        prop_assert_eq!(names.len(), all.len(), "no lost object");
    }
}
