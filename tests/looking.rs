//! Commands that look: `test`, `lifecycle.test`, `show ADDR`, `doctor`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server, codes};
use patchbay::sandbox::Platform;
use serde_json::json;

const LLM: &str = r#"connections:
  one:
    target: t
    kind: llm
    spec:
      name: one
      aiType: OPENAI
      endpoint: https://api.openai.example/v1
      secret: ${{ env.SECRET }}
      workspaceId: ws-1
"#;

const KORE: &str = r#"connections:
  support:
    target: kore
    kind: openai
    spec: { connectionName: Support, model: gpt-4o, fields: { API_KEY: "${{ env.KEY }}" } }
"#;

fn flashback(server: &Server, connections: &str) -> Project {
    Project::on("flashback", server, "auth = { token = \"${{ env.TOKEN }}\" }\n", connections)
        .with("TOKEN", "flashback-token-1")
        .with("SECRET", "sk-good-0000000000")
}

fn kore(server: &Server) -> Project {
    Project::kore(&server.url(), KORE).with("KEY", "sk-look-1234567890")
}

#[test]
fn a_test_passes_and_fails_as_the_api_says() {
    // An API may say that a test failed with a status, or under 200.
    for quirk in ["flashback_errors=status", "flashback_errors=ok"] {
        let server = Server::quirky(quirk);
        let mut project = flashback(&server, LLM);
        let ran = project.run(&["test"]);
        assert!(ran.code == 0 && ran.stdout.contains("not there") && ran.stdout.contains("it is not created yet"), "{ran}");
        project.apply();
        server.clear_requests();
        let ran = project.run(&["test"]);
        assert!(ran.code == 0 && ran.stdout.contains("✓ passed     t/one"), "{ran}");
        assert!(
            ran.stdout.contains("\"Credentials are valid\"") && ran.stdout.contains("Tested 1 connection: 1 passed."),
            "{ran}"
        );
        assert_eq!(server.lines().iter().filter(|l| l.contains("/validate")).count(), 1);

        project.set("SECRET", "sk-invalid-00000000");
        project.apply();
        let ran = project.run(&["test", "t/one"]);
        assert!(
            ran.code == 1 && ran.stdout.contains("✗ failed     t/one") && ran.stdout.contains("Invalid credentials"),
            "{ran}"
        );
        let (document, exit) = project.json(&["test"]);
        assert_eq!(exit, 1);
        assert_eq!(document["results"][0]["result"], "failed");
        assert_eq!(document["results"][0]["message"], "Invalid credentials");
        assert_eq!(document["summary"], json!({"passed": 0, "failed": 1, "unknown": 0, "not_there": 0, "no_test": 0}));
        // A test changes nothing.
        project.assert_empty_plan();
    }
}

#[test]
fn a_test_that_cannot_be_made_is_no_verdict() {
    let server = Server::start();
    let project = flashback(&server, LLM);
    project.apply();
    server.fault("POST */llm/*/validate status=503 times=9");
    let ran = project.run(&["test", "--retries", "0"]);
    assert!(ran.code == 1 && ran.stdout.contains("? unknown    t/one") && ran.stderr.contains("PB0607"), "{ran}");
    server.clear_faults();
    server.fault("POST */llm/*/validate status=401 times=9");
    let (document, _) = project.json(&["test"]);
    assert_eq!((document["results"][0]["result"].as_str(), codes(&document)), (Some("unknown"), vec!["PB0601".to_owned()]));
}

#[test]
fn an_api_without_a_test_says_so() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    let ran = project.run(&["test"]);
    assert!(ran.code == 0 && ran.stdout.contains("no test") && ran.stdout.contains("the API has none for `openai`"), "{ran}");
    let ran = project.run(&["test", "kore/supprt"]);
    assert!(ran.code == 1 && ran.flat().contains("did you mean `kore/support`?"), "{ran}");
    project.replace("connections/all.yaml", "    spec:", "    lifecycle: { test: after }\n    spec:");
    let ran = project.run(&["validate"]);
    assert!(ran.code == 0 && ran.stderr.contains("PB0706"), "{ran}");
}

