//! Killed in the middle: whatever the moment, the next run finds what was made and makes nothing twice.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::fmt::Write as _;
use std::time::Duration;

use common::{Project, Server};
use patchbay::sandbox::Platform;

fn many(n: usize) -> String {
    let mut text = String::from("connections:\n");
    for k in 0..n {
        writeln!(text, "  c{k}: {{ target: kore, kind: openai, spec: {{ connectionName: N{k}, model: m, fields: {{ API_KEY: \"${{{{ env.K }}}}\" }} }} }}").unwrap();
    }
    text
}

/// Waits until the server has seen this many requests of a method, or the program has ended.
fn wait_for(server: &Server, child: &mut std::process::Child, method: &str, count: usize) {
    while server.requests().iter().filter(|r| r.method == method).count() < count {
        if child.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_apply_is_continued_without_a_twin() {
    let cases = [
        (1, None),
        (3, None),
        (7, None),
        (11, None),
        (2, Some("POST /connections delay=30")),
        (5, Some("GET /connections/* delay=30")),
    ];
    // Each waits out the dead run's last request; together they wait once.
    std::thread::scope(|scope| {
        cases.map(|(after, fault)| scope.spawn(move || kill_and_continue(after, fault))).map(|case| case.join().unwrap())
    });
}

fn kill_and_continue(after: usize, fault: Option<&str>) {
    {
        let server = Server::start();
        let project = Project::kore(&server.url(), &many(12)).with("K", "sk-crash-000000");
        if let Some(fault) = fault {
            server.fault(fault);
        }
        let mut child = project.spawn(&["apply", "--yes", "--parallelism", "2"]);
        wait_for(&server, &mut child, "POST", after);
        child.kill().unwrap();
        child.wait().unwrap();
        server.clear_faults();
        // A plan right after the crash shows everything that is left, and nothing as new that is there.
        let made = server.edit(|store| store.count(Platform::Koreai));
        let plan = project.planned();
        let creates = plan.iter().filter(|line| line.ends_with(" create")).count();
        assert_eq!(creates, 12 - server.edit(|store| store.count(Platform::Koreai)), "{after} {fault:?}: {plan:?}");
        assert!(made >= after.min(12) - 1, "{after}: {made}");
        project.apply();
        project.assert_empty_plan();
        assert_eq!(server.edit(|store| store.count(Platform::Koreai)), 12, "{after} {fault:?}");
    }
}

#[test]
fn an_object_found_after_a_crash_is_verified_by_what_the_intent_announced() {
    let server = Server::start();
    // The server makes the object and answers late; the program is killed before it hears of it.
    server.fault("POST /connections delay=60000 times=1");
    let project = Project::kore(&server.url(), &many(1)).with("K", "sk-crash-000000");
    let mut child = project.spawn(&["apply", "--yes"]);
    while server.edit(|store| store.count(Platform::Koreai)) == 0 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.clear_faults();
    assert_eq!(project.planned(), ["kore/c0 adopt"]);
    project.apply();
    let (document, _) = project.json(&["plan"]);
    assert_eq!(document["summary"]["unverifiable"], 0, "its key is known to be ours: {document:#}");
    assert_eq!(server.edit(|store| store.count(Platform::Koreai)), 1);
}

#[test]
fn an_interrupt_finishes_what_is_in_flight_and_says_how_far_it_came() {
    let server = Server::start();
    server.fault("POST /connections delay=3000");
    let project = Project::kore(&server.url(), &many(6)).with("K", "sk-crash-000000");
    let mut child = project.spawn(&["apply", "--yes", "--parallelism", "1"]);
    wait_for(&server, &mut child, "POST", 1);
    interrupt(&child);
    let ran = common::Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran}");
    assert!(ran.stderr.contains("stopping: no new operations; waiting for 1 in flight"), "{ran}");
    assert_eq!(ran.stdout.matches("interrupted before it began").count(), 5, "those that waited for a place: {ran}");
    server.clear_faults();
    assert_eq!(server.edit(|store| store.count(Platform::Koreai)), 1, "what had its turn and was not sent is not sent");
    assert_eq!(project.planned().len(), 5, "everything in flight was recorded: nothing to adopt");
    let ran = project.run(&["apply", "--yes"]);
    assert!(!ran.stderr.contains("interrupted"), "nothing was left open: {ran}");
    project.assert_empty_plan();
}

#[test]
fn programs_are_told_of_an_interrupt_by_its_code() {
    let server = Server::start();
    server.fault("POST /connections delay=200");
    let project = Project::kore(&server.url(), &many(6)).with("K", "sk-crash-000000");
    let mut child = project.spawn(&["apply", "--yes", "--parallelism", "1", "--json", "--report", "junit=r.xml"]);
    wait_for(&server, &mut child, "POST", 1);
    interrupt(&child);
    let ran = common::Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran}");
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(common::codes(&document), ["PB0704"], "{document:#}");
    assert_eq!((&document["signal"], &document["complete"]), (&2.into(), &false.into()));
    assert!(project.read("r.xml").contains("PB0704"), "{}", project.read("r.xml"));
}

#[test]
fn two_interrupts_abandon_what_is_in_flight() {
    let server = Server::start();
    server.fault("POST /connections delay=60000");
    let project = Project::kore(&server.url(), &many(4)).with("K", "sk-crash-000000");
    let mut child = project.spawn(&["apply", "--yes", "--timeout", "2m", "--parallelism", "1"]);
    wait_for(&server, &mut child, "POST", 1);
    interrupt(&child);
    let mut waited = Duration::ZERO;
    while child.try_wait().unwrap().is_none() {
        // The second signal may come before the first was noticed; a third does no harm.
        interrupt(&child);
        std::thread::park_timeout(Duration::from_millis(50));
        waited += Duration::from_millis(50);
        assert!(waited < Duration::from_secs(20), "two interrupts end the program");
    }
    let ran = common::Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran}");
    assert_eq!(ran.stderr.matches("PB0701").count(), 1, "what was abandoned is named, and only that: {ran}");
    assert_eq!(ran.stdout.matches("interrupted before it began").count(), 3, "{ran}");
    server.clear_faults();
    project.apply();
    assert_eq!(server.edit(|store| store.count(Platform::Koreai)), 4);
}

#[test]
fn two_applies_at_once_both_land_and_make_nothing_twice() {
    let server = Server::start();
    server.fault("POST /connections delay=20");
    let project = Project::kore(&server.url(), &many(8)).with("K", "sk-crash-000000");
    project.run(&["plan", "--out", "key-is-made-now.json"]);
    let children: Vec<_> = (0..3).map(|_| project.spawn(&["apply", "--yes"])).collect();
    for child in children {
        let ran = common::Ran::of(&child.wait_with_output().unwrap());
        assert!([0, 1, 3, 4].contains(&ran.code), "{ran}");
    }
    server.clear_faults();
    project.apply();
    project.assert_empty_plan();
    assert_eq!(server.edit(|store| store.count(Platform::Koreai)), 8);
    let made = server.requests().iter().filter(|r| r.method == "POST" && r.status == 200).count();
    assert_eq!(made, 8);
}

fn interrupt(child: &std::process::Child) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // It may have ended by itself meanwhile.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
}
