//! Every example is run: what needs no account is applied, the rest is checked.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::path::Path;

use common::Project;

/// A copy of an example in a folder of its own.
fn copy(name: &str) -> Project {
    let project = Project::empty();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let relative = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !relative.starts_with(".patchbay") {
                    open.push(path);
                }
            } else if !relative.ends_with(".state") {
                project.write(&relative, &std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    project
}

#[test]
fn what_needs_no_account_is_applied_and_settles() {
    for name in ["quickstart", "mixed"] {
        for profile in [&[][..], &["--profile", "staging"]] {
            if name == "quickstart" && !profile.is_empty() {
                continue;
            }
            // CI is strict about literal secrets; the examples must bear it.
            let project = copy(name).with("CI", "true");
            let ran = project.run(&[profile, &["apply", "--yes"]].concat());
            assert_eq!(ran.code, 0, "{name} {profile:?}: {ran}");
            let ran = project.run(&[profile, &["plan", "--refresh", "full", "--detailed-exitcode"]].concat());
            assert_eq!(ran.code, 0, "{name} {profile:?}: {ran}");
        }
    }
}

#[test]
fn the_quick_start_shows_a_rotation() {
    let mut project = copy("quickstart");
    project.apply();
    project.set("OPENAI_API_KEY", "sk-another-key-0000");
    assert_eq!(project.planned(), ["kore/support-gpt4o rotate"]);
}

#[test]
fn every_example_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let ran = copy(&name).with("CI", "true").run(&["validate", "--offline"]);
        assert_eq!(ran.code, 0, "{name}: {ran}");
        let ran = copy(&name).run(&["fmt", "--check"]);
        assert_eq!(ran.code, 0, "{name}: {ran}");
        count += 1;
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn an_example_s_variables_are_listed_beside_it() {
    for name in ["kore", "gateway", "flashback"] {
        let project = copy(name);
        let listed = project.read(".env.example");
        let mut texts = project.read("patchbay.toml");
        for (path, bytes) in project.all_files() {
            if path.extension().is_some_and(|e| e == "yaml") {
                texts.push_str(&String::from_utf8(bytes).unwrap());
            }
        }
        let code: String = texts.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
        for used in code.split("env.").skip(1) {
            let variable: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if variable.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') && !variable.is_empty() {
                assert!(
                    listed.lines().any(|line| line.starts_with(&format!("{variable}="))),
                    "{name}: {variable} is not in .env.example"
                );
            }
        }
    }
}
