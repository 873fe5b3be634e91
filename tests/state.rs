//! `patchbay state`: what is recorded is shown, revised and repaired, and no API hears of it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::collections::BTreeMap;

use common::{Project, Server, codes};
use patchbay::io::process;
use patchbay::state::{Entry, Intent, State};
use serde_json::{Value, json};

const FILE: &str = "patchbay.state";

fn openai(key: &str) -> String {
    format!(
        "  {key}: {{ target: kore, kind: openai, spec: {{ connectionName: Of {key}, model: m, fields: {{ API_KEY: \"${{{{ env.K }}}}\" }} }} }}\n"
    )
}

/// A project with these connections, applied.
fn applied(server: &Server, keys: &[&str]) -> Project {
    let connections: String = keys.iter().map(|key| openai(key)).collect();
    let project = Project::kore(&server.url(), &format!("connections:\n{connections}")).with("K", "sk-state-000000");
    project.apply();
    server.clear_requests();
    project
}

fn listed(project: &Project) -> Vec<String> {
    let (document, code) = project.json(&["state", "list"]);
    assert_eq!((code, &document["format_version"]), (0, &json!("1.0")), "{document:#}");
    let records = document["records"].as_array().unwrap();
    records.iter().map(|r| r["k"].as_str().unwrap().to_owned()).collect()
}

/// Runs a command that must fail, as text and as JSON, and leave the state alone.
#[track_caller]
fn refused(project: &Project, args: &[&str], code: &str, exit: i32, words: &str) {
    let before = project.read(FILE);
    let ran = project.run(args);
    assert_eq!(ran.code, exit, "{args:?}: {ran}");
    assert!(ran.flat().contains(words) && ran.stderr.contains(code), "{args:?}: {ran}");
    let (document, exit_of_json) = project.json(args);
    assert_eq!((codes(&document), exit_of_json), (vec![code.to_owned()], exit), "{args:?}: {document:#}");
    assert_eq!(document["format_version"], "1.0");
    assert_eq!(project.read(FILE), before, "{args:?}");
}

/// An announcement of this run on `kore/a`, behind all other lines.
fn announced(project: &Project, run: &str) {
    let intent = Entry::Intent(Intent {
        op: "X-1".to_owned(),
        address: "kore/a".parse().unwrap(),
        verb: "update".to_owned(),
        name: "Of a".to_owned(),
        base: 1,
        run: run.to_owned(),
        at: "2000-01-01T00:00:00Z".to_owned(),
        until: None,
        late: false,
        fp: BTreeMap::new(),
        extra: serde_json::Map::new(),
    });
    let text = project.read(FILE);
    project.write(FILE, &format!("{text}{}\n{}\n", Entry::Journal.encode(), intent.encode()));
}

