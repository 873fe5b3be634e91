//! `patchbay drift`: what others did shows, what the files want does not, and nothing is written.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::path::PathBuf;

use common::{Project, Ran, Server, codes};
use patchbay::sandbox::{Platform, Store, StoredSecret};
use serde_json::{Value, json};

const KORE: &str = r#"connections:
  plain:
    target: kore
    kind: openai
    spec: { connectionName: Plain, model: m, fields: { API_KEY: "${{ env.K }}" } }
  own:
    target: kore
    kind: custom-existing
    spec:
      connectionName: Own
      model: m
      endpointUrl: https://llm.example/v1
      headers: [{ key: Authorization, value: "Bearer ${{ env.K }}" }]
      mapProvider: openAIModel
      llmFeatures: { toolCalling: true, streaming: true }
      IOMappings: [textToText]
      status: FINALIZED
"#;

const GATEWAY: &str = r#"connections:
  openai:
    target: t
    kind: provider
    spec:
      name: openai
      apiKey: ${{ env.K }}
      metadata: { displayName: Ours, baseUrl: https://eu.openai.example/v1 }
  anthropic:
    target: t
    kind: provider
    spec: { name: anthropic, apiKey: "${{ env.K }}" }
"#;

const FLASHBACK: &str = r#"connections:
  openai-eu:
    target: t
    kind: llm
    spec: { name: openai-eu, aiType: OPENAI, endpoint: https://api.openai.example/v1, secret: "${{ env.K }}", workspaceId: ws-1 }
  by-reference:
    target: t
    kind: llm
    spec: { name: other, aiType: OTHER, endpoint: https://other.example, apiKeyUuid: uuid-1, workspaceId: ws-1 }
"#;

fn kore(server: &Server) -> Project {
    Project::kore(&server.url(), KORE).with("K", "plain-key-0000000000")
}

fn on(platform: &str, server: &Server, connections: &str) -> Project {
    Project::on(platform, server, "auth = { token = \"${{ env.TOKEN }}\" }", connections)
        .with("TOKEN", "admin-token-1")
        .with("K", "sk-drift-first-000000")
}

fn files(project: &Project) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = project.all_files();
    all.sort();
    all
}

/// Runs `drift` as text and as JSON; asserts the exit code, and that nothing is written anywhere.
#[track_caller]
fn drift(project: &Project, server: &Server, exit: i32) -> (Ran, Value) {
    server.clear_requests();
    let before = files(project);
    let ran = project.run(&["drift"]);
    let (document, exit_of_json) = project.json(&["drift"]);
    assert_eq!((ran.code, exit_of_json), (exit, exit), "{ran}\n{document:#}");
    assert!(server.requests().iter().all(|r| r.method == "GET"), "{ran}");
    assert!(files(project) == before, "a file was written: {ran}");
    (ran, document)
}

/// Changes a live object as somebody at the console would.
fn outside(server: &Server, platform: Platform, name: &str, edit: impl FnOnce(&mut Value)) {
    server.edit(|store: &mut Store| {
        let id = store.find(platform, name).unwrap().to_owned();
        assert!(store.update(platform, &id, edit));
        store.touch(platform, &id);
    });
}

fn remove(server: &Server, platform: Platform, name: &str) -> Value {
    server.edit(|store: &mut Store| {
        let id = store.find(platform, name).unwrap().to_owned();
        store.remove(platform, &id).unwrap()
    })
}

/// The drifted fields, `address path`.
fn drifted(document: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let all = document["drifted"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    all.iter()
        .flat_map(|entry| {
            let fields = entry["fields"].as_array().unwrap();
            fields.iter().map(|field| format!("{} {}", text(&entry["address"]), text(&field["path"]))).collect::<Vec<_>>()
        })
        .collect()
}

/// The doubtful fields, `address path why`.
fn doubtful(document: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let all = document["unverifiable"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    all.iter()
        .flat_map(|entry| {
            let fields = entry["fields"].as_array().unwrap();
            let one = |f: &Value| format!("{} {} {}", text(&entry["address"]), text(&f["path"]), text(&f["why"]));
            fields.iter().map(one).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_doubt_about_a_secret_outlives_a_write_of_another_field() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    outside(&server, Platform::Koreai, "Own", |object| {
        object["model"] = json!("theirs");
        // Another key with the same mask: only the modification time gives it away.
        object["headers"][0]["value"] = StoredSecret::of("Bearer plain-key-9990000000").to_value();
    });
    let (_, document) = drift(&project, &server, 2);
    let path = "kore/own headers[key=Authorization].value";
    assert_eq!(drifted(&document), ["kore/own model"]);
    assert_eq!(doubtful(&document), [format!("{path} modified-outside")]);
    server.clear_requests();
    project.apply();
    assert!(server.writes().iter().all(|write| !write.contains("headers")), "only the model is put back");
    let (_, document) = drift(&project, &server, 0);
    assert_eq!(doubtful(&document), [format!("{path} never-written")]);
    let plan = project.json(&["plan"]).0;
    assert_eq!((&plan["summary"]["unverifiable"], &plan["summary"]["update"]), (&json!(1), &json!(0)), "{plan:#}");
    // The way out writes it, and then it is known again.
    assert_eq!(project.run(&["apply", "--yes", "--rewrite-secrets"]).code, 0);
    let (_, document) = drift(&project, &server, 0);
    assert_eq!(doubtful(&document), Vec::<String>::new());
}

#[test]
fn nothing_changed() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    let (ran, document) = drift(&project, &server, 0);
    assert!(ran.stdout.contains("No drift. 2 connections are as recorded."), "{ran}");
    assert_eq!(document["summary"], json!({"drifted": 0, "missing": 0, "unverifiable": 0, "not_compared": 0, "unchanged": 2}));
    assert_eq!((&document["errored"], &document["refresh"]), (&json!(false), &json!("full")));
    server.clear_requests();
    let ran = project.run(&["drift", "--refresh", "auto", "-q"]);
    assert!(ran.code == 0 && ran.stdout.starts_with("No drift.") && ran.stdout.lines().count() == 1, "{ran}");
    assert_eq!(server.lines().len(), 1, "an unmoved account costs one request");
    assert_eq!(project.run(&["drift", "--refresh", "none"]).code, 64);
}

#[test]
fn a_field_changed_outside() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    outside(&server, Platform::Koreai, "Own", |o| o["model"] = "m-theirs".into());
    let (ran, document) = drift(&project, &server, 2);
    assert_eq!(drifted(&document), ["kore/own model"], "{document:#}");
    let field = &document["drifted"][0]["fields"][0];
    assert_eq!((&field["recorded"], &field["live"], &field["cause"]), (&json!("m"), &json!("m-theirs"), &json!("drift")));
    assert_eq!(document["drifted"][0]["source"]["file"], "connections/all.yaml");
    assert!(ran.stdout.contains("~ kore/own   model   m → m-theirs") && ran.stdout.contains("Drift: 1 changed"), "{ran}");

    // The files change as well: what was applied is no longer written anywhere.
    project.replace("connections/all.yaml", "connectionName: Own\n      model: m", "connectionName: Own\n      model: m-ours");
    let (_, document) = drift(&project, &server, 2);
    let field = &document["drifted"][0]["fields"][0];
    assert_eq!((&field["live"], &field["cause"]), (&json!("m-theirs"), &json!("both")), "{document:#}");
    assert!(field.get("recorded").is_none(), "{document:#}");

    // Put back, the drift is gone.
    project.apply();
    drift(&project, &server, 0);
}

#[test]
fn what_the_files_want_is_no_drift() {
    let server = Server::start();
    let mut project = kore(&server);
    project.apply();
    project.replace("connections/all.yaml", "streaming: true", "streaming: false");
    project.set("K", "plain-key-1111111111");
    let new =
        "  new: { target: kore, kind: openai, spec: { connectionName: New, model: m, fields: { API_KEY: \"${{ env.K }}\" } } }\n";
    project.write("connections/new.yaml", &format!("connections:\n{new}"));
    let (ran, document) = drift(&project, &server, 0);
    assert!(drifted(&document).is_empty() && document["missing"] == json!([]), "{document:#}");
    assert!(!ran.stdout.contains("kore/new"), "what was never applied is not spoken of: {ran}");
    // Not even what the API could not change.
    project.replace("connections/all.yaml", "connectionName: Plain, model: m,", "connectionName: Plain, model: m2,");
    drift(&project, &server, 0);
    assert_eq!(project.json(&["plan"]).1, 4, "a plan would be blocked");
}

#[test]
fn what_left_the_files_is_not_compared_and_said_to_be() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    let all = project.read("connections/all.yaml");
    let (kept, _) = all.split_once("  own:").unwrap();
    project.write("connections/all.yaml", kept);
    let (ran, document) = drift(&project, &server, 0);
    assert_eq!(document["not_compared"][0]["address"], "kore/own", "{document:#}");
    assert!(ran.stdout.contains("not compared:") && ran.stdout.contains("in the state and in no file"), "{ran}");
    remove(&server, Platform::Koreai, "Own");
    let (_, document) = drift(&project, &server, 2);
    assert_eq!(document["missing"][0]["address"], "kore/own", "{document:#}");
}

#[test]
fn a_secret_rotated_outside_shows_by_its_mask() {
    let server = Server::start();
    let mut project = kore(&server);
    project.apply();
    outside(&server, Platform::Koreai, "Plain", |o| {
        o["fields"]["API_KEY"] = StoredSecret::of("sk-somebody-else-0000").to_value();
    });
    let (ran, document) = drift(&project, &server, 2);
    assert_eq!(drifted(&document), ["kore/plain fields.API_KEY"], "{document:#}");
    let field = &document["drifted"][0]["fields"][0];
    assert_eq!((&field["sensitive"], field.get("live")), (&json!(true), None), "{document:#}");
    assert!(field["recorded"].as_str().unwrap().starts_with("(secret fp:"), "{document:#}");
    assert!(ran.stdout.contains("live mask differs") && !ran.stdout.contains("plain-key"), "{ran}");

    // Under a key that no record was fingerprinted with, the mask may as well contradict a new wanted value.
    project.set("PATCHBAY_STATE_KEY", &"ab".repeat(32));
    let (_, document) = drift(&project, &server, 0);
    assert!(doubtful(&document).contains(&"kore/plain fields.API_KEY other-key".to_owned()), "{document:#}");
}

#[test]
fn a_secret_whose_mask_agrees_cannot_be_verified() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    outside(&server, Platform::Koreai, "Plain", |o| {
        o["fields"]["API_KEY"] = StoredSecret::of("another-key-00000000").to_value();
    });
    let (ran, document) = drift(&project, &server, 0);
    assert_eq!(doubtful(&document), ["kore/plain fields.API_KEY modified-outside"], "{document:#}");
    assert_eq!((&document["summary"]["unverifiable"], &document["summary"]["unchanged"]), (&json!(1), &json!(1)));
    assert!(ran.stdout.contains("cannot be verified:") && ran.stdout.contains("modified outside at"), "{ran}");
}

#[test]
fn an_object_deleted_outside() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    let mut object = remove(&server, Platform::Koreai, "Plain");
    let (ran, document) = drift(&project, &server, 2);
    assert_eq!(document["missing"][0]["address"], "kore/plain", "{document:#}");
    assert_eq!(document["summary"]["missing"], 1);
    assert!(ran.stdout.contains("- kore/plain   gone (not found by its id)"), "{ran}");

    // The plan makes it anew, and says why.
    let ran = project.run(&["plan"]);
    assert!(ran.stdout.contains("changed outside patchbay:\n  kore/plain   deleted\n"), "{ran}");
    let (document, _) = project.json(&["plan"]);
    let drifted = &document["resource_drift"][0];
    assert_eq!((&drifted["address"], &drifted["change"]["actions"][0]), (&"kore/plain".into(), &"delete".into()), "{document:#}");
    assert_eq!(document["resource_changes"][0]["action_reason"], "deleted_outside", "{document:#}");
    assert_eq!(document["resource_changes"][0]["patchbay"]["causes"][0]["cause"], "drift", "{document:#}");

    // Somebody made another one of its name: ours is gone all the same.
    object["connectionId"] = "cn-made-by-somebody".into();
    server.edit(|store| store.put(Platform::Koreai, "cn-made-by-somebody", object));
    let (_, document) = drift(&project, &server, 2);
    assert_eq!(document["missing"][0]["instead"], "cn-made-by-somebody", "{document:#}");
}

#[test]
fn the_gateway_shows_names_and_urls_and_no_key() {
    for settings in ["gateway=seen", "gateway=documented"] {
        let server = Server::quirky(settings);
        let project = on("gateway", &server, GATEWAY);
        project.apply();
        drift(&project, &server, 0);

        // A key rotated outside leaves nothing but a moved stamp.
        outside(&server, Platform::Gateway, "openai", |o| o["apiKey"] = StoredSecret::of("sk-theirs-000000000").to_value());
        let (_, document) = drift(&project, &server, 0);
        assert_eq!(doubtful(&document), ["t/openai apiKey modified-outside"], "{settings}: {document:#}");

        outside(&server, Platform::Gateway, "openai", |o| o["displayName"] = "Theirs".into());
        let (ran, document) = drift(&project, &server, 2);
        assert_eq!(drifted(&document), ["t/openai metadata.displayName"], "{settings}: {document:#}");
        assert!(ran.stdout.contains("Ours → Theirs"), "{settings}: {ran}");

        remove(&server, Platform::Gateway, "anthropic");
        let (_, document) = drift(&project, &server, 2);
        assert_eq!(document["missing"][0]["address"], "t/anthropic", "{settings}: {document:#}");
    }
}

#[test]
fn flashback_shows_no_secret_and_has_no_stamp() {
    let server = Server::start();
    let mut project = on("flashback", &server, FLASHBACK);
    project.apply();
    let (ran, document) = drift(&project, &server, 0);
    assert_eq!(doubtful(&document), ["t/openai-eu secret no-evidence"], "{document:#}");
    assert!(ran.stdout.contains("No drift. 1 connection is as recorded; 1 cannot be verified."), "{ran}");
    assert!(ran.stdout.contains("t/openai-eu   secret (secret, this API shows neither the value"), "{ran}");
    // The key in the environment is the files' business.
    project.set("K", "sk-drift-second-00000");
    let (_, document) = drift(&project, &server, 0);
    assert_eq!(doubtful(&document), ["t/openai-eu secret no-evidence"], "{document:#}");

    outside(&server, Platform::Flashback, "ws-1/openai-eu", |o| o["endpoint"] = "https://theirs.example".into());
    let (ran, document) = drift(&project, &server, 2);
    assert_eq!(drifted(&document), ["t/openai-eu endpoint"], "{document:#}");
    assert!(ran.stdout.contains("https://api.openai.example/v1 → https://theirs.example"), "{ran}");

    remove(&server, Platform::Flashback, "ws-1/other");
    let (ran, document) = drift(&project, &server, 2);
    assert_eq!(document["missing"][0]["address"], "t/by-reference", "{document:#}");
    assert!(ran.stdout.contains("gone (no longer listed)"), "{ran}");
}

#[test]
fn what_cannot_be_checked_is_an_error_and_not_a_clean_bill() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    for (fault, code) in [
        ("GET /connections status=401", "PB0601"),
        ("GET /connections status=503", "PB0607"),
        ("GET /connections html=200", "PB0611"),
    ] {
        server.fault(fault);
        let before = files(&project);
        let ran = project.run(&["drift", "--retries", "0"]);
        assert!(ran.code == 1 && ran.stderr.contains(code) && !ran.stdout.contains("No drift"), "{fault}: {ran}");
        let (document, exit) = project.json(&["drift", "--retries", "0"]);
        assert_eq!((exit, codes(&document), &document["errored"]), (1, vec![code.to_owned()], &json!(true)), "{document:#}");
        assert!(files(&project) == before, "{fault}");
        server.clear_faults();
    }
    let url = server.url();
    drop(server);
    let ran = project.run(&["drift", "--retries", "0"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0609") && !ran.stdout.contains("No drift"), "{url}: {ran}");
    // Another address than in the state: not even asked.
    project.replace("patchbay.toml", &url, "http://127.0.0.1:9/api/public");
    let ran = project.run(&["drift", "--retries", "0"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0306"), "{ran}");
}

#[test]
fn where_nothing_was_applied_nothing_is_asked_and_nothing_is_made() {
    let server = Server::start();
    let project = kore(&server);
    let (ran, _) = drift(&project, &server, 0);
    assert!(ran.stdout.contains("Nothing is recorded"), "{ran}");
    assert!(server.requests().is_empty() && !project.exists(".patchbay"), "{ran}");
}

#[test]
fn without_the_key_no_secret_can_be_verified_and_no_key_is_made() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    std::fs::remove_file(project.path().join(".patchbay/key")).unwrap();
    let (ran, document) = drift(&project, &server, 0);
    assert!(doubtful(&document).contains(&"kore/plain fields.API_KEY other-key".to_owned()), "{document:#}");
    assert!(ran.stdout.contains("the fingerprint key is not here") && !project.exists(".patchbay/key"), "{ran}");
}

#[test]
fn a_write_of_our_own_whose_outcome_is_unknown_is_not_blamed_on_others() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    project.replace("connections/all.yaml", "streaming: true", "streaming: false");
    server.fault("PATCH * reset-after times=9");
    assert_eq!(project.run(&["apply", "--yes", "--retries", "0"]).code, 3);
    server.clear_faults();
    project.replace("connections/all.yaml", "streaming: false", "streaming: true");
    let (_, document) = drift(&project, &server, 0);
    assert!(doubtful(&document).iter().any(|d| d.ends_with("llmFeatures.streaming outcome-unknown")), "{document:#}");
}

#[test]
fn only_a_part_is_looked_at_if_so_asked() {
    let server = Server::start();
    let project = kore(&server);
    project.apply();
    outside(&server, Platform::Koreai, "Own", |o| o["model"] = "m-theirs".into());
    assert_eq!(project.run(&["drift", "--only", "kore/plain"]).code, 0);
    assert_eq!(project.run(&["drift", "--only", "kore/own"]).code, 2);
    assert_eq!(project.run(&["drift", "--only", "kore/onw"]).code, 1);
}
