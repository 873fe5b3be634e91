//! Bad input and bad weather: each has its own message, exit code and test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use common::{Project, Server, codes};

const ONE: &str = "connections:\n  a:\n    target: kore\n    kind: openai\n    spec: { connectionName: A, model: m, fields: { API_KEY: \"${{ env.OPENAI_API_KEY }}\" } }\n";

fn project(base_url: &str) -> Project {
    Project::kore(base_url, ONE).with("OPENAI_API_KEY", "sk-weather-000000")
}

/// Runs `plan`; the one code that it must end with, the exit code, and words of the message.
#[track_caller]
fn plan_fails(project: &Project, code: &str, exit: i32, words: &[&str]) {
    let args = ["plan", "--retries", "0"];
    let ran = project.run(&args);
    assert_eq!(ran.code, exit, "{ran}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is missing\n{ran}");
    }
    assert!(ran.stderr.contains(code), "{ran}");
    let (document, exit_of_json) = project.json(&args);
    assert!(codes(&document).contains(&code.to_owned()), "{document:#}");
    assert_eq!(exit_of_json, exit);
}

#[test]
fn no_project_file() {
    plan_fails(&Project::empty(), "PB0100", 1, &["no patchbay.toml here", "-C DIR"]);
    let ran = Project::empty().run(&["-C", "nowhere", "plan"]);
    assert!(ran.code == 1 && ran.stderr.contains("no folder `nowhere`"), "{ran}");
}

