//! `patchbay state rekey`: another key for the fingerprints, and what was known of secrets is still known.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

use common::{Project, Ran, Server, codes};
use patchbay::io::process;
use patchbay::state::{Entry, Intent};
use serde_json::{Value, json};

const STATE: &str = "patchbay.state";
const KEY: &str = ".patchbay/key";
const REKEY: &[&str] = &["state", "rekey", "--yes"];

fn value(variable: &str) -> String {
    format!("sk-rekey-{variable}-000000")
}

/// A project with one connection for each of these variables, not applied yet.
fn project(url: &str, variables: &[&str]) -> Project {
    let mut connections = String::from("connections:\n");
    for variable in variables {
        let key = variable.to_lowercase();
        connections.push_str(&format!(
            "  {key}: {{ target: kore, kind: openai, spec: {{ connectionName: Of {key}, model: m, fields: {{ API_KEY: \"${{{{ env.{variable} }}}}\" }} }} }}\n"
        ));
    }
    let mut project = Project::kore(url, &connections);
    for variable in variables {
        project.set(variable, &value(variable));
    }
    project
}

/// The same, applied.
fn applied(server: &Server, variables: &[&str]) -> Project {
    let project = project(&server.url(), variables);
    project.apply();
    server.clear_requests();
    project
}

fn unverifiable(project: &Project) -> Value {
    project.json(&["plan"]).0["summary"]["unverifiable"].clone()
}

/// There is nothing to do, and nothing about which anything is not known.
#[track_caller]
fn assert_verified(project: &Project) {
    project.assert_empty_plan();
    for refresh in ["auto", "full"] {
        let (document, _) = project.json(&["plan", "--refresh", refresh]);
        assert_eq!(document["summary"]["unverifiable"], 0, "{refresh}: {document:#}");
    }
    assert_eq!(waiting(project), Vec::<String>::new());
}

/// The names of the keys that wait to be used.
fn waiting(project: &Project) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(project.path().join(".patchbay")) else { return Vec::new() };
    let names = folder.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("key.next")).collect()
}

/// The keys that the fingerprints in the state name.
fn key_ids(project: &Project) -> BTreeSet<String> {
    let (document, _) = project.json(&["state", "list"]);
    let records = document["records"].as_array().unwrap();
    let prints = records.iter().flat_map(|record| record["fp"].as_object().unwrap().values());
    prints.map(|print| print.as_str().unwrap()[1..9].to_owned()).collect()
}

/// Runs a command that must fail, as text and as JSON, and change nothing.
#[track_caller]
fn refused(project: &Project, args: &[&str], code: &str, exit: i32, words: &str) {
    let files = || project.all_files().into_iter().collect::<BTreeMap<_, _>>();
    let before = files();
    let ran = project.run(args);
    assert_eq!(ran.code, exit, "{args:?}: {ran}");
    assert!(ran.flat().contains(words) && ran.stderr.contains(code), "{args:?}: {ran}");
    let (document, exit_of_json) = project.json(args);
    assert_eq!((codes(&document), exit_of_json), (vec![code.to_owned()], exit), "{args:?}: {document:#}");
    assert_eq!(files(), before, "{args:?}");
}

