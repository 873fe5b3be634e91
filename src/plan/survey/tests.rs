use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::config::connections::Lifecycle;
use crate::config::desired::Connection;
use crate::config::node::Node;
use crate::path::FieldPath;
use crate::platform::model::Definition;
use crate::platform::parse;
use crate::secret::Secret;
use crate::source::Sources;
use crate::value::Value;

const MINE: &str = r#"platform: mine
language: 1
title: Mine
auth: { token: { header: Authorization, prefix: "Bearer " } }
collections:
  things:
    list: { path: /things, items: things }
    read: { path: "/things/{id}" }
    id: id
    natural_key: [team, name]
    watermark: changed
kinds:
  thing:
    title: Thing
    collection: things
    fields:
      team: { required: true }
      name: { required: true }
      model: { required: true }
      size: { type: integer }
      note: {}
      fixed: {}
      state: { enum: [DRAFT, LIVE, OFF] }
      opts: { type: object, merge: true, patch: parts, fields: { deep: { type: boolean }, more: {} } }
      headers: { type: list, keyed_by: key, item: { key: { required: true }, value: { secret: when-key-matches-auth, reads_as: mask } } }
      apiKey: { required: true, secret: always, reads_as: mask }
    create: { method: POST, path: /things }
    update:
      - { method: PATCH, path: "/things/{id}", semantics: merge, covers: [name, model, size, note, state, opts, apiKey], except: [{ field: state, to: LIVE }] }
      - { method: PUT, path: "/things/{id}", semantics: replace, covers: [name, model, size, note, state, opts, headers, apiKey], requires: all }
    delete: { method: DELETE, path: "/things/{id}" }
"#;

fn definition() -> Definition {
    let mut sources = Sources::default();
    let file = sources.add("mine.yaml", MINE);
    parse::parse(file, MINE).unwrap_or_else(|e| panic!("{e:#?}"))
}

fn secret(text: &str) -> Value {
    Value::Secret(Secret::new(text))
}

/// As somebody declares it; some of it comes from the environment.
fn template() -> Connection {
    let mut spec = Value::from(json!({
        "team": "t", "name": "n", "model": "m", "size": 7, "note": "a", "fixed": "f", "state": "DRAFT",
        "opts": { "deep": true, "more": "x" },
        "headers": [{ "key": "Authorization", "value": "" }, { "key": "X-Tenant", "value": "acme" }],
    }));
    spec.replace(&FieldPath::parse("headers[key=Authorization].value"), secret("Bearer gsk_real_0001"));
    spec.put(&FieldPath::parse("team"), secret("team-from-the-environment"));
    spec.put(&FieldPath::parse("note"), secret("https://llm.example/sk-real-0001/v1"));
    spec.put(&FieldPath::parse("apiKey"), secret("sk-real-0001"));
    let mut sources = Sources::default();
    let place = sources.add("c.yaml", "").span(0, 0);
    Connection {
        address: "t/k".parse().unwrap(),
        kind: "thing".to_owned(),
        spec,
        node: Arc::new(Node::null(place)),
        references: Vec::new(),
        depends_on: Vec::new(),
        lifecycle: Lifecycle::default(),
        source: place,
        origins: BTreeMap::new(),
    }
}

/// The server's object: everything as it was sent, secrets masked.
fn live(disposable: &Disposable) -> Object {
    let mut body = Value::from(disposable.connection.spec.expose_json().unwrap());
    body.put(&FieldPath::parse("apiKey"), "sk-***".into());
    body.replace(&FieldPath::parse("headers[key=Authorization].value"), "***".into());
    Object { id: "1".to_owned(), watermark: Some("s1".to_owned()), body }
}

