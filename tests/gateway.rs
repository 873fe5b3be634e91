//! The gateway's Providers API, documented and as it was seen: the same story on both.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server};
use patchbay::sandbox::{Options, Platform};
use serde_json::json;

const CONNECTIONS: &str = r#"connections:
  openai:
    target: t
    kind: provider
    spec:
      name: OpenAI
      apiKey: ${{ env.OPENAI_API_KEY }}
      metadata: { displayName: Our OpenAI, baseUrl: https://eu.openai.example/v1 }
  anthropic:
    target: t
    kind: provider
    spec: { name: anthropic, apiKey: "${{ env.ANTHROPIC_API_KEY }}" }
"#;

fn project(server: &Server, settings: &str) -> Project {
    Project::on("gateway", server, &format!("auth = {{ token = \"${{{{ env.TOKEN }}}}\" }}\n{settings}"), CONNECTIONS)
        .with("TOKEN", "gateway-token-1")
        .with("OPENAI_API_KEY", "sk-gateway-first-00")
        .with("ANTHROPIC_API_KEY", "sk-ant-gateway-00")
}

fn tell(settings: &str, has_put: bool) {
    let server = Server::quirky(settings);
    let mut project = project(&server, "");
    project.apply();
    assert_eq!(server.writes().len(), 2, "{settings}");
    project.assert_empty_plan();

    // A rotation takes the verb that needs the fewest secrets, where there is one.
    project.set("OPENAI_API_KEY", "sk-gateway-second-0");
    assert_eq!(project.planned(), ["t/openai rotate"], "{settings}");
    server.clear_requests();
    project.apply();
    let writes: Vec<String> = server
        .requests()
        .iter()
        .filter(|r| r.method != "GET" && r.status == 200)
        .map(|r| format!("{} {}", r.method, r.path))
        .collect();
    assert_eq!(writes, [if has_put { "PUT /api/providers/openai" } else { "POST /api/providers" }], "{settings}");
    project.assert_empty_plan();

    // So does a new display name: no key travels.
    project.replace("connections/all.yaml", "Our OpenAI", "House OpenAI");
    server.clear_requests();
    project.apply();
    let written = server.requests().into_iter().find(|r| r.method != "GET" && r.status == 200).unwrap();
    if has_put {
        assert_eq!(written.body, json!({"displayName": "House OpenAI"}), "{settings}");
    } else {
        assert_eq!(
            written.body["metadata"],
            json!({"displayName": "House OpenAI", "baseUrl": "https://eu.openai.example/v1"}),
            "{settings}"
        );
    }
    project.assert_empty_plan();

    // The base URL goes only with everything else, the key re-sent and said to be.
    project.replace("connections/all.yaml", "eu.openai.example", "us.openai.example");
    let ran = project.run(&["plan"]);
    assert!(ran.stdout.contains("POST (full)") && ran.stdout.contains("re-sent:") && ran.stdout.contains("apiKey"), "{ran}");
    server.clear_requests();
    project.apply();
    let written = server.requests().into_iter().find(|r| r.method == "POST").unwrap();
    assert_eq!(
        written.body["metadata"],
        json!({"displayName": "House OpenAI", "baseUrl": "https://us.openai.example/v1"}),
        "{settings}"
    );
    assert!(written.body["apiKey"].as_str().unwrap().starts_with("(secret b3:"), "{settings}");
    project.assert_empty_plan();

    // Drift is put back, with its cause.
    server.edit(|store| {
        store.update(Platform::Gateway, "openai", |o| o["displayName"] = "Somebody's".into());
        store.update(Platform::Gateway, "OpenAI", |o| o["displayName"] = "Somebody's".into());
        store.touch(Platform::Gateway, "openai");
        store.touch(Platform::Gateway, "OpenAI");
    });
    let (document, _) = project.json(&["plan"]);
    assert_eq!(document["resource_drift"][0]["address"], "t/openai", "{settings}: {document:#}");
    project.apply();

    // A lost state costs a list and reads, no write.
    std::fs::remove_file(project.path().join("patchbay.state")).unwrap();
    assert_eq!(project.planned(), ["t/openai adopt", "t/anthropic adopt"], "{settings}");
    server.clear_requests();
    project.apply();
    assert!(server.requests().iter().all(|r| r.method == "GET"), "{settings}");
    project.assert_empty_plan();
}

#[test]
fn as_it_was_seen() {
    tell("gateway=seen", true);
}

#[test]
fn as_it_is_documented() {
    tell("gateway=documented", false);
}

#[test]
fn more_providers_than_a_page() {
    let server = Server::start();
    server.edit(|store| {
        for n in 0..107 {
            store.put(Platform::Gateway, &format!("other{n:03}"), json!({"name": format!("other{n:03}"), "displayName": "x", "baseUrl": "https://x.example", "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z"}));
        }
    });
    let project = project(&server, "");
    project.apply();
    project.assert_empty_plan();
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 109);
}

