//! Defects that were found by looking, each with the test that shows it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use common::{Project, Server, codes};
use patchbay::sandbox::{Platform, Store};
use patchbay::state::{Entry, Intent};
use serde_json::{Value, json};

const KIND: Platform = Platform::Koreai;

fn openai(key: &str, name: &str) -> String {
    format!(
        "  {key}: {{ target: kore, kind: openai, spec: {{ connectionName: {name}, model: m, fields: {{ API_KEY: \"${{{{ env.K }}}}\" }} }} }}\n"
    )
}

fn existing(key: &str, name: &str, more: &str) -> String {
    format!(
        "  {key}:\n    target: kore\n    kind: custom-existing\n{more}    spec:\n      connectionName: {name}\n      model: m\n      endpointUrl: https://llm.example/v1\n      headers: [{{ key: Authorization, value: \"Bearer ${{{{ env.K }}}}\" }}]\n      mapProvider: openAIModel\n      llmFeatures: {{ toolCalling: true, streaming: true }}\n      IOMappings: [textToText]\n      status: FINALIZED\n"
    )
}

fn project(server: &Server, connections: &str) -> Project {
    Project::kore(&server.url(), &format!("connections:\n{connections}")).with("K", "sk-regression-0000")
}

/// Changes a live object from outside, as somebody at the console would.
fn outside(server: &Server, name: &str, edit: impl FnOnce(&mut Value)) {
    server.edit(|store: &mut Store| {
        let id = store.find(KIND, name).unwrap().to_owned();
        assert!(store.update(KIND, &id, edit));
        store.touch(KIND, &id);
    });
}

fn live(server: &Server, name: &str) -> Value {
    server.edit(|store| store.get(KIND, store.find(KIND, name).unwrap()).unwrap().clone())
}

#[test]
fn an_object_has_one_owner() {
    let server = Server::start();
    let project = project(&server, &existing("c", "C", ""));
    project.apply();
    // `c` is renamed and a new `d` takes its old name: one is changed, one is made, in that order.
    project.write("connections/all.yaml", &format!("connections:\n{}{}", openai("d", "C"), existing("c", "C2", "")));
    assert_eq!(project.planned(), ["kore/d create", "kore/c update"]);
    project.apply();
    project.assert_empty_plan();
    assert_eq!(server.edit(|store| store.count(KIND)), 2);
}

#[test]
fn a_renamed_key_is_recognised_by_its_object() {
    let server = Server::start();
    let project = project(&server, &existing("before", "C", ""));
    project.apply();
    project.replace("connections/all.yaml", "  before:", "  after:");
    assert_eq!(project.planned(), ["kore/after move"]);
    server.clear_requests();
    project.apply();
    assert!(server.requests().iter().all(|r| r.method == "GET"));
    project.assert_empty_plan();
    let (document, _) = project.json(&["plan", "--refresh", "full"]);
    assert_eq!(document["summary"]["unverifiable"], 0, "{document:#}");
}

#[test]
fn a_declared_move_keeps_everything_that_is_known() {
    let server = Server::start();
    let project = project(&server, &openai("old", "C"));
    project.apply();
    project.write(
        "connections/all.yaml",
        &format!("connections:\n{}moved:\n  - {{ from: kore/old, to: kore/new }}\n", openai("new", "C")),
    );
    assert_eq!(project.planned(), ["kore/new move"]);
    project.apply();
    project.assert_empty_plan();
    assert_eq!(project.run(&["state", "list"]).stdout.lines().count(), 1);
}

#[test]
fn what_others_may_change_is_not_changed_back() {
    for settings in ["patch_merges_objects=true", "patch_merges_objects=false"] {
        let server = Server::quirky(settings);
        let project = project(&server, &existing("c", "C", "    lifecycle: { ignore_changes: [llmFeatures.streaming] }\n"));
        project.apply();
        outside(&server, "C", |o| o["llmFeatures"]["streaming"] = false.into());
        project.replace("connections/all.yaml", "toolCalling: true", "toolCalling: false");
        project.apply();
        assert_eq!(live(&server, "C")["llmFeatures"], json!({"toolCalling": false, "streaming": false}), "{settings}");
        project.assert_empty_plan();
        // And once it is no longer ignored, the difference shows.
        project.replace("connections/all.yaml", "    lifecycle: { ignore_changes: [llmFeatures.streaming] }\n", "");
        assert_eq!(project.json(&["plan", "--refresh", "full"]).0["summary"]["update"], 1, "{settings}");
    }
}

