//! What the definition language can say of objects that refer to each other and of objects that hold secrets, each against
//! a small server that behaves so.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use common::Project;
use serde_json::json;
use tiny::{Store, Tiny};

/// Providers with settings, and models that refer to them.
const DEFINITION: &str = r#"
platform: tiny
language: 1
title: Tiny
auth: { none: {} }
collections:
  providers:
    list: { path: /providers, items: providers, total: total }
    read: { path: "/providers/{id}" }
    id: id
    natural_key: [name]
    watermark: updated
  models:
    list: { path: /models, items: models, total: total }
    read: { path: "/models/{id}" }
    id: id
    natural_key: [provider_id, model]
    watermark: updated
kinds:
  provider:
    title: tiny provider
    collection: providers
    fields:
      name: { type: string, required: true }
      region: { type: string }
      api_key: { type: string, secret: always, reads_as: nothing }
      config: { type: object }
    create: { method: POST, path: /providers }
    update:
      - { method: PATCH, path: "/providers/{id}", semantics: merge, covers: [name, api_key, config] }
    delete: { method: DELETE, path: "/providers/{id}" }
  model:
    title: tiny model
    collection: models
    fields:
      provider_id: { type: string, required: true }
      model: { type: string, required: true }
      label: { type: string }
    create: { method: POST, path: /models }
    update:
      - { method: PATCH, path: "/models/{id}", semantics: merge, covers: [model, label] }
    delete: { method: DELETE, path: "/models/{id}" }
"#;

/// A model of a provider.
const MODEL: &str =
    "  m: { target: t, kind: model, spec: { provider_id: \"${{ connection('p').id }}\", model: m1, label: L } }\n";

fn server() -> Tiny {
    Tiny::start(Store { references: vec![("providers", "models", "provider_id")], ..Store::default() })
}

