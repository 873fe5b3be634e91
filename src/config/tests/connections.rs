//! Connection files: their shape, what they declare, and its mistakes.

use super::super::connections::{Lifecycle, TestAfter};
use super::{OPENAI, assert_lines, one, read, table, with};
use crate::path::FieldPath;

#[test]
fn files_of_another_shape() {
    let rows: &[(&str, &[&str])] = &[
        ("", &[]),
        ("connections:\n", &[]),
        ("moved: []\n", &[]),
        ("- a\n", &["PB0104 error a.yaml:1:1 a connection file must be an object | this is a list"]),
        (
            "conections: {}\n",
            &[
                "PB0102 error a.yaml:1:1 unknown key `conections` in a connection file | not a key that patchbay knows here | did you mean `connections`? accepted: `connections`, `moved`",
            ],
        ),
        (
            "connections: [a]\n",
            &["PB0104 error a.yaml:1:14 `connections` must be an object of connections by key | this is a list"],
        ),
        ("connections:\n  a: x\n", &["PB0104 error a.yaml:2:6 the connection `a` must be an object | this is a string"]),
        (
            "connections:\n  -a: {}\n",
            &["PB0115 error a.yaml:2:3 `-a` is not a usable connection key: it must start with a letter or a digit | this key"],
        ),
        ("connections:\n  '': {}\n", &["PB0115 error a.yaml:2:3 `` is not a usable connection key: it is empty | this key"]),
        (
            "connections:\n  a: { target: kore, kind: openai }\n",
            &["PB0105 error a.yaml:2:3 the connection `a` needs a `spec` | `spec` is missing here"],
        ),
    ];
    for &(yaml, expected) in rows {
        assert_lines(&one(yaml), expected, yaml);
    }
}

#[test]
fn every_key_that_a_connection_lacks_is_named() {
    assert_lines(
        &one("connections:\n  a: {}\n"),
        &[
            "PB0105 error a.yaml:2:3 the connection `a` needs a `target` | `target` is missing here | target: NAME, or targets: [A, B] for one connection on several",
            "PB0105 error a.yaml:2:3 the connection `a` needs a `kind` | `kind` is missing here",
            "PB0105 error a.yaml:2:3 the connection `a` needs a `spec` | `spec` is missing here",
        ],
        "an empty connection",
    );
}

#[test]
fn mistakes_in_a_connection() {
    table(
        OPENAI,
        &[
            (
                "target: kore",
                "targte: kore",
                &[
                    "PB0102 error a.yaml:3:5 unknown key `targte` in the connection `a` | not a key that patchbay knows here | did you mean `target`? accepted: `target`, `targets`, `kind`, `spec`, `depends_on`, `lifecycle`",
                ],
            ),
            (
                "target: kore",
                "target: [kore]",
                &["PB0104 error a.yaml:3:13 `target` of the connection `a` must be a string | this is a list"],
            ),
            (
                "target: kore",
                "targets: { kore: 1 }",
                &["PB0104 error a.yaml:3:14 `targets` of the connection `a` must be a list of strings | this is an object"],
            ),
            (
                "target: kore",
                "targets: [kore, 3]",
                &["PB0104 error a.yaml:3:21 an item of `targets` must be a string | this is a number"],
            ),
            (
                "target: kore",
                "targets: [kore, kore]",
                &["PB0107 error a.yaml:3:21 the connection `a` names the target `kore` twice | second time"],
            ),
            (
                "target: kore",
                "target: kore\n    targets: [kore]",
                &["PB0107 error a.yaml:4:15 the connection `a` names the target `kore` twice | second time"],
            ),
            (
                "target: kore",
                "targets: [kore, kore-dve]",
                &[
                    "PB0110 error a.yaml:3:21 there is no target `kore-dve` | not declared in patchbay.toml | did you mean `kore-dev`?",
                ],
            ),
            ("    kind: openai\n", "", &["PB0105 error a.yaml:2:3 the connection `a` needs a `kind` | `kind` is missing here"]),
            (
                "kind: openai",
                "kind: 3",
                &["PB0104 error a.yaml:4:11 `kind` of the connection `a` must be a string | this is a number"],
            ),
            (
                "kind: openai",
                "kind: anthropc",
                &[
                    "PB0111 error a.yaml:4:11 platform `koreai` has no kind `anthropc` | not a kind of this target's platform | did you mean `anthropic`? accepted: [..]",
                ],
            ),
            (
                "kind: openai",
                "kind: zzz",
                &[
                    "PB0111 error a.yaml:4:11 platform `koreai` has no kind `zzz` | not a kind of this target's platform | accepted: [..]",
                ],
            ),
            (
                "spec:",
                "depends_on: 3\n    spec:",
                &["PB0104 error a.yaml:5:17 `depends_on` of the connection `a` must be a list of strings | this is a number"],
            ),
        ],
    );
    let text = "connections:\n  a:\n    target: kore\n    kind: openai\n    spec: x\n";
    assert_lines(
        &one(text),
        &["PB0104 error a.yaml:5:11 `spec` of the connection `a` must be an object | this is a string"],
        text,
    );
}

#[test]
fn a_vendor_by_its_everyday_name_is_understood() {
    let lines = one(&with(OPENAI, "kind: openai", "kind: claude"));
    assert_lines(&lines, &["PB0111 error a.yaml:4:11 [..] | did you mean `anthropic`? accepted: [..]"], "claude");
}

#[test]
fn a_duplicate_key_is_named() {
    let lines = one(&with(OPENAI, "model: gpt-4o", "model: gpt-4o\n      model: gpt-4o"));
    assert_lines(&lines, &["PB0107 error a.yaml:8:7 the key `model` stands here twice | [..]"], "model");
}

