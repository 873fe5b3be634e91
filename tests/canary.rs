//! No secret in any output: literal canaries in every secret place, every command, every byte that is printed or written.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server};

const CANARY: &str = "sk-CANARY-5f1e77aa-0000MQAA";
const CANARY_2: &str = "gsk_CANARY9b03c1d2e4";
const CREDENTIAL: &str = "kore-CANARY-credential-42";

const CONNECTIONS: &str = r#"connections:
  a:
    target: kore
    kind: openai
    spec: { connectionName: A, model: m, fields: { API_KEY: "${{ env.OPENAI_API_KEY }}" } }
  b:
    target: kore
    kind: custom
    spec:
      connectionName: B
      model: m
      endpointUrl: https://llm.example/${{ env.OPENAI_API_KEY }}/v1
      headers:
        - { key: Authorization, value: "Bearer ${{ env.GROQ_API_KEY }}" }
        - { key: X-Tenant, value: "${{ env.GROQ_API_KEY | upper }}" }
      promptVars: []
      payload: { model: m, nested: [{ key: "${{ env.OPENAI_API_KEY }}" }], prompt: "{{prompt}}" }
      outputPath: text
      status: DRAFT
  c:
    target: kore
    kind: openai
    spec: { connectionName: C, model: m, fields: { API_KEY: "literal-CANARY-in-file-77" } }
"#;

/// Every form in which one of the canaries may show.
fn needles() -> Vec<String> {
    let mut all: Vec<String> = ["CANARY", "canary-credential", "MQAA", "9b03c1d2", "9B03C1D2"].map(ToOwned::to_owned).to_vec();
    // Their middle in base64, in each of its three alignments.
    all.extend(["Q0FOQVJZ", "NBTkFSW", "DQU5BUl"].map(ToOwned::to_owned));
    all
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for needle in needles() {
        assert!(!text.contains(&needle), "{what} holds {needle}:\n{text}");
    }
}

#[test]
fn no_command_shows_or_writes_a_secret() {
    for settings in ["", "read_back=top-level"] {
        let server = Server::quirky(settings);
        let mut project = Project::kore(&server.url(), CONNECTIONS)
            .with("OPENAI_API_KEY", CANARY)
            .with("GROQ_API_KEY", CANARY_2)
            .with("KORE_API_KEY", CREDENTIAL);
        project.write("notes.env", "UNUSED=1\n");
        let reports = ["json", "jsonl", "markdown", "github", "gitlab", "codequality", "azure", "sarif", "junit", "prom"];
        let reports = reports.map(|format| format!("{format}=report.{format}")).join(",");
        // Every command that has something to say in a format says it.
        project.set("PATCHBAY_REPORT", &format!("{reports},html=report.html"));
        let script: &[&[&str]] = &[
            &["validate"],
            &["plan", "-vv"],
            &["plan", "--format", "jsonl"],
            &["plan", "--report", "github", "--report", "azure"],
            &["fmt", "--check"],
            &["fmt", "--diff"],
            &["schema", "connections"],
            &["explain", "PB0203"],
            &["validate"],
            &["validate", "--json"],
            &["validate", "--offline"],
            &["plan"],
            &["plan", "--json"],
            &["plan", "--full", "--color", "always"],
            &["plan", "--out", "plan.json"],
            &["show", "plan.json"],
            &["show", "plan.json", "--json"],
            &["apply", "plan.json", "-v"],
            &["apply", "--yes", "--format", "jsonl"],
            &["plan", "--refresh", "full", "--json"],
            &["plan", "--rewrite-secrets"],
            &["apply", "--yes", "--json"],
            &["show", "kore/a"],
            &["show", "kore/b"],
            &["show", "kore/b", "--json", "--full"],
            &["doctor"],
            &["doctor", "--json", "--env-file", "notes.env"],
            &["test"],
            &["test", "--json"],
            &["drift"],
            &["drift", "--format", "jsonl"],
            &["destroy", "--yes"],
            &["destroy", "--yes", "--json"],
            &["state", "list"],
            &["state", "show", "kore/b"],
            &["state", "list", "--json"],
            &["state", "check"],
            &["state", "history"],
            &["state", "history", "kore/b", "--json"],
            &["state", "mv", "kore/b", "kore/bb"],
            &["state", "mv", "kore/bb", "kore/b"],
            &["state", "rm", "kore/a", "--yes"],
            &["state", "repair"],
            &["env"],
            &["env", "--json"],
            &["env", "--template"],
            &["graph"],
            &["graph", "--json"],
            &["drift"],
            &["drift", "--json"],
            &["import", "--yes"],
            &["import", "--json"],
            &["export"],
            &["export", "--json"],
            &["export", "kore", "--write", "exported.yaml"],
        ];
        for args in script {
            let ran = project.run(args);
            assert!(ran.code <= 4, "{settings} {args:?}: {ran}");
            assert_clean(&format!("{settings} {args:?} stdout"), ran.stdout.as_bytes());
            assert_clean(&format!("{settings} {args:?} stderr"), ran.stderr.as_bytes());
        }
        // Changes, rotations, drift, refusals that echo what was sent.
        project.set("OPENAI_API_KEY", "sk-CANARY-second-0000MQAA");
        project.replace("connections/all.yaml", "outputPath: text", "outputPath: other");
        for (fault, args) in [
            (None, &["plan"][..]),
            (
                Some(format!("PATCH * status=400 times=2 body=sk-CANARY-second-0000MQAA-{CANARY_2}-{CREDENTIAL}")),
                &["apply", "--yes", "--format", "jsonl"][..],
            ),
            (Some(format!("GET /connections status=401 times=1 body={CREDENTIAL}")), &["plan"][..]),
            (None, &["apply", "--yes"][..]),
            (None, &["plan", "--refresh", "full"][..]),
        ] {
            if let Some(fault) = fault {
                server.fault(&fault);
            }
            let ran = project.run(args);
            assert_clean(&format!("{settings} {args:?} stdout"), ran.stdout.as_bytes());
            assert_clean(&format!("{settings} {args:?} stderr"), ran.stderr.as_bytes());
        }
        for (path, bytes) in project.all_files() {
            // The one file in which a test wrote a canary itself.
            if !path.ends_with("all.yaml") {
                assert_clean(&path.display().to_string(), &bytes);
            }
        }
    }
}

