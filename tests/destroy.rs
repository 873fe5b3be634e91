//! `patchbay destroy`: everything of a target goes, in order, and nothing else does.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server, codes};
use patchbay::sandbox::Platform;

const TWO: &str = r#"connections:
  openai:
    target: t
    kind: provider
    spec: { name: openai, apiKey: "${{ env.KEY }}" }
  anthropic:
    target: t
    kind: provider
    depends_on: [openai]
    spec: { name: anthropic, apiKey: "${{ env.KEY }}" }
"#;

const KORE: &str = "connections:\n  a:\n    target: kore\n    kind: openai\n    spec: { connectionName: A, model: m, fields: { API_KEY: \"${{ env.KEY }}\" } }\n";

fn gateway(server: &Server, connections: &str) -> Project {
    Project::on("gateway", server, "auth = { token = \"${{ env.TOKEN }}\" }\n", connections)
        .with("TOKEN", "gateway-token-1")
        .with("KEY", "sk-destroy-000000000")
}

fn kore(server: &Server) -> Project {
    let project = Project::kore(&server.url(), KORE).with("KEY", "sk-destroy-000000000");
    project.apply();
    server.clear_requests();
    project
}

#[test]
fn dependents_go_first_and_others_stay() {
    let server = Server::start();
    let project = gateway(&server, TWO);
    project.apply();
    server.edit(|store| store.put(Platform::Gateway, "foreign", serde_json::json!({"id": 9, "name": "foreign"})));
    server.clear_requests();
    let ran = project.run(&["destroy", "--confirm", "t"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("- delete   t/openai   DELETE") && ran.stdout.contains("Applied: 2 deleted."), "{ran}");
    let writes: Vec<String> = server.lines().into_iter().filter(|l| !l.starts_with("GET")).collect();
    assert_eq!(writes, ["DELETE /api/providers/anthropic", "DELETE /api/providers/openai"]);
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 1, "what others made stays");
    // The files still want them.
    assert_eq!(project.planned(), ["t/openai create", "t/anthropic create"]);
    let again = project.run(&["destroy", "t", "--yes"]);
    assert!(again.code == 0 && again.stdout.contains("nothing to apply") | again.stdout.contains("No changes"), "{again}");
}