#[test]
fn a_test_after_a_write_ends_the_change() {
    let server = Server::start();
    let two = LLM.to_owned()
        + "    lifecycle: { test: after }\n"
        + &LLM
            .trim_start_matches("connections:\n")
            .replace("one", "two")
            .replace("    kind: llm\n", "    kind: llm\n    depends_on: [one]\n");
    let mut project = flashback(&server, &two);
    project.set("SECRET", "sk-invalid-00000000");
    let ran = project.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.stderr.contains("PB0705") && ran.flat().contains("it was written and is recorded"), "{ran}");
    assert!(ran.stdout.contains("needs `t/one`, which was not done"), "nothing is built upon it: {ran}");
    // It was written, and is recorded; what depended on it is what is left.
    assert_eq!(project.planned(), ["t/two create"]);
    project.set("SECRET", "sk-better-000000000");
    project.apply();
    project.assert_empty_plan();
    let validates = server.lines().iter().filter(|l| l.ends_with("/validate")).count();
    assert_eq!(validates, 2, "after the create and after the rotation, and only for the one that asks for it");
}

#[test]
fn a_test_that_fails_to_run_after_a_write_is_a_warning() {
    let server = Server::start();
    let project = flashback(&server, &(LLM.to_owned() + "    lifecycle: { test: after }\n"));
    server.fault("POST */llm/*/validate status=503 times=9");
    let ran = project.run(&["apply", "--yes", "--retries", "0"]);
    assert!(ran.code == 0 && ran.stderr.contains("could not be asked to test it"), "{ran}");
}

#[test]
fn three_sides_of_one_connection() {
    let server = Server::start();
    let project = kore(&server);
    let ran = project.run(&["show", "kore/support"]);
    assert!(ran.code == 0 && ran.stdout.contains("not in the state") && ran.stdout.contains("not there"), "{ran}");
    project.apply();
    let ran = project.run(&["show", "kore/support"]);
    assert_eq!(
        ran.transcript(),
        "kore/support   openai
  declared   connections/all.yaml:2
  recorded   cn-… · revision 1 · STAMP
  live       cn-… · not modified since our write

  field            declared             recorded   live
  connectionName   Support              =          =
  model            gpt-4o               =          =
  fields.API_KEY   (secret fp:······)   =          (secret)
  provider         Open AI              -          =

= is the declared value
"
    );
    // Somebody changes it in the console, and the files move on, too.
    server.edit(|store| {
        let id = store.find(Platform::Koreai, "Support").unwrap().to_owned();
        let mut object = store.get(Platform::Koreai, &id).unwrap().clone();
        object["model"] = json!("gpt-4o-mini");
        object["modifiedOn"] = json!("2030-01-01T00:00:00.000Z");
        store.put(Platform::Koreai, &id, object);
    });
    let (document, exit) = project.json(&["show", "kore/support"]);
    assert_eq!(exit, 0);
    let model = &document["fields"][1];
    assert_eq!(
        (&model["path"], &model["declared"], &model["recorded"], &model["live"], &model["same"]),
        (&json!("model"), &json!("gpt-4o"), &json!("as-declared"), &json!("gpt-4o-mini"), &json!(false))
    );
    project.replace("connections/all.yaml", "gpt-4o", "gpt-4o-mini");
    let (document, _) = project.json(&["show", "kore/support"]);
    assert_eq!(document["fields"][1]["recorded"], "other");
    assert_eq!(document["fields"][1]["same"], true);
    // In the state, and in no file.
    project.write("connections/all.yaml", "connections: {}\n");
    let ran = project.run(&["show", "kore/support"]);
    assert!(ran.code == 0 && ran.stdout.contains("in no file") && ran.stdout.contains("only seen in the list"), "{ran}");
}

#[test]
fn what_is_neither_a_plan_nor_a_connection() {
    let project = kore(&Server::start());
    let ran = project.run(&["show", "kore/suport"]);
    assert!(ran.code == 1 && ran.flat().contains("did you mean `kore/support`?"), "{ran}");
    let ran = project.run(&["show", "plan.json"]);
    assert!(ran.code == 1 && ran.flat().contains("a connection is shown by its address"), "{ran}");
}

#[test]
fn a_healthy_project() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    let before = project.all_files();
    server.clear_requests();
    let ran = project.run(&["doctor"]);
    assert_eq!(ran.code, 0, "{ran}");
    for line in [
        "✓  reachable",
        "✓  credentials      accepted",
        "1 in `connections`, and that is all",
        "?  writing",
        "✓  records          1",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {ran}");
    }
    assert_eq!(server.lines(), ["GET /api/public/connections?limit=1000"]);
    assert_eq!(project.all_files(), before, "a doctor only looks");
}