#[test]
fn a_secret_that_others_may_change_is_not_written_over_by_a_full_replacement() {
    let server = Server::start();
    let text = existing("c", "C", "    lifecycle: { ignore_changes: [headers] }\n").replace("status: FINALIZED", "status: DRAFT");
    let project = project(&server, &text);
    project.apply();
    project.replace("connections/all.yaml", "status: DRAFT", "status: FINALIZED");
    let (document, exit) = project.json(&["plan"]);
    assert_eq!((codes(&document), exit), (vec!["PB0401".to_owned()], 4), "the masked header could not be kept: {document:#}");
}

#[test]
fn a_shifted_list_shows_no_secret() {
    let server = Server::start();
    let text = format!(
        "{}      outputPath: x\n      customVars: [{{ name: x, value: \"${{{{ env.K }}}}\" }}]\n      payload: {{ a: 1 }}\n      promptVars: []\n",
        existing("c", "C", "").replace("custom-existing", "custom").replace("      mapProvider: openAIModel\n      llmFeatures: { toolCalling: true, streaming: true }\n      IOMappings: [textToText]\n", "")
    );
    let project = project(&server, &text);
    project.apply();
    outside(&server, "C", |o| {
        o["customVars"] = json!([{"name": "new", "value": "first"}, {"name": "x", "value": "sk-regression-0000"}]);
    });
    for args in [&["plan", "--full"][..], &["plan", "--json"], &["plan", "--out", "p.json"], &["show", "p.json"]] {
        let ran = project.run(args);
        assert!(!ran.stdout.contains("sk-regression-0000") && !ran.stderr.contains("sk-regression-0000"), "{args:?}: {ran}");
    }
    assert!(!project.read("p.json").contains("sk-regression-0000"));
}

#[test]
fn a_password_in_the_address_is_refused_and_not_shown() {
    let project = Project::kore("http://user:hunter2-pw@127.0.0.1:1/api/public", &format!("connections:\n{}", openai("c", "C")))
        .with("K", "sk-regression-0000");
    for args in [&["plan"][..], &["validate", "--json"]] {
        let ran = project.run(args);
        assert_eq!(ran.code, 1, "{ran}");
        assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"), "{ran}");
    }
}

#[test]
fn a_change_whose_outcome_is_unknown_is_written_again_whatever_is_wanted_then() {
    for (fault, settings) in [("PATCH * reset-after times=9", ""), ("PATCH * status=503 times=9", "")] {
        let server = Server::quirky(settings);
        let mut project = project(&server, &openai("c", "C"));
        project.apply();
        project.set("K", "sk-regression-1111");
        server.fault(fault);
        let ran = project.run(&["apply", "--yes", "--retries", "0"]);
        assert_eq!(ran.code, 3, "{fault}: {ran}");
        server.clear_faults();
        project.set("K", "sk-regression-0000");
        assert_eq!(project.planned(), ["kore/c rotate"], "{fault}: back to the old key, and the live one is unknown");
        project.apply();
        project.assert_empty_plan();
    }
}

#[test]
fn a_value_from_the_environment_keeps_its_field_s_own_equality() {
    let server = Server::start();
    let text = existing("c", "C", "")
        .replace("status: FINALIZED", "status: ${{ env.STATUS }}")
        .replace("https://llm.example/v1", "${{ env.URL }}");
    let project = project(&server, &text).with("STATUS", "FINALIZED").with("URL", "https://LLM.example/v1/");
    project.apply();
    outside(&server, "C", |_| {});
    let (document, _) = project.json(&["plan", "--refresh", "full"]);
    assert_eq!(document["resource_changes"], json!([]), "{document:#}");
}

#[test]
fn a_field_of_another_connection_arrives_filled_in() {
    let server = Server::start();
    let text = format!(
        "{}{}{}",
        openai("a", "A"),
        existing("b", "B", "").replace("model: m", "model: \"m-${{ connection('a').id }}\""),
        existing("c", "C", "").replace("model: m", "model: \"${{ connection('b').field('model') }}\"")
    );
    let project = project(&server, &text);
    project.apply();
    let model = live(&server, "B")["model"].clone();
    assert!(model.as_str().unwrap().starts_with("m-cn-"), "{model}");
    assert_eq!(live(&server, "C")["model"], model);
    project.assert_empty_plan();
}