/// A project on a server, with changes to the definition.
fn project(server: &Tiny, changes: &[(&str, &str)], connections: &str) -> Project {
    let project = Project::empty();
    let definition = changes.iter().fold(DEFINITION.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    project.write("tiny.yaml", &definition);
    project.write(
        "patchbay.toml",
        &format!(
            "[project]\nname = \"test\"\n\n[platforms.tiny]\ndefinition = \"tiny.yaml\"\n\n[targets.t]\nplatform = \"tiny\"\nbase_url = \"{}\"\nprune = true\n\n[safety]\nmax_deletes = 9\n",
            server.url
        ),
    );
    declare(&project, connections);
    project.with("K", "key-00000001").with("L", "key-00000002")
}

fn declare(project: &Project, connections: &str) {
    project.write("connections/all.yaml", &format!("connections:\n{connections}"));
}

/// Everything that a run says, as one line: what was wrapped is whole again.
fn said(ran: &common::Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr).replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn provider(more: &str) -> String {
    format!("  p: {{ target: t, kind: provider, spec: {{ name: P{more} }} }}\n")
}

#[test]
fn what_is_adopted_by_a_name_with_a_reference_is_read_and_compared() {
    let server = server();
    let text = format!("{}{MODEL}", provider(""));
    let project = project(&server, &[], &text);
    project.apply();
    let id = server.store().id("models", "model", "m1");
    server.store().patch("models", &id, &json!({ "label": "theirs" }));
    std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
    let (document, _) = project.json(&["plan"]);
    assert_eq!(common::actions(&document), ["t/p adopt", "t/m update"], "{document:#}");
    let change = &document["resource_changes"][1]["change"];
    assert_eq!((&change["before"]["label"], &change["after"]["label"]), (&json!("theirs"), &json!("L")), "{document:#}");
    project.apply();
    project.assert_empty_plan();
    // Nor is anything told to be unread that was read.
    std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
    assert_eq!(project.planned(), ["t/p adopt", "t/m adopt"]);
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn a_connection_with_a_reference_is_read_only_if_something_may_have_moved() {
    let server = server();
    let project = project(&server, &[], &format!("{}{MODEL}", provider("")));
    project.apply();
    server.requests();
    project.assert_empty_plan();
    let mut requests = server.requests();
    requests.sort();
    assert_eq!(requests, ["GET /models", "GET /providers"]);
    // What it refers to moves: then nothing is taken on trust.
    let id = server.store().id("providers", "name", "P");
    server.store().patch("providers", &id, &json!({ "name": "P" }));
    project.assert_empty_plan();
    assert_eq!(server.requests().len(), 4);
    // It moves itself.
    let id = server.store().id("models", "model", "m1");
    server.store().patch("models", &id, &json!({ "label": "theirs" }));
    assert_eq!(project.planned(), ["t/m update"]);
}

#[test]
fn what_went_with_its_replaced_parent_is_just_created() {
    let server = server();
    server.store().cascades = true;
    let replace = ["kind: provider,", "kind: model,"];
    let text = replace.iter().fold(format!("{}{MODEL}", provider(", region: a")), |text, kind| {
        text.replace(kind, &format!("{kind} lifecycle: {{ replace: true }},"))
    });
    let project = project(&server, &[], &text);
    project.apply();
    project.replace("connections/all.yaml", "region: a", "region: b");
    assert_eq!(project.planned(), ["t/p replace", "t/m replace"]);
    server.requests();
    project.apply();
    let writes = server.writes();
    assert_eq!(writes.iter().filter(|w| w.starts_with("DELETE")).count(), 1, "{writes:#?}");
    project.assert_empty_plan();
    assert!(server.store().objects.values().all(|objects| objects.len() == 1));
}

#[test]
fn a_secret_that_leaves_an_object_is_taken_out_of_it() {
    let server = server();
    let project = project(&server, &[], &provider(", config: { a: 1, client_secret: \"${{ env.K }}\" }"));
    project.apply();
    project.assert_empty_plan();
    declare(&project, &provider(", config: { a: 1 }"));
    let ran = project.run(&["plan"]);
    assert!(ran.stdout.contains("- config.client_secret   (secret, removed)   config changed"), "{ran}");
    server.requests();
    project.apply();
    assert_eq!(server.writes(), [format!("PATCH /providers/p-1 {}", json!({ "config": { "a": 1 } }))]);
    project.assert_empty_plan();
    // The only change may be that it leaves and another one comes.
    declare(&project, &provider(", config: { a: 1, password: \"${{ env.K }}\" }"));
    project.apply();
    declare(&project, &provider(", config: { a: 1, client_secret: \"${{ env.L }}\" }"));
    let (document, _) = project.json(&["plan"]);
    let causes = &document["resource_changes"][0]["patchbay"]["causes"];
    let expected =
        json!([{ "path": "config.client_secret", "cause": "config" }, { "path": "config.password", "cause": "config" }]);
    assert_eq!(causes, &expected, "{document:#}");
    project.apply();
    assert_eq!(server.store().objects["providers"]["p-1"]["config"], json!({ "a": 1, "client_secret": "key-00000002" }));
    project.assert_empty_plan();
}

#[test]
fn an_object_that_was_read_is_not_called_unread() {
    let server = server();
    let config = |a: u32| provider(&format!(", config: {{ a: {a}, client_secret: \"${{{{ env.K }}}}\" }}"));
    let project = project(&server, &[], &config(1));
    project.apply();
    declare(&project, &config(2));
    let ran = project.run(&["plan"]);
    let line = r#"~ config   (not shown: it holds secrets) → {"a":2,"client_secret":"(secret)"}   config changed"#;
    assert!(ran.stdout.contains(line), "{ran}");
    // What others put there goes, and is named.
    server.store().patch(
        "providers",
        "p-1",
        &json!({ "config": { "a": 1, "client_secret": "key-00000001", "password": "theirs" } }),
    );
    let ran = project.run(&["plan"]);
    assert!(ran.stdout.contains("- config.password        (secret, removed)   drift: changed outside patchbay"), "{ran}");
    project.apply();
    project.assert_empty_plan();
    assert!(server.store().objects["providers"]["p-1"]["config"].get("password").is_none());
}

const REFERS: (&str, &str) =
    ("provider_id: { type: string, required: true }", "provider_id: { type: string, required: true, references: provider }");
const OTHER: &str = "  q: { target: t, kind: provider, spec: { name: Q } }\n";

/// A definition that says what a delete of a provider does to its models.
fn dependents(word: &str) -> [(&'static str, String); 2] {
    let delete = "delete: { method: DELETE, path: \"/providers/{id}\" }";
    [(REFERS.0, REFERS.1.to_owned()), (delete, delete.replace(" }", &format!(", dependents: {word} }}")))]
}

fn with_dependents(server: &Tiny, word: &str, connections: &str) -> Project {
    let changes = dependents(word);
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    project(server, &changes, connections)
}

/// The model as a connection that says the id itself.
fn literal(more: &str) -> String {
    MODEL.replace("${{ connection('p').id }}", "p-1").replace("kind: model,", &format!("kind: model,{more}"))
}

#[test]
fn what_a_delete_takes_along_is_protected_or_said() {
    let server = server();
    server.store().cascades = true;
    let protected = literal(" lifecycle: { prevent_destroy: true },");
    let project = with_dependents(&server, "cascade", &provider(""));
    project.apply();
    declare(&project, &format!("{}{OTHER}{protected}", provider("")));
    project.apply();
    server.store().add("models", json!({ "provider_id": "p-1", "model": "theirs" }));
    server.requests();
    // The provider leaves the files.
    declare(&project, &format!("{OTHER}{protected}"));
    let ran = project.run(&["apply", "--yes"]);
    assert!(
        ran.code == 4 && ran.flat().contains("`t/m` is protected by `prevent_destroy` and would be deleted with `t/p`"),
        "{ran}"
    );
    declare(&project, &format!("{OTHER}{}", literal("")));
    let ran = project.run(&["plan"]);
    assert!(ran.flat().contains("`t/m` is protected by `prevent_destroy`"), "what the record protects is protected: {ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
    // It is lifted, and the model stays in the files.
    declare(&project, &format!("{}{OTHER}{}", provider(""), literal("")));
    project.apply();
    declare(&project, &format!("{OTHER}{}", literal("")));
    let (document, _) = project.json(&["plan"]);
    assert_eq!(common::actions(&document), ["t/p blocked"], "{document:#}");
    assert!(common::codes(&document).contains(&"PB0402".to_owned()), "{document:#}");
    // Both go: the one that refers first. What nobody here manages goes along, and is named.
    declare(&project, OTHER);
    let ours = server.store().id("models", "model", "m1");
    server.requests();
    let ran = project.apply();
    assert!(
        ran.flat().contains("`t/p` takes 1 object along that patchbay does not manage")
            && ran.flat().contains("model \"theirs\""),
        "{ran}"
    );
    assert_eq!(server.writes(), [format!("DELETE /models/{ours}"), "DELETE /providers/p-1".to_owned()]);
    assert!(server.store().objects["models"].is_empty());
    project.assert_empty_plan();
}

#[test]
fn what_a_delete_would_leave_behind_is_named_and_blocks_it() {
    for word in ["orphan", "refuse"] {
        let server = server();
        let project = with_dependents(&server, word, &format!("{}{OTHER}", provider("")));
        project.apply();
        let p = server.store().id("providers", "name", "P");
        server.store().add("models", json!({ "provider_id": p, "model": "theirs" }));
        declare(&project, OTHER);
        let ran = project.run(&["apply", "--yes"]);
        assert_eq!(ran.code, 4, "{word}: {ran}");
        let said = said(&ran);
        assert!(
            said.contains("PB0402") && said.contains("model \"theirs\" (`m-3`), which patchbay does not manage"),
            "{word}: {ran}"
        );
        assert_eq!(project.run(&["apply", "--yes", "--skip-blocked"]).code, 0);
        assert!(server.store().objects["providers"].contains_key(&p), "{word}");
        let ran = project.run(&["destroy", "t", "--only", "t/p", "--leave-dependents", "--yes"]);
        assert!(ran.code == 0 && !server.store().objects["providers"].contains_key(&p), "{word}: {ran}");
    }
}

#[test]
fn a_connection_whose_object_goes_along_is_made_anew() {
    let server = server();
    server.store().cascades = true;
    let mut changes = dependents("cascade").to_vec();
    changes.push(("covers: [model, label]", "covers: [provider_id, model, label]".to_owned()));
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    let replace = |text: &str| text.replace("kind: ", "lifecycle: { replace: true }, kind: ");
    let project = project(&server, &changes, &format!("{}{MODEL}", replace(&provider(", region: a"))));
    project.apply();
    project.replace("connections/all.yaml", "region: a", "region: b");
    let (document, _) = project.json(&["plan"]);
    assert_eq!(common::actions(&document), ["t/p blocked", "t/m update"], "{document:#}");
    declare(&project, &format!("{}{}", replace(&provider(", region: b")), replace(MODEL)));
    assert_eq!(project.planned(), ["t/p replace", "t/m replace"]);
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn a_user_that_is_changed_to_refer_to_something_else_holds_nothing() {
    let server = server();
    let changes = dependents("orphan");
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    let all = [&changes[..], &[("covers: [model, label]", "covers: [provider_id, model, label]")]].concat();
    let project = project(&server, &all, &format!("{}{OTHER}{MODEL}", provider("")));
    project.apply();
    declare(&project, &format!("{OTHER}{}", MODEL.replace("('p')", "('q')")));
    project.apply();
    let store = server.store();
    assert_eq!(store.id("models", "provider_id", &store.id("providers", "name", "Q")), store.id("models", "model", "m1"));
    assert_eq!(store.objects["providers"].len(), 1);
    drop(store);
    project.assert_empty_plan();
}

#[test]
fn what_a_replacement_emptied_is_no_change_of_somebody_else() {
    let server = server();
    let changes = dependents("orphan");
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    let all = [&changes[..], &[("covers: [model, label]", "covers: [provider_id, model, label]")]].concat();
    let replaced =
        |region: &str| provider(&format!(", region: {region}")).replace("kind: ", "lifecycle: { replace: true }, kind: ");
    let project = project(&server, &all, &format!("{}{MODEL}", replaced("a")));
    project.apply();
    declare(&project, &format!("{}{MODEL}", replaced("b")));
    assert_eq!(project.planned(), ["t/p replace", "t/m update"]);
    // The delete empties the reference and moves the stamp; the model is given the new id all the same.
    project.apply();
    project.assert_empty_plan();
    let store = server.store();
    assert_eq!(store.id("models", "provider_id", &store.id("providers", "name", "P")), store.id("models", "model", "m1"));
}

#[test]
fn what_a_new_connection_names_by_its_id_is_not_deleted() {
    let server = server();
    let project = with_dependents(&server, "orphan", &provider(""));
    project.apply();
    declare(&project, &format!("{OTHER}{}", literal("")));
    server.requests();
    let ran = project.run(&["apply", "--yes"]);
    assert!(ran.code == 4 && said(&ran).contains("PB0402") && said(&ran).contains("`t/m`"), "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[test]
fn a_test_that_stamps_the_object_is_no_change_by_others() {
    let server = server();
    let delete = "    delete: { method: DELETE, path: \"/providers/{id}\" }\n";
    let test = "    test: { method: POST, path: \"/providers/{id}/health\", passed: { field: status, is: [healthy] }, trust: call, moves_watermark: true }\n";
    let after = provider(", api_key: \"${{ env.K }}\"").replace("kind: ", "lifecycle: { test: after }, kind: ");
    let project = project(&server, &[(delete, &format!("{delete}{test}"))], &after);
    let doubts = || project.json(&["plan"]).0["unverifiable"].as_array().unwrap().len();
    project.apply();
    assert_eq!(doubts(), 0, "after a write that was tested");
    let ran = project.run(&["test"]);
    assert!(ran.code == 0 && ran.stdout.contains("1 passed"), "{ran}");
    assert_eq!(doubts(), 0, "after a test by hand");
    project.assert_empty_plan();
    // What others did is not forgotten over a test.
    let id = server.store().id("providers", "name", "P");
    server.store().patch("providers", &id, &json!({ "api_key": "theirs" }));
    assert_eq!(project.run(&["test"]).code, 0);
    assert_eq!(doubts(), 1);
}

#[test]
fn what_null_does_not_empty_is_emptied_by_its_word_or_blocked() {
    let server = server();
    server.store().ignores_null = true;
    let project = project(
        &server,
        &[
            ("label: { type: string }", "label: { type: string, emptied_by: \"\" }"),
            ("covers: [model, label]", "covers: [model, label], nulls: ignored"),
            (
                "semantics: merge, covers: [name, api_key, config] }",
                "semantics: merge, nulls: ignored, covers: [name, region, api_key, config] }",
            ),
        ],
        &format!("{}{MODEL}", provider(", region: eu")),
    );
    project.apply();
    server.requests();
    project.replace("connections/all.yaml", "label: L", "label: null");
    project.apply();
    let id = server.store().id("models", "model", "m1");
    assert_eq!(server.writes(), [format!("PATCH /models/{id} {}", json!({ "label": "" }))]);
    project.assert_empty_plan();
    // Nothing stands for null here, and to send it would do nothing.
    project.replace("connections/all.yaml", "region: eu", "region: null");
    let ran = project.run(&["apply", "--yes"]);
    assert!(ran.code == 4 && said(&ran).contains("takes no notice of null"), "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[test]
fn nothing_is_deleted_for_a_name_that_somebody_else_has() {
    let server = server();
    let named = |name: &str, region: &str| {
        format!(
            "  p: {{ target: t, kind: provider, lifecycle: {{ replace: true }}, spec: {{ name: {name}, region: {region} }} }}\n"
        )
    };
    let project = project(&server, &[], &named("P", "a"));
    project.apply();
    declare(&project, &named("P2", "b"));
    project.run(&["plan", "--out", "plan.json"]);
    server.store().add("providers", json!({ "name": "P2" }));
    server.requests();
    // The plan knows of it; a plan that is older looks once more.
    for args in [&["apply", "--yes"][..], &["apply", "plan.json"]] {
        let ran = project.run(args);
        assert!(ran.code != 0 && said(&ran).contains("would delete the old object and then meet it"), "{args:?}: {ran}");
        assert_eq!(server.writes(), Vec::<String>::new(), "{args:?}");
    }
    assert_eq!(server.store().objects["providers"].len(), 2);
}

#[test]
fn a_replacement_that_only_deleted_has_changed_something() {
    let server = server();
    let replaced =
        |region: &str| provider(&format!(", region: {region}")).replace("kind: ", "lifecycle: { replace: true }, kind: ");
    let project = project(&server, &[], &replaced("a"));
    project.apply();
    declare(&project, &replaced("b"));
    server.store().refuses_creates = true;
    let ran = project.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(said(&ran).contains("is deleted already; the next run creates what is missing"), "{ran}");
    server.store().refuses_creates = false;
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn a_mask_that_vanished_shows_that_the_secret_did() {
    let server = server();
    let fields = (
        "config: { type: object }",
        "config: { type: object, merge: true, values: { type: string, secret: always, reads_as: mask } }",
    );
    let project = project(&server, &[fields], &provider(", config: { secret_a: \"${{ env.K }}\", secret_b: \"${{ env.L }}\" }"));
    project.apply();
    project.assert_empty_plan();
    let id = server.store().id("providers", "name", "P");
    server.store().patch("providers", &id, &json!({ "config": { "secret_a": "key-00000001" } }));
    assert_eq!(project.planned(), ["t/p rotate"]);
    project.apply();
    assert_eq!(server.store().objects["providers"][&id]["config"]["secret_b"], "key-00000002");
    project.assert_empty_plan();
}

const MERGED: (&str, &str) = ("config: { type: object }", "config: { type: object, merge: true }");

/// A provider with other people's secrets in its settings.
fn with_theirs(server: &Tiny, rules: &str, config: &str) -> Project {
    let rules = MERGED.1.replace(" }", &format!("{rules} }}"));
    let project = project(server, &[(MERGED.0, &rules)], &provider(&format!(", config: {config}")));
    project.apply();
    let theirs = json!({ "a": 1, "b": "theirs", "password": "x-theirs", "deep": { "client_secret": "y-theirs", "n": 1 } });
    server.store().patch("providers", "p-1", &json!({ "config": theirs }));
    project.replace("connections/all.yaml", "a: 1", "a: 2");
    server.requests();
    project
}

#[test]
fn a_secret_that_nobody_knows_is_not_lost_by_a_change_beside_it() {
    let server = server();
    let project = with_theirs(&server, "", "{ a: 1 }");
    let ran = project.run(&["apply", "--yes"]);
    let said = said(&ran);
    assert!(ran.code == 4 && said.contains("PB0401"), "{ran}");
    let why = "a change of `config` sends all of it, and it would lose `config.password`, `config.deep.client_secret`, which cannot be read back";
    assert!(said.contains(why), "{ran}");
    assert!(said.contains("config: { password: ${{ env.NAME }} }") && said.contains("config: { password: null }"), "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
    // The ways out: it is declared, or given up.
    declare(&project, &provider(", config: { a: 2, password: \"${{ env.K }}\", deep: { n: 1, client_secret: null } }"));
    project.apply();
    let config = server.store().objects["providers"]["p-1"]["config"].clone();
    assert_eq!(config, json!({ "a": 2, "b": "theirs", "password": "key-00000001", "deep": { "n": 1, "client_secret": null } }));
    project.assert_empty_plan();
    declare(&project, &provider(", config: { a: 2, password: null, deep: { n: 1 } }"));
    project.apply();
    let config = server.store().objects["providers"]["p-1"]["config"].clone();
    assert_eq!((&config["password"], &config["b"]), (&json!(null), &json!("theirs")), "{config:#}");
    project.assert_empty_plan();
}

#[test]
fn a_text_that_keeps_what_is_stored_is_sent_in_its_place() {
    let server = server();
    server.store().mask_keeps = true;
    let project = with_theirs(&server, ", other_secrets: { kept_by: \"*****\" }", "{ a: 1 }");
    project.apply();
    let config = server.store().objects["providers"]["p-1"]["config"].clone();
    let expected = json!({ "a": 2, "b": "theirs", "password": "x-theirs", "deep": { "client_secret": "y-theirs", "n": 1 } });
    assert_eq!(config, expected);
    project.assert_empty_plan();
}

#[test]
fn the_rules_of_values_hold_for_every_key() {
    let server = server();
    let rules = ", values: { type: any, secret: when-key-matches-auth, reads_as: mask }";
    let project = with_theirs(&server, rules, "{ a: 1, api_key: literal-key-0001 }");
    // A secret by its key, though it stands in the file.
    let ran = project.run(&["plan"]);
    assert!(ran.stderr.contains("`config.api_key` is a secret and stands in the file as it is"), "{ran}");
    assert!(!ran.stdout.contains("literal-key-0001"), "{ran}");
    declare(&project, &provider(", config: { a: 2, api_key: \"${{ env.K }}\", password: \"${{ env.L }}\", deep: { n: 2 } }"));
    project.apply();
    project.assert_empty_plan();
    server.store().patch(
        "providers",
        "p-1",
        &json!({ "config": { "a": 2, "api_key": "key-00000001", "password": "key-00000002", "deep": { "n": 3 } } }),
    );
    let (document, _) = project.json(&["plan"]);
    let causes = &document["resource_changes"][0]["patchbay"]["causes"];
    assert_eq!(causes, &json!([{ "path": "config.deep", "cause": "drift" }]), "{document:#}");
    // Given up, though the API shows only that there is one.
    declare(&project, &provider(", config: { a: 2, api_key: null, password: \"${{ env.L }}\", deep: { n: 3 } }"));
    let ran = project.run(&["plan"]);
    assert!(said(&ran).contains("~ config.api_key (secret) → null config changed"), "{ran}");
    project.apply();
    assert_eq!(server.store().objects["providers"]["p-1"]["config"]["api_key"], json!(null));
    project.assert_empty_plan();
}

/// Both lists show objects whole.
const WHOLE: [(&str, &str); 2] = [
    ("list: { path: /providers,", "list: { path: /providers, items_are_whole: true,"),
    ("list: { path: /models,", "list: { path: /models, items_are_whole: true,"),
];

const LISTS: [&str; 2] = ["GET /models", "GET /providers"];

#[test]
fn what_a_list_shows_whole_is_not_read_to_look_at_it() {
    let server = server();
    let text = format!("{}{OTHER}{MODEL}", provider(", config: { a: 1 }"));
    let project = project(&server, &WHOLE, &text);
    project.apply();
    let asked = |args: &[&str], code: i32, texts: &[&str]| {
        server.requests();
        let ran = project.run(args);
        assert!(ran.code == code && texts.iter().all(|text| said(&ran).contains(text)), "{args:?}: {ran}");
        let mut requests = server.requests();
        requests.sort();
        let (whole, part) = (LISTS.to_vec(), vec![LISTS[1]]);
        assert_eq!(requests, if args[0] == "show" { part } else { whole }, "{args:?}");
        ran
    };
    for refresh in ["auto", "full", "none"] {
        asked(&["plan", "--detailed-exitcode", "--refresh", refresh], 0, &[]);
    }
    asked(&["drift"], 0, &[]);
    let ran = asked(&["drift", "--refresh", "auto"], 0, &[]);
    assert!(!said(&ran).contains("were not read"), "{ran}");
    // What the list shows is what is compared, also where a stamp stands still and whatever refers to it.
    server.store().objects.get_mut("providers").unwrap().get_mut("p-1").unwrap()["config"] = json!({ "a": 2 });
    let change = "config {\"a\":2} → {\"a\":1} drift";
    asked(&["plan", "--detailed-exitcode"], 2, &[change]);
    asked(&["drift"], 2, &["t/p", "config"]);
    let ran = asked(&["show", "t/p"], 0, &["{\"a\":2}"]);
    assert!(!said(&ran).contains("only seen in the list"), "{ran}");
    // Before and after a write it is read.
    server.requests();
    project.apply();
    let about: Vec<String> = server.requests().into_iter().filter(|line| line.contains("p-1")).collect();
    let write = format!("PATCH /providers/p-1 {}", json!({ "config": { "a": 1 } }));
    assert_eq!(about, ["GET /providers/p-1", write.as_str(), "GET /providers/p-1"]);
    project.assert_empty_plan();
    // Nor is anything read to be taken over, by its name or by its id, or to be written down.
    std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
    asked(&["plan"], 0, &["adopt"]);
    asked(&["export"], 0, &["config: a: 1", "label: L"]);
    asked(&["import", "t/p", "p-1", "--yes"], 0, &["Adopted 1."]);
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn what_a_whole_list_does_not_show_is_read() {
    let server = server();
    let project = project(&server, &WHOLE, &format!("{}{OTHER}", provider("")));
    project.apply();
    let id = server.store().id("providers", "name", "Q");
    let asked = |args: &[&str]| {
        server.requests();
        let ran = project.run(args);
        (ran, server.requests().into_iter().filter(|line| line.contains("/p-")).collect::<Vec<_>>())
    };
    // It is in no list and yet there.
    let read = [format!("GET /providers/{id}")];
    server.store().unlisted.push(id.clone());
    for args in [&["plan", "--detailed-exitcode"][..], &["drift"], &["drift", "--refresh", "auto"]] {
        let (ran, reads) = asked(args);
        assert!(ran.code == 0 && reads == read, "{args:?}: {reads:?} {ran}");
    }
    server.store().patch("providers", &id, &json!({ "name": "theirs" }));
    let (ran, reads) = asked(&["drift"]);
    assert!(ran.code == 2 && reads == read && said(&ran).contains("t/q"), "{reads:?} {ran}");
    // What is pinned to an id that no list shows is read, too.
    let hidden = server.store().add("providers", json!({ "name": "H" }));
    server.store().unlisted.push(hidden.clone());
    declare(&project, &format!("{}{OTHER}  h: {{ target: t, kind: provider, spec: {{ name: H }} }}\n", provider("")));
    let (ran, reads) = asked(&["import", "t/h", &hidden, "--yes"]);
    assert!(ran.code == 0 && reads.contains(&format!("GET /providers/{hidden}")), "{reads:?} {ran}");
    // Gone at last.
    server.store().objects.get_mut("providers").unwrap().remove(&id);
    let (ran, reads) = asked(&["plan"]);
    assert!(reads.contains(&read[0]) && said(&ran).contains("t/q"), "{reads:?} {ran}");
    assert!(project.planned().contains(&"t/q create".to_owned()));
}
