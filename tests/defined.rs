//! A platform that somebody describes is tried out at once: the sandbox is made from the definition.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use common::Project;

const CANARY: &str = "canary-of-the-secret-0000";

const MINE: &str = r#"platform: mine
language: 1
title: Mine
base_url: { ends_in: /v1 }
auth: { token: { header: Authorization, prefix: "Bearer ", also: { Workspace: workspace } } }
errors: { message: [error] }
collections:
  things:
    list: { path: /things, items: things, total: total }
    read: { path: "/things/{id}" }
    id: id
    natural_key: [name]
    watermark: changed
kinds:
  thing:
    title: Thing
    collection: things
    fields:
      name: { required: true }
      size: { type: integer }
      pass: { secret: always, reads_as: presence, read: has_pass }
    create: { method: POST, path: /things }
    update:
      - { method: PATCH, path: "/things/{id}", semantics: merge, covers: "*" }
    delete: { method: DELETE, path: "/things/{id}" }
"#;

fn project() -> Project {
    let project = Project::empty().with("PASS", CANARY);
    project.write("platforms/mine.yaml", MINE);
    project.write(
        "patchbay.toml",
        "[project]\nname = \"test\"\n\n[targets.t]\nplatform = \"mine\"\nbase_url = \"sandbox:\"\n\n\
         [platforms.mine]\ndefinition = \"platforms/mine.yaml\"\n",
    );
    project.write(
        "connections/all.yaml",
        "connections:\n  one:\n    target: t\n    kind: thing\n    spec: { name: one, size: 1, pass: \"${{ env.PASS }}\" }\n",
    );
    project
}

#[test]
fn a_definition_of_one_s_own_is_tried_out_without_a_server() {
    let project = project();
    assert_eq!(project.planned(), ["t/one create"]);
    project.apply();
    project.assert_empty_plan();
    project.replace("connections/all.yaml", "size: 1", "size: 2");
    assert_eq!(project.planned(), ["t/one update"]);
    project.apply();
    project.assert_empty_plan();
    let drift = project.run(&["drift"]);
    assert_eq!(drift.code, 0, "{drift}");
    for (path, bytes) in project.all_files() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(CANARY), "{} holds the secret", path.display());
    }
}

#[test]
fn a_definition_that_is_none_is_refused_with_its_place() {
    let project = project();
    project.replace("platforms/mine.yaml", "collection: things", "collection: thing");
    let ran = project.run(&["sandbox", "--definition", "platforms/mine.yaml", "--port", "0"]);
    assert!(ran.code == 1 && ran.stderr.contains("PB0114") && ran.stderr.contains("platforms/mine.yaml"), "{ran}");
    let ran = project.run(&["sandbox", "--definition", "platforms/none.yaml", "--port", "0"]);
    assert!(ran.code == 1 && ran.flat().contains("one of the built-in definitions"), "{ran}");
}
