//! The house rules that no compiler checks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test that reads the source tree")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
}

/// `(path below src, text)` of every source file, tests inside them cut off.
fn code() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    sources(&root().join("src"), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            (path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned(), text)
        })
        .filter(|(path, _)| !path.contains("tests") && !path.contains("samples"))
        .collect()
}

/// The layers, lowest first; a file may use its own layer's module and those named here.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let words = ["address", "base64", "diagnostic", "path", "secret", "source", "suggest", "value"];
    let with = |more: &[&'static str]| words.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    let mut layers: BTreeMap<&str, Vec<&str>> = words.iter().map(|w| (*w, words.to_vec())).collect();
    layers.insert("config", with(&["config", "platform"]));
    // A definition is read with the configuration's YAML reader, and no other part of it.
    layers.insert("platform", with(&["config", "platform"]));
    layers.insert("state", with(&["state"]));
    layers.insert("plan", with(&["config", "platform", "state", "plan"]));
    layers.insert("io", with(&["platform", "state", "io"]));
    layers.insert("engine", with(&["config", "platform", "state", "plan", "io", "engine"]));
    layers.insert("view", with(&["config", "platform", "state", "plan", "engine", "view"]));
    // It serves any API that a definition describes.
    layers.insert("sandbox", vec!["platform", "sandbox"]);
    layers.insert("cli", with(&["config", "platform", "state", "plan", "io", "engine", "view", "sandbox", "cli"]));
    layers
}

#[test]
fn imports_go_down_only() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (path, text) in code() {
        let layer = path.split(['/', '.']).next().unwrap_or_default().to_owned();
        if ["lib", "main"].contains(&layer.as_str()) {
            continue;
        }
        let may =
            allowed.get(layer.as_str()).unwrap_or_else(|| panic!("src/{path} belongs to no layer; name it in tests/tidy.rs"));
        for (n, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                let module: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if !module.is_empty() && !may.contains(&module.as_str()) {
                    wrong.push(format!("src/{path}:{}: {layer} uses {module}", n + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_definition_parser_takes_only_the_reader_from_the_configuration() {
    for (path, text) in code().iter().filter(|(path, _)| path.starts_with("platform/")) {
        for part in text.split("crate::config::").skip(1) {
            assert!(
                part.starts_with("node") || part.starts_with("yaml"),
                "src/{path} uses config::{}",
                &part[..part.len().min(30)]
            );
        }
    }
}

#[test]
fn no_platform_fact_stands_in_rust_code() {
    for (path, text) in code() {
        if path.starts_with("sandbox") || path == "platform/builtin.rs" || path == "suggest.rs" {
            continue;
        }
        for (n, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            let lower = line.to_lowercase();
            for fact in ["kore", "connectionname", "connectionid", "modifiedon", "x-api-key", "flashback", "finalized"] {
                let in_help = lower.contains("help") || line.contains("///") || lower.contains("examples:");
                assert!(!lower.contains(fact) || in_help || path == "cli/args.rs", "src/{path}:{}: {}", n + 1, line.trim());
            }
        }
    }
}

#[test]
fn files_are_of_a_size_that_can_be_read() {
    let mut paths = Vec::new();
    for dir in ["src", "tests", "benches"] {
        if root().join(dir).is_dir() {
            sources(&root().join(dir), &mut paths);
        }
    }
    for path in paths {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 700, "{} has {lines} lines; split it by idea", path.display());
    }
}

#[test]
fn every_module_says_what_it_is() {
    for (path, text) in code() {
        assert!(text.starts_with("//!"), "src/{path} has no module documentation");
    }
}

#[test]
fn no_test_is_switched_off_or_waits() {
    let mut paths = Vec::new();
    sources(&root().join("src"), &mut paths);
    sources(&root().join("tests"), &mut paths);
    for path in paths.iter().filter(|p| !p.ends_with("tidy.rs")) {
        let text = fs::read_to_string(path).unwrap();
        for word in ["#[ignore", "#[should_panic", "thread::sleep"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn ci_runs_the_readme_s_test_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    let command = "cargo test --all-features";
    assert!(readme.contains(command));
    assert!(ci.lines().any(|line| line == command));
}

#[test]
fn published_schemas_are_those_that_the_program_prints() {
    let own = std::collections::BTreeMap::new();
    for (name, schema) in [
        ("platform", patchbay::platform::schema::platform()),
        ("project", patchbay::platform::schema::project(&own)),
        ("connections", patchbay::platform::schema::connections(&own, false)),
    ] {
        let published = fs::read_to_string(root().join(format!("schemas/{name}.schema.json"))).unwrap();
        let printed = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        assert!(published == printed, "regenerate it: cargo run -- schema {name} > schemas/{name}.schema.json");
    }
}