#[test]
fn with_another_key_everything_is_known_as_before() {
    let server = Server::start();
    let mut project = applied(&server, &["A", "B"]);
    let (old, old_ids) = (project.read(KEY), key_ids(&project));
    let ran = project.run(REKEY);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("2 of 2 fingerprints can be made anew"), "{ran}");
    assert!(ran.stdout.contains("Made 2 fingerprints with the new key"), "{ran}");
    assert!(ran.flat().contains("in place of 2 secrets is not known any more"), "{ran}");
    assert!(server.requests().is_empty());

    let new = project.read(KEY);
    assert!(new != old && new.trim().len() == 64, "{new}");
    let mode = std::fs::metadata(project.path().join(KEY)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for (path, bytes) in project.all_files() {
        assert!(!String::from_utf8_lossy(&bytes).contains(old.trim()), "{} has the old key", path.display());
    }
    let ids = key_ids(&project);
    assert!(ids.len() == 1 && ids.is_disjoint(&old_ids), "{ids:?}");
    assert_verified(&project);
    // It is a proof and no blessing: a value that changes is seen.
    project.set("A", "sk-rekey-other-0000");
    assert_eq!(project.planned(), ["kore/a rotate"]);
    project.set("A", &value("A"));
    assert!(server.writes().is_empty());

    let (document, code) = project.json(REKEY);
    let state = &document["rekeyed"]["states"][0];
    assert_eq!((code, &state["made"], &state["already"], &state["left"]), (0, &json!(2), &json!(0), &json!([])), "{document:#}");
    assert_eq!(document["rekeyed"]["old_key"], *ids.first().unwrap());
    assert_verified(&project);
}

#[test]
fn a_default_is_a_value_too() {
    let server = Server::start();
    let mut project = project(&server.url(), &["A"]);
    project.replace("connections/all.yaml", "env.A }}", "env.A | default('sk-rekey-default-00') }}");
    project.unset("A");
    project.apply();
    assert_eq!(project.run(REKEY).code, 0);
    assert_verified(&project);
}

#[test]
fn a_secret_that_is_not_at_hand_is_named_and_never_shows_as_changed() {
    let server = Server::start();
    let mut project = applied(&server, &["A", "B", "C"]);
    project.unset("B");
    project.set("C", "sk-rekey-other-0000");
    let (document, code) = project.json(&["state", "rekey"]);
    assert_eq!((code, codes(&document)), (4, vec!["PB0504".to_owned()]), "{document:#}");
    let ran = project.run(REKEY);
    assert_eq!(ran.code, 0, "{ran}");
    for words in [
        "1 of 3 fingerprints can be made anew",
        "- kore/b   fields.API_KEY   its value is not at hand",
        "- kore/c   fields.API_KEY   the value at hand is not the recorded one",
        "should be applied first",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {ran}");
    }
    assert!(ran.flat().contains("environment variable `B` is not set"), "{ran}");
    project.set("B", &value("B"));
    project.assert_empty_plan();
    assert_eq!(unverifiable(&project), 2);
    assert!(project.run(&["plan"]).stdout.contains("fingerprinted with another key"));
    // Once more does not help, and says why.
    let (document, _) = project.json(REKEY);
    let left = document["rekeyed"]["states"][0]["left"].as_array().unwrap().clone();
    let why: Vec<(&Value, &Value)> = left.iter().map(|left| (&left["address"], &left["why"])).collect();
    let other = json!("other_key");
    assert_eq!(why, [(&json!("kore/b"), &other), (&json!("kore/c"), &other)], "{document:#}");
    assert_eq!(project.json(&["plan", "--rewrite-secrets"]).0["summary"]["rotate"], 2);
    assert_eq!(project.run(&["apply", "--yes", "--rewrite-secrets"]).code, 0);
    assert_verified(&project);
}

#[test]
fn a_connection_that_is_about_to_move_keeps_what_is_known() {
    let server = Server::start();
    let project = applied(&server, &["A"]);
    let moved = project.read("connections/all.yaml").replace("  a:", "  z:") + "moved:\n  - { from: kore/a, to: kore/z }\n";
    project.write("connections/all.yaml", &moved);
    assert_eq!(project.run(REKEY).code, 0);
    assert_eq!((project.planned(), unverifiable(&project)), (vec!["kore/z move".to_owned()], json!(0)));
}