#[test]
fn an_ill_project() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    project.write("secrets.env", "KEY=sk-look-1234567890\n");
    std::fs::set_permissions(project.path().join("secrets.env"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::remove_dir_all(project.path().join(".patchbay")).unwrap();
    server.fault("GET /connections status=401 times=9");
    let ran = project.run(&["doctor", "--env-file", "secrets.env"]);
    assert_eq!(ran.code, 1, "{ran}");
    for line in ["✗  credentials", "PB0601", "others may read it (0644)", "chmod 600 secrets.env", "so no secret can be verified"]
    {
        assert!(ran.stdout.contains(line), "{line}: {ran}");
    }
    assert!(ran.stderr.contains("PB0601"), "{ran}");
    let (document, exit) = project.json(&["doctor", "kore"]);
    assert_eq!((document["healthy"].as_bool(), exit), (Some(false), 1), "{document:#}");
    server.clear_faults();
    drop(server);
    let ran = project.run(&["doctor", "--retries", "0"]);
    assert!(ran.code == 1 && ran.stdout.contains("✗  reachable") && ran.stderr.contains("PB0609"), "{ran}");
    let ran = project.run(&["doctor", "kroe"]);
    assert!(ran.code == 1 && ran.flat().contains("did you mean `kore`?"), "{ran}");
}

#[test]
fn a_list_that_may_be_cut_and_a_deployment_that_moved() {
    let server = Server::quirky("list_total=false");
    let project = kore(&server);
    let ran = project.run(&["doctor"]);
    assert!(
        ran.code == 0 && ran.stdout.contains("✓  list") | ran.stdout.contains("!  list") | ran.stdout.contains("⚠  list"),
        "{ran}"
    );
    project.run(&["apply", "--yes"]);
    let other = Server::start();
    let mut moved = kore(&other);
    moved.apply();
    moved.set("X", "x");
    moved.replace("patchbay.toml", &other.url(), &server.url());
    let ran = moved.run(&["doctor"]);
    assert!(ran.code == 0 && ran.stdout.contains("the state has another: http://127.0.0.1"), "{ran}");
}

#[test]
fn a_platform_definition_is_rehearsed() {
    let project = Project::empty();
    let ran = project.run(&["platform", "check", "gateway", "flashback", "koreai"]);
    assert!(ran.code == 0 && ran.stdout.contains("Right, as far as a rehearsal tells: 8 kinds"), "{ran}");
    assert!(ran.stdout.contains("update        PUT /providers/{id}: apiKey, metadata.displayName"), "{ran}");
    let text = include_str!("../schemas/platforms/gateway.yaml");
    project.write(
        "my.yaml",
        &text
            .replace("may_be_missing: true", "may_be_missing: false")
            .replace("covers: [apiKey, metadata],", "covers: [metadata],"),
    );
    let ran = project.run(&["platform", "check", "my.yaml"]);
    assert_eq!(ran.code, 0, "{ran}");
    project.write("my.yaml", &text.replace("natural_key: [name]", "natural_key: [apiKey]"));
    let ran = project.run(&["platform", "check", "my.yaml"]);
    assert!(ran.code == 1 && ran.stderr.contains("my.yaml:38") && ran.flat().contains("cannot be found in the list"), "{ran}");
    project.write("my.yaml", &text.replace("covers: [apiKey, metadata]", "covers: [apiKy, metadata]"));
    let (document, exit) = project.json(&["platform", "check", "my.yaml"]);
    assert_eq!(
        (document["valid"].as_bool(), exit, codes(&document)),
        (Some(false), 1, vec!["PB0114".to_owned()]),
        "{document:#}"
    );
    let (document, exit) = project.json(&["platform", "check", "flashback"]);
    assert_eq!(exit, 0);
    assert_eq!(document["definitions"][0]["kinds"][0]["unchangeable"], json!(["workspaceId"]));
    let ran = project.run(&["platform", "check", "missing.yaml"]);
    assert!(ran.code == 1 && ran.flat().contains("built-in definitions"), "{ran}");
}
