//! What `--json` and `--format jsonl` print is what the published schemas promise: nothing that they require is missing,
//! and nothing is there that they do not describe.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Project, Ran, Server, story};
use jsonschema::Validator;
use serde_json::{Value, json};

/// The schemas, closed: here, a member that is not described is an error. Published they are open, because documents grow.
struct Schemas(BTreeMap<String, Validator>);

fn closed(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object) && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), false.into());
            }
            map.values_mut().for_each(closed);
        }
        Value::Array(list) => list.iter_mut().for_each(closed),
        _ => {}
    }
}

impl Schemas {
    fn load() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/output");
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".schema.json").to_owned();
            let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            closed(&mut schema);
            all.insert(name, jsonschema::validator_for(&schema).unwrap());
        }
        Self(all)
    }

    #[track_caller]
    fn check(&self, name: &str, document: &Value, why: &str) {
        let validator = self.0.get(name).unwrap_or_else(|| panic!("no schema {name}"));
        let errors: Vec<String> =
            validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).take(5).collect();
        assert!(errors.is_empty(), "{why} against {name}:\n{}\n{document:#}", errors.join("\n"));
        for member in ["format_version", "patchbay_version", "errored", "diagnostics"] {
            assert!(!document[member].is_null(), "{why}: no {member}\n{document:#}");
        }
    }

    /// Runs a command with `--json`: one document, of this schema.
    #[track_caller]
    fn run(&self, project: &Project, schema: &str, args: &[&str]) -> Value {
        let ran = project.run(&[args, &["--json"]].concat());
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}\n{ran}"));
        self.check(schema, &document, &format!("{args:?}"));
        let failed = document["errored"].as_bool().unwrap();
        assert!(!(failed && matches!(ran.code, 0 | 2)), "{args:?} says errored and exits {}: {ran}", ran.code);
        document
    }

    #[track_caller]
    fn stream(&self, ran: &Ran, why: &str) -> Vec<Value> {
        let lines: Vec<Value> =
            ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{why}: {e}: {line}"))).collect();
        for line in &lines {
            let errors: Vec<String> = self.0["events"].iter_errors(line).map(|e| e.to_string()).take(3).collect();
            assert!(errors.is_empty(), "{why}: {}\n{line:#}", errors.join("\n"));
        }
        let kind = |line: &Value| line["type"].as_str().unwrap_or_default().to_owned();
        assert_eq!(lines.first().map(kind).as_deref(), Some("version"), "{why}: {ran}");
        assert_eq!(lines.last().map(kind).as_deref(), Some("outcome"), "{why}: {ran}");
        assert_eq!(lines.last().unwrap()["exit_code"], json!(ran.code), "{why}");
        lines
    }
}

