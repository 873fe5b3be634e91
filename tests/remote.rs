//! One state for several people: at a web address, and in every store that is installed here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;
#[path = "common/etag.rs"]
mod etag;
#[path = "common/stores.rs"]
mod stores;

use std::fmt::Write as _;

use common::{Project, Ran, Server};
use etag::{Etags, Manner};
use patchbay::sandbox::Platform;

fn many(n: usize) -> String {
    let mut text = String::from("connections:\n");
    for k in 0..n {
        writeln!(text, "  c{k}: {{ target: kore, kind: openai, spec: {{ connectionName: N{k}, model: m, fields: {{ API_KEY: \"${{{{ env.K }}}}\" }} }} }}").unwrap();
    }
    text
}

/// Somebody's checkout: the same files and the same key, another folder.
fn person(server: &Server, url: &str, connections: &str) -> Project {
    let project =
        Project::kore(&server.url(), connections).with("K", "sk-remote-000000").with("PATCHBAY_STATE_KEY", &"0f".repeat(32));
    let file = project.read("patchbay.toml");
    project.write("patchbay.toml", &format!("{file}\n[state]\nurl = \"{url}\"\n"));
    project
}

fn made(server: &Server) -> usize {
    server.edit(|store| store.count(Platform::Koreai))
}

#[test]
fn what_one_applied_the_other_has_recorded() {
    let (server, web) = (Server::start(), Etags::start(Manner::Well));
    let [mut one, mut two] = [0, 1].map(|_| person(&server, &web.url("states/prod"), &many(3)));
    one.apply();
    assert_eq!(made(&server), 3);
    assert!(!one.exists("patchbay.state"));
    two.assert_empty_plan();
    // A rotation by one is no change for the other.
    for project in [&mut two, &mut one] {
        project.set("K", "sk-remote-rotated");
    }
    two.apply();
    one.assert_empty_plan();
    assert_eq!(web.paths(), ["/states/prod"], "the self-test leaves nothing");
    let document = web.document("states/prod").unwrap();
    assert!(document.starts_with("{\"data\":{\"state\":[") && !document.contains("sk-remote"), "{document}");
}

#[test]
fn looking_writes_nothing() {
    let (server, web) = (Server::start(), Etags::start(Manner::Well));
    let project = person(&server, &web.url("state"), &many(2));
    project.run(&["plan"]);
    assert_eq!((web.writes(), web.paths().len()), (0, 0));
    project.apply();
    let before = web.writes();
    for command in [&["plan"][..], &["drift"], &["state", "list"], &["export"], &["apply", "--yes"]] {
        project.run(command);
    }
    assert_eq!(web.writes(), before, "an apply that changes nothing included");
}

#[test]
fn three_applies_at_once_make_nothing_twice() {
    let (server, web) = (Server::start(), Etags::start(Manner::Well));
    together(&server, &web.url("state"), &[]);
}

/// Three people apply the same files at once.
fn together(server: &Server, url: &str, env: &[(&'static str, String)]) {
    server.fault("POST /connections delay=20");
    let people: Vec<Project> = (0..3)
        .map(|_| env.iter().fold(person(server, url, &many(6)), |project, (name, value)| project.with(name, value)))
        .collect();
    let children: Vec<_> = people.iter().map(|project| project.spawn(&["apply", "--yes"])).collect();
    for child in children {
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert!([0, 1, 3, 4].contains(&ran.code), "{ran}");
    }
    server.clear_faults();
    people[0].apply();
    people.iter().for_each(Project::assert_empty_plan);
    assert_eq!(made(server), 6);
    let created = server.requests().iter().filter(|request| request.method == "POST" && request.status == 200).count();
    assert_eq!(created, 6);
}

#[test]
fn servers_that_do_not_keep_writers_apart_are_refused_before_anything_is_sent() {
    for manner in [Manner::LooksFirst, Manner::IgnoresConditions, Manner::WeakTags, Manner::NoTags] {
        let (server, web) = (Server::start(), Etags::start(manner));
        let ran = person(&server, &web.url("state"), &many(2)).run(&["apply", "--yes"]);
        assert_eq!(ran.code, 1, "{manner:?}: {ran}");
        assert!(ran.stderr.contains("PB0307"), "{manner:?}: {ran}");
        assert_eq!(made(&server), 0, "{manner:?}");
        assert!(!web.paths().contains(&"/state".to_owned()), "{manner:?}");
    }
}

#[test]
fn answers_that_get_lost_change_nothing() {
    let (server, web) = (Server::start(), Etags::start(Manner::HangsUp { of: 7 }));
    let project = person(&server, &web.url("state"), &many(12));
    project.apply();
    project.assert_empty_plan();
    assert_eq!(made(&server), 12);
}

#[test]
fn a_server_that_lets_nobody_in_is_named_with_the_way_in() {
    let (server, web) = (Server::start(), Etags::start(Manner::Denies));
    let mut project = person(&server, &web.url("state"), &many(1));
    project.set("PATCHBAY_STATE_AUTHORIZATION", "Bearer sk-canary");
    let ran = project.run(&["plan"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(web.authorization().as_deref(), Some("Bearer sk-canary"));
    assert!(ran.flat().contains("set PATCHBAY_STATE_AUTHORIZATION") && !ran.stderr.contains("sk-canary"), "{ran}");
}

#[test]
fn a_state_moves_to_the_network_by_putting_the_file_there() {
    let (server, web) = (Server::start(), Etags::start(Manner::Well));
    let local = Project::kore(&server.url(), &many(2)).with("K", "sk-remote-000000").with("PATCHBAY_STATE_KEY", &"0f".repeat(32));
    local.apply();
    web.put("state", &local.read("patchbay.state"));
    let shared = person(&server, &web.url("state"), &many(3));
    assert_eq!(shared.planned(), ["kore/c2 create"]);
    shared.apply();
    shared.assert_empty_plan();
}

#[test]
fn every_store_that_is_installed_keeps_the_promises_or_is_refused() {
    for store in stores::installed() {
        let server = Server::start();
        if store.is_unfit {
            let project = store.env.iter().fold(person(&server, &store.url, &many(2)), |p, (name, value)| p.with(name, value));
            let ran = project.run(&["apply", "--yes"]);
            assert_eq!(ran.code, 1, "{}: {ran}", store.name);
            assert!(ran.stderr.contains("PB0307"), "{}: {ran}", store.name);
            assert_eq!(made(&server), 0, "{}", store.name);
        } else {
            together(&server, &store.url, &store.env);
        }
    }
}
