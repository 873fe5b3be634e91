//! Taking over what somebody else made: `export` into a fresh project, `import`, and nothing is left to do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server};
use patchbay::sandbox::Platform;
use serde_json::json;

const OPENAI_KEY: &str = "sk-takeover-openai-0MQAA";
const GROQ: &str = "Bearer gsk_takeover_groq_0001";

const KORE: &str = r#"connections:
  first:
    target: t
    kind: openai
    spec: { connectionName: "Support: GPT-4o", model: gpt-4o, fields: { API_KEY: "${{ env.OPENAI_KEY }}" } }
  second:
    target: t
    kind: custom
    spec:
      connectionName: "yes"
      model: "1e3"
      endpointUrl: https://llm.example/v1
      headers:
        - { key: Authorization, value: "${{ env.GROQ }}" }
        - { key: Content-Type, value: application/json }
      promptVars: [{ name: prompt, required: true, defaultValue: "" }]
      payload: { model: m, on: "no", prompt: "{{prompt}}", text: "a: b # c\nd ${{ '${{' }} env.HOME }}" }
      outputPath: choices[0].text
      status: FINALIZED
"#;

const GATEWAY: &str = r#"connections:
  a:
    target: t
    kind: provider
    spec: { name: openai, apiKey: "${{ env.OPENAI_KEY }}", metadata: { displayName: "Ours: EU", baseUrl: https://eu.example/v1 } }
  b:
    target: t
    kind: provider
    spec: { name: house, apiKey: "${{ env.OPENAI_KEY }}" }
"#;

const FLASHBACK: &str = r#"connections:
  a:
    target: t
    kind: llm
    spec: { name: eu, aiType: OPENAI, endpoint: https://x.example/v1, secret: "${{ env.OPENAI_KEY }}", workspaceId: ws-1 }
  b:
    target: t
    kind: llm
    spec: { name: eu, aiType: AWS, endpoint: https://y.example, key: "${{ env.OPENAI_KEY }}", secret: "${{ env.GROQ }}", workspaceId: ws-2 }
"#;

fn settings(platform: &str) -> &'static str {
    match platform {
        "koreai" => "auth = { api_key = \"${{ env.CREDENTIAL }}\" }",
        _ => "auth = { token = \"${{ env.CREDENTIAL }}\" }",
    }
}

fn project(platform: &str, server: &Server, connections: &str) -> Project {
    Project::on(platform, server, settings(platform), connections)
        .with("CREDENTIAL", "credential-of-the-test-1")
        .with("OPENAI_KEY", OPENAI_KEY)
        .with("GROQ", GROQ)
}

/// The variables of a template file.
fn variables(text: &str) -> Vec<String> {
    text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.strip_suffix('=')).map(ToOwned::to_owned).collect()
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in [OPENAI_KEY, GROQ, "gsk_takeover", "***", "credential-of-the-test"] {
        assert!(!text.contains(secret), "{secret}:\n{text}");
    }
}

#[test]
fn what_others_made_is_exported_imported_and_done() {
    for (platform, quirks, connections, expected) in [
        ("koreai", "", KORE, vec!["T_SUPPORT_GPT_4O_API_KEY", "T_YES_AUTHORIZATION"]),
        ("gateway", "gateway=seen", GATEWAY, vec!["T_HOUSE_API_KEY", "T_OPENAI_API_KEY"]),
        ("gateway", "gateway=documented", GATEWAY, vec!["T_HOUSE_API_KEY", "T_OPENAI_API_KEY"]),
        ("flashback", "", FLASHBACK, vec!["T_EU_SECRET", "T_EU_2_KEY", "T_EU_2_SECRET"]),
    ] {
        let server = Server::quirky(quirks);
        project(platform, &server, connections).apply();
        server.clear_requests();

        let mut fresh = project(platform, &server, "connections: {}\n");
        let ran = fresh.run(&["export", "--write", "connections/imported.yaml", "--env-template", ".env.example"]);
        assert_eq!(ran.code, 0, "{platform}: {ran}");
        assert!(ran.stderr.contains(&format!("{} variables must be set before a plan: ", expected.len())), "{platform}: {ran}");
        let yaml = fresh.read("connections/imported.yaml");
        assert_no_secret(&yaml);
        let ran_fmt = fresh.run(&["fmt", "--check", "connections/imported.yaml"]);
        assert_eq!(ran_fmt.code, 0, "{platform}: {ran_fmt}\n{yaml}");
        assert_no_secret(&ran.to_string());
        assert_eq!(variables(&fresh.read(".env.example")), expected, "{platform}\n{yaml}");

        // Nothing is overwritten.
        let again = fresh.run(&["export", "--write", "connections/all.yaml"]);
        assert!(again.code == 1 && fresh.read("connections/all.yaml") == "connections: {}\n", "{platform}: {again}");

        for name in &expected {
            let value = if name.ends_with("AUTHORIZATION") || name.ends_with("2_SECRET") { GROQ } else { OPENAI_KEY };
            fresh.set(name, value);
        }
        let planned = fresh.planned();
        assert!(planned.len() == 2 && planned.iter().all(|p| p.ends_with(" adopt")), "{platform}: {planned:?}\n{yaml}");
        let ran = fresh.run(&["import"]);
        assert_eq!(ran.code, 4, "{platform}: nobody can be asked: {ran}");
        let ran = fresh.run(&["import", "--yes"]);
        assert!(ran.code == 0 && ran.stdout.contains("will adopt") && ran.stdout.contains("Adopted 2."), "{platform}: {ran}");
        fresh.assert_empty_plan();
        assert_eq!(server.writes(), Vec::<String>::new(), "{platform}");

        // What is ours is left out, and what is exported again is the same.
        let ran = fresh.run(&["export", "t", "--only-unmanaged"]);
        assert!(ran.code == 0 && ran.stdout.contains("connections: {}"), "{platform}: {ran}");
        assert_no_secret(&fresh.run(&["export"]).stdout);
        assert_eq!(server.writes(), Vec::<String>::new(), "{platform}");
    }
}

#[test]
fn a_secret_that_is_shown_in_the_clear_is_not_exported() {
    let server = Server::start();
    project("koreai", &server, KORE).apply();
    server.edit(|store| {
        let id = store.find(Platform::Koreai, "Support: GPT-4o").unwrap().to_owned();
        store.update(Platform::Koreai, &id, |o| o["fields"]["API_KEY"] = OPENAI_KEY.into());
        let id = store.find(Platform::Koreai, "yes").unwrap().to_owned();
        store.update(Platform::Koreai, &id, |o| {
            o["headers"][0]["value"] = GROQ.into();
            o["payload"]["apiKey"] = OPENAI_KEY.into();
        });
    });
    let fresh = project("koreai", &server, "connections: {}\n");
    for args in [&["export"][..], &["export", "--json"][..]] {
        let ran = fresh.run(args);
        assert_eq!(ran.code, 0, "{ran}");
        assert_no_secret(&ran.to_string());
        assert!(ran.stdout.contains("T_YES_API_KEY"), "{ran}");
    }
}

#[test]
fn an_id_settles_which_of_two_it_is() {
    let server = Server::start();
    let project = project("koreai", &server, KORE);
    server.edit(|store| {
        for id in ["cn-one", "cn-two"] {
            store.put(
                Platform::Koreai,
                id,
                json!({"connectionId": id, "provider": "Open AI", "connectionName": "Support: GPT-4o", "model": "gpt-4o",
                    "fields": {"API_KEY": "sk-***************"}, "status": "ACTIVE",
                    "createdOn": "2026-01-01T00:00:00.000Z", "modifiedOn": "2026-01-01T00:00:00.000Z"}),
            );
        }
    });
    let ran = project.run(&["import", "--yes"]);
    assert!(ran.stdout.contains("patchbay import t/first cn-one"), "{ran}");
    let ran = project.run(&["import", "t/first", "--yes"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0404"), "{ran}");
    let ran = project.run(&["import", "t/first", "cn-none", "--yes"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0403"), "{ran}");
    let ran = project.run(&["import", "t/first", "cn-two", "--yes"]);
    assert!(ran.code == 0 && ran.stdout.contains("Adopted 1."), "{ran}");
    assert!(project.run(&["state", "list"]).stdout.contains("cn-two"));
    let ran = project.run(&["import", "t/second", "cn-two", "--yes"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0407"), "an object has one connection: {ran}");
    let ran = project.run(&["import", "t/firs", "--yes"]);
    assert!(ran.code == 1 && ran.flat().contains("did you mean `t/first`?"), "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
}
