//! The first minutes: `init`, `env` and `graph`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::Project;
use serde_json::{Value, json};

const PROJECT: &str = r#"[project]
name = "test"

[targets.kore]
platform = "koreai"
base_url = "https://kore.example/api/public"
auth = { api_key = "${{ env.KORE_API_KEY }}" }

[targets.box]
platform = "koreai"
base_url = "sandbox:"

[profile.staging.targets.kore]
auth = { api_key = "${{ env.STAGING_KEY }}" }
"#;

const CONNECTIONS: &str = r#"connections:
  one:
    target: box
    kind: openai
    spec:
      connectionName: Say "hi" <b>]
      model: gpt-4o
      fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
  two:
    target: box
    kind: openai
    depends_on: [one]
    spec:
      connectionName: Two
      model: gpt-4o
      fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
  three:
    target: box
    kind: anthropic
    depends_on: [one, two]
    spec:
      connectionName: Three
      model: claude
      fields: { API_KEY: "${{ env.ANTHROPIC_API_KEY | default(\"sk-default-value-1\") }}" }
  four:
    target: box
    kind: openai
    spec:
      connectionName: Four
      model: gpt-4o
      fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
  five:
    target: box
    kind: openai
    spec:
      connectionName: Five
      model: gpt-4o
      fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" }
"#;

fn project() -> Project {
    let project = Project::empty();
    project.write("patchbay.toml", PROJECT);
    project.write("connections/all.yaml", CONNECTIONS);
    project
}

/// The words of the line that begins with this one.
fn line<'t>(text: &'t str, first: &str) -> Vec<&'t str> {
    let line = text.lines().find(|l| l.split_whitespace().next() == Some(first));
    line.unwrap_or_else(|| panic!("no line {first} in:\n{text}")).split_whitespace().collect()
}

fn variable<'d>(document: &'d Value, name: &str) -> &'d Value {
    let all = document["variables"].as_array().unwrap();
    all.iter().find(|v| v["name"] == name).unwrap_or_else(|| panic!("no {name} in {document:#}"))
}

#[test]
fn a_new_project_plans_and_applies_at_once() {
    for platform in ["koreai", "gateway", "flashback"] {
        let project = Project::empty().with("CI", "true");
        let ran = project.run(&["init", "--platform", platform]);
        assert_eq!(ran.code, 0, "{platform}: {ran}");
        for said in ["  patchbay.toml\n", "  connections/", "  connections.schema.json\n", "  patchbay plan\n  patchbay apply\n"]
        {
            assert!(ran.stdout.contains(said), "{platform}: {said}: {ran}");
        }
        assert!(project.read("patchbay.toml").contains(&format!("platform = \"{platform}\"")));
        assert_eq!(project.read(".gitignore"), ".patchbay/\n.env\n");
        assert_eq!(project.read(".gitattributes"), "patchbay*.state merge=union -text\n");

        let ran = project.run(&["validate"]);
        assert!(ran.code == 0 && ran.stderr.is_empty(), "{platform}: {ran}");
        let planned = project.planned();
        assert!(planned.len() == 2 && planned.iter().all(|p| p.ends_with(" create")), "{platform}: {planned:?}");
        project.apply();
        project.assert_empty_plan();
    }
}

#[test]
fn the_first_platform_is_the_default_and_others_are_refused() {
    let project = Project::empty();
    assert_eq!(project.run(&["init"]).code, 0);
    assert!(project.read("patchbay.toml").contains("platform = \"koreai\""));
    assert_eq!(project.run(&["init", "--platform", "nonesuch", "other"]).code, 64);
    assert!(!project.exists("other"));
}

#[test]
fn a_second_init_refuses_and_changes_nothing() {
    let project = Project::empty();
    assert_eq!(project.run(&["init"]).code, 0);
    let mut before = project.all_files();
    before.sort();
    for platform in ["koreai", "gateway"] {
        let ran = project.run(&["init", "--platform", platform]);
        assert_eq!(ran.code, 64, "{ran}");
        assert!(ran.flat().contains("patchbay.toml") && ran.flat().contains("nothing was written"), "{ran}");
        let mut after = project.all_files();
        after.sort();
        assert!(before == after, "{platform}");
    }

    // One file in the way is enough, whichever it is.
    let project = Project::empty();
    project.write("connections/models.yaml", "mine\n");
    let ran = project.run(&["init"]);
    assert!(ran.code == 64 && ran.flat().contains("connections/models.yaml"), "{ran}");
    assert_eq!(project.all_files().len(), 1);
    let (document, code) = project.json(&["init"]);
    assert_eq!((code, document["valid"].clone()), (64, json!(false)), "{document:#}");
}