fn with_subject<T>(check: impl FnOnce(&Subject<'_>, &Object) -> T) -> T {
    let definition = definition();
    let (kind, collection) = (&definition.kinds["thing"], &definition.collections["things"]);
    let mut template = template();
    template.spec.put(&FieldPath::parse("note"), "a".into());
    let disposable = Disposable::of(&template, kind, collection, "5eed", false).unwrap();
    check(&Subject { name: "thing", kind, collection, disposable: &disposable }, &live(&disposable))
}

#[test]
fn a_disposable_object_has_its_own_name_and_no_secret_of_the_user() {
    let definition = definition();
    let (kind, collection) = (&definition.kinds["thing"], &definition.collections["things"]);
    let sent = |own_secrets| {
        let disposable = Disposable::of(&template(), kind, collection, "5eed", own_secrets).unwrap();
        disposable.connection.spec.expose_json().unwrap()
    };
    let made_up = sent(false);
    assert_eq!((&made_up["name"], &made_up["team"]), (&json!("patchbay-probe-5eed"), &json!("team-from-the-environment")));
    assert!(made_up["headers"][0]["value"].as_str().unwrap().starts_with("Bearer sk-patchbay-probe-invalid-5eed"));
    assert!(made_up["apiKey"].as_str().unwrap().starts_with("sk-patchbay-probe-invalid-5eed"));
    assert_eq!(made_up["note"], "https://llm.example/patchbay-probe/v1", "a secret inside a text is one all the same");
    assert!(!made_up.to_string().contains("real"));
    let own = sent(true);
    assert_eq!((&own["name"], &own["apiKey"]), (&json!("patchbay-probe-5eed"), &json!("sk-real-0001")));
}

#[test]
fn what_cannot_have_a_name_of_its_own_is_not_made() {
    let mut definition = definition();
    let refused = |definition: &Definition, template: &Connection| {
        let (kind, collection) = (&definition.kinds["thing"], &definition.collections["things"]);
        Disposable::of(template, kind, collection, "5eed", false).err()
    };
    let mut waiting = template();
    waiting.spec.put(&FieldPath::parse("model"), Value::Unknown("t/other.id".into()));
    assert_eq!(refused(&definition, &waiting).as_deref(), Some("it refers to something that is not known yet"));
    definition.collections["things"].natural_key = vec!["state".to_owned()];
    assert!(refused(&definition, &template()).unwrap().contains("can be chosen freely"));
}

#[test]
fn secrets_that_are_made_up_differ_at_their_end() {
    let tails: std::collections::BTreeSet<String> =
        (0..50).map(|n| throwaway("5eed", n).expose().chars().rev().take(4).collect()).collect();
    assert!(tails.len() > 45, "{tails:?}");
    with_subject(|subject, _| {
        for (path, first) in &subject.disposable.made_up {
            assert_ne!(subject.disposable.another_secret(path).as_ref(), Some(first));
        }
    });
}

#[test]
fn each_trial_is_what_an_apply_sends_or_that_with_one_thing_different() {
    let shown = with_subject(|subject, live| {
        let line = |trial: &Trial| {
            let request = trial.request(subject, live).unwrap();
            let body = request.body.as_ref().and_then(Value::expose_json).unwrap().to_string();
            let way = format!("{:?}", trial.way);
            let way = way.split('(').next().unwrap().to_owned();
            // Made-up secrets and the rest of a whole body would only make this long.
            let body = if trial.verb == 1 { format!("{} keys", body.matches("\":").count()) } else { body };
            let body = body.split("sk-patchbay").next().unwrap().to_owned();
            format!("{way} {} {}\n", request.line(), body)
        };
        trials(subject, live).iter().map(line).collect::<String>()
    });
    for expected in [
        "Rotate PATCH /things/1 {\"apiKey\":\"\n",
        "Change PATCH /things/1 {\"model\":\"m-b\"}\n",
        "Change PATCH /things/1 {\"size\":8}\n",
        "Change PATCH /things/1 {\"name\":\"patchbay-probe-5eed-b\"}\n",
        "LeaveOut PATCH /things/1 {\"model\":\"m\"}\n",
        "Part PATCH /things/1 {\"opts\":{\"deep\":true}}\n",
        "Null PATCH /things/1 {\"size\":null}\n",
        "Force PATCH /things/1 {\"model\":\"m\",\"state\":\"LIVE\"}\n",
        "Force PATCH /things/1 {\"model\":\"m\",\"fixed\":\"f-b\"}\n",
        "Omit PUT /things/1 ",
        "LeaveOut PUT /things/1 ",
        "Change PUT /things/1 ",
    ] {
        assert!(shown.contains(expected), "no {expected}in\n{shown}");
    }
    // A part of the natural key that is not ours to choose may be where the object is looked for.
    assert!(!shown.contains("team-from-the-environment-b"), "{shown}");
    assert!(shown.starts_with("Part"), "what sends known values comes first:\n{shown}");
}

#[test]
fn an_object_is_brought_back_by_what_an_apply_would_send() {
    with_subject(|subject, live| {
        assert_eq!(restore(subject, live), None);
        let mut changed = live.clone();
        changed.body.put(&FieldPath::parse("model"), "other".into());
        let request = restore(subject, &changed).unwrap();
        let body = request.body.as_ref().and_then(Value::expose_json).unwrap();
        assert_eq!((request.line().as_str(), &body["model"], &body["size"]), ("PUT /things/1", &json!("m"), &json!(7)));
    });
}

fn api(status: u16, class: ErrorClass) -> Reply {
    let message = Some("no".to_owned());
    Reply::Refused(ApiError { class: Failure::Api(class), status, message, code: None })
}

#[test]
fn what_becomes_of_a_change_is_an_answer() {
    let path = FieldPath::parse;
    let done = || Reply::Done;
    let refused = || api(400, ErrorClass::Invalid);
    // The update, the field, the way; the reply; the object after it, as a change of the one before; the finding.
    type Case<'c> = (usize, &'c str, Way, Reply, Option<(&'c str, serde_json::Value)>, &'c str);
    let nothing = || Some(("note", json!("a")));
    let lost = || Some(("note", serde_json::Value::Null));
    let cases: Vec<Case<'_>> = vec![
        (0, "model", Way::LeaveOut(path("note")), done(), nothing(), "unsent agrees it keeps `note` when `model` is sent alone"),
        (
            0,
            "model",
            Way::LeaveOut(path("note")),
            done(),
            lost(),
            "unsent contradicts it loses `note` when `model` is sent alone",
        ),
        (
            0,
            "model",
            Way::LeaveOut(path("note")),
            refused(),
            nothing(),
            "unsent contradicts it refuses `model` alone with the value that it has: 400 (\"no\")",
        ),
        (
            0,
            "model",
            Way::LeaveOut(path("note")),
            api(500, ErrorClass::Transient),
            nothing(),
            "unsent cannot-tell it refuses a body without `note`: 500 (\"no\")",
        ),
        (1, "model", Way::LeaveOut(path("note")), done(), lost(), "unsent agrees it loses `note`"),
        (1, "model", Way::LeaveOut(path("note")), done(), Some(("note", json!("a default"))), "unsent agrees it loses `note`"),
        (1, "model", Way::LeaveOut(path("note")), done(), nothing(), "unsent contradicts it keeps `note`"),
        (0, "model", Way::Change("m-b".into()), done(), Some(("model", json!("m-b"))), "change agrees `model`"),
        (
            0,
            "model",
            Way::Change("m-b".into()),
            done(),
            nothing(),
            "change contradicts it accepts another value of `model`, and does not store it",
        ),
        (
            0,
            "model",
            Way::Change("m-b".into()),
            done(),
            Some(("model", json!("z"))),
            "change contradicts it stores another value of `model` than it was sent",
        ),
        (
            0,
            "model",
            Way::Change("m-b".into()),
            done(),
            None,
            "change contradicts after another value of `model` nothing answers under the object's id any more",
        ),
        (
            0,
            "model",
            Way::Change("m-b".into()),
            refused(),
            nothing(),
            "change cannot-tell it refuses another value of `model`: 400 (\"no\")",
        ),
        (
            0,
            "opts.more",
            Way::Part(path("opts.deep")),
            done(),
            nothing(),
            "parts agrees it keeps `opts.more` when `opts.deep` is sent alone",
        ),
        (
            0,
            "opts.more",
            Way::Part(path("opts.deep")),
            done(),
            Some(("opts.more", serde_json::Value::Null)),
            "parts contradicts it loses `opts.more` when `opts.deep` is sent alone",
        ),
        (
            0,
            "opts.more",
            Way::Part(path("opts.deep")),
            refused(),
            nothing(),
            "parts cannot-tell it refuses `opts.deep` alone: 400 (\"no\")",
        ),
        (0, "note", Way::Null, done(), nothing(), "null noted it ignores `note: null`"),
        (0, "note", Way::Null, done(), lost(), "null noted `note: null` clears the field, or sets its default"),
        (0, "note", Way::Null, refused(), nothing(), "null noted it refuses `note: null`: 400 (\"no\")"),
        (1, "apiKey", Way::Omit, refused(), nothing(), "required agrees it refuses a body without `apiKey`: 400 (\"no\")"),
        (1, "apiKey", Way::Omit, done(), nothing(), "required contradicts it accepts a body without `apiKey`"),
        (0, "fixed", Way::Force("f-b".into()), refused(), nothing(), "unchangeable agrees `fixed` is refused: 400 (\"no\")"),
        (0, "fixed", Way::Force("f-b".into()), done(), nothing(), "unchangeable agrees `fixed` is ignored"),
        (
            0,
            "fixed",
            Way::Force("f-b".into()),
            done(),
            Some(("fixed", json!("f-b"))),
            "unchangeable contradicts PATCH /things/{id} changes `fixed`",
        ),
        (
            0,
            "state",
            Way::Force("LIVE".into()),
            refused(),
            nothing(),
            "unchangeable agrees `state` to `LIVE` is refused: 400 (\"no\")",
        ),
        (
            0,
            "state",
            Way::Force("LIVE".into()),
            done(),
            Some(("state", json!("LIVE"))),
            "unchangeable contradicts PATCH /things/{id} changes `state` to `LIVE`",
        ),
        (0, "model", Way::LeaveOut(path("note")), api(404, ErrorClass::NotFound), nothing(), "missing contradicts it has not"),
        // What the new value refers to was not found.
        (
            0,
            "model",
            Way::Change("m-b".into()),
            api(404, ErrorClass::NotFound),
            nothing(),
            "change cannot-tell it refuses another value of `model`: 404 (\"no\")",
        ),
        (0, "model", Way::Change("m-b".into()), api(405, ErrorClass::Invalid), nothing(), "missing contradicts it has not"),
    ];
    for (verb, field, way, reply, change, expected) in cases {
        let found = with_subject(|subject, before| {
            let after = change.map(|(at, value)| {
                let mut after = before.clone();
                match value {
                    serde_json::Value::Null => drop(after.body.take(&path(at))),
                    value => after.body.put(&path(at), value.into()),
                }
                after
            });
            let trial = Trial { verb, field: path(field), way };
            let seen = Seen { trial, before: before.clone(), reply, after, is_rested: false };
            findings(subject, &Evidence { seen: vec![seen], ..Evidence::default() })
        });
        let shown: Vec<String> = found.iter().map(|f| format!("{} {} {}", f.topic, f.verdict.word(), f.answer)).collect();
        assert!(shown.iter().any(|line| line == expected), "{expected}\n{shown:#?}");
        let root = FieldPath::parse(&found[0].at);
        assert!(matches!(root.top(), Some("kinds")), "{}", found[0].at);
    }
}