#[test]
fn a_key_from_a_variable_goes_to_one_from_a_variable() {
    let server = Server::start();
    let mut project = project(&server.url(), &["A", "B"]);
    project.set("PATCHBAY_STATE_KEY", &"0a".repeat(32));
    project.apply();
    let named = &["state", "rekey", "--yes", "--new-key-env", "NEW"];
    refused(&project, REKEY, "PB0103", 1, "has to come from a variable, too");
    refused(&project, named, "PB0201", 1, "`NEW` is not set");
    project.set("NEW", "too short for a key");
    refused(&project, named, "PB0103", 1, "`NEW` holds no key");
    project.set("NEW", &"0a".repeat(32));
    refused(&project, named, "PB0103", 1, "`NEW` holds the key that is in use");
    project.set("NEW", &"0b".repeat(32));
    project.unset("B");
    let ran = project.run(named);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.flat().contains("PATCHBAY_STATE_KEY has to be what `NEW` is"), "{ran}");
    assert!(!project.exists(KEY) && waiting(&project).is_empty());
    // With the old key nobody can tell, and nothing is changed.
    project.set("B", &value("B"));
    project.assert_empty_plan();
    assert_eq!(unverifiable(&project), 1);
    // What was missed follows, and what is done stays.
    let (document, _) = project.json(named);
    let state = &document["rekeyed"]["states"][0];
    assert_eq!((&state["made"], &state["already"]), (&json!(1), &json!(1)), "{document:#}");
    let before = project.read(STATE);
    assert_eq!(project.json(named).0["rekeyed"]["states"][0]["made"], 0);
    assert_eq!(project.read(STATE), before);
    project.set("PATCHBAY_STATE_KEY", &"0b".repeat(32));
    assert_verified(&project);
}

#[test]
fn a_key_of_ones_own_goes_into_the_file() {
    let server = Server::start();
    let mut project = applied(&server, &["A"]);
    project.set("NEW", "a text that is long enough to be a key");
    assert_eq!(project.run(&["state", "rekey", "--yes", "--new-key-env", "NEW"]).code, 0);
    assert_verified(&project);
    // The same text as a variable is the same key.
    std::fs::remove_file(project.path().join(KEY)).unwrap();
    project.set("PATCHBAY_STATE_KEY", "a text that is long enough to be a key");
    assert_verified(&project);
}

#[test]
fn no_key_is_replaced_unasked_or_in_part() {
    let server = Server::start();
    let project = applied(&server, &["A", "B"]);
    refused(&project, &["state", "rekey"], "PB0504", 4, "another key needs approval");
    refused(&project, &["state", "rekey", "--yes", "--only", "kore/a"], "PB0103", 1, "for all connections at once");
    std::fs::remove_file(project.path().join(KEY)).unwrap();
    refused(&project, REKEY, "PB0116", 1, "there is no key to replace");
    let other = Server::start();
    let broken = applied(&other, &["A"]);
    broken.write("connections/more.yaml", "connections: [\n");
    refused(&broken, REKEY, "PB0101", 1, "connections/more.yaml");
}

#[test]
fn what_a_run_may_be_writing_is_not_touched() {
    let server = Server::start();
    let project = applied(&server, &["A"]);
    let text = project.read(STATE);
    let announced = |run: &str| {
        let intent = Entry::Intent(Intent {
            op: "X-1".to_owned(),
            address: "kore/new".parse().unwrap(),
            verb: "create".to_owned(),
            name: "New".to_owned(),
            base: 0,
            run: run.to_owned(),
            at: "2000-01-01T00:00:00Z".to_owned(),
            until: None,
            late: false,
            fp: BTreeMap::new(),
            extra: serde_json::Map::new(),
        });
        project.write(STATE, &format!("{text}{}\n{}\n", Entry::Journal.encode(), intent.encode()));
    };
    // This test is the run that announced it, and it lives.
    let run = process::this_run();
    announced(&run);
    refused(&project, REKEY, "PB0305", 4, "another run works on `kore/new`");
    // Another process has its number by now, so the run is gone.
    announced(&format!("{run}9"));
    let ran = project.run(REKEY);
    assert!(ran.code == 0 && ran.flat().contains("an interrupted create of `kore/new` is still open"), "{ran}");
}