#[test]
fn files_that_cannot_be_read_do_not_show_their_secrets_either() {
    let project = Project::kore("sandbox:", CONNECTIONS).with("OPENAI_API_KEY", CANARY);
    for (from, to) in [
        ("model: m, fields", "modle: m, fields"),
        ("kind: openai", "kind: opnai"),
        ("target: kore", "target: kroe"),
        ("API_KEY: \"literal", "API_KEE: \"literal"),
        ("literal-CANARY-in-file-77\" } }", "literal-CANARY-in-file-77\" }"),
        ("  c:\n", "  c:\n\tx: 1\n"),
    ] {
        let project = Project::kore("sandbox:", CONNECTIONS).with("OPENAI_API_KEY", CANARY);
        project.write("connections/all.yaml", &CONNECTIONS.replace(from, to));
        let report = "--report=github,azure,junit=r.xml,sarif=r.sarif,markdown=r.md,codequality=r.json";
        for args in [&["validate"][..], &["plan"], &["validate", "--json"], &["validate", report], &["fmt", "--diff"]] {
            let ran = project.run(args);
            assert!(ran.code == 1 || args[0] == "fmt", "{from} → {to}: {ran}");
            assert_clean(&format!("{to} stdout"), ran.stdout.as_bytes());
            assert_clean(&format!("{to} stderr"), ran.stderr.as_bytes());
        }
        for file in ["r.xml", "r.sarif", "r.md", "r.json"] {
            assert_clean(&format!("{to} {file}"), project.read(file).as_bytes());
        }
    }
    drop(project);
}

#[test]
fn what_slipped_into_the_project_file_is_not_shown_beside_an_error() {
    let target = "[targets.kore]\nplatform = \"koreai\"\nbase_url = \"sandbox:\"\n";
    for (text, why) in [
        (format!("{target}\n[state]\nurl = \"https://ann:pw-CANARY@127.0.0.1:9/x\"\n"), "a state with a password"),
        (format!("{target}\n[state]\nurl = \"ftp://127.0.0.1:9/x?token=CANARY\"\n"), "a state with a token"),
        ("[targets.kore]\nbase_url = \"https://ann:CANARY@h.example/x\"\n".to_owned(), "a base URL without a platform"),
        (format!("{target}x = = 1\ny = \"https://ann:CANARY@h.example/x\"\n"), "no TOML"),
        (
            format!("{target}\n[profile.a.targets.kore]\nauth.api_key = \"CANARY-in-a-profile\"\n[bogus]\n"),
            "a profile that is not chosen",
        ),
        (format!("{target}api_key = \"CANARY-misplaced\"\n"), "a key in the wrong place"),
    ] {
        let project = Project::empty();
        project.write("patchbay.toml", &text);
        project.write("connections/a.yaml", "connections: {}\n");
        for args in [
            &["validate"][..],
            &["plan"],
            &["plan", "--json"],
            &["state", "list"],
            &["doctor"],
            &["validate", "--report", "junit=r.xml"],
        ] {
            let ran = project.run(args);
            assert_clean(&format!("{why}: {args:?}"), format!("{}{}", ran.stdout, ran.stderr).as_bytes());
        }
        let ran = project.run(&["validate"]);
        assert_eq!(ran.code, 1, "{why}: {ran}");
    }
}