#[test]
fn the_form_of_a_mask_is_told_and_never_its_text() {
    let key = Secret::new("sk-patchbay-0001MQAA");
    for (shown, expected) in [
        (json!(null), Form::Nothing),
        (json!(""), Form::Nothing),
        (json!(true), Form::Presence),
        (json!("sk-patchbay-0001MQAA"), Form::Itself),
        (json!("********"), Form::Mask(0, 0)),
        (json!("sk-***************"), Form::Mask(3, 0)),
        (json!("sk***************MQAA"), Form::Mask(2, 4)),
        (json!("...MQAA"), Form::Mask(0, 4)),
        (json!("gsk_***"), Form::OtherMask),
        (json!("[REDACTED]"), Form::Text),
        (json!(7), Form::Text),
    ] {
        assert_eq!(form(&key, Some(&Value::from(shown.clone()))), expected, "{shown}");
    }
    assert_eq!(form(&key, None), Form::Nothing);
}

#[test]
fn stamps_prove_something_only_if_they_move_with_a_change_and_not_with_a_read() {
    for (before, after, read, expected) in [
        (Some("1"), Some("2"), Some("1"), ["agrees with another secret in `apiKey`", "agrees not with a read"]),
        (Some("1"), Some("1"), Some("1"), ["contradicts not with another secret in `apiKey`", "agrees not with a read"]),
        (Some("1"), Some("2"), Some("3"), ["agrees with another secret in `apiKey`", "contradicts with every read"]),
        (None, None, None, ["contradicts it is not there", ""]),
    ] {
        let found = with_subject(|subject, live| {
            let stamped = |stamp: Option<&str>| Object { watermark: stamp.map(ToOwned::to_owned), ..live.clone() };
            let trial = Trial { verb: 0, field: FieldPath::parse("apiKey"), way: Way::Rotate(Value::Null) };
            let seen = Seen { trial, before: stamped(before), reply: Reply::Done, after: Some(stamped(after)), is_rested: true };
            let reads = vec![stamped(before), stamped(read)];
            findings(subject, &Evidence { reads, seen: vec![seen], ..Evidence::default() })
        });
        let stamps: Vec<String> =
            found.iter().filter(|f| f.topic == "stamp").map(|f| format!("{} {}", f.verdict.word(), f.answer)).collect();
        assert_eq!(stamps, expected.iter().filter(|line| !line.is_empty()).copied().collect::<Vec<_>>(), "{before:?} {after:?}");
    }
}