#[test]
fn a_forgotten_record_leaves_its_object_alone() {
    let server = Server::start();
    let project = applied(&server, &["a", "b", "c"]);
    let ran = project.run(&["state", "rm", "kore/a", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("- kore/a") && ran.stdout.contains("Forgot 1 record. Nothing was touched at an API"), "{ran}");
    assert!(ran.flat().contains("1 of them is still declared"), "{ran}");
    assert_eq!(listed(&project), ["kore/b", "kore/c"]);
    assert!(server.requests().is_empty());
    assert_eq!(project.planned(), ["kore/a adopt"]);
    // A glob, and what is left out of it.
    let (document, code) = project.json(&["state", "rm", "kore/*", "--exclude", "kore/c", "--yes"]);
    assert_eq!(code, 0, "{document:#}");
    let forgotten = document["forgotten"].as_array().unwrap();
    assert_eq!((forgotten.len(), &forgotten[0]["address"], &forgotten[0]["rev"]), (1, &json!("kore/b"), &json!(1)));
    assert_eq!(listed(&project), ["kore/c"]);
}

#[test]
fn nothing_is_forgotten_by_a_typo_or_unasked() {
    let server = Server::start();
    let project = applied(&server, &["support", "other"]);
    refused(&project, &["state", "rm", "kore/suport", "--yes"], "PB0116", 1, "did you mean `kore/support`?");
    refused(&project, &["state", "rm", "kore/support", "kore/nope-*", "--yes"], "PB0116", 1, "no record of `kore/nope-*`");
    refused(&project, &["state", "rm", "[", "--yes"], "PB0099", 64, "is not a pattern");
    refused(&project, &["state", "rm", "kore/support"], "PB0504", 4, "pass --yes");
    refused(&project, &["state", "show", "kore/othr"], "PB0116", 1, "did you mean `kore/other`?");
    assert_eq!(project.run_with_input(&["state", "rm", "kore/support"], "yes\n").code, 4, "nobody is at a terminal");
    assert_eq!(listed(&project), ["kore/other", "kore/support"]);
}

#[test]
fn what_a_run_may_be_writing_is_not_touched() {
    let server = Server::start();
    let project = applied(&server, &["a", "b"]);
    // This test is the run that announced it, and it lives.
    let run = process::this_run();
    announced(&project, &run);
    refused(&project, &["state", "rm", "kore/*", "--yes"], "PB0305", 4, "another run works on `kore/a`");
    refused(&project, &["state", "mv", "kore/a", "kore/z"], "PB0305", 4, "nothing was changed");
    let (document, code) = project.json(&["state", "check"]);
    let open = &document["open_intents"][0];
    assert_eq!((code, &open["address"], &open["process"], &open["run"]), (0, &json!("kore/a"), &json!("may_live"), &json!(run)));
    assert_eq!(project.run(&["state", "rm", "kore/b", "--yes"]).code, 0);
    // Another process has its number by now, so the run is gone.
    let gone = applied(&server, &["a", "b"]);
    announced(&gone, &format!("{run}9"));
    let ran = gone.run(&["state", "check"]);
    assert!(ran.code == 0 && ran.stdout.contains("update of kore/a") && ran.stdout.contains("its process is gone"), "{ran}");
    let ran = gone.run(&["state", "rm", "kore/a", "--yes"]);
    assert!(ran.code == 0 && ran.flat().contains("an interrupted update of `kore/a` is still open"), "{ran}");
}

#[test]
fn a_record_that_moves_keeps_what_is_known_of_its_secrets() {
    let server = Server::start();
    let project = applied(&server, &["old", "other"]);
    let ran = project.run(&["state", "mv", "kore/old", "kore/new"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("`kore/old` is recorded as `kore/new` now. Nothing was touched at an API."), "{ran}");
    assert!(ran.flat().contains("still declare `kore/old`"), "{ran}");
    assert!(server.requests().is_empty());
    assert_eq!(listed(&project), ["kore/new", "kore/other"]);
    project.replace("connections/all.yaml", "  old:", "  new:");
    project.assert_empty_plan();
    for refresh in ["auto", "full"] {
        let (document, _) = project.json(&["plan", "--refresh", refresh]);
        assert_eq!(document["summary"]["unverifiable"], 0, "{refresh}: {document:#}");
    }
    let (document, code) = project.json(&["state", "mv", "kore/new", "kore/newer"]);
    assert_eq!((code, &document["moved"]["secrets"]), (0, &json!({ "carried": 1, "dropped": [] })), "{document:#}");
    assert_eq!(project.planned(), ["kore/new move"], "the files still say otherwise");
}

#[test]
fn a_fingerprint_that_cannot_move_is_dropped_and_said() {
    let server = Server::start();
    let mut project = applied(&server, &["old"]);
    project.unset("K");
    let ran = project.run(&["state", "mv", "kore/old", "kore/new"]);
    assert_eq!(ran.code, 0, "{ran}");
    let said = ran.flat();
    assert!(said.contains("Nothing is known any more of `fields.API_KEY`") && said.contains("--rewrite-secrets"), "{ran}");
    project.set("K", "sk-state-000000");
    project.replace("connections/all.yaml", "  old:", "  new:");
    // Not verified is not changed.
    project.assert_empty_plan();
    assert_eq!(project.json(&["plan"]).0["summary"]["unverifiable"], 1);
    assert_eq!(project.json(&["plan", "--rewrite-secrets"]).0["summary"]["rotate"], 1);
    // Where the files hold another value by now, nothing is claimed either.
    assert_eq!(project.run(&["apply", "--yes", "--rewrite-secrets"]).code, 0);
    project.set("K", "sk-state-111111");
    let (document, _) = project.json(&["state", "mv", "kore/new", "kore/third"]);
    assert_eq!(document["moved"]["secrets"], json!({ "carried": 0, "dropped": ["fields.API_KEY"] }), "{document:#}");
}

#[test]
fn a_record_goes_only_where_it_can_be() {
    let server = Server::start();
    let project = applied(&server, &["a", "b"]);
    for (from, to, code, words) in [
        ("kore/nope", "kore/z", "PB0116", "no record of `kore/nope`"),
        ("kore/a", "plain", "PB0115", "`plain` is not an address: it has no `/`"),
        ("kore/a", "kore/a", "PB0103", "is where it is to go"),
        ("kore/a", "elsewhere/a", "PB0103", "its object is on the target `kore`"),
        ("kore/a", "kore/b", "PB0407", "`kore/b` is recorded already"),
    ] {
        refused(&project, &["state", "mv", from, to], code, 1, words);
    }
}

#[test]
fn a_damaged_file_is_checked_and_repaired() {
    let server = Server::start();
    let project = applied(&server, &["a", "b"]);
    let whole = project.read(FILE);
    let ran = project.run(&["state", "check"]);
    assert!(ran.code == 0 && ran.stdout.contains("whole") && ran.stdout.contains("records     2"), "{ran}");
    let ran = project.run(&["state", "repair"]);
    assert!(ran.code == 0 && ran.stdout.contains("Nothing to repair"), "{ran}");
    assert_eq!(project.json(&["state", "repair"]).0["repaired"], false);
    assert_eq!(project.read(FILE), whole);

    // A hand changed the second line, `kore/a`.
    let damaged = whole.replacen("\"rev\":1", "\"rev\":2", 1) + "no line of ours\n";
    project.write(FILE, &damaged);
    let ran = project.run(&["plan"]);
    assert!(ran.code == 1 && ran.flat().contains("patchbay state repair"), "{ran}");
    refused(&project, &["state", "check"], "PB0302", 1, "line 2, about `kore/a`: its checksum differs");
    let (document, _) = project.json(&["state", "check"]);
    let lines: Vec<(u64, &str)> = document["damaged_lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["line"].as_u64().unwrap(), d["address"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!((lines, &document["damaged"]), (vec![(2, "kore/a"), (4, "")], &json!(true)), "{document:#}");
    refused(&project, &["state", "repair"], "PB0504", 4, "a repair needs approval");
    refused(&project, &["state", "history"], "PB0302", 1, "is damaged: 2 lines");
    assert!(!project.exists("patchbay.state.damaged-1"));

    let ran = project.run(&["state", "repair", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("- line 2, about kore/a: its checksum differs"), "{ran}");
    assert!(ran.stdout.contains("2 entries kept") && ran.stdout.contains("patchbay.state.damaged-1"), "{ran}");
    assert_eq!(project.read("patchbay.state.damaged-1"), damaged);
    assert_eq!(listed(&project), ["kore/b"]);
    assert_eq!(project.run(&["state", "check"]).code, 0);
    assert_eq!(project.planned(), ["kore/a adopt"]);
    assert!(server.writes().is_empty());
}

#[test]
fn a_git_conflict_is_joined() {
    let server = Server::start();
    let project = applied(&server, &["a", "b"]);
    let lines: Vec<String> = project.read(FILE).lines().map(ToOwned::to_owned).collect();
    let [header, a, b] = lines.as_slice() else { panic!("{lines:?}") };
    project.write(FILE, &format!("{header}\n<<<<<<< HEAD\n{a}\n=======\n{b}\n>>>>>>> theirs\n"));
    let ran = project.run(&["plan"]);
    assert!(ran.code == 1 && ran.flat().contains("git conflict markers: line 2"), "{ran}");
    let (document, code) = project.json(&["state", "repair", "--yes"]);
    assert_eq!((code, &document["kept"], &document["lineage"]), (0, &json!(3), &json!("kept")), "{document:#}");
    let dropped: Vec<&Value> = document["dropped"].as_array().unwrap().iter().map(|d| &d["line"]).collect();
    assert_eq!(dropped, [&json!(2), &json!(4), &json!(6)]);
    assert_eq!(project.read(FILE), format!("{header}\n{a}\n{b}\n"));
    project.assert_empty_plan();
}

#[test]
fn a_file_without_its_first_line_costs_only_the_fingerprints() {
    let server = Server::start();
    let project = applied(&server, &["a"]);
    let whole = project.read(FILE);
    project.write(FILE, whole.split_once('\n').unwrap().1);
    let ran = project.run(&["state", "repair", "--yes"]);
    assert!(ran.code == 0 && ran.stdout.contains("Fingerprints are bound to their state"), "{ran}");
    assert_eq!(listed(&project), ["kore/a"]);
    project.assert_empty_plan();
    assert_eq!(project.json(&["plan"]).0["summary"]["unverifiable"], 1);
}

#[test]
fn what_cannot_be_judged_is_not_repaired() {
    let server = Server::start();
    let project = applied(&server, &["a"]);
    let whole = project.read(FILE);
    project.write(FILE, &whole.replace("patchbay_state\":1", "patchbay_state\":2"));
    refused(&project, &["state", "repair", "--yes"], "PB0303", 1, "newer format: 2.0");
    refused(&project, &["state", "check"], "PB0303", 1, "newer format: 2.0");
    project.write(FILE, "");
    refused(&project, &["state", "repair", "--yes"], "PB0302", 1, "nothing in");
}

#[test]
fn history_tells_what_the_file_still_knows() {
    let server = Server::start();
    let mut project = applied(&server, &["a", "b"]);
    project.set("K", "sk-state-111111");
    project.apply();
    assert_eq!(project.run(&["state", "rm", "kore/a", "--yes"]).code, 0);
    announced(&project, "0123/elsewhere/1.5");
    let before = project.read(FILE);
    let (document, code) = project.json(&["state", "history"]);
    let events: Vec<(&str, &str, Option<u64>)> = document["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["address"].as_str().unwrap(), e["event"].as_str().unwrap(), e["rev"].as_u64()))
        .collect();
    let expected = [("kore/a", "forgotten", Some(3)), ("kore/b", "recorded", Some(2)), ("kore/a", "open", None)];
    assert_eq!((code, events.as_slice()), (0, &expected[..]), "{document:#}");
    let ran = project.run(&["state", "history", "kore/b"]);
    assert!(ran.code == 0 && ran.stdout.lines().count() == 1 && ran.stdout.contains("rev 2"), "{ran}");
    assert!(ran.stdout.contains("recorded as cn-") && ran.stdout.contains("\"Of b\""), "{ran}");
    refused(&project, &["state", "history", "kore/bb"], "PB0116", 1, "did you mean `kore/b`?");
    assert_eq!(project.read(FILE), before);
}

#[test]
fn a_state_is_looked_at_without_a_project() {
    let server = Server::start();
    let project = applied(&server, &["a"]);
    let alone = Project::empty();
    alone.write("copy.state", &project.read(FILE));
    for args in [&["state", "list"][..], &["state", "show", "kore/a"], &["state", "check"], &["state", "history"]] {
        let ran = alone.run(&[args, &["--state", "copy.state"]].concat());
        assert!(ran.code == 0 && ran.stdout.contains(if args[1] == "check" { "records     1" } else { "kore/a" }), "{ran}");
    }
    let ran = alone.run(&["state", "mv", "kore/a", "kore/b", "--state", "copy.state"]);
    assert!(ran.code == 0 && ran.flat().contains("is not here"), "{ran}");
    let ran = alone.run(&["state", "check", "--state", "none.state"]);
    assert!(ran.code == 0 && ran.stdout.contains("there is no state yet"), "{ran}");
    assert!(!alone.exists("none.state"));
    assert_eq!(alone.run(&["state", "list"]).code, 1, "no project names a state");
}

#[test]
fn the_state_on_the_page_about_it_is_one() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/state.md")).unwrap();
    let shown: String = page.lines().filter(|line| line.starts_with('{')).map(|line| format!("{line}\n")).collect();
    let (state, warnings) = State::from_text("docs/state.md", shown.as_bytes()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((state.records().count(), state.open_intents().count()), (2, 1));
}