#[test]
fn lines_are_added_to_files_that_are_there() {
    let project = Project::empty();
    project.write(".gitignore", "/target\n.env");
    project.write(".gitattributes", "patchbay*.state merge=union -text\n");
    let (document, code) = project.json(&["init"]);
    assert_eq!(code, 0, "{document:#}");
    assert_eq!(project.read(".gitignore"), "/target\n.env\n.patchbay/\n");
    assert_eq!(project.read(".gitattributes"), "patchbay*.state merge=union -text\n");
    let written = document["written"].as_array().unwrap();
    assert!(written.contains(&json!(".gitignore")) && !written.contains(&json!(".gitattributes")), "{document:#}");
}

#[test]
fn a_project_can_be_made_in_another_folder() {
    let project = Project::empty();
    let ran = project.run(&["init", "my projects/one"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("patchbay -C 'my projects/one' plan\n"), "{ran}");
    assert!(project.exists("my projects/one/patchbay.toml") && !project.exists("patchbay.toml"));
    assert_eq!(project.run(&["-C", "my projects/one", "plan"]).code, 0);
    assert_eq!(project.run(&["-C", "no-such-folder", "init"]).code, 1);
    assert!(!project.exists("no-such-folder"));
}

#[test]
fn env_lists_every_variable_and_no_value() {
    let mut project = project();
    let ran = project.run(&["env"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(line(&ran.stdout, "KORE_API_KEY"), ["KORE_API_KEY", "NOT", "SET", "-", "patchbay.toml:7"]);
    assert_eq!(line(&ran.stdout, "ANTHROPIC_API_KEY")[..4], ["ANTHROPIC_API_KEY", "NOT", "SET", "default"]);
    let openai = line(&ran.stdout, "OPENAI_API_KEY").join(" ");
    assert!(openai.contains("connections/all.yaml:8,") && openai.ends_with("and 1 more"), "{ran}");
    assert!(line(&ran.stdout, "STAGING_KEY").join(" ").ends_with("patchbay.toml:14 (profile staging)"), "{ran}");
    assert!(ran.stderr.contains("2 variables are missing"), "{ran}");
    assert!(!ran.stdout.contains("sk-default-value-1"), "{ran}");

    project.set("KORE_API_KEY", "kore-real-key-1234");
    project.set("OPENAI_API_KEY", "");
    project.set("ANTHROPIC_API_KEY_FILE", "key.txt");
    project.write("key.txt", "sk-from-file-1234\n");
    project.write("dev.env", "OPENAI_API_KEY=sk-env-file-1234\nSTAGING_KEY=staging-real-1234\n");
    let ran = project.run(&["env", "--env-file", "dev.env"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(line(&ran.stdout, "KORE_API_KEY")[1..3], ["set", "environment"]);
    assert_eq!(line(&ran.stdout, "OPENAI_API_KEY")[1..3], ["EMPTY", "environment"]);
    assert_eq!(line(&ran.stdout, "ANTHROPIC_API_KEY")[1..3], ["set", "ANTHROPIC_API_KEY_FILE"]);
    assert_eq!(line(&ran.stdout, "STAGING_KEY")[1..3], ["set", "dev.env"]);
    assert!(ran.stderr.contains("1 variable is missing"), "{ran}");
    for value in ["kore-real-key-1234", "sk-from-file-1234", "sk-env-file-1234", "staging-real-1234"] {
        assert!(!ran.stdout.contains(value) && !ran.stderr.contains(value), "{ran}");
    }

    project.set("ANTHROPIC_API_KEY", "x");
    let (document, code) = project.json(&["env", "--profile", "staging"]);
    assert_eq!(code, 0);
    assert_eq!(variable(&document, "ANTHROPIC_API_KEY")["status"], "set_twice");
    assert_eq!(variable(&document, "STAGING_KEY")["missing"], true);
    assert_eq!(variable(&document, "KORE_API_KEY")["places"][0]["inactive"], "not with this profile");
    assert_eq!(variable(&document, "OPENAI_API_KEY")["places"].as_array().map(Vec::len), Some(4));
    assert!(!document.to_string().contains("kore-real-key-1234"));
}

#[test]
fn env_prints_a_template_that_can_be_filled_in() {
    let project = project();
    let ran = project.run(&["env", "--template"]);
    assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran}");
    assert!(ran.stdout.contains("# patchbay.toml:7\nKORE_API_KEY=\n"), "{ran}");
    assert!(ran.stdout.contains("; has a default\n# ANTHROPIC_API_KEY=\n"), "{ran}");
    assert!(!ran.stdout.contains("sk-default-value-1"), "{ran}");
    project.write(".env", &ran.stdout.replace("KEY=\n", "KEY=filled-in-1234\n"));
    let ran = project.run(&["validate", "--env-file", ".env"]);
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn env_of_files_that_cannot_be_read_says_what_is_wrong() {
    let project = project();
    project.write("connections/bad.yaml", "a: b: c\n");
    let ran = project.run(&["env"]);
    assert!(ran.code == 1 && ran.stdout.is_empty() && ran.stderr.contains("PB0101"), "{ran}");
    assert_eq!(Project::empty().run(&["env"]).code, 1);
}

#[test]
fn the_graph_is_told_in_three_formats() {
    let project = project();
    let ran = project.run(&["graph"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(
        ran.stdout,
        "Level 1\n  box/one\n  box/four\n  box/five\n\nLevel 2\n  box/two  after box/one\n\nLevel 3\n  box/three  after box/one, box/two\n"
    );

    let ran = project.run(&["graph", "--format", "mermaid"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.starts_with("flowchart LR\n    subgraph t0[\"box\"]\n"), "{ran}");
    assert!(ran.stdout.contains("n0[\"one<br/>Say #34;hi#34; #60;b#62;#93;\"]\n"), "{ran}");
    assert_eq!(ran.stdout.matches(" --> ").count(), 3, "{ran}");
    assert_eq!(ran.stdout, project.run(&["graph", "--format", "mermaid"]).stdout);

    let ran = project.run(&["graph", "--format", "dot"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.starts_with("digraph patchbay {\n") && ran.stdout.ends_with("}\n"), "{ran}");
    assert!(ran.stdout.contains("n0 [label=\"one\\nSay \\\"hi\\\" <b>]\"];"), "{ran}");
    assert_eq!(ran.stdout.matches(" -> ").count(), 3, "{ran}");

    let (document, code) = project.json(&["graph"]);
    assert_eq!((code, document["connections"][0]["address"].clone()), (0, json!("box/one")), "{document:#}");
    assert!(!project.exists(".patchbay"), "nothing is opened and nothing is made");
}

#[test]
fn the_graph_can_be_narrowed_and_refuses_circles() {
    let project = project();
    let ran = project.run(&["graph", "--only", "box/two"]);
    assert_eq!(ran.stdout, "Level 1\n  box/one\n\nLevel 2\n  box/two  after box/one\n");
    project.replace("connections/all.yaml", "depends_on: [one]", "depends_on: [three]");
    let ran = project.run(&["graph"]);
    assert!(ran.code == 1 && ran.stdout.is_empty() && ran.stderr.contains("PB0112"), "{ran}");
}

#[test]
fn formats_of_the_graph_are_refused_elsewhere() {
    let project = project();
    for format in ["mermaid", "dot"] {
        assert_eq!(project.run(&["validate", "--offline", "--format", format]).code, 64, "{format}");
    }
}

#[test]
fn a_definition_is_drafted_from_an_openapi_document() {
    let project = Project::empty();
    project.write(
        "api.yaml",
        "openapi: 3.0.3\ninfo: { title: Acme, version: '1' }\npaths:\n  /models:\n    get:\n      responses: { '200': { content: { application/json: { schema: { type: object, properties: { models: { type: array, items: { type: object, properties: { id: { type: string }, name: { type: string } } } } } } } } } }\n    post:\n      requestBody: { content: { application/json: { schema: { type: object, required: [name], properties: { name: { type: string }, api_key: { type: string } } } } } }\n      responses: {}\n  /models/{id}:\n    delete: {}\n",
    );
    let ran = project.run(&["platform", "new", "acme", "--openapi", "api.yaml", "--write", "acme.yaml"]);
    assert!(ran.code == 0 && ran.stderr.contains("Drafted 1 kind in acme.yaml"), "{ran}");
    let ran = project.run(&["platform", "check", "acme.yaml"]);
    assert_eq!(ran.code, 0, "a draft can be checked at once: {ran}");
    // Nothing is overwritten.
    assert_eq!(project.run(&["platform", "new", "acme", "--openapi", "api.yaml", "--write", "acme.yaml"]).code, 1);
    let (document, code) = project.json(&["platform", "new", "acme", "--openapi", "api.yaml"]);
    assert_eq!((code, &document["kinds"]), (0, &json!(1)));
    for (args, why) in [
        (&["platform", "new", "acme", "--openapi", "nope.yaml"][..], "cannot read"),
        (&["platform", "new", "a b", "--openapi", "api.yaml"], "not a usable platform name"),
        (&["platform", "new", "acme", "--openapi", "acme.yaml"], "no OpenAPI 3 document"),
    ] {
        let ran = project.run(args);
        assert!(ran.code == 1 && ran.flat().contains(why), "{args:?}: {ran}");
    }
}
