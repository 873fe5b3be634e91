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
    assert!(ran.flat().contains("the test of `t/one` could not be made: `t` failed (503)"), "{ran}");
    assert!(ran.flat().contains("this says nothing about the connection"), "{ran}");
    server.clear_faults();
    server.fault("POST */llm/*/validate status=401 times=9");
    let (document, _) = project.json(&["test"]);
    assert_eq!((document["results"][0]["result"].as_str(), codes(&document)), (Some("unknown"), vec!["PB0601".to_owned()]));
}

#[test]
fn what_is_no_answer_is_no_verdict_either() {
    let server = Server::start();
    let project = flashback(&server, LLM);
    project.apply();
    for (fault, code, words) in [
        ("POST */llm/*/validate status=404", "PB0603", "`t/one`, or the API's test of it, was not found (404)"),
        ("POST */llm/*/validate not-json", "PB0615", "it is empty, or no JSON"),
        ("POST */llm/*/validate status=200 body={}", "PB0615", "it has no `success` that is true or false"),
    ] {
        server.fault(fault);
        let ran = project.run(&["test"]);
        assert!(ran.code == 1 && ran.stdout.contains("? unknown    t/one") && ran.stderr.contains(code), "{fault}: {ran}");
        assert!(ran.flat().contains(words) && !ran.flat().contains("next apply creates it"), "{fault}: {ran}");
        server.clear_faults();
    }
}

#[test]
fn a_program_that_reads_the_result_of_a_test_need_not_know_the_exit_code() {
    let server = Server::start();
    let mut project = flashback(&server, LLM);
    project.apply();
    let (document, exit) = project.json(&["test"]);
    assert_eq!((exit, &document["errored"]), (0, &json!(false)), "{document:#}");
    project.set("SECRET", "sk-invalid-00000000");
    project.apply();
    let (document, exit) = project.json(&["test"]);
    assert_eq!((exit, &document["errored"], codes(&document).len()), (1, &json!(true), 0), "{document:#}");
    let ran = project.run(&["test", "t/zz"]);
    assert!(ran.code == 1 && ran.flat().contains("no connection matches `t/zz`") && !ran.stderr.contains("--only"), "{ran}");
    for command in ["test", "doctor"] {
        let ran = project.run(&[command, "--help"]);
        assert!(ran.code == 0 && ran.stdout.contains("Exit codes: 0 "), "{ran}");
    }
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
    // It was written, and is recorded; the test is owed, and what depends on it waits.
    assert_eq!(project.planned(), ["t/one move", "t/two create"]);
    let ran = project.run(&["apply", "--yes"]);
    assert!(ran.code == 3 && ran.stderr.contains("PB0705"), "a second run hides nothing: {ran}");
    assert_eq!(project.planned(), ["t/one move", "t/two create"]);
    project.set("SECRET", "sk-better-000000000");
    project.apply();
    project.assert_empty_plan();
    let validates = server.lines().iter().filter(|l| l.ends_with("/validate")).count();
    assert_eq!(validates, 3, "after the create, again, and after the rotation; only for the one that asks for it");
}

#[test]
fn a_test_that_fails_to_run_after_a_write_is_a_warning() {
    let server = Server::start();
    let project = flashback(&server, &(LLM.to_owned() + "    lifecycle: { test: after }\n"));
    server.fault("POST */llm/*/validate status=503 times=9");
    let ran = project.run(&["apply", "--yes", "--retries", "0"]);
    assert!(ran.code == 0 && ran.stderr.contains("could not be asked to test it"), "{ran}");
    // No verdict is no debt.
    project.assert_empty_plan();
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
  live       cn-… · not modified since it was recorded

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
    server.clear_requests();
    let ran = moved.run(&["doctor"]);
    assert!(ran.code == 1 && ran.stdout.contains("✗  address"), "{ran}");
    assert!(ran.stdout.contains(&format!("PB0306 the state has another address: {}; nothing was sent", other.url())), "{ran}");
    assert!(server.requests().is_empty(), "credentials go to no address that the state does not know");
    let ran = moved.run(&["doctor", "--accept-target-change"]);
    assert!(ran.code == 0 && ran.stdout.contains("the state has another address: http://127.0.0.1"), "{ran}");
    assert_eq!(server.lines().len(), 1, "{ran}");
}

