use super::*;
use crate::platform::{builtin, parse};
use crate::source::Sources;

fn reports(text: &str) -> Vec<Report> {
    let mut sources = Sources::default();
    let file = sources.add("my.yaml", text);
    let definition = parse::parse(file, text).unwrap_or_else(|e| panic!("{e:#?}"));
    rehearse(&definition, file.span(0, 0))
}

/// A definition that has something of everything.
const MINE: &str = r#"platform: mine
language: 1
title: Mine
auth: { token: { header: Authorization, prefix: "Bearer " } }
collections:
  things:
    list: { path: /things, items: data.things, total: data.total, paging: { style: limit-only, size: 50 } }
    read: { path: "/things/{id}", item: thing }
    id: uid
    natural_key: [name]
    watermark: changed
kinds:
  thing:
    title: Thing
    collection: things
    constants: { sort: thing }
    fields:
      name: { required: true }
      region: { read: place.region }
      size: { type: integer }
      ratio: { type: number }
      on: { type: boolean }
      state: { enum: [DRAFT, LIVE, OFF], equals: { LIVE: [RUNNING] } }
      words: { type: set, enum: [a, b] }
      url: { compare: url }
      free: { type: object }
      any: { type: any }
      opts: { type: object, merge: true, fields: { deep: { type: boolean }, more: {} } }
      headers:
        type: list
        keyed_by: key
        item: { key: { required: true }, value: { secret: when-key-matches-auth, reads_as: mask } }
      apiKey: { secret: always, reads_as: nothing }
    create: { method: POST, path: /things, item: thing, id: uid }
    update:
      - { method: PATCH, path: "/things/{id}", semantics: merge, covers: [size, ratio, on, state, words, url, free, any, opts, headers, apiKey, region], writes_as: { region: location } }
      - { method: PUT, path: "/things/{id}", semantics: replace, covers: "*", requires: all, item: thing }
    delete: { method: DELETE, path: "/things/{id}" }
    test: { method: POST, path: "/things/{id}/test", trust: stored }
"#;

#[test]
fn built_in_definitions_pass() {
    for (name, text) in builtin::every() {
        for report in reports(text) {
            assert_eq!(report.problems, [], "{name} {}", report.kind);
        }
    }
}

#[test]
fn a_rehearsal_shows_what_an_api_can_do() {
    let [report] = reports(MINE).try_into().unwrap();
    assert_eq!(report.problems, []);
    let fields = |list: &str| list.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let expected = Report {
        kind: "thing".into(),
        title: "Thing".into(),
        create: "POST /things".into(),
        updates: vec![
            (
                "PATCH /things/{id}".into(),
                fields(
                    "region size ratio on state words url free any opts.deep opts.more \
                     headers[key=Authorization].value headers[key=X-Sample].value apiKey",
                ),
            ),
            ("PUT /things/{id}".into(), fields("name")),
        ],
        delete: Some("DELETE /things/{id}".into()),
        test: Some(("POST /things/{id}/test".into(), Trust::Stored)),
        unchangeable: vec![],
        secrets: vec![("headers[key=Authorization].value".into(), Evidence::MaskAndStamp), ("apiKey".into(), Evidence::Stamp)],
        problems: vec![],
    };
    assert_eq!(report, expected);
}

/// What a change of the text makes of it: errors begin with `!`.
fn problems(from: &str, to: &str) -> Vec<String> {
    assert!(MINE.contains(from), "{from}");
    let reports = reports(&MINE.replace(from, to));
    reports
        .into_iter()
        .flat_map(|r| r.problems)
        .map(|p| format!("{}{}: {}", if p.is_error { "! " } else { "" }, p.at, p.text))
        .collect()
}

#[test]
fn what_contradicts_itself_is_an_error() {
    for (from, to, expected) in [
        (
            "name: { required: true }",
            "name: { required: true, reads_as: nothing }",
            "! collections.things.natural_key: a `thing` cannot be found in the list by its natural key",
        ),
        (
            "name: { required: true }",
            "name: { required: true, type: integer }",
            "! collections.things.natural_key: a `thing` cannot be found in the list by its natural key",
        ),
        ("equals: { LIVE: [RUNNING] }", "equals: { LIVE: [DRAFT] }", "! kinds.thing.fields: a change of `state` is not seen"),
        (
            "apiKey: { secret: always, reads_as: nothing }",
            "apiKey: { secret: always, reads_as: nothing }\n      region2: { read: place.region }",
            "! kinds.thing.create: after a create, `region` reads back as another value than was sent",
        ),
    ] {
        let found = problems(from, to);
        assert!(found.iter().any(|p| p == expected), "{from} → {to}: {found:#?}");
    }
}