#[test]
fn a_project_s_life_in_documents() {
    let schemas = Schemas::load();
    let server = Server::start();
    let project = story::fresh(&server);
    project.write("openapi.json", r#"{"openapi":"3.0.0","paths":{"/t":{"get":{},"post":{"requestBody":{"content":{"application/json":{"schema":{"properties":{"name":{"type":"string"}}}}}}}},"/t/{id}":{"delete":{}},"/x/{y}/t":{"get":{}},"/x/{y}/t/{id}":{"get":{}}}}"#);
    for (schema, args) in [
        ("validate", &["validate"][..]),
        ("validate", &["validate", "--offline"]),
        ("plan", &["plan"]),
        ("plan", &["plan", "--refresh", "none", "--only", "kore"]),
        ("apply", &["apply"]),
        ("apply", &["apply", "--yes"]),
        ("apply", &["apply", "--yes"]),
        ("plan", &["plan", "--refresh", "full"]),
        ("drift", &["drift"]),
        ("env", &["env"]),
        ("env", &["env", "--template"]),
        ("graph", &["graph"]),
        ("doctor", &["doctor"]),
        ("test", &["test"]),
        ("show", &["show", "kore/groq"]),
        ("export", &["export"]),
        ("export", &["export", "gateway"]),
        ("import", &["import"]),
        ("state", &["state", "list"]),
        ("state", &["state", "show", "kore/groq"]),
        ("state", &["state", "check"]),
        ("state", &["state", "repair"]),
        ("state", &["state", "history"]),
        ("version", &["version"]),
        ("explain", &["explain", "PB0401"]),
        ("explain", &["explain", "--list"]),
        ("fmt", &["fmt", "--check"]),
        ("fmt", &["fmt"]),
        ("completions", &["completions", "bash"]),
        ("man", &["man", "pages"]),
        ("init", &["init", "another"]),
        ("platform-new", &["platform", "new", "acme", "--openapi", "openapi.json"]),
    ] {
        schemas.run(&project, schema, args);
    }
    let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/platforms/gateway.yaml");
    schemas.run(&project, "platform-check", &["platform", "check", definition.to_str().unwrap()]);
    schemas.run(&project, "platform-probe", &["platform", "probe", "gateway/openai", "--yes"]);
    schemas.run(&project, "platform-probe", &["platform", "probe", "kore/groq", "--yes", "--leave"]);
}

#[test]
fn the_morning_after_in_documents() {
    let schemas = Schemas::load();
    let server = Server::start();
    let project = story::morning_after(&server);
    let plan = schemas.run(&project, "plan", &["plan"]);
    assert_eq!(plan["summary"]["blocked"], 1, "{plan:#}");
    schemas.run(&project, "plan", &["plan", "--out", "plan.json", "--exclude", "kore/azure"]);
    schemas.run(&project, "plan", &["show", "plan.json"]);
    let drift = schemas.run(&project, "drift", &["drift"]);
    assert_eq!(drift["summary"]["drifted"], 1, "{drift:#}");
    schemas.run(&project, "show", &["show", "kore/groq"]);
    schemas.run(&project, "apply", &["apply", "--yes"]);
    server.fault("PATCH * status=422 body={\"errors\":[{\"msg\":\"no\"}]} times=1");
    schemas.run(&project, "apply", &["apply", "--yes", "--skip-blocked", "--parallelism", "1"]);
    schemas.run(&project, "apply", &["apply", "--yes", "--skip-blocked"]);
    schemas.run(&project, "state", &["state", "mv", "kore/groq", "kore/groq-two"]);
    schemas.run(&project, "state", &["state", "rm", "kore/groq-two", "--yes"]);
    schemas.run(&project, "state", &["state", "rekey", "--yes"]);
    schemas.run(&project, "plan", &["plan"]);
    schemas.run(&project, "apply", &["destroy", "gateway"]);
    schemas.run(&project, "apply", &["destroy", "--confirm", "gateway"]);
}

#[test]
fn what_fails_is_a_document_too() {
    let schemas = Schemas::load();
    let server = Server::start();
    let mut project = story::fresh(&server);
    for (schema, args) in [
        ("validate", &["paln"][..]),
        ("validate", &["plan", "--ofline"]),
        ("validate", &["diff"]),
        ("validate", &["state", "rm"]),
        ("validate", &["explain", "PB9999"]),
        ("validate", &["plan", "--report", "nonsense=x"]),
        ("validate", &["state", "show", "kore/none"]),
        ("validate", &["show", "kore/none"]),
        ("validate", &["plan", "--only", "nothing"]),
        ("validate", &["graph", "--only", "nothing"]),
        ("validate", &["-C", "nowhere", "plan"]),
        ("apply", &["apply", "none.json"]),
        ("validate", &["validate", "-f", "none.yaml"]),
    ] {
        let document = schemas.run(&project, schema, args);
        assert_eq!(document["errored"], true, "{args:?}: {document:#}");
    }
    project.unset("OPENAI_API_KEY");
    for (schema, command) in
        [("validate", "validate"), ("validate", "plan"), ("apply", "apply"), ("validate", "drift"), ("env", "env")]
    {
        schemas.run(&project, schema, &[command]);
    }
    project.set("OPENAI_API_KEY", "sk-0000000000000000");
    server.fault("GET /connections status=503");
    schemas.run(&project, "plan", &["plan", "--retries", "0"]);
    schemas.run(&project, "apply", &["apply", "--yes", "--retries", "0"]);
    schemas.run(&project, "doctor", &["doctor", "--retries", "0"]);
    project.write("connections/broken.yaml", "connections: [\n");
    schemas.run(&project, "validate", &["validate"]);
    schemas.run(&project, "fmt", &["fmt"]);
    project.write("patchbay.state", "{\"patchbay_state\":9,\"lineage\":\"x\"}\n");
    schemas.run(&project, "validate", &["state", "list"]);
}

#[test]
fn streams_are_made_of_described_lines() {
    let schemas = Schemas::load();
    let server = Server::start();
    let project = story::morning_after(&server);
    let count = |lines: &[Value], kind: &str| lines.iter().filter(|line| line["type"] == *kind).count();

    let lines = schemas.stream(&project.run(&["plan", "--format", "jsonl"]), "plan");
    // kore/azure, kore/groq, kore/support, gateway/openai, gateway/mistral, gateway/legacy
    assert_eq!((count(&lines, "planned_change"), count(&lines, "resource_drift")), (6, 1));
    let drift = schemas.stream(&project.run(&["drift", "--format", "jsonl"]), "drift");
    assert_eq!(count(&drift, "resource_drift"), 1);

    let lines = schemas.stream(&project.run(&["apply", "--yes", "--format", "jsonl"]), "a refused apply");
    assert_eq!(count(&lines, "planned_change"), 6, "each is told once: {lines:#?}");
    assert_eq!(count(&lines, "change_summary"), 1);

    server.fault("PATCH * status=503 times=1");
    server.fault("DELETE * status=409 times=9");
    let ran = project.run(&["apply", "--yes", "--skip-blocked", "--format", "jsonl", "--report", "jsonl=log.jsonl"]);
    let lines = schemas.stream(&ran, "an apply");
    assert_eq!((count(&lines, "http_retry"), count(&lines, "apply_errored")), (1, 1), "{lines:#?}");
    assert_eq!(count(&lines, "apply_start"), 5);
    assert!(count(&lines, "apply_complete") == 4 && !ran.stderr.contains("creating"), "{ran}");
    let summaries: Vec<&Value> = lines.iter().filter(|l| l["type"] == "change_summary").map(|l| &l["changes"]).collect();
    assert_eq!((summaries[0]["operation"].as_str(), summaries[1]["operation"].as_str()), (Some("plan"), Some("apply")));
    assert_eq!((&summaries[1]["done"], &summaries[1]["failed"], &summaries[1]["rotate"]), (&json!(4), &json!(1), &json!(3)));
    assert_eq!(project.read("log.jsonl"), ran.stdout, "the file and standard output tell the same");

    for args in [&["paln"][..], &["plan", "--only", "nothing"], &["state", "list"], &["plan", "--report", "x"]] {
        let lines = schemas.stream(&project.run(&[args, &["--format", "jsonl"]].concat()), &format!("{args:?}"));
        assert_eq!(count(&lines, "diagnostic"), 1, "{args:?}: {lines:#?}");
    }
}

#[test]
fn every_output_schema_is_printed() {
    let project = Project::empty();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/output");
    let mut names = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".schema.json").to_owned();
        let ran = project.run(&["schema", &name]);
        assert!(ran.code == 0 && ran.stdout == std::fs::read_to_string(&path).unwrap(), "{name}: {ran}");
        names += 1;
    }
    assert!(names > 15);
}