#[test]
fn a_list_shows_as_much_as_a_read_or_not() {
    let none = || serde_json::Value::Null;
    for (is_whole, has_read, in_list, expected) in [
        (false, true, None, "list agrees everything that a read shows, so `items_are_whole: true` may do"),
        (false, false, None, "list agrees everything that a read shows"),
        (false, true, Some(("note", none())), "list agrees its name; only a read shows `note`"),
        (false, true, Some(("note", json!("cut"))), "list agrees everything that a read shows"),
        (true, true, None, "list agrees everything that a read shows"),
        (true, true, Some(("note", none())), "list contradicts its name; only a read shows `note`"),
        (true, true, Some(("note", json!("cut"))), "list contradicts another value than a read of `note`"),
    ] {
        let found = with_subject(|subject, live| {
            let mut collection = subject.collection.clone();
            collection.list.items_are_whole = is_whole;
            collection.read = collection.read.filter(|_| has_read);
            let mut item = live.clone();
            match in_list.clone() {
                Some((at, serde_json::Value::Null)) => drop(item.body.take(&FieldPath::parse(at))),
                Some((at, value)) => item.body.put(&FieldPath::parse(at), value.into()),
                None => {}
            }
            let list = Listed { item: Some(item), count: 1, complete: Completeness::Certain };
            let evidence = Evidence { is_made: true, reads: vec![live.clone(); 2], list: Some(list), ..Evidence::default() };
            findings(&Subject { collection: &collection, ..*subject }, &evidence)
        });
        let shown: Vec<String> = found.iter().map(|f| format!("{} {} {}", f.topic, f.verdict.word(), f.answer)).collect();
        assert!(shown.iter().any(|line| line == expected), "{expected}\n{shown:#?}");
    }
}

#[test]
fn where_nothing_was_made_nothing_is_found() {
    assert_eq!(with_subject(|subject, _| findings(subject, &Evidence::default())), []);
}
