//! The Flashback AI LLM API: no read by id, a secret that never comes back, no modification stamp.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server, codes};
use patchbay::sandbox::Platform;
use serde_json::json;

const CONNECTIONS: &str = r#"connections:
  openai-eu:
    target: t
    kind: llm
    spec:
      name: openai-eu
      aiType: OPENAI
      endpoint: https://api.openai.example/v1
      secret: ${{ env.OPENAI_API_KEY }}
      workspaceId: ws-1
  bedrock:
    target: t
    kind: llm
    spec:
      name: bedrock
      aiType: AWS
      endpoint: https://bedrock.example
      key: ${{ env.AWS_KEY }}
      secret: ${{ env.AWS_SECRET }}
      workspaceId: ws-1
  by-reference:
    target: t
    kind: llm
    spec: { name: openai-eu, aiType: OTHER, endpoint: https://other.example, apiKeyUuid: uuid-1, workspaceId: ws-2 }
"#;

fn project(server: &Server, settings: &str) -> Project {
    Project::on("flashback", server, &format!("auth = {{ token = \"${{{{ env.TOKEN }}}}\" }}\n{settings}"), CONNECTIONS)
        .with("TOKEN", "flashback-token-1")
        .with("OPENAI_API_KEY", "sk-flashback-first")
        .with("AWS_KEY", "AKIA0123456789")
        .with("AWS_SECRET", "aws-secret-first-0")
}

#[test]
fn the_story() {
    for settings in ["", "flashback_errors=ok"] {
        let server = Server::quirky(settings);
        let mut project = project(&server, "");
        project.apply();
        assert_eq!(server.edit(|store| store.count(Platform::Flashback)), 3, "{settings}");
        server.clear_requests();
        project.assert_empty_plan();
        assert_eq!(server.lines().len(), 1, "{settings}: the list is the read");

        // Nothing remote tells whether the secret is still ours: that is said, and it is no diff.
        let (document, _) = project.json(&["plan"]);
        assert_eq!(document["summary"]["unverifiable"], 2, "{settings}: {document:#}");
        assert_eq!(document["summary"]["unchanged"], 3, "{settings}");

        // A rotation and an edit are partial PUTs.
        project.set("AWS_SECRET", "aws-secret-second-0");
        project.replace("connections/all.yaml", "https://other.example", "https://other.example/v2");
        assert_eq!(project.planned(), ["t/bedrock rotate", "t/by-reference update"], "{settings}");
        server.clear_requests();
        project.apply();
        let mut bodies: Vec<String> =
            server.requests().iter().filter(|r| r.method == "PUT").map(|r| r.body.to_string()).collect();
        bodies.sort();
        assert!(
            bodies[0] == r#"{"endpoint":"https://other.example/v2"}"# && bodies[1].starts_with(r#"{"secret":"(secret b3:"#),
            "{bodies:?}"
        );
        project.assert_empty_plan();

        // A lost state is found again by workspace and name, though two objects have one name.
        std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
        assert_eq!(project.planned(), ["t/openai-eu adopt", "t/bedrock adopt", "t/by-reference adopt"], "{settings}");
        project.apply();
        project.assert_empty_plan();

        // What cannot be verified can be written again.
        let ran = project.run(&["apply", "--yes", "--rewrite-secrets"]);
        assert!(ran.code == 0 && ran.stdout.contains("2 rotated"), "{settings}: {ran}");
        project.assert_empty_plan();
    }
}

#[test]
fn a_workspace_is_changed_only_by_an_allowed_replacement() {
    let server = Server::start();
    let project = project(&server, "");
    project.apply();
    project.replace(
        "connections/all.yaml",
        "secret: ${{ env.OPENAI_API_KEY }}\n      workspaceId: ws-1",
        "secret: ${{ env.OPENAI_API_KEY }}\n      workspaceId: ws-9",
    );
    let (document, exit) = project.json(&["plan"]);
    assert_eq!((codes(&document), exit), (vec!["PB0401".to_owned()], 4));
    let ran = project.run(&["plan"]);
    assert!(ran.stdout.contains("workspaceId") && ran.stdout.contains("replace: true"), "{ran}");
    project.replace(
        "connections/all.yaml",
        "  openai-eu:\n    target: t\n",
        "  openai-eu:\n    target: t\n    lifecycle: { replace: true }\n",
    );
    assert_eq!(project.planned(), ["t/openai-eu replace"]);
    // A replacement deletes, and so it counts: one of three is more than 30 %.
    let ran = project.run(&["apply", "--yes"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0501"), "{ran}");
    server.clear_requests();
    let ran = project.run(&["apply", "--yes", "--max-deletes", "1"]);
    assert_eq!(ran.code, 0, "{ran}");
    let lines: Vec<String> = server.requests().iter().filter(|r| r.method != "GET").map(|r| r.method.clone()).collect();
    assert_eq!(lines, ["DELETE", "POST"]);
    project.assert_empty_plan();
    assert_eq!(server.edit(|store| store.count(Platform::Flashback)), 3);
}

#[test]
fn an_object_in_use_is_not_deleted_and_the_refusal_says_why() {
    let server = Server::quirky("flashback_in_use=true");
    let project = project(&server, "prune = true");
    project.apply();
    let all = project.read("connections/all.yaml");
    let (kept, _) = all.split_once("  by-reference:").unwrap();
    project.write("connections/all.yaml", kept);
    let ran = project.run(&["apply", "--yes", "--max-deletes", "1"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.flat().contains("in use by repositories"), "{ran}");
    assert_eq!(server.edit(|store| store.count(Platform::Flashback)), 3);
}

#[test]
fn a_failure_under_200_is_a_failure() {
    let server = Server::quirky("flashback_errors=ok");
    let project = project(&server, "");
    server.edit(|store| {
        store.put(
            Platform::Flashback,
            "x",
            json!({"id": "x", "name": "other", "workspaceId": "ws-1", "aiType": "OTHER", "endpoint": "https://x.example"}),
        );
    });
    project.replace("connections/all.yaml", "endpoint: https://bedrock.example", "endpoint: nonsense");
    let ran = project.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.flat().contains("endpoint must be a valid URL"), "{ran}");
}