#[test]
fn an_exclusion_wins_over_a_dependency() {
    let server = Server::start();
    let text = format!("{}{}", openai("a", "A"), openai("b", "B").replace("kind:", "depends_on: [a], kind:"));
    let project = project(&server, &text);
    let (document, _) = project.json(&["plan", "--exclude", "kore/a"]);
    assert_eq!(common::actions(&document), ["kore/b create"]);
}

#[test]
fn a_pattern_that_matches_nothing_is_no_success() {
    let server = Server::start();
    let project = project(&server, &openai("claude", "A"));
    let ran = project.run(&["apply", "--yes", "--only", "kore/cluade"]);
    assert!(
        ran.code == 1
            && ran.stderr.contains("no connection matches `kore/cluade`")
            && ran.stderr.contains("did you mean `kore/claude`?"),
        "{ran}"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn credentials_are_not_sent_to_a_host_that_the_state_does_not_know() {
    let (first, second) = (Server::start(), Server::start());
    let project = project(&first, &openai("a", "A"));
    project.apply();
    project.replace("patchbay.toml", &first.url(), &second.url());
    let ran = project.run(&["plan"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0306"), "{ran}");
    assert!(second.requests().is_empty());
    // Once accepted, the new address is remembered.
    second.edit(|_| ());
    assert_eq!(project.run(&["apply", "--yes", "--accept-target-change"]).code, 0);
    project.assert_empty_plan();
}

#[test]
fn a_saved_plan_keeps_the_choices_that_it_was_made_with() {
    let server = Server::start();
    let project = project(&server, &format!("{}{}", openai("a", "A"), openai("b", "B")));
    project.apply();
    assert_eq!(project.run(&["plan", "--rewrite-secrets", "--refresh", "full", "--only", "kore/a", "--out", "p.json"]).code, 0);
    assert_eq!(project.run(&["apply", "p.json"]).code, 0);
    std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
    project.apply();
    assert_eq!(project.run(&["plan", "--rewrite-secrets", "--out", "p.json"]).code, 0);
    server.clear_requests();
    let ran = project.run(&["apply", "p.json"]);
    assert!(ran.code == 0 && ran.stdout.contains("2 rotated"), "{ran}");
}

#[test]
fn a_saved_plan_is_refused_when_anything_is_not_as_it_was() {
    let server = Server::start();
    let mut project = project(&server, &existing("c", "C", ""));
    project.run(&["plan", "--out", "p.json"]);
    assert_eq!(project.run(&["apply", "p.json"]).code, 0);
    let ran = project.run(&["apply", "p.json"]);
    assert!(
        ran.code == 4 && ran.stderr.contains("PB0405") && ran.flat().contains("nothing to do for `kore/c` any more"),
        "{ran}"
    );

    project.replace("connections/all.yaml", "toolCalling: true", "toolCalling: false");
    project.set("K", "sk-regression-2222");
    project.run(&["plan", "--out", "p.json"]);
    project.set("K", "sk-regression-3333");
    let ran = project.run(&["apply", "p.json"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0406"), "{ran}");
    project.set("K", "sk-regression-2222");
    outside(&server, "C", |o| o["idp"] = "other".into());
    let ran = project.run(&["apply", "p.json"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0405") && ran.flat().contains("changed at the API since"), "{ran}");
    assert!(server.requests().iter().all(|r| r.method != "PATCH"));
    for text in ["{}", "not json", "{\"saved\":{\"version\":9}}"] {
        project.write("p.json", text);
        let ran = project.run(&["apply", "p.json"]);
        assert!(ran.code == 1 && ran.stderr.contains("PB0408"), "{text}: {ran}");
    }
}

#[test]
fn an_interrupted_create_of_ours_is_ours_even_where_nothing_may_be_taken_over() {
    let server = Server::start();
    server.fault("POST /connections delay=60000 times=1");
    let project = project(&server, &openai("a", "A"));
    project.replace("patchbay.toml", "auth =", "adopt = false\nauth =");
    let mut child = project.spawn(&["apply", "--yes"]);
    while server.edit(|store| store.count(KIND)) == 0 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.clear_faults();
    assert_eq!(project.planned(), ["kore/a adopt"]);
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn of_several_interrupted_creates_none_stays_open() {
    let server = Server::start();
    server.fault("POST /connections delay=60000 times=1");
    let project = project(&server, &openai("a", "A"));
    let mut child = project.spawn(&["apply", "--yes"]);
    while server.edit(|store| store.count(KIND)) == 0 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.clear_faults();
    let check = || project.json(&["state", "check"]).0["open_intents"].clone();
    let other = Entry::Intent(Intent {
        op: "0-1".to_owned(),
        address: "kore/a".parse().unwrap(),
        verb: "create".to_owned(),
        name: "A".to_owned(),
        base: 0,
        run: check()[0]["run"].as_str().unwrap().to_owned(),
        at: "2000-01-01T00:00:00Z".to_owned(),
        until: None,
        late: false,
        fp: BTreeMap::new(),
        extra: serde_json::Map::new(),
    });
    let state = project.read("patchbay.state");
    project.write("patchbay.state", &format!("{state}{}\n{}\n", Entry::Journal.encode(), other.encode()));
    assert_eq!(check().as_array().map(Vec::len), Some(2));
    let ran = project.run(&["apply", "--yes"]);
    // The two announced different keys, and nobody knows which of them made it.
    assert!(ran.code == 0 && ran.stdout.contains("first time recorded"), "{ran}");
    assert_eq!(check(), json!([]));
}

#[test]
fn an_interrupted_delete_that_another_run_finished_is_closed() {
    let server = Server::start();
    let project = project(&server, &openai("a", "A"));
    project.apply();
    // Another process has its number by now, so the run is gone.
    let intent = Entry::Intent(Intent {
        op: "0-1".to_owned(),
        address: "kore/old".parse().unwrap(),
        verb: "delete".to_owned(),
        name: "Old".to_owned(),
        base: 1,
        run: format!("{}9", patchbay::io::process::this_run()),
        at: "2000-01-01T00:00:00Z".to_owned(),
        until: None,
        late: false,
        fp: BTreeMap::new(),
        extra: serde_json::Map::new(),
    });
    let state = project.read("patchbay.state");
    project.write("patchbay.state", &format!("{state}{}\n{}\n", Entry::Journal.encode(), intent.encode()));
    assert_eq!(project.json(&["state", "check"]).0["open_intents"].as_array().map(Vec::len), Some(1));
    // Neither declared nor recorded: no plan has it.
    project.apply();
    assert_eq!(project.json(&["state", "check"]).0["open_intents"], json!([]));
}

#[test]
fn a_plan_says_at_once_that_what_it_needs_is_left_out() {
    let server = Server::start();
    let refers = openai("b", "B").replace("model: m", "model: \"x-${{ connection('a').id }}\"");
    let project = project(&server, &format!("{}{refers}", openai("a", "A")));
    let ran = project.run(&["plan", "--exclude", "kore/a"]);
    assert!(ran.code == 1 && ran.flat().contains("`kore/b` needs the id of `kore/a`, which does not exist"), "{ran}");
    project.apply();
    assert_eq!(project.run(&["plan", "--exclude", "kore/a"]).code, 0);
}

#[test]
fn every_failure_under_json_is_one_document() {
    let server = Server::start();
    let project = project(&server, &openai("a", "A"));
    for (args, exit) in [
        (&["plan", "--json", "--out", "/nonexistent/p.json"][..], 1),
        (&["plan", "--format=json", "--nope"], 64),
        (&["--json"], 64),
        (&["apply", "--json"], 4),
        (&["apply", "--json", "nothing.json"], 1),
        (&["state", "show", "kore/none", "--json"], 1),
        (&["show", "nothing.json", "--json"], 1),
    ] {
        let ran = project.run(args);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {ran}"));
        assert_eq!(ran.code, exit, "{args:?}: {ran}");
        assert!(!codes(&document).is_empty(), "{args:?}: {document:#}");
    }
}

#[test]
fn only_the_word_yes_goes_on() {
    let server = Server::start();
    let project = project(&server, &openai("a", "A"));
    // Without a terminal nobody is asked, whatever stands on standard input.
    let ran = project.run_with_input(&["apply"], "yes\n");
    assert_eq!(ran.code, 4, "{ran}");
}

#[test]
fn a_proxy_is_not_used_on_this_machine() {
    let server = Server::start();
    let project =
        project(&server, &openai("a", "A")).with("HTTP_PROXY", "http://127.0.0.1:9").with("http_proxy", "http://127.0.0.1:9");
    project.apply();
}

#[test]
fn a_broken_pipe_stops_no_apply() {
    let server = Server::start();
    let project = project(&server, &openai("a", "A"));
    let mut child = project.spawn(&["apply", "--yes"]);
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    project.assert_empty_plan();
}

#[test]
fn a_full_replacement_names_what_it_may_lose() {
    for (settings, expected) in [("read_back=top-level", json!(["idp", "isEnable"])), ("read_back=everything", json!([]))] {
        let server = Server::quirky(settings);
        let text = existing("c", "C", "").replace("status: FINALIZED", "status: DRAFT");
        let project = project(&server, &text);
        project.apply();
        if settings.ends_with("everything") {
            outside(&server, "C", |o| {
                o["idp"] = "none".into();
                o["isEnable"] = true.into();
            });
        }
        project.replace("connections/all.yaml", "status: DRAFT", "status: FINALIZED");
        let (document, _) = project.json(&["plan"]);
        let request = &document["resource_changes"][0]["patchbay"]["requests"][0];
        assert_eq!((request["method"].as_str(), &request["may_lose"]), (Some("PUT"), &expected), "{settings}: {document:#}");
        let ran = project.run(&["plan"]);
        assert_eq!(ran.stdout.contains("may lose:"), settings.ends_with("top-level"), "{ran}");
    }
}

#[test]
fn a_value_that_moves_into_the_environment_and_changes_is_our_change() {
    let server = Server::start();
    let connections = "connections:\n  own:\n    target: kore\n    kind: custom-existing\n    spec: { connectionName: Own, model: m, endpointUrl: \"https://one.example/v1\", headers: [{ key: Authorization, value: \"Bearer ${{ env.K }}\" }], mapProvider: openAIModel, IOMappings: [textToText], status: FINALIZED }\n";
    let project = Project::kore(&server.url(), connections).with("K", "sk-000000000000").with("URL", "https://two.example/v1");
    project.apply();
    project.replace("connections/all.yaml", "https://one.example/v1", "${{ env.URL }}");
    let (document, _) = project.json(&["plan"]);
    assert_eq!(document["resource_drift"], serde_json::json!([]), "{document:#}");
    let causes = &document["resource_changes"][0]["patchbay"]["causes"];
    assert_eq!(causes, &serde_json::json!([{ "path": "endpointUrl", "cause": "config" }]), "{document:#}");
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn an_object_that_is_made_again_is_one_record_and_is_destroyed() {
    let server = Server::start();
    let connections = "connections:\n  one:\n    target: t\n    kind: llm\n    spec: { name: one, aiType: OPENAI, endpoint: \"https://api.openai.example/v1\", secret: \"${{ env.K }}\", workspaceId: ws-1 }\n";
    let project = Project::on("flashback", &server, "auth = { token = \"${{ env.T }}\" }", connections)
        .with("T", "token-00000001")
        .with("K", "sk-000000000000");
    project.apply();
    server.edit(|store: &mut Store| {
        let id = store.find(Platform::Flashback, "ws-1/one").unwrap().to_owned();
        store.remove(Platform::Flashback, &id).unwrap();
    });
    project.apply();
    let records = project.json(&["state", "list"]).0;
    assert_eq!(records["records"].as_array().map(Vec::len), Some(1), "{records:#}");
    let ran = project.run(&["destroy", "--confirm", "t"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.edit(|store: &mut Store| store.count(Platform::Flashback)), 0, "{ran}");
    assert_eq!(project.json(&["state", "list"]).0["records"], json!([]));
}

#[test]
fn a_secret_that_is_declared_later_is_written() {
    let server = Server::start();
    let connection = |credential: &str| {
        format!(
            "connections:\n  one:\n    target: t\n    kind: llm\n    spec: {{ name: one, aiType: AWS, endpoint: \"https://api.aws.example/v1\", {credential}, workspaceId: ws-1 }}\n"
        )
    };
    let project = Project::on("flashback", &server, "auth = { token = \"${{ env.T }}\" }", &connection("apiKeyUuid: stored-1"))
        .with("T", "token-00000001")
        .with("K", "sk-000000000000");
    project.apply();
    project.write("connections/all.yaml", &connection("secret: \"${{ env.K }}\""));
    let (document, code) = project.json(&["plan", "--detailed-exitcode"]);
    assert_eq!(code, 2, "{document:#}");
    assert_eq!(document["resource_changes"][0]["patchbay"]["causes"], json!([{ "path": "secret", "cause": "config" }]));
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn a_file_that_cannot_be_found_any_more_removes_nothing() {
    let server = Server::start();
    let project = project(&server, &openai("one", "One"));
    project.apply();
    let from = project.path().join("connections/all.yaml");
    std::fs::rename(&from, from.with_extension("yml")).unwrap();
    let ran = project.run(&["plan"]);
    assert!(ran.stderr.contains("`connections/all.yml` is not read"), "{ran}");
    std::os::unix::fs::symlink("../nowhere.yaml", project.path().join("connections/all.yaml")).unwrap();
    let ran = project.run(&["plan"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("cannot read `connections/all.yaml`: no such file"), "{ran}");
}

#[test]
fn a_literal_credential_that_is_echoed_is_not_shown() {
    let server = Server::start();
    let connections = "connections:\n  one: { target: t, kind: provider, spec: { name: one, apiKey: \"${{ env.K }}\" } }\n";
    server.fault("GET * status=401 body={\"error\":\"invalid_key_literal-0001\"}");
    let project =
        Project::on("gateway", &server, "auth = { token = \"literal-0001\" }", connections).with("K", "sk-regression-0000");
    for args in [&["plan"][..], &["plan", "--json"]] {
        let ran = project.run(args);
        assert_eq!(ran.code, 1, "{ran}");
        assert!(ran.stdout.contains("invalid_key") || ran.stderr.contains("invalid_key"), "{ran}");
        assert!(!ran.stdout.contains("literal-0001") && !ran.stderr.contains("literal-0001"), "{ran}");
    }
}

#[test]
fn a_page_of_a_run_that_failed_says_what_is_wrong() {
    let server = Server::start();
    let project = project(&server, &openai("one", "One").replace("env.K", "env.MISSING"));
    assert_eq!(project.run(&["plan", "--report", "html=page.html"]).code, 1);
    let page = project.read("page.html");
    assert!(page.contains("PB0201") && page.contains("\"complete\":false"), "{page}");
    let server = Server::start();
    server.fault("POST * status=400 body={\"message\":\"no_such_plan\"}");
    let project = self::project(&server, &openai("one", "One"));
    let ran = project.run(&["apply", "--yes", "--report", "html=page.html"]);
    assert_eq!(ran.code, 1, "{ran}");
    let page = project.read("page.html");
    assert!(page.contains("no_such_plan") && page.contains("\"outcome\":\"1 failed\""), "{page}");
}

#[test]
fn nobody_waits_longer_than_the_patience_for_what_another_request_was_told() {
    let server = Server::start();
    let many: String = (0..6).map(|n| openai(&format!("k{n}"), &format!("N{n}"))).collect();
    let project = project(&server, &many);
    server.fault("POST * status=429 retry-after=900 times=1");
    let ran = project.run(&["apply", "--yes", "--parallelism", "1"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.matches("asks to slow down (429)").count() >= 6, "{ran}");
    assert_eq!(server.writes().len(), 1, "the others were not sent: {ran}");
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn a_create_that_meets_nothing_is_not_called_gone() {
    let server = Server::start();
    let project = project(&server, &openai("one", "One"));
    server.fault("POST * status=404 body={\"message\":\"no_such_parent\"}");
    let ran = project.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("something that it refers to is not there (404)") && !ran.stderr.contains("is gone"), "{ran}");
}

#[test]
fn output_that_is_lost_is_no_success() {
    let server = Server::start();
    let project = project(&server, &openai("one", "One"));
    for args in ["plan", "plan --json", "validate --json", "plan --detailed-exitcode"] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let child = project.command(&args.split(' ').collect::<Vec<_>>()).stdout(full).output().unwrap();
        assert_eq!(child.status.code(), Some(1), "{args}");
        assert!(String::from_utf8_lossy(&child.stderr).contains("standard output could not be written to"), "{args}");
    }
}

#[test]
fn every_option_in_the_manual_says_what_it_does() {
    let project = Project::empty();
    assert_eq!(project.run(&["man", "pages"]).code, 0);
    let page = project.read("pages/patchbay-plan.1");
    let options = page.split("\n.TP\n").skip(1);
    let without: Vec<&str> = options.filter(|option| option.lines().nth(1).is_none_or(|text| text.trim().is_empty())).collect();
    assert!(without.is_empty(), "{without:#?}");
    assert!(page.contains("PATCHBAY_ENV_FILE") && page.contains("--env-file".replace('-', "\\-").as_str()), "{page}");
}
