//! `platform probe`: on each sandbox the built-in definition is right, a wrong one is found out, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::path::Path;
use std::process::Child;

use common::{Project, Ran, Server, codes};
use expect_test::expect;
use patchbay::sandbox::{Platform, Store, StoredSecret};
use serde_json::Value;

const KEY: &str = "sk-CANARY-5f1e77aa-0000MQAA";

const CONNECTIONS: &str = r#"connections:
  openai:
    target: koreai
    kind: openai
    spec: { connectionName: Support, model: gpt-4o, fields: { API_KEY: "${{ env.KEY }}" } }
  custom:
    target: koreai
    kind: custom-existing
    spec:
      connectionName: Groq
      model: llama3
      endpointUrl: https://api.groq.example/openai/v1
      headers:
        - { key: Authorization, value: "Bearer ${{ env.KEY }}" }
      mapProvider: openAIModel
      llmFeatures: { toolCalling: true, streaming: false }
      IOMappings: [textToText, audioToText]
      status: DRAFT
  provider:
    target: gateway
    kind: provider
    spec:
      name: acme
      apiKey: ${{ env.KEY }}
      metadata: { displayName: Acme, baseUrl: "https://llm.example/v1" }
  llm:
    target: flashback
    kind: llm
    spec:
      name: one
      aiType: OPENAI
      endpoint: https://api.openai.example/v1
      key: ${{ env.KEY }}
      secret: ${{ env.KEY }}
      workspaceId: ws-1
"#;

/// A project with a target for each API. `changes` are made in the definition of one of them.
fn project(server: &Server, changed: &str, changes: &[(&str, &str)]) -> Project {
    let project = Project::empty();
    let mut toml = "[project]\nname = \"test\"\n".to_owned();
    for (name, key) in [("koreai", "api_key"), ("gateway", "token"), ("flashback", "token")] {
        let url = server.base_url(name).unwrap();
        toml.push_str(&format!(
            "[targets.{name}]\nplatform = \"{name}\"\nbase_url = \"{url}\"\nauth = {{ {key} = \"${{{{ env.CREDENTIAL }}}}\" }}\n"
        ));
        if name == changed {
            toml.push_str(&format!("[platforms.{name}]\ndefinition = \"mine.yaml\"\n"));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/platforms/{name}.yaml"));
            let mut text = std::fs::read_to_string(path).unwrap();
            for (from, to) in changes {
                assert!(text.contains(from), "{name} has no {from}");
                text = text.replace(from, to);
            }
            project.write("mine.yaml", &text);
        }
    }
    project.write("patchbay.toml", &toml);
    project.write("connections/all.yaml", CONNECTIONS);
    project.with("KEY", KEY).with("CREDENTIAL", "CANARY-credential-42")
}

const ADDRESSES: [&str; 4] = ["koreai/openai", "koreai/custom", "gateway/provider", "flashback/llm"];

fn probe(project: &Project, address: &str) -> (Value, i32) {
    let leave: &[&str] = if address.starts_with("koreai") { &["--leave"] } else { &[] };
    project.json(&[&["platform", "probe", address, "--yes"], leave].concat())
}

