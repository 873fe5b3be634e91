//! Every exit code, as a process: what scripts and pipelines lean on. One row for each promise of docs/exit-codes.md.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::{Project, Server, story};

#[track_caller]
fn ends(project: &Project, args: &[&str], code: i32) {
    let ran = project.run(args);
    assert_eq!(ran.code, code, "{args:?}: {ran}");
}

#[test]
fn zero_is_done_and_nothing_to_say() {
    let server = Server::start();
    let project = story::fresh(&server);
    for args in [
        &["validate"][..],
        &["plan"],
        &["apply", "--yes"],
        &["apply", "--yes"],
        &["plan", "--detailed-exitcode"],
        &["drift"],
        &["fmt"],
        &["fmt", "--check"],
        &["version"],
        &["-h"],
        &[],
    ] {
        ends(&project, args, 0);
    }
}

#[test]
fn one_is_an_error_before_anything_was_changed() {
    let server = Server::start();
    let mut project = story::fresh(&server);
    project.unset("OPENAI_API_KEY");
    for args in [&["validate"][..], &["plan"], &["apply", "--yes"], &["drift"]] {
        ends(&project, args, 1);
    }
    project.set("OPENAI_API_KEY", "sk-0000000000000000");
    project.apply();
    server.clear_requests();
    server.fault("GET * status=401");
    for args in [&["plan"][..], &["apply", "--yes"], &["drift"], &["doctor"]] {
        ends(&project, args, 1);
    }
    server.clear_faults();
    project.write("connections/more.yaml", "connections:\n    a:   {target: kore, kind: openai, spec: {}}\n");
    ends(&project, &["fmt", "--check"], 1);
    ends(&project, &["validate"], 1);
    project.write("connections/more.yaml", "");
    project.write("patchbay.state", "nonsense\n");
    for args in [&["plan"][..], &["apply", "--yes"], &["drift"], &["state", "check"], &["state", "list"]] {
        ends(&project, args, 1);
    }
    assert!(server.writes().is_empty());
}

#[test]
fn two_is_said_when_asked() {
    let server = Server::start();
    let project = story::fresh(&server);
    ends(&project, &["plan"], 0);
    ends(&project, &["plan", "--detailed-exitcode"], 2);
    project.apply();
    story::drift(&server);
    ends(&project, &["drift"], 2);
    ends(&project, &["drift", "--json"], 2);
    ends(&project, &["drift", "-qq"], 2);
}

#[test]
fn three_is_partly_done() {
    let server = Server::start();
    let project = story::fresh(&server);
    server.fault("POST /connections status=400 times=1");
    ends(&project, &["apply", "--yes"], 3);
    // The outcome is unknown: the answer never came.
    server.fault("POST /connections reset-after times=9");
    server.fault("GET /connections status=503 skip=1 times=99");
    ends(&project, &["apply", "--yes", "--retries", "0", "--only", "kore"], 3);
    server.clear_faults();
    ends(&project, &["apply", "--yes"], 0);
    server.fault("DELETE /providers/legacy status=500 times=9");
    ends(&project, &["destroy", "--confirm", "gateway", "--retries", "0"], 3);
}

#[test]
fn four_is_refused() {
    let server = Server::start();
    let project = story::morning_after(&server);
    ends(&project, &["plan"], 4);
    server.clear_requests();
    for args in [
        &["apply", "--yes"][..],
        &["apply"],
        &["apply", "--skip-blocked"],
        &["apply", "--yes", "--skip-blocked", "--max-deletes", "0"],
        &["destroy", "gateway"],
    ] {
        ends(&project, args, 4);
    }
    ends(&project, &["plan", "--exclude", "kore/azure", "--out", "plan.json"], 0);
    project.replace("connections/kore.yaml", "llama3-70b-8192", "llama3-90b");
    ends(&project, &["apply", "plan.json"], 4);
    assert!(server.writes().is_empty());
}

#[test]
fn sixty_four_is_wrong_use() {
    let project = Project::empty();
    for args in [
        &["paln"][..],
        &["diff"],
        &["plan", "--nonsense"],
        &["plan", "--refresh", "some"],
        &["apply", "--parallelism", "0"],
        &["plan", "-q", "-v"],
        &["plan", "--report", "pdf=x"],
        &["state"],
        &["state", "rm"],
        &["explain"],
        &["completions", "tcsh"],
        &["schema", "everything"],
        &["version", "--format", "jsonl"],
        &["plan", "--format", "dot"],
        &["schema", "plan", "--lenient"],
    ] {
        ends(&project, args, 64);
    }
    let project = story::fresh(&Server::start());
    ends(&project, &["import", "kore", "cn-1"], 64);
    ends(&project, &["init"], 64);
}

#[test]
fn what_others_call_it_gives_a_tip() {
    let project = Project::empty();
    for (said, meant) in [
        ("diff", "plan"),
        ("preview", "plan"),
        ("sync", "apply"),
        ("push", "apply"),
        ("up", "apply"),
        ("pull", "export"),
        ("dump", "export"),
        ("ping", "doctor"),
        ("lint", "validate"),
        ("format", "fmt"),
        ("rollback", "apply"),
    ] {
        let ran = project.run(&[said]);
        assert!(ran.code == 64 && ran.stderr.contains(&format!("`{meant}`")), "{said}: {ran}");
        assert_eq!(ran.stderr.matches("tip:").count(), 1, "{said}: {ran}");
    }
}

#[test]
fn seventy_is_ours_and_says_nothing_it_should_not() {
    let project = Project::empty().with("PATCHBAY_TEST_PANIC", "sk-CANARY");
    let ran = project.run(&["version"]);
    assert_eq!(ran.code, 70, "{ran}");
    assert!(ran.stderr.contains("PB0901") && ran.stderr.contains("please report it") && !ran.stderr.contains("CANARY"), "{ran}");
}