#[test]
fn nobody_destroys_by_accident() {
    let server = Server::start();
    let project = gateway(&server, TWO);
    project.apply();
    server.clear_requests();
    for (args, code, exit) in [
        (vec!["destroy"], "PB0504", 4),
        (vec!["destroy", "t"], "PB0504", 4),
        // Nobody says yes to what was not named.
        (vec!["destroy", "--yes"], "PB0504", 4),
        (vec!["destroy", "tt", "--yes"], "PB0110", 1),
        (vec!["destroy", "--confirm", "x"], "PB0110", 1),
    ] {
        let (document, code_of_exit) = project.json(&args);
        assert_eq!((codes(&document), code_of_exit), (vec![code.to_owned()], exit), "{args:?} {document:#}");
    }
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[test]
fn with_two_targets_one_must_be_named() {
    let server = Server::start();
    let project = gateway(&server, TWO);
    let url = server.base_url("flashback").unwrap();
    let toml = project.read("patchbay.toml");
    project.write(
        "patchbay.toml",
        &format!(
            "{toml}\n[targets.u]\nplatform = \"flashback\"\nbase_url = \"{url}\"\nauth = {{ token = \"${{{{ env.TOKEN }}}}\" }}\n"
        ),
    );
    let ran = project.run(&["destroy", "--yes"]);
    assert!(ran.code == 64 && ran.flat().contains("which target is to be emptied?") && ran.flat().contains("t, u"), "{ran}");
    let ran = project.run(&["destroy", "t", "--confirm", "u"]);
    assert!(ran.code == 4 && ran.flat().contains("confirms another target"), "{ran}");
}

#[test]
fn a_part_of_a_target() {
    let server = Server::start();
    let project = gateway(&server, TWO);
    project.apply();
    let ran = project.run(&["destroy", "t", "--only", "t/openai", "--yes"]);
    assert!(ran.code == 4 && ran.flat().contains("`t/anthropic` needs `t/openai`"), "{ran}");
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 2);
    let ran = project.run(&["destroy", "--only", "t/anthropic", "--yes"]);
    assert!(ran.code == 0 && ran.stdout.contains("partial plan"), "{ran}");
    assert_eq!(project.planned(), ["t/anthropic create"]);
    project.apply();
    let ran = project.run(&["destroy", "t", "--only", "t/openai", "--yes", "--leave-dependents"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 1);
}

#[test]
fn what_is_protected_stays() {
    let server = Server::start();
    let project = gateway(&server, &TWO.replace("depends_on: [openai]", "lifecycle: { prevent_destroy: true }"));
    project.apply();
    server.clear_requests();
    let ran = project.run(&["destroy", "t", "--yes"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0503") && ran.flat().contains("leave it out: --exclude"), "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
    let ran = project.run(&["destroy", "t", "--exclude", "t/anthropic", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 1);
}

#[test]
fn what_the_api_cannot_delete_is_said() {
    let server = Server::start();
    let project = kore(&server);
    let ran = project.run(&["destroy", "kore", "--yes"]);
    assert!(ran.code == 4 && ran.stdout.contains("the API has no way to delete it") && ran.stdout.contains("PB0402"), "{ran}");
    let (document, exit) = project.json(&["destroy", "--yes"]);
    assert_eq!((codes(&document), exit), (vec!["PB0402".to_owned()], 4), "{document:#}");
    let ran = project.run(&["destroy", "kore", "--yes", "--skip-blocked"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
    // The record stays, so that the object is not lost from sight.
    project.assert_empty_plan();
}

#[test]
fn what_is_gone_already_is_forgotten() {
    let server = Server::start();
    let project = gateway(&server, TWO);
    project.apply();
    server.edit(|store| store.remove(Platform::Gateway, "openai"));
    server.clear_requests();
    let ran = project.run(&["destroy", "t", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.writes(), ["DELETE /api/providers/anthropic null"]);
    assert_eq!(project.run(&["state", "list"]).stdout, "");
}

#[test]
fn a_failed_delete_is_no_loss() {
    let server = Server::start();
    let project = gateway(&server, TWO);
    project.apply();
    server.fault("DELETE /providers/openai status=503 times=9");
    let ran = project.run(&["destroy", "t", "--yes", "--retries", "0"]);
    assert_eq!(ran.code, 3, "{ran}");
    server.clear_faults();
    let ran = project.run(&["destroy", "t", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 0);
}

#[test]
fn a_protection_that_no_apply_has_recorded_holds_and_one_that_was_lifted_does_not() {
    let server = Server::start();
    let project = gateway(&server, TWO);
    project.apply();
    project.replace(
        "connections/all.yaml",
        "kind: provider\n    spec: { name: openai",
        "kind: provider\n    lifecycle: { prevent_destroy: true }\n    spec: { name: openai",
    );
    server.clear_requests();
    let ran = project.run(&["destroy", "--confirm", "t"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0503"), "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
    // It is news for the record alone, and shown as such.
    let ran = project.run(&["plan"]);
    assert!(ran.stdout.contains("protected by `prevent_destroy` from now on"), "{ran}");
    project.apply();
    project.assert_empty_plan();
    assert_eq!(server.writes(), Vec::<String>::new());
    project.replace("connections/all.yaml", "    lifecycle: { prevent_destroy: true }\n", "");
    let ran = project.run(&["destroy", "--confirm", "t"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0503") && !ran.stdout.contains("in no file"), "{ran}");
    let ran = project.apply();
    assert!(ran.stdout.contains("no longer protected"), "{ran}");
    assert_eq!(project.run(&["destroy", "--confirm", "t"]).code, 0);
}

#[test]
fn a_dependency_that_no_apply_has_recorded_counts() {
    let server = Server::start();
    let project = gateway(&server, &TWO.replace("    depends_on: [openai]\n", ""));
    project.apply();
    project.write("connections/all.yaml", TWO);
    let ran = project.run(&["destroy", "--only", "t/openai", "--yes"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0507"), "{ran}");
    assert_eq!(project.planned(), ["t/anthropic move"]);
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn an_interrupted_create_is_settled_before_anything_is_destroyed() {
    let server = Server::start();
    let connections = "connections:\n  a:\n    target: t\n    kind: llm\n    spec: { name: a, aiType: OPENAI, endpoint: \"https://a.example\", secret: \"${{ env.KEY }}\", workspaceId: w }\n";
    let project = Project::on("flashback", &server, "auth = { token = \"${{ env.TOKEN }}\" }\n", connections)
        .with("TOKEN", "flashback-token-1")
        .with("KEY", "sk-destroy-000000000");
    // The object is made, the answer is lost, and so is the list that would tell.
    server.fault("POST /ai/llm reset-after");
    server.fault("GET /ai/llm skip=1 times=99 status=503");
    assert_eq!(project.run(&["apply", "--yes", "--retries", "0"]).code, 3);
    server.clear_faults();
    let ran = project.run(&["destroy", "--confirm", "t"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0701") && ran.flat().contains("looks for it by its name"), "{ran}");
    // Nor is it forgotten when its connection leaves the files.
    let files = project.read("connections/all.yaml");
    project.write("connections/all.yaml", "connections: {}\n");
    let ran = project.run(&["plan"]);
    assert!(ran.stderr.contains("PB0701") && ran.flat().contains("no file declares it any more"), "{ran}");
    project.write("connections/all.yaml", &files);
    project.apply();
    assert_eq!(project.run(&["destroy", "--confirm", "t"]).code, 0);
    assert_eq!(server.edit(|store| store.count(Platform::Flashback)), 0);
}

#[test]
fn a_delete_that_is_answered_and_not_done_forgets_nothing() {
    let server = Server::start();
    let project = gateway(&server, TWO);
    project.apply();
    for (body, code) in [("{\"success\":false}", "PB0605"), ("{\"success\":true}", "PB0703"), ("", "PB0703")] {
        let body = if body.is_empty() { String::new() } else { format!(" body={body}") };
        server.clear_faults();
        server.fault(&format!("DELETE /providers/anthropic status=202{body}"));
        let ran = project.run(&["destroy", "--confirm", "t"]);
        assert!([1, 3].contains(&ran.code) && ran.stderr.contains(code), "{body}: {ran}");
        assert!(ran.stdout.contains("`patchbay destroy` again"), "the advice is not to undo it: {ran}");
        assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 2);
        assert_eq!(project.run(&["state", "list"]).stdout.lines().count(), 2, "{body}");
    }
    server.clear_faults();
    assert_eq!(project.run(&["destroy", "--confirm", "t"]).code, 0);
}

#[test]
fn connections_need_no_variables_to_be_deleted() {
    let server = Server::start();
    let mut project = gateway(&server, TWO);
    project.apply();
    project.unset("KEY");
    assert_eq!(project.run(&["destroy", "--confirm", "t"]).code, 0);
    project.unset("TOKEN");
    let ran = project.run(&["destroy", "--confirm", "t"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0201") && ran.stderr.contains("TOKEN"), "{ran}");
}