#[test]
fn one_declaration_stands_for_every_target_it_names() {
    let rows: &[(&str, &[&str])] = &[
        ("targets: [kore-dev, kore]", &["kore-dev/a:", "kore/a:"]),
        ("targets: kore", &["kore/a:"]),
        ("target: kore\n    targets: [kore-dev]", &["kore/a:", "kore-dev/a:"]),
    ];
    for &(target, expected) in rows {
        let outcome = read(&with(OPENAI, "target: kore", target));
        assert_eq!(outcome.lines(), "", "{target}");
        assert_eq!(outcome.order(), expected, "{target}");
        assert!(
            outcome.desired.connections.iter().all(|c| c.kind == "openai" && outcome.sources.text(c.source) == "a"),
            "{target}"
        );
    }
}

#[test]
fn a_lifecycle_is_read() {
    assert_eq!(read(OPENAI).at("kore/a").lifecycle, Lifecycle::default());
    let all =
        "lifecycle: { prevent_destroy: true, ignore_changes: [fields.region, model], replace: true, test: after }\n    spec:";
    let outcome = read(&with(OPENAI, "spec:", all));
    // It is read although this API has no test; that is said, and no error.
    assert_eq!(
        outcome.lines(),
        "PB0706 warning a.yaml:2:3 `a` asks for a test after each write, and the API has none for the kind `openai` | in this connection | remove `test: after`; nothing is tested"
    );
    assert_eq!(
        outcome.at("kore/a").lifecycle,
        Lifecycle {
            prevent_destroy: true,
            ignore_changes: vec![FieldPath::parse("fields.region"), FieldPath::parse("model")],
            replace: true,
            test: TestAfter::After,
        }
    );
    let none = read(&with(OPENAI, "spec:", "lifecycle: { prevent_destroy: false, ignore_changes: [], test: never }\n    spec:"));
    assert_eq!((none.lines().as_str(), &none.at("kore/a").lifecycle), ("", &Lifecycle::default()));
}

#[test]
fn mistakes_in_a_lifecycle() {
    table(
        OPENAI,
        &[
            ("spec:", "lifecycle: x\n    spec:", &["PB0104 error a.yaml:5:16 `lifecycle` must be an object | this is a string"]),
            (
                "spec:",
                "lifecycle: { prevent_destory: true }\n    spec:",
                &[
                    "PB0102 error a.yaml:5:18 unknown key `prevent_destory` in `lifecycle` | not a key that patchbay knows here | did you mean `prevent_destroy`? accepted: `prevent_destroy`, `ignore_changes`, `replace`, `test`",
                ],
            ),
            (
                "spec:",
                "lifecycle: { prevent_destroy: yes }\n    spec:",
                &["PB0104 error a.yaml:5:35 `prevent_destroy` of `lifecycle` must be true or false | this is a string"],
            ),
            (
                "spec:",
                "lifecycle: { replace: 1, test: always }\n    spec:",
                &[
                    "PB0104 error a.yaml:5:27 `replace` of `lifecycle` must be true or false | this is a number",
                    "PB0103 error a.yaml:5:36 `test` cannot be `always` | not an accepted value | accepted: `never`, `after`",
                ],
            ),
            (
                "spec:",
                "lifecycle: { ignore_changes: { a: b } }\n    spec:",
                &["PB0104 error a.yaml:5:34 `ignore_changes` of `lifecycle` must be a list of strings | this is an object"],
            ),
        ],
    );
}

#[test]
fn moves_are_read() {
    let outcome = read(&format!("{OPENAI}moved:\n  - {{ from: kore/old, to: kore/a }}\n  - from: kore/b\n    to: kore-dev/b\n"));
    assert_eq!(outcome.lines(), "");
    let moved: Vec<String> = outcome.desired.moved.iter().map(|(from, to)| format!("{from} {to}")).collect();
    assert_eq!(moved, ["kore/old kore/a", "kore/b kore-dev/b"]);
}

#[test]
fn mistakes_in_moves() {
    table(
        &format!("{OPENAI}moved:\n  - {{ from: kore/old, to: kore/a }}\n"),
        &[
            (
                "kore/old",
                "old",
                &[
                    "PB0115 error a.yaml:11:13 `old` is not an address: it has no `/` between target and key | target/key is wanted",
                ],
            ),
            (
                "{ from: kore/old, to: kore/a }",
                "{ from: /old, to: kore/ }",
                &[
                    "PB0115 error a.yaml:11:13 `/old` is not an address: it is empty | target/key is wanted",
                    "PB0115 error a.yaml:11:23 `kore/` is not an address: it is empty | target/key is wanted",
                ],
            ),
            (", to: kore/a", "", &["PB0105 error a.yaml:11:5 an item of `moved` needs a `to` | `to` is missing here"]),
            (
                "to: kore/a",
                "to: 3",
                &["PB0104 error a.yaml:11:27 `to` of an item of `moved` must be a string | this is a number"],
            ),
            (
                "from:",
                "form:",
                &[
                    "PB0102 error a.yaml:11:7 unknown key `form` in an item of `moved` | not a key that patchbay knows here | did you mean `from`? accepted: `from`, `to`",
                ],
            ),
            (
                "{ from: kore/old, to: kore/a }",
                "kore/old",
                &["PB0104 error a.yaml:11:5 an item of `moved` must be an object | this is a string"],
            ),
            (
                "moved:\n  - { from: kore/old, to: kore/a }",
                "moved: { from: kore/old, to: kore/a }",
                &["PB0104 error a.yaml:10:8 `moved` must be a list of { from, to } | this is an object"],
            ),
        ],
    );
}