#[test]
fn tests_and_logins_show_no_secret_either() {
    let server = Server::start();
    let connections = "connections:\n  a:\n    target: t\n    kind: provider\n    lifecycle: { test: after }\n    spec: { name: openai, apiKey: \"${{ env.KEY }}\" }\n";
    let project = Project::on(
        "gateway",
        &server,
        "auth = { username = \"${{ env.USER_NAME }}\", password = \"${{ env.PASSWORD }}\" }\n",
        connections,
    )
    .with("KEY", CANARY)
    .with("USER_NAME", CANARY_2)
    .with("PASSWORD", CREDENTIAL);
    let echo = format!("{CANARY} {CANARY_2} {CREDENTIAL}");
    for (fault, args) in [
        (Some("POST */auth/login status=400 times=1"), &["plan"][..]),
        (Some("POST /providers/*/test status=400 times=1"), &["apply", "--yes"]),
        (Some("POST /providers/*/test status=503 times=1"), &["test", "--retries", "0"]),
        (Some("GET /providers status=403 times=1"), &["doctor"]),
        (None, &["apply", "--yes", "-vv"]),
        (None, &["test", "--json"]),
        (Some("DELETE /providers/* status=400 times=1"), &["destroy", "--confirm", "t"]),
        (None, &["destroy", "--confirm", "t", "--json"]),
    ] {
        if let Some(fault) = fault {
            server.fault(&format!("{fault} body={echo}"));
        }
        let ran = project.run(args);
        assert!(ran.code <= 4, "{args:?}: {ran}");
        for text in [&ran.stdout, &ran.stderr] {
            assert_clean(&format!("{args:?}"), text.as_bytes());
        }
    }
    for (path, bytes) in project.all_files() {
        assert_clean(&path.display().to_string(), &bytes);
    }
}

#[test]
fn a_secret_that_is_live_where_none_belongs_is_not_shown() {
    let server = Server::start();
    let connections = "connections:\n  c:\n    target: kore\n    kind: custom\n    spec:\n      connectionName: C\n      model: m\n      endpointUrl: https://x.example/v1?key=${{ env.URL_KEY }}\n      headers: [{ key: X-Trace, value: \"${{ env.TRACE }}\" }]\n      payload: { k: \"${{ env.K }}\", n: 1 }\n      promptVars: []\n      outputPath: text\n      status: DRAFT\n  d:\n    target: kore\n    kind: openai\n    spec: { connectionName: D, model: m, fields: { API_KEY: \"${{ env.K }}\" } }\n";
    let mut project = Project::kore(&server.url(), connections)
        .with("K", CANARY)
        .with("URL_KEY", CANARY_2)
        .with("TRACE", "tr-CANARY-trace-value-9")
        .with("KORE_API_KEY", CREDENTIAL);
    project.apply();
    // The files move on to plain values; the API still has the secrets. Nobody else touched anything.
    project.replace("connections/all.yaml", "${{ env.K }}\", n: 1", "plain\", n: 1");
    project.replace("connections/all.yaml", "?key=${{ env.URL_KEY }}", "");
    project.replace("connections/all.yaml", "\"${{ env.TRACE }}\"", "plain");
    project.unset("URL_KEY");
    project.unset("TRACE");
    let ran = project.run(&["drift"]);
    assert_eq!(ran.code, 0, "an edit of the files is no drift: {ran}");
    for args in [
        &["plan", "--full"][..],
        &["plan", "--json"],
        &["plan", "--refresh", "full", "--out", "p.json"],
        &["drift"],
        &["drift", "--json"],
        &["show", "kore/c"],
        &["show", "kore/c", "--json", "--full"],
    ] {
        let ran = project.run(args);
        assert!([0, 2].contains(&ran.code), "{args:?}: {ran}");
        for text in [&ran.stdout, &ran.stderr] {
            assert_clean(&format!("{args:?}"), text.as_bytes());
        }
    }
    // Somebody puts a key into a field that is no secret.
    server.edit(|store| {
        let id = store.find(patchbay::sandbox::Platform::Koreai, "D").unwrap().to_owned();
        let mut object = store.get(patchbay::sandbox::Platform::Koreai, &id).unwrap().clone();
        object["model"] = serde_json::json!(format!("m-{CANARY}"));
        object["modifiedOn"] = serde_json::json!(format!("2030 {CANARY}"));
        store.put(patchbay::sandbox::Platform::Koreai, &id, object);
    });
    for args in
        [&["plan"][..], &["plan", "--json"], &["drift"], &["drift", "--json"], &["show", "kore/d"], &["show", "kore/d", "--json"]]
    {
        let ran = project.run(args);
        for text in [&ran.stdout, &ran.stderr] {
            assert_clean(&format!("{args:?}"), text.as_bytes());
        }
    }
    assert_clean("p.json", project.read("p.json").as_bytes());
}