#[test]
fn unreadable_files() {
    let project = project("sandbox:");
    project.write("connections/b.yaml", "x");
    std::fs::write(project.path().join("connections/b.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    plan_fails(&project, "PB0108", 1, &["connections/b.yaml", "not UTF-8"]);
    let ran = project.run(&["plan", "-f", "missing.yaml"]);
    assert!(ran.code == 1 && ran.stderr.contains("cannot read `missing.yaml`: no such file"), "{ran}");
    let ran = project.run(&["plan", "--env-file", "missing.env"]);
    assert!(ran.code == 1 && ran.stderr.contains("missing.env"), "{ran}");
}

#[test]
fn broken_files() {
    let broken = project("sandbox:");
    broken.write("connections/all.yaml", "connections:\n  a: b: c\n");
    plan_fails(&broken, "PB0101", 1, &["not valid YAML", "connections/all.yaml:2"]);
    let broken = project("sandbox:");
    broken.write("patchbay.toml", "[project\n");
    plan_fails(&broken, "PB0101", 1, &["not valid TOML", "patchbay.toml:1"]);
    let twice = project("sandbox:");
    twice.write("connections/all.yaml", &format!("{ONE}{}", ONE.trim_start_matches("connections:\n")));
    plan_fails(&twice, "PB0107", 1, &["the key `a` stands here twice"]);
}

#[test]
fn unknown_words() {
    for (from, to, code, words) in [
        ("model: m", "modle: m", "PB0102", vec!["unknown key `modle`", "did you mean `model`?"]),
        ("kind: openai", "kind: opnai", "PB0111", vec!["has no kind `opnai`", "did you mean `openai`?"]),
        ("target: kore", "target: kroe", "PB0110", vec!["no target `kroe`", "did you mean `kore`?"]),
        ("model: m", "model: 4", "PB0104", vec!["`model` must be a string", "quote it: \"4\""]),
        ("model: m, ", "", "PB0105", vec!["needs a `model`"]),
        ("env.OPENAI_API_KEY", "env.NOT_THERE", "PB0201", vec!["`NOT_THERE` is not set", "--env-file"]),
    ] {
        let project = project("sandbox:");
        project.replace("connections/all.yaml", from, to);
        plan_fails(&project, code, 1, &words);
    }
    let other = project("sandbox:");
    other.replace("patchbay.toml", "\"koreai\"", "\"koreia\"");
    plan_fails(&other, "PB0111", 1, &["no platform `koreia`", "did you mean `koreai`?"]);
    let empty = project("sandbox:").with("OPENAI_API_KEY", "");
    plan_fails(&empty, "PB0202", 1, &["`OPENAI_API_KEY` is set and empty"]);
}

#[test]
fn several_errors_are_shown_in_one_run() {
    let project = project("sandbox:");
    project.replace("connections/all.yaml", "kind: openai", "kind: opnai");
    project.write("connections/b.yaml", "connections: { b: { target: nope, kind: openai, spec: {} } }\n");
    project.write("connections/c.yaml", "connections: [");
    let (document, exit) = project.json(&["validate"]);
    let mut found = codes(&document);
    found.sort();
    assert_eq!((found, exit), (vec!["PB0101".to_owned(), "PB0110".to_owned(), "PB0111".to_owned()], 1));
}

#[test]
fn connections_that_exclude_each_other() {
    let cycle = project("sandbox:");
    cycle.write(
        "connections/all.yaml",
        &ONE.replace("    spec:", "    depends_on: [b]\n    spec:").replace(
            "connections:\n",
            &format!(
                "connections:\n{}",
                ONE.trim_start_matches("connections:\n")
                    .replace("  a:", "  b:")
                    .replace("connectionName: A", "connectionName: B")
                    .replace("    spec:", "    depends_on: [a]\n    spec:")
            ),
        ),
    );
    plan_fails(&cycle, "PB0112", 1, &["in a circle: kore/b → kore/a → kore/b"]);
    let twins = project("sandbox:");
    twins.write("connections/b.yaml", &ONE.replace("  a:", "  b:"));
    plan_fails(&twins, "PB0106", 1, &["`kore/a` and `kore/b` have one name"]);
}

#[test]
fn the_api_refuses_to_be_read() {
    for (fault, code, exit, words) in [
        ("GET /connections status=401", "PB0601", 1, vec!["rejected the credentials (401)", "GET http://127.0.0.1"]),
        ("GET /connections status=403", "PB0602", 1, vec!["may not do this (403)"]),
        ("GET /connections status=404", "PB0603", 1, vec!["nothing answers at this address"]),
        ("GET /connections status=503", "PB0607", 1, vec!["`kore` failed (503)"]),
        ("GET /connections html=200", "PB0611", 1, vec!["did not answer with JSON", "web console"]),
        ("GET /connections not-json", "PB0611", 1, vec!["did not answer with JSON"]),
        ("GET /connections truncate", "PB0614", 1, vec!["broke off"]),
        ("GET /connections reset-before", "PB0614", 1, vec!["broke"]),
        (
            "GET /connections redirect=https://login.example/",
            "PB0612",
            1,
            vec!["redirected to https://login.example/", "not sent there"],
        ),
    ] {
        let server = Server::start();
        server.fault(fault);
        let project = project(&server.url());
        plan_fails(&project, code, exit, &words);
        assert!(!project.exists("patchbay.state"), "{fault}: a plan writes nothing");
    }
}

#[test]
fn a_wrong_path_is_told_from_a_wrong_key() {
    let server = Server::start();
    let project = project(&format!("{}/api/publik", server.origin()));
    plan_fails(&project, "PB0603", 1, &["base_url should end in /api/public"]);
}

#[test]
fn nobody_there() {
    // A port that was free a moment ago and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    plan_fails(&project(&format!("http://127.0.0.1:{port}/api/public")), "PB0609", 1, &["cannot reach", "is it running"]);
}

#[test]
fn no_answer_in_time() {
    let server = Server::start();
    server.fault("GET /connections delay=3000");
    let project = project(&server.url());
    let ran = project.run(&["plan", "--retries", "0", "--timeout", "200ms"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0608") && ran.stderr.contains("within 0.2s"), "{ran}");
}

#[test]
fn tls_that_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0u8; 512];
        drop(stream.read(&mut hello));
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
    });
    plan_fails_once(
        &project(&format!("https://127.0.0.1:{port}/api/public")),
        "PB0610",
        &["no trusted TLS connection to 127.0.0.1", "it does not speak TLS there: is it http?", "base_url begins with http://"],
    );
    server.join().unwrap();
}

/// As [`plan_fails`], for servers that answer once.
#[track_caller]
fn plan_fails_once(project: &Project, code: &str, words: &[&str]) {
    let ran = project.run(&["plan", "--retries", "0"]);
    assert_eq!(ran.code, 1, "{ran}");
    for word in words.iter().chain([&code]) {
        assert!(ran.stderr.contains(word), "{word:?} is missing\n{ran}");
    }
}

#[test]
fn plain_http_leaves_the_machine_only_if_allowed() {
    let project = project("http://kore.example/api/public");
    plan_fails(&project, "PB0506", 4, &["unencrypted", "allow_http = true"]);
}