#[test]
fn what_was_interrupted_is_finished_with_the_same_key() {
    let server = Server::start();
    let mut project = applied(&server, &["A", "B"]);
    let (old, before) = (project.read(KEY), project.read(STATE));
    let (document, _) = project.json(REKEY);
    let next = format!(".patchbay/key.next-{}", document["rekeyed"]["new_key"].as_str().unwrap());
    let (new, after) = (project.read(KEY), project.read(STATE));
    let line = |text: &str, n: usize| format!("{}\n", text.lines().nth(n).unwrap());
    let half = line(&before, 0) + &line(&after, 1) + &line(&before, 2);
    // Killed before the first line of the state, between two of them, and behind the last one.
    for (state, made) in [(&before, 2), (&half, 1), (&after, 0)] {
        project.write(KEY, &old);
        project.write(&next, &new);
        project.write(STATE, state);
        let ran = project.run(&["plan", "--detailed-exitcode"]);
        assert!(ran.code == 0 && ran.flat().contains("was about to be replaced"), "{made}: {ran}");
        assert_eq!(unverifiable(&project), 2 - made, "{made}");
        project.apply();
        project.set("NEW", &"0c".repeat(32));
        refused(&project, &["state", "rekey", "--yes", "--new-key-env", "NEW"], "PB0305", 4, "finish it first");
        let (document, code) = project.json(REKEY);
        let done = &document["rekeyed"];
        assert_eq!((code, &done["resumed"]), (0, &json!(true)), "{document:#}");
        assert_eq!((&done["states"][0]["made"], &done["states"][0]["already"]), (&json!(made), &json!(2 - made)), "{document:#}");
        assert_eq!(project.read(KEY), new);
        assert_verified(&project);
    }
    assert!(server.writes().is_empty());
}

#[test]
fn killed_at_any_moment_it_makes_no_secret_look_changed() {
    for moment in ["at once", "a key waits", "the state is written", "the key is replaced"] {
        let server = Server::start();
        let project = applied(&server, &["A", "B", "C"]);
        let read = |path: &str| std::fs::read_to_string(project.path().join(path)).unwrap_or_default();
        let (key, state) = (read(KEY), read(STATE));
        let has_come = || match moment {
            "at once" => true,
            "a key waits" => !waiting(&project).is_empty(),
            "the state is written" => read(STATE) != state,
            _ => read(KEY) != key,
        };
        let mut child = project.spawn(REKEY);
        while !has_come() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        project.assert_empty_plan();
        let ran = project.run(REKEY);
        assert_eq!(ran.code, 0, "{moment}: {ran}");
        assert_verified(&project);
        assert!(server.writes().is_empty(), "{moment}");
    }
}

#[test]
fn of_several_at_once_none_spoils_another_ones_work() {
    let server = Server::start();
    let project = applied(&server, &["A", "B", "C"]);
    let children: Vec<_> = (0..4).map(|_| project.spawn(REKEY)).collect();
    for child in children {
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert!([0, 1, 4].contains(&ran.code), "{ran}");
    }
    project.assert_empty_plan();
    // Each that gave way left its key, and they take their turns.
    for _ in 0..5 {
        assert_eq!(project.run(REKEY).code, 0);
    }
    assert_verified(&project);
}