#[test]
fn what_leaves_the_files_is_deleted_only_if_asked_and_not_if_protected() {
    let server = Server::start();
    let project = project(&server, "");
    project.apply();
    let all = project.read("connections/all.yaml");
    let (kept, _) = all.split_once("  anthropic:").unwrap();
    project.write("connections/all.yaml", kept);
    assert_eq!(project.planned(), ["t/anthropic orphan"]);
    project.replace("patchbay.toml", "auth =", "prune = true\nauth =");
    assert_eq!(project.json(&["plan"]).1, 4, "one of two is more than 30 %");
    let ran = project.run(&["apply", "--yes"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0501") && ran.stderr.contains("--max-deletes 1"), "{ran}");
    let ran = project.run(&["apply", "--yes", "--max-deletes", "1"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("Applied: 1 deleted."), "{ran}");
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 1);
    project.assert_empty_plan();

    // Everything gone from the files at once is taken for a mistake.
    project.write("connections/all.yaml", "connections: {}\n");
    let ran = project.run(&["plan", "--max-deletes", "9"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0502"), "{ran}");

    // A protection survives the removal of its block.
    project.write(
        "connections/all.yaml",
        &kept.replace("    spec:", "    lifecycle: { prevent_destroy: true }\n    spec:").replace("Our OpenAI", "Ours"),
    );
    project.apply();
    project.write("connections/all.yaml", "connections: {}\n");
    let ran = project.run(&["plan", "--max-deletes", "9"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0503"), "{ran}");
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 1);
}

#[test]
fn a_badly_formed_key_is_not_retried() {
    let server = Server::start();
    let project = project(&server, "").with("OPENAI_API_KEY", "short");
    let ran = project.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 3, "the other one is applied: {ran}");
    assert!(ran.stderr.contains("PB0605"), "{ran}");
    let posts = server.requests().iter().filter(|r| r.method == "POST" && r.status == 500).count();
    assert_eq!(posts, 1, "a 500 that means a bad request is not repeated");
}

#[test]
fn what_refers_to_a_replaced_object_gets_its_new_id() {
    let server = Server::start();
    let project = project(&server, "");
    let text = format!(
        "{CONNECTIONS}  third:\n    target: t\n    kind: provider\n    spec: {{ name: third, apiKey: \"${{{{ env.OPENAI_API_KEY }}}}\", metadata: {{ displayName: \"by ${{{{ connection('anthropic').id }}}}\" }} }}\n"
    );
    project.write("connections/all.yaml", &text);
    project.apply();
    project.write(
        "connections/all.yaml",
        &text.replace("spec: { name: anthropic,", "lifecycle: { replace: true }\n    spec: { name: anthropic-eu,"),
    );
    assert_eq!(project.json(&["plan", "--max-deletes", "1"]).0["summary"]["replace"], 1);
    let ran = project.run(&["apply", "--yes", "--max-deletes", "1"]);
    assert_eq!(ran.code, 0, "{ran}");
    project.assert_empty_plan();
    let name = server.edit(|store| store.get(Platform::Gateway, "third").unwrap()["displayName"].clone());
    assert_eq!(name, "by anthropic-eu");
}

#[test]
fn another_spelling_of_the_name_makes_no_second_provider() {
    // The documented server minds the case, and its only write is an upsert by name.
    let server = Server::quirky("gateway=documented");
    let project = project(&server, "");
    project.apply();
    project.replace("connections/all.yaml", "name: OpenAI", "name: OPENAI");
    project.assert_empty_plan();
    project.replace("connections/all.yaml", "Our OpenAI", "House OpenAI");
    project.apply();
    assert_eq!(server.edit(|store| store.count(Platform::Gateway)), 2);
    project.assert_empty_plan();
}

const LOGIN: &str = "auth = { username = \"admin\", password = \"${{ env.PASSWORD }}\" }";

fn with_login(server: &Server, settings: &str) -> Project {
    let project = Project::on("gateway", server, &format!("{LOGIN}\n{settings}"), CONNECTIONS);
    project
        .with("PASSWORD", "pw-of-the-admin-1")
        .with("OPENAI_API_KEY", "sk-gateway-first-00")
        .with("ANTHROPIC_API_KEY", "sk-ant-gateway-00")
}

#[test]
fn a_login_once_for_many_requests() {
    let server = Server::quirky("gateway_token_uses=100");
    let project = with_login(&server, "");
    let ran = project.apply();
    let logins: Vec<_> = server.requests().into_iter().filter(|r| r.path == "/api/auth/login").collect();
    assert_eq!(logins.len(), 1, "{ran}");
    assert_eq!(logins[0].body["username"], "admin");
    assert!(logins[0].body["password"].as_str().unwrap().starts_with("(secret b3:"));
    project.assert_empty_plan();
    for (path, bytes) in project.all_files() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("pw-of-the-admin") && !text.contains("sandbox-session"), "{}", path.display());
    }
}

#[test]
fn a_token_that_ended_early_is_replaced_and_nothing_is_done_twice() {
    let server = Server::quirky("gateway_token_uses=4");
    let project = with_login(&server, "parallelism = 1");
    project.apply();
    let requests = server.requests();
    let logins = requests.iter().filter(|r| r.path == "/api/auth/login").count();
    let refused = requests.iter().filter(|r| r.status == 401).count();
    // What was on its way with the old token is refused, too, and goes again with the new one.
    assert!(logins > 1 && refused >= logins - 1, "{logins} logins, {refused} refusals");
    let creates = requests.iter().filter(|r| r.method == "POST" && r.path == "/api/providers" && r.status == 200).count();
    assert_eq!(creates, 2);
    project.assert_empty_plan();
}

#[test]
fn a_login_that_is_refused_says_so_once() {
    let server = Server::quirky("gateway_token_uses=5");
    let mut project = with_login(&server, "");
    project.set("PASSWORD", "invalid-password-1");
    let ran = project.run(&["plan"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("PB0601") && ran.stderr.contains("POST ") && ran.stderr.contains("/api/auth/login"), "{ran}");
    assert!(!ran.stderr.contains("invalid-password-1"), "{ran}");
    project.set("PASSWORD", "pw-of-the-admin-1");
    project.replace("patchbay.toml", "[project]", "[project]");
    let toml = project.read("patchbay.toml");
    project.write("patchbay.toml", &format!("{toml}login_path = \"session/new\"\n"));
    let ran = project.run(&["plan"]);
    assert!(ran.code == 1 && ran.stderr.contains("/api/session/new"), "{ran}");
    assert!(ran.flat().contains("`t` has no login at /session/new (404)") && ran.flat().contains("check `login_path`"), "{ran}");
}

#[test]
fn a_login_that_is_not_found_may_be_elsewhere() {
    let server = Server::start();
    let project = with_login(&server, "");
    server.fault("POST /api/auth/login status=404");
    for command in ["plan", "doctor"] {
        let ran = project.run(&[command]);
        assert!(ran.code == 1 && ran.flat().contains("`t` has no login at /auth/login (404)"), "{ran}");
        assert!(ran.flat().contains("as the usual place") && ran.flat().contains("set `login_path` in [targets.t]"), "{ran}");
    }
    assert!(project.run(&["doctor"]).stdout.contains("✗  login"));
    // No other request was made, and above all: what could not log in was not asked for, so it is not gone.
    assert!(server.requests().iter().all(|request| request.path == "/api/auth/login"));
}

#[test]
fn a_login_that_is_lost_says_nothing_about_objects() {
    let server = Server::start();
    let project = with_login(&server, "");
    project.apply();
    // The list comes with the first token. A read refuses it, and the next login is not found any more.
    server.fault("GET /providers/* status=401");
    server.fault("POST /api/auth/login status=404 skip=1");
    let (document, exit) = project.json(&["plan", "--refresh", "full"]);
    assert!(exit == 1 && common::codes(&document).contains(&"PB0603".to_owned()), "{document:#}");
    let planned = document["resource_changes"].as_array().cloned().unwrap_or_default();
    assert!(planned.is_empty(), "an object was taken for gone: {document:#}");
}

#[test]
fn a_login_path_is_a_path_of_the_same_host() {
    let server = Server::start();
    for path in ["", "http://evil.example/session", "//evil.example/session", "/session?to=evil", "/ses sion", "/../session"] {
        let project = with_login(&server, &format!("login_path = \"{path}\""));
        let ran = project.run(&["plan"]);
        assert!(ran.code == 1 && ran.stderr.contains("PB0103") && ran.flat().contains("is not a path"), "{path}: {ran}");
        assert!(ran.flat().contains("patchbay.toml:8"), "{path}: {ran}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_sandbox_with_a_key_takes_it_as_the_only_password() {
    let options = Options { api_key: Some("the-only-password".to_owned()), ..Options::in_memory() };
    let server = Server::with(options);
    let mut project = with_login(&server, "");
    let ran = project.run(&["plan"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0601"), "{ran}");
    project.set("PASSWORD", "the-only-password");
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn half_an_account_is_none() {
    let server = Server::start();
    for (auth, words) in [
        ("auth = { username = \"admin\" }", "lacks `password`"),
        (
            "auth = { username = \"admin\", password = \"${{ env.PASSWORD }}\", token = \"${{ env.PASSWORD }}\" }",
            "more than one way",
        ),
        ("auth = { user = \"admin\" }", "takes no `user` in `auth`"),
    ] {
        let project = with_login(&server, "");
        project.replace("patchbay.toml", LOGIN, auth);
        let ran = project.run(&["validate"]);
        assert!(ran.code == 1 && ran.flat().contains(words), "{words}: {ran}");
    }
    let kore = Project::kore("sandbox:", "connections: {}\n");
    let toml = kore.read("patchbay.toml");
    kore.write("patchbay.toml", &format!("{toml}login_path = \"/x\"\n"));
    let ran = kore.run(&["validate"]);
    assert!(ran.code == 1 && ran.flat().contains("has no login"), "{ran}");
}