#[test]
fn what_is_worth_a_look_is_a_remark() {
    for (from, to, expected) in [
        (
            "covers: \"*\", requires: all, item: thing",
            "covers: [size], requires: all, item: thing",
            "kinds.thing.update[1]: PUT /things/{id} is never chosen for a change of one field",
        ),
        (
            "covers: \"*\", requires: all, item: thing",
            "covers: \"*\", requires: all, item: thing, may_be_missing: true",
            "kinds.thing.update[1]: PUT /things/{id} may be missing, and no verb follows it",
        ),
        (", total: data.total", "", "collections.things.list: nothing certifies that a list of `things` is complete"),
    ] {
        assert_eq!(problems(from, to), [expected], "{from} → {to}");
    }
    let text = MINE.replace("headers, apiKey, region]", "headers, region]");
    let (start, end) = (text.find("      - { method: PUT").unwrap(), text.find("    delete:").unwrap());
    let [report] = reports(&format!("{}{}", &text[..start], &text[end..])).try_into().unwrap();
    assert_eq!(report.unchangeable, ["name", "apiKey"]);
    assert_eq!(report.problems[0].text, "the secret `apiKey` cannot be rotated by any request");
}

#[test]
fn an_answer_may_have_its_things_in_lists() {
    for (from, to) in [
        ("items: data.things, total: data.total", "items: \"data[0].things\", total: \"data[1].total\""),
        ("item: thing, id: uid", "item: \"things[0]\", id: \"data[1].id\""),
        ("read: { path: \"/things/{id}\", item: thing }", "read: { path: \"/things/{id}\", item: \"[0].thing\" }"),
        ("id: uid\n", "id: \"ids[0]\"\n"),
        ("watermark: changed", "watermark: \"stamps[2].at\""),
        ("region: { read: place.region }", "region: { read: \"places[0].region\" }"),
    ] {
        assert_eq!(problems(from, to), Vec::<String>::new(), "{from} → {to}");
    }
    // An item by its key is no place of an answer.
    let found = problems("item: thing, id: uid", "item: thing, id: \"data[key=x].id\"");
    assert!(found[0].starts_with("! kinds.thing.create: the answer to a create has no id"), "{found:?}");
}

#[test]
fn a_secret_that_comes_back_is_compared() {
    let [report] = reports(&MINE.replace("secret: always, reads_as: nothing", "secret: always")).try_into().unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.secrets[1], ("apiKey".to_owned(), Evidence::Value));
}

#[test]
fn what_a_kind_fixes_may_be_in_the_natural_key() {
    assert_eq!(problems("natural_key: [name]", "natural_key: [sort, name]"), Vec::<String>::new());
}

#[test]
fn kinds_that_look_alike_are_worth_a_look() {
    let other = |constants: &str, fields: &str| {
        let kind = format!(
            r#"  other:
    title: Other
    collection: things
    constants: {constants}
    fields: {fields}
    create: {{ method: POST, path: /things, item: thing, id: uid }}
    update:
      - {{ method: PUT, path: "/things/{{id}}", semantics: replace, covers: "*", item: thing }}
    delete: none
"#
        );
        let reports =
            reports(&format!("{}{kind}", MINE.replace("size: { type: integer }", "size: { type: integer, required: true }")));
        reports.into_iter().flat_map(|r| r.problems).map(|p| (p.is_error, p.at, p.text)).collect::<Vec<_>>()
    };
    let alike = (false, "kinds.other".to_owned(), "nothing tells a live `other` from a live `thing`".to_owned());
    assert_eq!(other("{ sort: thing }", "{ name: { required: true }, more: {} }"), std::slice::from_ref(&alike));
    // A `thing` that has what an `other` must have looks like one, if it may have that.
    assert_eq!(other("{ sort: thing }", "{ name: { required: true }, url: { required: true } }"), [alike]);
    assert!(other("{ sort: thing }", "{ name: { required: true }, mine: { required: true } }").is_empty());
    assert!(other("{ sort: other }", "{ name: { required: true }, more: {} }").is_empty());
}

#[test]
fn an_api_may_tell_only_that_there_is_a_secret() {
    let text = MINE.replace("secret: always, reads_as: nothing", "secret: always, reads_as: presence, read: set.apiKey");
    let [report] = reports(&text).try_into().unwrap();
    assert!(report.problems.iter().all(|problem| !problem.is_error), "{:#?}", report.problems);
    assert!(report.secrets.contains(&("apiKey".to_owned(), Evidence::PresenceAndStamp)), "{:?}", report.secrets);
}
