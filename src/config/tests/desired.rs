//! What the files want together: targets, names, references, dependencies and their circles.

use std::collections::BTreeMap;

use super::super::desired::References;
use super::super::template::Renderer;
use super::{Case, ENV, OPENAI, THING, TOML, assert_lines, check, definitions, one, read, scope, show, table, with};
use crate::path::FieldPath;
use crate::value::Value;

/// Things that depend on each other, one a line.
fn graph(edges: &[(&str, &str)]) -> String {
    let thing = |(key, needs): &(&str, &str)| {
        format!("  {key}: {{ target: own, kind: thing, depends_on: [{needs}], spec: {{ name: {key} }} }}\n")
    };
    format!("connections:\n{}", edges.iter().map(thing).collect::<String>())
}

/// `base` on one target, `shared` on two, and more below them.
fn beside(more: &str) -> String {
    let openai = |key: &str, targets: &str| {
        format!(
            "  {key}: {{ targets: [{targets}], kind: openai, spec: {{ connectionName: {key}, model: m, fields: {{ API_KEY: '${{{{ env.KEY }}}}' }} }} }}\n"
        )
    };
    format!("connections:\n{}{}{more}", openai("base", "kore"), openai("shared", "kore, kore-dev"))
}

#[test]
fn connections_keep_the_author_s_order() {
    let files = [("b.yaml", graph(&[("z", ""), ("a", "")])), ("a.yaml", graph(&[("m", "")]))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let outcome = Case { files: &files, ..Case::default() }.run();
    assert_eq!(outcome.lines(), "");
    assert_eq!(outcome.order(), ["own/z:", "own/a:", "own/m:"]);
}

#[test]
fn an_address_is_declared_once() {
    let pair = format!(
        "{OPENAI}  b:\n    target: kore\n    kind: openai\n    spec: {{ connectionName: B, model: m, fields: {{ API_KEY: '${{{{ env.KEY }}}}' }} }}\n"
    );
    assert_eq!(one(&pair), "");
    let other = with(OPENAI, "connectionName: A", "connectionName: C");
    assert_lines(
        &check(TOML, &[("a.yaml", OPENAI), ("b.yaml", &other)], ENV),
        &["PB0107 error b.yaml:2:3 the connection `kore/a` is declared twice | second time | first time (a.yaml:2:3)"],
        "two files",
    );
    let elsewhere = with(&other, "target: kore", "target: kore-dev");
    assert_eq!(check(TOML, &[("a.yaml", OPENAI), ("b.yaml", &elsewhere)], ENV), "");
}

#[test]
fn a_name_is_given_once_on_a_target() {
    let second = with(OPENAI, "  a:", "  b:");
    assert_lines(
        &check(TOML, &[("a.yaml", OPENAI), ("b.yaml", &second)], ENV),
        &[
            "PB0106 error b.yaml:6:23 `kore/a` and `kore/b` have one name on target `kore`: `A` | the same name again | first here (a.yaml:6:23) | `connectionName` tells the connections of this API apart; give each its own",
        ],
        "one target",
    );
    let elsewhere = with(&second, "target: kore", "target: kore-dev");
    assert_eq!(check(TOML, &[("a.yaml", OPENAI), ("b.yaml", &elsewhere)], ENV), "", "two targets");
    assert_eq!(one(&with(OPENAI, "target: kore", "targets: [kore, kore-dev]")), "", "one declaration on two targets");
    let lower = with(&second, "connectionName: A", "connectionName: a");
    assert_eq!(check(TOML, &[("a.yaml", OPENAI), ("b.yaml", &lower)], ENV), "", "case counts on this platform");
}

#[test]
fn a_platform_may_ignore_the_case_of_names() {
    let yaml = "connections:\n  a: { target: own, kind: thing, spec: { name: One } }\n  b: { target: own, kind: thing, spec: { name: ONE } }\n";
    assert_lines(
        &one(yaml),
        &[
            "PB0106 error a.yaml:3:48 `own/a` and `own/b` have one name on target `own`: `one` | the same name again | first here (a.yaml:2:48) | `name` tells the connections of this API apart; give each its own",
        ],
        yaml,
    );
}

#[test]
fn dependencies_are_named_by_key_or_address() {
    for (needs, expected) in [
        ("base", "own/t: kore/base"),
        ("kore/base", "own/t: kore/base"),
        ("kore/base, base", "own/t: kore/base"),
        ("kore-dev/shared, base", "own/t: kore-dev/shared kore/base"),
    ] {
        let outcome =
            read(&beside(&format!("  t: {{ target: own, kind: thing, depends_on: [{needs}], spec: {{ name: t }} }}\n")));
        assert_eq!(outcome.lines(), "", "{needs}");
        assert_eq!(outcome.order()[3], expected, "{needs}");
        assert!(outcome.at("own/t").references.is_empty());
    }
}

#[test]
fn a_key_means_the_connection_on_the_own_target_first() {
    let more = "  user: { targets: [kore-dev, kore], kind: openai, depends_on: [shared], spec: { connectionName: user, model: m, fields: { API_KEY: '${{ env.KEY }}' } } }\n";
    let outcome = read(&beside(more));
    assert_eq!(outcome.lines(), "");
    assert_eq!(outcome.order()[3..], ["kore-dev/user: kore-dev/shared", "kore/user: kore/shared"]);
}

#[test]
fn references_wait_and_become_dependencies() {
    for (upstream, expected) in [
        ("${{ connection('base').id }}", "unknown base.id"),
        ("${{ connection('kore/base').field('model') }}", "unknown kore/base.model"),
        ("x-${{ connection('base').id }}-${{ connection('base').id }}", "unknown base.id, base.id"),
    ] {
        let outcome = read(&beside(&format!(
            "  t: {{ target: own, kind: thing, spec: {{ name: t, upstream: \"{upstream}\", retries: 1 }} }}\n"
        )));
        assert_eq!(outcome.lines(), "", "{upstream}");
        let connection = outcome.at("own/t");
        assert_eq!(show(connection.spec.at(&FieldPath::parse("upstream"))), expected, "{upstream}");
        assert_eq!((!connection.references.is_empty(), outcome.order()[3].as_str()), (true, "own/t: kore/base"), "{upstream}");
    }
}

#[test]
fn what_is_read_of_another_connection_is_declared_there() {
    for (upstream, expected) in [
        (
            "connection('base').field('modle')",
            "PB0102 error a.yaml:4:61 the OpenAI connection `kore/base` has no field `modle` | refers to nothing | did you mean `model`? accepted: [..]",
        ),
        (
            "connection('base').field('fields.REGION')",
            "PB0113 error a.yaml:4:61 `kore/base` does not declare the field `fields.REGION`, which is read here | nothing to read | declare `fields.REGION` there, or write the value here",
        ),
    ] {
        let outcome = read(&beside(&format!(
            "  t: {{ target: own, kind: thing, spec: {{ name: t, upstream: \"${{{{ {upstream} }}}}\", retries: 1 }} }}\n"
        )));
        assert_lines(&outcome.lines(), &[expected], upstream);
    }
}

#[test]
fn a_reference_is_rendered_again_once_it_is_known() {
    let outcome = read(&beside(
        "  t: { target: own, kind: thing, spec: { name: t, upstream: \"x-${{ connection('base').id }}\", retries: '${{ env.N }}' } }\n",
    ));
    let connection = outcome.at("own/t");
    let definitions = definitions(outcome.project.as_ref().unwrap());
    let renderer = Renderer::new(&scope(ENV, false));
    let declared: BTreeMap<_, ()> = outcome.desired.connections.iter().map(|c| (c.address.clone(), ())).collect();
    let references = References { renderer: &renderer, sources: &outcome.sources, declared: &declared };
    let kind = &definitions["own"].kinds["thing"];
    let known = references.fill(connection, kind, |address, reference| {
        (address.to_string() == "kore/base" && reference.field.is_none()).then(|| Value::from("cn-1"))
    });
    assert_eq!(known.spec, Value::from(serde_json::json!({"name": "t", "upstream": "x-cn-1", "retries": 12})));
    assert_eq!(references.fill(connection, kind, |_, _| None).spec, connection.spec);
}

#[test]
fn references_to_nothing() {
    let thing = |depends_on: &str, upstream: &str| {
        let text = format!(
            "  t:\n    target: own\n    kind: thing\n    depends_on: [{depends_on}]\n    spec:\n      name: t\n      upstream: {upstream}\n"
        );
        one(&beside(&text))
    };
    for (depends_on, upstream, expected) in [
        ("bsae", "x", "PB0113 error a.yaml:7:18 no connection `bsae` is declared | refers to nothing | did you mean `base`?"),
        ("own/base", "x", "PB0113 error a.yaml:7:18 no connection `own/base` is declared | refers to nothing[..]"),
        (
            "",
            "${{ connection('bsae').id }}",
            "PB0113 error a.yaml:10:17 no connection `bsae` is declared | refers to nothing | did you mean `base`?",
        ),
        ("", "${{ connection('xyz').id }}", "PB0113 error a.yaml:10:17 no connection `xyz` is declared | refers to nothing"),
        ("shared", "x", "PB0113 error a.yaml:7:18 `shared` may mean `kore/shared` or `kore-dev/shared` | [..]"),
        ("", "${{ connection('base').nope }}", "PB0207 error a.yaml:10:[..] this template cannot be rendered: [..]"),
        (
            "",
            "${{ connection('base').field() }}",
            "PB0207 error a.yaml:10:[..] this template cannot be rendered: field takes one path, field(\"model\") | [..]",
        ),
    ] {
        assert_lines(&thing(depends_on, upstream), &[expected], &format!("{depends_on} {upstream}"));
    }
}

#[test]
fn an_ambiguous_reference_is_not_explained_by_itself() {
    let lines = one(&beside("  t: { target: own, kind: thing, depends_on: [shared], spec: { name: t } }\n"));
    assert!(lines.starts_with("PB0113") && !lines.contains("did you mean `shared`?"), "{lines}");
}

#[test]
fn an_address_that_is_nearly_right_is_suggested() {
    let lines = one(&beside("  t: { target: own, kind: thing, depends_on: [kore/bsae], spec: { name: t } }\n"));
    assert!(
        lines.starts_with("PB0113 error a.yaml:4:47 no connection `kore/bsae` is declared") && lines.contains("did you mean"),
        "{lines}"
    );
}

#[test]
fn circles_are_found_with_their_path() {
    let circle = |place: &str, path: &str| {
        format!(
            "PB0112 error a.yaml:{place} connections depend on each other in a circle: {path} | part of the circle | remove one of the references or `depends_on` entries"
        )
    };
    let rows: [(&[(&str, &str)], Vec<String>); 7] = [
        (&[("a", "a")], vec![circle("2:3", "own/a → own/a")]),
        (&[("a", "b"), ("b", "a")], vec![circle("2:3", "own/a → own/b → own/a")]),
        (&[("a", "b"), ("b", "c"), ("c", "a")], vec![circle("2:3", "own/a → own/b → own/c → own/a")]),
        (&[("a", "b"), ("b", "c"), ("c", "b")], vec![circle("3:3", "own/b → own/c → own/b")]),
        (
            &[("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")],
            vec![circle("2:3", "own/a → own/b → own/a"), circle("4:3", "own/c → own/d → own/c")],
        ),
        (&[("a", "b, c"), ("b", "d"), ("c", "d"), ("d", "")], vec![]),
        (&[("d", ""), ("c", "d"), ("b", "d, c"), ("a", "b, c, d")], vec![]),
    ];
    for (edges, expected) in rows {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_lines(&one(&graph(edges)), &expected, &format!("{edges:?}"));
    }
}

#[test]
fn references_close_circles_too() {
    let thing = |key: &str, needs: &str| {
        format!(
            "  {key}: {{ target: own, kind: thing, spec: {{ name: {key}, upstream: \"${{{{ connection('{needs}').id }}}}\" }} }}\n"
        )
    };
    let lines = one(&format!("connections:\n{}{}", thing("a", "own/b"), thing("b", "a")));
    assert_lines(
        &lines,
        &["PB0112 error a.yaml:2:3 connections depend on each other in a circle: own/a → own/b → own/a | [..]"],
        "by reference",
    );
}

#[test]
fn a_long_chain_is_no_circle_and_no_recursion() {
    let mut text = String::from("connections:\n  k0: { target: own, kind: thing, spec: { name: k0 } }\n");
    for n in 1..2000 {
        text.push_str(&format!("  k{n}: {{ target: own, kind: thing, depends_on: [k{}], spec: {{ name: k{n} }} }}\n", n - 1));
    }
    let outcome = read(&text);
    assert_eq!((outcome.lines().as_str(), outcome.desired.connections.len()), ("", 2000));
    assert_eq!(outcome.order()[1999], "own/k1999: own/k1998");
}

#[test]
fn what_is_wrong_with_one_connection_leaves_the_others() {
    let text = format!("{OPENAI}{}", THING.strip_prefix("connections:\n").unwrap());
    table(
        &text,
        &[
            (
                "kind: thing",
                "kind: thign",
                &[
                    "PB0111 error a.yaml:12:11 platform `own` has no kind `thign` | not a kind of this target's platform | did you mean `thing`? accepted: `thing`",
                ],
            ),
            ("kind: openai", "kind: thing", &["PB0111 error a.yaml:4:11 platform `koreai` has no kind `thing` | [..]"]),
        ],
    );
    let outcome = read(&with(&text, "kind: openai", "kind: thing"));
    assert_eq!(outcome.order(), ["own/t:"]);
}