#[test]
fn a_short_list_proves_no_absence() {
    let server = Server::quirky("list_short=true");
    let project = project(&server.url());
    // One foreign object, which the short list leaves out: is it ours? Nobody knows.
    server.edit(|store| {
        store.put(patchbay::sandbox::Platform::Koreai, "cn-1", serde_json::json!({"connectionId": "cn-1", "connectionName": "X", "provider": "Open AI", "model": "m", "status": "ACTIVE", "createdOn": "2026-01-01T00:00:00.000Z", "modifiedOn": "2026-01-01T00:00:00.000Z"}));
    });
    plan_fails(&project, "PB0613", 4, &["0 of 1 came", "list_limit"]);
    let ran = project.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 4, "{ran}");
    assert!(server.requests().iter().all(|r| r.method == "GET"), "nothing is created on a partial list");
}

#[test]
fn a_list_without_its_total_proves_nothing_either() {
    let server = Server::quirky("list_total=false");
    plan_fails(&project(&server.url()), "PB0613", 4, &["nothing certifies that it is complete"]);
}

#[test]
fn a_damaged_state_is_an_error_with_a_line() {
    let server = Server::start();
    let project = project(&server.url());
    project.apply();
    let state = project.read("patchbay.state");
    project.write("patchbay.state", &state.replacen("\"rev\":1", "\"rev\":2", 1));
    plan_fails(&project, "PB0302", 1, &["patchbay.state", "line 2"]);
    project.write("patchbay.state", &format!("<<<<<<< HEAD\n{state}"));
    plan_fails(&project, "PB0302", 1, &["conflict"]);
    project.write("patchbay.state", &state.replacen("{\"patchbay_state\":1", "{\"patchbay_state\":9", 1));
    plan_fails(&project, "PB0303", 1, &["patchbay.state"]);
}