/// A project with a second target `other`, whose key is in `OTHER`.
fn two_targets(server: &Server) -> Project {
    let project = kore(server);
    let other = project.read("patchbay.toml").replace("targets.kore", "targets.other").replace("KORE_API_KEY", "OTHER");
    let (_, other) = other.split_once("[targets.other]").unwrap();
    project.write("patchbay.toml", &format!("{}\n[targets.other]{other}", project.read("patchbay.toml")));
    project
}

/// Standard output as one line, without columns and without the breaks of prose.
fn squeezed(ran: &common::Ran) -> String {
    ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn names(document: &serde_json::Value) -> Vec<&str> {
    document["sections"].as_array().unwrap().iter().map(|section| section["name"].as_str().unwrap()).collect()
}

#[test]
fn a_target_that_cannot_be_looked_at_hides_no_other() {
    let server = Server::start();
    let mut project = two_targets(&server);
    let ran = project.run(&["doctor"]);
    assert_eq!(ran.code, 1, "{ran}");
    for line in [
        "✓ credentials accepted",
        "✗ configuration PB0201 environment variable `OTHER` is not set",
        "✓ records there is no state yet",
    ] {
        assert!(squeezed(&ran).contains(line), "{line}: {ran}");
    }
    assert!(ran.stderr.contains("PB0201") && ran.flat().contains("patchbay.toml:"), "{ran}");
    assert_eq!(server.lines().len(), 1, "only one of them was asked");
    let (document, exit) = project.json(&["doctor"]);
    assert_eq!((exit, names(&document)), (1, vec!["kore", "other", "files", "state"]), "{document:#}");
    assert_eq!((&document["errored"], &document["healthy"]), (&json!(true), &json!(false)), "{document:#}");
    assert_eq!(codes(&document), ["PB0201"]);
    // A target can be named although it is wrong.
    assert_eq!(names(&project.json(&["doctor", "other"]).0), ["other", "files", "state"]);

    // A variable that only a connection needs keeps nobody from looking at the target.
    project.set("OTHER", "kore-admin-key-2");
    project.unset("KEY");
    server.clear_requests();
    let ran = project.run(&["doctor"]);
    assert!(ran.code == 1 && ran.stdout.matches("✓  credentials").count() == 2, "{ran}");
    assert!(squeezed(&ran).contains("✗ configuration PB0201 environment variable `KEY` is not set"), "{ran}");

    // Plain http to another machine is refused, for that target.
    project.set("KEY", "sk-look-1234567890");
    let whole = project.read("patchbay.toml");
    let (first, _) = whole.split_once("[targets.other]").unwrap();
    let toml = |rest: &str| {
        format!("{first}[targets.other]\nplatform = \"koreai\"\nauth = {{ api_key = \"${{{{ env.OTHER }}}}\" }}\n{rest}")
    };
    project.write("patchbay.toml", &toml("base_url = \"http://kore.example/api/public\"\n"));
    let ran = project.run(&["doctor"]);
    assert!(ran.code == 1 && squeezed(&ran).contains("✗ configuration PB0506"), "{ran}");
    assert_eq!(ran.stdout.matches("✓  credentials").count(), 1, "{ran}");
    // What stands in a base URL besides an address is not shown.
    project.write("patchbay.toml", &toml("base_url = \"https://me:hunter2222@kore.example/api\"\n"));
    let ran = project.run(&["doctor"]);
    assert!(ran.code == 1 && ran.stdout.contains("PB0103") && !ran.to_string().contains("hunter2222"), "{ran}");
}

#[test]
fn a_project_that_cannot_be_read_is_a_finding() {
    let server = Server::start();
    let project = kore(&server);
    let ran = project.run(&["doctor", "--env-file", "nope.env"]);
    assert_eq!(ran.code, 1, "{ran}");
    for line in [
        "? credentials nothing was sent",
        "✗ configuration PB0108 cannot read `nope.env`",
        "✗ nope.env not there",
        "✓ records there is no state yet",
    ] {
        assert!(squeezed(&ran).contains(line), "{line}: {ran}");
    }
    assert!(server.requests().is_empty());
    project.write("patchbay.toml", "[targets\n");
    let (document, exit) = project.json(&["doctor"]);
    assert_eq!((exit, names(&document)), (1, vec!["files", "state"]), "{document:#}");
    assert!(codes(&document).contains(&"PB0101".to_owned()), "{document:#}");
    std::fs::remove_file(project.path().join("patchbay.toml")).unwrap();
    let ran = project.run(&["doctor"]);
    assert!(ran.code == 1 && squeezed(&ran).contains("✗ configuration PB0100"), "{ran}");
}

#[test]
fn a_damaged_state_is_a_finding_and_still_tells_where_targets_were() {
    let (server, other) = (Server::start(), Server::start());
    let second = KORE.trim_start_matches("connections:\n").replace("support", "second").replace("Support", "Second");
    let project = Project::kore(&server.url(), &format!("{KORE}{second}")).with("KEY", "sk-look-1234567890");
    project.apply();
    project.replace("patchbay.state", "\"kore/support\"", "\"kore/suppor7\"");
    server.clear_requests();
    let ran = project.run(&["doctor"]);
    assert_eq!(ran.code, 1, "{ran}");
    for line in ["✗ records PB0302", "`patchbay state repair`", "still whole 1 record", "✓ credentials"] {
        assert!(squeezed(&ran).contains(line), "{line}: {ran}");
    }
    assert!(ran.stderr.contains("PB0302"), "{ran}");
    assert_eq!(server.lines().len(), 1, "{ran}");
    project.replace("patchbay.toml", &server.url(), &other.url());
    let ran = project.run(&["doctor"]);
    assert!(ran.stdout.contains("; nothing was sent") && other.requests().is_empty(), "{ran}");
}

#[test]
fn what_a_doctor_says_is_so() {
    let server = Server::start();
    let project = kore(&server).with("PATH", &std::env::var("PATH").unwrap());
    project.replace("patchbay.toml", "platform =", "allow_http = true\nplatform =");
    let ran = project.run(&["doctor"]);
    assert!(ran.code == 0 && ran.stdout.contains("none needed: it stays on this machine"), "{ran}");
    assert!(ran.stdout.contains("1 connection on 1 target in 1 file, all valid"), "{ran}");

    // Paging decides whether a larger limit could help.
    server.fault("GET /connections status=200 body={\"connections\":[],\"total\":5}");
    let ran = project.run(&["doctor"]);
    assert!(ran.code == 0 && ran.stdout.contains("0 of 5 in `connections` came"), "{ran}");
    assert!(squeezed(&ran).contains("raise `list_limit` of [targets.kore]"), "{ran}");
    server.fault("GET /providers status=200 body={\"providers\":[],\"total\":5}");
    let paged =
        Project::on("gateway", &server, "auth = { token = \"${{ env.TOKEN }}\" }", "connections: {}\n").with("TOKEN", "x");
    let ran = paged.run(&["doctor"]);
    assert!(ran.code == 0 && ran.stdout.contains("0 of 5 in `providers` came") && !ran.stdout.contains("list_limit"), "{ran}");

    // A file that git tracks is committed, whatever is ignored.
    let git = |args: &[&str]| {
        let done = std::process::Command::new("git").args(args).current_dir(project.path()).output().unwrap();
        assert!(done.status.success(), "{args:?}");
    };
    git(&["init", "--quiet"]);
    project.write(".env", "KEY=sk-look-1234567890\n");
    let ran = project.run(&["doctor"]);
    assert!(squeezed(&ran).contains("git does not ignore it add it to .gitignore: .env"), "{ran}");
    git(&["add", ".env"]);
    project.write(".gitignore", ".env\n");
    let ran = project.run(&["doctor", "--env-file", ".env"]);
    assert!(squeezed(&ran).contains("git tracks it `git rm --cached .env`, and change"), "{ran}");
    assert!(!ran.stdout.contains("does not ignore it"), "{ran}");
    assert_eq!(ran.stdout.matches("git tracks it").count(), 1, "one file is one finding: {ran}");
    git(&["rm", "--quiet", "--cached", ".env"]);
    let ran = project.run(&["doctor"]);
    assert!(ran.stdout.contains(".env") && !ran.stdout.contains("git "), "{ran}");
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
    assert!(ran.code == 1 && ran.stderr.contains("my.yaml:40") && ran.flat().contains("cannot be found in the list"), "{ran}");
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

#[test]
fn every_request_is_told_where_that_is_asked_for() {
    let server = Server::start();
    let project = kore(&server);
    let ran = project.run(&["plan", "-v"]);
    assert!(ran.code == 0 && !ran.stderr.contains(" 200 in "), "{ran}");
    let ran = project.run(&["apply", "--yes", "-vv"]);
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains(" 200 in ")).collect();
    let starts = ["kore: GET /connections?", "kore: POST /connections 200 in ", "kore: GET /connections/cn-"];
    assert!(lines.len() >= 3 && starts.iter().all(|start| lines.iter().any(|line| line.starts_with(start))), "{ran}");
}