/// `topic verdict answer` of every finding.
fn lines(document: &Value) -> Vec<String> {
    let findings = document["findings"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings.iter().map(|f| format!("{} {} {}", text(f, "topic"), text(f, "verdict"), text(f, "answer"))).collect()
}

fn count(server: &Server, platform: Platform) -> usize {
    server.edit(|store: &mut Store| store.count(platform))
}

fn everything(server: &Server) -> usize {
    [Platform::Koreai, Platform::Gateway, Platform::Flashback].into_iter().map(|platform| count(server, platform)).sum()
}

#[test]
fn the_definitions_of_the_three_apis_are_right() {
    let server = Server::start();
    let project = project(&server, "", &[]);
    for address in ADDRESSES {
        let (document, code) = probe(&project, address);
        let summary = &document["summary"];
        assert_eq!((code, &summary["contradicts"], &summary["cannot_tell"]), (0, &0.into(), &0.into()), "{document:#}");
        assert!(summary["agrees"].as_u64().unwrap() > 10, "{document:#}");
        assert_eq!((&document["complete"], &document["errored"]), (&true.into(), &false.into()));
        let left = document["left"].as_array().unwrap().len();
        assert_eq!(left, usize::from(address.starts_with("koreai")), "{document:#}");
    }
    assert_eq!((count(&server, Platform::Gateway), count(&server, Platform::Flashback)), (0, 0));
    assert_eq!(count(&server, Platform::Koreai), 2, "the API has no delete");
}

#[test]
fn the_questions_and_their_answers() {
    let server = Server::start();
    let (document, _) = probe(&project(&server, "", &[]), "flashback/llm");
    expect![[r#"
        create agrees at `aiLlmId`
        duplicate agrees it is refused, so the name is unique: 400 ("An AI LLM configuration with this name already exists in the workspace")
        list agrees everything that a read shows
        list agrees 1 came, and the paging ended
        pages agrees it knows no `limit`
        read-back agrees `name`, `aiType`, `endpoint`, `workspaceId`
        secret agrees a mask with the first 3 characters
        secret agrees nothing
        unsent agrees it keeps `endpoint` when `aiType` is sent alone
        change agrees `aiType`, `endpoint`, `name`
        change agrees it accepts another secret in `key`, `secret`
        test agrees it fails with them
        delete agrees the object is not listed any more
        delete agrees that it is not found: 404 ("AI LLM configuration not found")
    "#]]
    .assert_eq(&format!("{}\n", lines(&document).join("\n")));
}

#[test]
fn what_the_definition_gets_wrong_is_found_out() {
    for (address, changes, expected) in [
        ("flashback/llm", [("id: aiLlmId", "id: llmId")].as_slice(), "create contradicts not where the definition says"),
        ("flashback/llm", &[("id: aiLlmId }", "id: aiLlmId, idempotent: true }")], "duplicate contradicts it is refused"),
        (
            "gateway/provider",
            &[("style: offset,", "style: offset, offset: from,")],
            "pages contradicts the second page is the first",
        ),
        (
            "gateway/provider",
            &[("style: offset,", "style: page, limit: count,")],
            "pages contradicts with `count=1` 2 objects come",
        ),
        ("gateway/provider", &[("total: total, paging", "total: count, paging")], "list agrees 1 came"),
        ("koreai/custom", &[("total: total,", "total: count,")], "list contradicts 1 came, and nothing says whether that is all"),
        (
            "gateway/provider",
            &[("type: string, read: displayName,", "type: string,")],
            "read-back contradicts `metadata.displayName` does not come back",
        ),
        (
            "koreai/custom",
            &[("equals: { FINALIZED: [ACTIVE], DRAFT: [INACTIVE] }", "equals: { FINALIZED: [ACTIVE] }")],
            "read-back contradicts `status` comes back as another value",
        ),
        ("gateway/provider", &[("reads_as: nothing", "reads_as: mask")], "secret contradicts nothing"),
        ("flashback/llm", &[("reads_as: mask", "reads_as: nothing")], "secret contradicts a mask with the first 3 characters"),
        ("gateway/provider", &[("semantics: merge", "semantics: replace")], "unsent contradicts it keeps `metadata.baseUrl`"),
        (
            "koreai/custom",
            &[("semantics: replace, covers: \"*\", requires: all", "semantics: merge, covers: \"*\"")],
            "unsent contradicts it refuses `model` alone with the value that it has: 400",
        ),
        (
            "koreai/custom",
            &[(
                "merge: true\n        description: What the model",
                "merge: true\n        patch: parts\n        description: What the model",
            )],
            "parts contradicts it loses `llmFeatures.streaming`",
        ),
        (
            "flashback/llm",
            &[("covers: [name, aiType, endpoint,", "covers: [name, aiType,")],
            "unchangeable contradicts PUT /ai/llm/{id} changes `endpoint`",
        ),
        (
            "koreai/custom",
            &[("field: status, to: FINALIZED", "field: model, to: llama4")],
            "unchangeable contradicts PATCH /connections/{id} changes `model` to `llama4`",
        ),
        (
            "gateway/provider",
            &[("semantics: merge", "semantics: replace\n        requires: all")],
            "required contradicts it accepts a body without `apiKey`",
        ),
        ("gateway/provider", &[("updatedAt", "createdAt")], "stamp contradicts not with another secret in `apiKey`"),
        ("gateway/provider", &[("watermark: updatedAt", "")], "stamp noted `updatedAt` with another secret in `apiKey`"),
        ("gateway/provider", &[("trust: sometimes-call", "trust: call")], "test contradicts it passes with them"),
        ("flashback/llm", &[("trust: call", "trust: stored")], "test contradicts it fails with them"),
        (
            "gateway/provider",
            &[
                ("  rules:\n", "  rules:\n    - { status: 404, class: invalid }\n"),
                ("may_be_missing: true", "may_be_missing: false"),
            ],
            "delete contradicts 404",
        ),
    ] {
        let server = Server::start();
        let target = address.split('/').next().unwrap();
        let project = project(&server, target, changes);
        let (document, code) = probe(&project, address);
        let lines = lines(&document);
        assert!(
            lines.iter().any(|line| line.starts_with(expected)),
            "{expected}\n{}\n{:#}",
            lines.join("\n"),
            document["diagnostics"]
        );
        if expected.contains(" contradicts ") {
            assert_eq!((code, &document["errored"]), (1, &true.into()), "{expected}");
            assert!(codes(&document).contains(&"PB0114".to_owned()), "{document:#}");
            let place = &document["diagnostics"][0]["range"];
            assert_eq!(place["filename"], "mine.yaml", "{document:#}");
        }
        if target != "koreai" {
            assert_eq!(everything(&server), 0, "{expected}: everything is deleted");
        }
    }
}

#[test]
fn what_a_server_does_otherwise_is_found_out() {
    for (quirks, address, expected) in [
        (
            "duplicate_status=500",
            "koreai/openai",
            "duplicate contradicts it is refused in a way that does not look like a refusal: 500",
        ),
        ("list_total=false", "koreai/openai", "list contradicts 1 came, and nothing says whether that is all"),
        ("list_short=true", "koreai/openai", "list contradicts nothing"),
        (
            "patch_merges_objects=true",
            "koreai/custom",
            "parts noted it keeps `llmFeatures.streaming` when `llmFeatures.toolCalling` is sent alone, so",
        ),
        ("read_back=top-level", "koreai/custom", "read-back agrees not `endpointUrl`"),
        ("gateway=documented", "gateway/provider", "missing agrees it has not, and what follows it is used"),
        ("gateway=documented", "gateway/provider", "unsent contradicts it keeps `metadata.baseUrl`"),
        ("flashback_errors=ok", "flashback/llm", "delete contradicts 200"),
    ] {
        let server = Server::quirky(quirks);
        let (document, code) = probe(&project(&server, "", &[]), address);
        let lines = lines(&document);
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{quirks}: {expected}\n{}", lines.join("\n"));
        assert_eq!(code == 1, document["summary"]["contradicts"] != 0, "{document:#}");
    }
}

#[test]
fn a_request_that_a_deployment_may_not_have_is_named_only_if_the_definition_does_not_know() {
    let server = Server::quirky("gateway=documented");
    let project = project(&server, "gateway", &[("may_be_missing: true", "may_be_missing: false")]);
    let (document, code) = probe(&project, "gateway/provider");
    assert!(code == 1 && lines(&document).contains(&"missing contradicts it has not".to_owned()), "{document:#}");
}

#[test]
fn without_a_delete_and_without_approval_nothing_is_sent() {
    let server = Server::start();
    let project = project(&server, "", &[]);
    project.write("there.yaml", "mine\n");
    for (args, code, expected) in [
        (&["koreai/openai", "--yes"][..], 4, "PB0402"),
        (&["gateway/provider"], 4, "PB0504"),
        (&["gateway/nothing", "--yes"], 1, "PB0116"),
        (&["gateway/provider", "--yes", "--write", "there.yaml"], 1, "PB0108"),
    ] {
        let ran = project.run(&[&["platform", "probe"], args].concat());
        assert!(ran.code == code && ran.stderr.contains(expected), "{args:?}: {ran}");
    }
    assert_eq!(server.requests().len(), 0);
    assert_eq!(project.read("there.yaml"), "mine\n");
}

#[test]
fn nothing_else_is_touched() {
    let server = Server::start();
    let project = project(&server, "", &[]);
    project.apply();
    server.clear_requests();
    for address in ["gateway/provider", "flashback/llm"] {
        assert_eq!(probe(&project, address).1, 0);
    }
    for request in server.requests().iter().filter(|r| r.method != "GET") {
        // An id of flashback's says nothing, but its objects' names do.
        assert!(
            request.path.contains("patchbay-probe-") || !request.path.contains("acme"),
            "{} {}",
            request.method,
            request.path
        );
    }
    assert_eq!(everything(&server), 4);
    project.assert_empty_plan();
}

#[test]
fn whatever_fails_the_object_is_deleted() {
    for (fault, code) in [
        // The object is made, and nobody hears of it.
        ("POST /providers reset-after times=1", 1),
        ("POST /providers status=400 times=1", 1),
        ("GET /providers/* status=403 times=1", 1),
        ("GET /providers status=503 skip=1 times=9", 1),
        ("PUT /providers/* reset-after times=9", 1),
        ("PUT /providers/* status=500 times=9", 0),
        ("DELETE /providers/* status=409 skip=1 times=1", 1),
    ] {
        let server = Server::start();
        let project = project(&server, "", &[]);
        server.fault(fault);
        let ran = project.run(&["platform", "probe", "gateway/provider", "--yes", "--retries", "0"]);
        assert_eq!(ran.code, code, "{fault}: {ran}");
        if !fault.starts_with("GET /providers status") {
            assert_eq!(everything(&server), 0, "{fault}: {ran}");
        }
    }
}

#[test]
fn what_cannot_be_deleted_is_named() {
    let server = Server::start();
    let project = project(&server, "", &[]);
    server.fault("DELETE /providers/* status=403 times=99");
    let (document, code) = project.json(&["platform", "probe", "gateway/provider", "--yes"]);
    let left: Vec<String> = server.edit(|store: &mut Store| store.list(Platform::Gateway).map(|(id, _)| id.to_owned()).collect());
    assert_eq!(code, 3, "{document:#}");
    assert_eq!(document["left"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect::<Vec<_>>(), left);
    let last = document["diagnostics"].as_array().unwrap().last().unwrap();
    assert_eq!(last["code"], "PB0602", "{document:#}");
    assert!(last["summary"].as_str().unwrap().contains("could not be deleted and is there still"), "{document:#}");
}

#[test]
fn an_interrupt_deletes_what_was_made() {
    let server = Server::start();
    let project = project(&server, "", &[]);
    server.fault("PUT /providers/* delay=300");
    let child = project.spawn(&["platform", "probe", "gateway/provider", "--yes"]);
    while !server.requests().iter().any(|request| request.method == "PUT") {
        std::thread::yield_now();
    }
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert!(
        ran.code == 130
            && ran.stderr.contains("PB0704")
            && ran.stderr.contains("stopping: ")
            && ran.stdout.contains("Not everything was asked"),
        "{ran}"
    );
    assert_eq!(everything(&server), 0);
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
}

#[test]
fn no_secret_is_shown_and_the_user_s_are_not_sent() {
    let server = Server::start();
    let project = project(&server, "", &[]);
    let written = ["--write", "findings.yaml"];
    for address in ADDRESSES {
        for more in [&[][..], &["--json"], &["--own-secrets", "-vv"]] {
            drop(std::fs::remove_file(project.path().join("findings.yaml")));
            server.fault("PUT * status=400 times=1 body={\"error\":\"bad key sk-CANARY-5f1e77aa-0000MQAA\"}");
            let ran = project.run(&[&["platform", "probe", address, "--yes", "--leave"], &written[..], more].concat());
            assert!(ran.code <= 1, "{ran}");
            for text in [&ran.stdout, &ran.stderr, &project.read("findings.yaml")] {
                for needle in ["CANARY", "MQAA", "sk-patchbay-probe", "***"] {
                    assert!(!text.contains(needle), "{address} {more:?} {needle}: {text}");
                }
            }
            server.clear_faults();
        }
    }
}

#[test]
fn the_connection_s_own_secret_is_sent_only_if_that_is_asked_for() {
    let server = Server::start();
    let project = project(&server, "", &[]);
    let digest = StoredSecret::of(KEY).digest;
    for (flags, expected) in [(&[][..], false), (&["--own-secrets"], true)] {
        let args = [&["platform", "probe", "koreai/openai", "--yes", "--leave"], flags].concat();
        assert_eq!(project.run(&args).code, 0);
        let stored = server.edit(|store: &mut Store| {
            store.list(Platform::Koreai).any(|(_, object)| object["fields"]["API_KEY"]["digest"] == digest.as_str())
        });
        assert_eq!(stored, expected, "{flags:?}");
    }
}

#[test]
fn findings_are_kept_with_their_date_and_host() {
    let server = Server::start();
    let project = project(&server, "", &[]);
    let ran = project.run(&["platform", "probe", "gateway/provider", "--yes", "--write", "gateway.probe.yaml"]);
    assert_eq!(ran.code, 0, "{ran}");
    let text = project.read("gateway.probe.yaml");
    let head: Vec<&str> = text.lines().take(3).collect();
    assert_eq!(head, ["address: gateway/provider", "platform: gateway", "kind: provider"], "{text}");
    assert!(
        text.contains("\nhost: \"127.0.0.1:") && text.contains("\nat: \"20") && text.contains("  - topic: create\n"),
        "{text}"
    );
}

#[test]
fn the_screen_fits_eighty_columns() {
    let server = Server::start();
    let mut project = project(&server, "gateway", &[("reads_as: nothing", "reads_as: mask")]);
    project.set("COLUMNS", "80");
    let ran = project.run(&["platform", "probe", "gateway/provider", "--yes"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{ran}");
    let start = ran.stdout.find("  ✗").unwrap();
    let shown: Vec<&str> = ran.stdout[start..].lines().take(3).map(|line| &line[2..]).collect();
    expect![[r#"
        ✗  what a read shows of the secret `apiKey`
             nothing
             against kinds.provider.fields.apiKey
    "#]]
    .assert_eq(&format!("{}\n", shown.join("\n")));
    assert!(ran.stdout.ends_with("Everything that was made is deleted again.\n"), "{ran}");
    assert!(ran.flat().contains("against `kinds.provider.fields.apiKey`"), "{ran}");
}