#[test]
fn a_write_that_the_api_refuses_changes_nothing_else() {
    let server = Server::start();
    let two = format!(
        "{ONE}{}",
        ONE.trim_start_matches("connections:\n").replace("  a:", "  b:").replace("connectionName: A", "connectionName: B")
    );
    let project = Project::kore(&server.url(), &two).with("OPENAI_API_KEY", "sk-weather-000000");
    server.fault("POST /connections status=422 times=1");
    let ran = project.run(&["apply", "--yes", "--parallelism", "1"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.stderr.contains("PB0605") && ran.stdout.contains("done") && ran.stdout.contains("failed"), "{ran}");
    assert_eq!(project.planned().len(), 1, "only what is left");
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn everything_refused_is_a_plain_failure() {
    let server = Server::start();
    server.fault("POST /connections status=403");
    let project = project(&server.url());
    let ran = project.run(&["apply", "--yes"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0602"), "{ran}");
}

#[test]
fn a_lost_answer_is_found_by_listing_and_never_repeated_blindly() {
    for fault in ["POST /connections reset-after times=1", "POST /connections truncate times=1"] {
        let server = Server::start();
        server.fault(fault);
        let project = project(&server.url());
        let ran = project.run(&["apply", "--yes"]);
        assert_eq!(ran.code, 0, "{fault}: {ran}");
        let posts = server.requests().iter().filter(|r| r.method == "POST").count();
        assert_eq!(posts, 1, "{fault}");
        project.assert_empty_plan();
    }
}

#[test]
fn a_success_that_cannot_be_read_is_neither_believed_nor_repeated() {
    let server = Server::start();
    server.fault("POST /connections html=200 times=1");
    let project = project(&server.url());
    let ran = project.run(&["apply", "--yes"]);
    assert!(ran.code == 3 && ran.stderr.contains("PB0701") && ran.flat().contains("found none; it may still appear"), "{ran}");
    assert_eq!(server.requests().iter().filter(|r| r.method == "POST").count(), 1);
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn a_create_whose_outcome_nobody_knows_is_reported_and_settled_by_the_next_run() {
    let server = Server::start();
    // The list that would tell cannot be read either.
    server.fault("POST /connections reset-after times=1");
    server.fault("GET /connections skip=1 times=1 status=500");
    let project = project(&server.url());
    let ran = project.run(&["apply", "--yes", "--retries", "0"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.stderr.contains("PB0701"), "{ran}");
    assert_eq!(project.planned(), ["kore/a adopt"]);
    project.apply();
    assert_eq!(server.requests().iter().filter(|r| r.method == "POST").count(), 1, "never made twice");
    project.assert_empty_plan();
}

#[test]
fn passing_trouble_is_waited_out() {
    let server = Server::start();
    let project = project(&server.url());
    server.fault("GET /connections status=503 times=2");
    server.fault("POST /connections status=429 retry-after=0 times=1");
    let ran = project.apply();
    assert!(ran.stderr.contains("503") && ran.stderr.contains("429"), "{ran}");
    assert_eq!(server.requests().iter().filter(|r| r.method == "POST" && r.status == 200).count(), 1);
    project.assert_empty_plan();
}

#[test]
fn an_object_deleted_outside_is_made_again() {
    let server = Server::start();
    let project = project(&server.url());
    project.apply();
    server.edit(|store| {
        let id = store.find(patchbay::sandbox::Platform::Koreai, "A").unwrap().to_owned();
        store.remove(patchbay::sandbox::Platform::Koreai, &id);
    });
    assert_eq!(project.planned(), ["kore/a create"]);
    project.apply();
    project.assert_empty_plan();
}

#[test]
fn a_state_of_another_host_is_not_applied_here() {
    let (first, second) = (Server::start(), Server::start());
    let project = project(&first.url());
    project.apply();
    project.replace("patchbay.toml", &first.url(), &second.url());
    plan_fails(&project, "PB0306", 4, &["another address than in the state", "--accept-target-change"]);
    let ran = project.run(&["apply", "--yes", "--accept-target-change"]);
    assert_eq!(ran.code, 0, "{ran}");
    project.assert_empty_plan();
}

#[test]
fn nobody_to_ask() {
    let server = Server::start();
    let project = project(&server.url());
    let ran = project.run(&["apply"]);
    assert!(ran.code == 4 && ran.stderr.contains("PB0504") && ran.stderr.contains("--yes"), "{ran}");
    assert!(server.requests().iter().all(|r| r.method == "GET"));
}

#[test]
fn wrong_use_of_the_command_line() {
    let project = Project::empty();
    for args in
        [&["plan", "--detailed-exitcodes"][..], &["nonsense"], &["plan", "--parallelism", "0"], &["apply", "--timeout", "soon"]]
    {
        let ran = project.run(args);
        assert_eq!(ran.code, 64, "{args:?}: {ran}");
        assert!(ran.stdout.is_empty() && ran.stderr.starts_with("error:"), "{ran}");
        let json = project.run(&[args, &["--json"]].concat());
        let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!((codes(&document), json.code), (vec!["PB0099".to_owned()], 64), "{args:?}");
    }
    let ran = project.run(&["diff"]);
    assert!(ran.code == 64 && ran.stderr.contains("in patchbay, `diff` is called `plan`"), "{ran}");
    let ran = project.run(&[]);
    assert!(ran.code == 0 && ran.stdout.contains("Usage: patchbay"), "{ran}");
    for args in [&["--help"][..], &["--version"], &["version"], &["plan", "--help"]] {
        assert_eq!(project.run(args).code, 0, "{args:?}");
    }
}

#[test]
fn a_state_that_cannot_be_written_stops_an_apply_before_anything_is_sent() {
    let server = Server::start();
    let project = project(&server.url());
    // A folder in which nobody can make a file, whoever runs this.
    let args = ["--state", "/proc/patchbay.state"];
    let ran = project.run(&[&args[..], &["plan"]].concat());
    assert_eq!(ran.code, 0, "looking needs no writing: {ran}");
    let ran = project.run(&[&args[..], &["apply", "--yes"]].concat());
    assert!(ran.code == 1 && ran.stderr.contains("PB0301") && ran.flat().contains("check the permissions"), "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[test]
fn a_second_project_on_one_state_touches_nothing_of_the_first() {
    let server = Server::start();
    let first = project(&server.url());
    first.apply();
    let state = first.path().join("patchbay.state");
    let second = Project::kore(&server.url(), "connections: {}\n");
    second.replace("patchbay.toml", "[targets.kore]", "[targets.other]");
    server.clear_requests();
    let args = ["--state", state.to_str().unwrap()];
    let ran = second.run(&[&args[..], &["apply", "--yes"]].concat());
    assert!(ran.code == 0 && ran.stdout.contains("its target or kind is no longer declared"), "{ran}");
    assert_eq!(server.writes(), Vec::<String>::new());
    first.assert_empty_plan();
}