#[test]
fn the_states_of_all_profiles_get_the_new_key() {
    let (server, staging) = (Server::start(), Server::start());
    let mut project = project(&server.url(), &["A"]);
    let toml = project.read("patchbay.toml");
    project.write("patchbay.toml", &format!("{toml}\n[profile.staging.targets.kore]\nbase_url = \"{}\"\n", staging.url()));
    project.apply();
    assert_eq!(project.run(&["--profile", "staging", "apply", "--yes"]).code, 0);
    let staged = |project: &Project| project.json(&["--profile", "staging", "plan"]).0["summary"].clone();
    let known = staged(&project);
    assert_eq!(known["unverifiable"], 0);
    for profile in [&[][..], &["--profile", "staging"]] {
        let (document, code) = project.json(&[profile, REKEY].concat());
        let states = document["rekeyed"]["states"].as_array().unwrap();
        let made: Vec<&Value> = states.iter().map(|state| &state["made"]).collect();
        assert_eq!((code, made), (0, vec![&json!(1), &json!(1)]), "{document:#}");
        assert_verified(&project);
        assert_eq!(staged(&project), known);
    }
    // The same file under another name is done once.
    let (document, code) = project.json(&[REKEY, &["--state", STATE]].concat());
    assert_eq!((code, document["rekeyed"]["states"].as_array().map(Vec::len)), (0, Some(2)), "{document:#}");
    // A state that only the command line knows has the key, too, and the project's own are not forgotten over it.
    project.write("copy.state", &project.read(STATE));
    let (document, code) = project.json(&[REKEY, &["--state", "copy.state"]].concat());
    assert_eq!((code, document["rekeyed"]["states"].as_array().map(Vec::len)), (0, Some(3)), "{document:#}");
    assert_verified(&project);
    assert_eq!(staged(&project), known);
    // A variable may hold another value for each of them, so each is done by itself.
    project.set("PATCHBAY_STATE_KEY", project.read(KEY).trim());
    project.set("NEW", &"0d".repeat(32));
    let (document, _) = project.json(&["state", "rekey", "--yes", "--new-key-env", "NEW"]);
    assert_eq!(document["rekeyed"]["states"].as_array().map(Vec::len), Some(1), "{document:#}");
    let elsewhere = document["rekeyed"]["elsewhere"].to_string();
    assert!(elsewhere.contains("patchbay.staging.state"), "{document:#}");
    assert_eq!(staged(&project), known);
}

#[test]
fn neither_a_key_nor_a_secret_is_printed_or_left_behind() {
    let server = Server::start();
    let mut project = applied(&server, &["A", "B"]);
    project.unset("B");
    let mut needles = vec![value("A"), value("B"), project.read(KEY).trim().to_owned()];
    let mut clean = |project: &Project, args: &[&str]| {
        let ran = project.run(args);
        let now = std::fs::read_to_string(project.path().join(KEY)).unwrap_or_default();
        needles.push(now.trim().to_owned());
        for needle in needles.iter().filter(|needle| !needle.is_empty()) {
            assert!(!ran.stdout.contains(needle) && !ran.stderr.contains(needle), "{args:?} says {needle}: {ran}");
            for (path, bytes) in project.all_files() {
                let is_own = path.ends_with(KEY) && *needle == now.trim();
                assert!(is_own || !String::from_utf8_lossy(&bytes).contains(needle), "{} has {needle}", path.display());
            }
        }
    };
    clean(&project, &["state", "rekey"]);
    clean(&project, REKEY);
    clean(&project, &["state", "rekey", "--yes", "--json"]);
    let key = "CANARY-a-text-of-at-least-32-characters";
    for given in ["CANARY-too-short", key] {
        project.set("NEW", given);
        for args in
            [&["state", "rekey", "--new-key-env", "NEW"][..], &["state", "rekey", "--yes", "--json", "--new-key-env", "NEW"]]
        {
            let ran = project.run(args);
            assert!(!format!("{ran}").contains("CANARY"), "{ran}");
            clean(&project, args);
        }
    }
    for (path, bytes) in project.all_files() {
        assert!(!String::from_utf8_lossy(&bytes).contains("CANARY"), "{}", path.display());
    }
}

#[test]
fn another_key_than_the_one_in_use_forgets_nothing() {
    let server = Server::start();
    let mut project = applied(&server, &["A"]);
    let state = project.read(STATE);
    project.set("PATCHBAY_STATE_KEY", &"cd".repeat(32));
    project.set("NEW", &"ab".repeat(32));
    let ran = project.run(&["state", "rekey", "--yes", "--new-key-env", "NEW"]);
    assert!(ran.code == 1 && ran.flat().contains("is the key at hand the one that this state was written with"), "{ran}");
    assert_eq!(project.read(STATE), state);
}
