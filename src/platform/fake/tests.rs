use std::collections::BTreeMap;

use super::*;
use crate::platform::parse;
use crate::source::Sources;

/// Objects in memory.
#[derive(Default)]
struct Memory {
    lists: BTreeMap<String, Vec<(String, Json)>>,
}

impl Keeper for Memory {
    fn all(&self, list: &str) -> Vec<(String, Json)> {
        self.lists.get(list).cloned().unwrap_or_default()
    }

    fn get(&self, list: &str, id: &str) -> Option<Json> {
        self.all(list).into_iter().find(|(known, _)| known == id).map(|(_, object)| object)
    }

    fn put(&mut self, list: &str, id: &str, object: Json) {
        let list = self.lists.entry(list.to_owned()).or_default();
        match list.iter_mut().find(|(known, _)| known == id) {
            Some((_, known)) => *known = object,
            None => list.push((id.to_owned(), object)),
        }
    }

    fn remove(&mut self, list: &str, id: &str) {
        self.lists.entry(list.to_owned()).or_default().retain(|(known, _)| known != id);
    }

    fn new_id(&self, list: &str) -> String {
        format!("t-{}", self.all(list).len() + 1)
    }

    fn sealed(&self, _secret: &str, mask: &str) -> Json {
        json!({ "read": mask, "digest": "d" })
    }
}

struct Server {
    fake: Fake,
    memory: Memory,
}

const MINE: &str = r#"platform: mine
language: 1
title: Mine
auth: { token: { header: Authorization, prefix: "Bearer " } }
errors:
  message: [error.text]
  code: [error.code]
  rules:
    - { status: 400, message_has: does not exist, code: E404, class: not-found }
collections:
  things:
    list: { path: /things, items: things, total: count, paging: { style: page, size: 2, first: 0 } }
    read: { path: /thing, query: { uid: "{id}" }, item: thing }
    id: uid
    natural_key: [name]
    watermark: changed
kinds:
  small:
    title: Small
    collection: things
    constants: { sort: small }
    fields: &fields
      name: { required: true }
      key: { secret: always, reads_as: mask, read: masked_key }
      state: { enum: [on, off] }
      opts: { type: object, merge: true, patch: parts, fields: { a: {}, b: {} } }
    create: &create { method: POST, path: /things, id_in_location: true }
    update: &update
      - { method: PATCH, path: "/things/{id}", semantics: merge, covers: [key, state, opts] }
    delete: &delete { method: POST, path: /things/delete, body: { ids: ["{id}"] } }
  large:
    title: Large
    collection: things
    constants: { sort: large }
    fields: *fields
    create: *create
    update: *update
    delete: *delete
"#;

impl Server {
    fn new() -> Self {
        let mut sources = Sources::default();
        let file = sources.add("mine.yaml", MINE);
        let definition = parse::parse(file, MINE).unwrap_or_else(|e| panic!("{e:#?}"));
        Self { fake: Fake::new(Arc::new(definition)), memory: Memory::default() }
    }

    fn send(&mut self, line: &str, body: Json) -> Answer {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let call = Call {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: vec![("authorization".to_owned(), "Bearer t".to_owned())],
            body,
        };
        self.fake.answer(&mut self.memory, None, call)
    }

    fn create(&mut self, sort: &str, name: &str) -> Answer {
        self.send("POST /things", json!({ "sort": sort, "name": name, "key": "sk-0123456789abcdef", "opts": { "a": "1" } }))
    }
}

#[test]
fn an_object_lives_as_its_definition_says() {
    let mut server = Server::new();
    let created = server.create("small", "one");
    assert_eq!(created, Answer { status: 201, location: Some("/things/t-1".to_owned()), body: Json::Null });
    let read = |server: &mut Server| server.send("GET /thing?uid=t-1", Json::Null).body["thing"].clone();
    let expected = json!({
        "sort": "small", "name": "one", "masked_key": "***************cdef", "opts": { "a": "1" }, "uid": "t-1",
        "changed": "2030-01-01T00:00:01Z"
    });
    assert_eq!(read(&mut server), expected);
    server.send("PATCH /things/t-1", json!({ "opts": { "b": "2" }, "state": "on" }));
    let after = read(&mut server);
    assert_eq!((&after["opts"], &after["state"]), (&json!({ "a": "1", "b": "2" }), &json!("on")));
    assert_eq!((&after["masked_key"], &after["changed"]), (&json!("***************cdef"), &json!("2030-01-01T00:00:02Z")));
    assert!(!format!("{:?}", server.memory.lists).contains("0123456789"), "no secret is kept");
    assert_eq!(server.send("POST /things/delete", json!({ "ids": ["t-1"] })).status, 200);
    assert_eq!(server.send("GET /thing?uid=t-1", Json::Null).status, 400);
}

#[test]
fn lists_come_in_pages_and_share_a_path() {
    let mut server = Server::new();
    for (n, sort) in ["small", "large", "small"].into_iter().enumerate() {
        server.create(sort, &format!("thing {n}"));
    }
    let mut names = |target: &str| {
        let body = server.send(target, Json::Null).body;
        assert_eq!(body["count"], 3);
        body["things"].as_array().unwrap().iter().map(|t| t["sort"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("GET /things?page=0&limit=2"), ["small", "large"]);
    assert_eq!(names("GET /things?page=1&limit=2"), ["small"]);
}

#[test]
fn what_the_definition_does_not_know_is_refused_in_its_own_words() {
    let mut server = Server::new();
    server.create("small", "one");
    for (line, body, status, why) in [
        ("POST /things", json!({ "sort": "small" }), 400, "`name` is required"),
        ("POST /things", json!({ "sort": "small", "name": "two", "nam": 1 }), 400, "`nam` is not known"),
        ("POST /things", json!({ "sort": "small", "name": 2 }), 400, "`name` must be a string"),
        ("POST /things", json!({ "sort": "small", "name": "two", "state": "ON" }), 400, "`state` cannot be `ON`"),
        ("POST /things", json!({ "sort": "small", "name": "one" }), 409, "an object of that name exists"),
        ("POST /things", json!({ "sort": "tiny", "name": "two" }), 400, "no kind of object has these constants"),
        ("PATCH /things/t-1", json!({ "name": "two" }), 400, "`name` cannot be changed by this request"),
        ("PATCH /things/t-1", json!({ "opts": { "c": "1" } }), 400, "`opts.c` is not known"),
        ("PATCH /things/t-9", json!({ "state": "on" }), 400, "there is no object t-9: does not exist"),
        ("PUT /things/t-1", json!({}), 400, "there is no PUT /things/t-1: does not exist"),
    ] {
        let answer = server.send(line, body);
        assert_eq!((answer.status, answer.body["error"]["text"].as_str()), (status, Some(why)), "{line}");
    }
    assert_eq!(server.send("GET /none", Json::Null).body["error"]["code"], "E404");
}

#[test]
fn a_credential_is_needed() {
    let server = Server::new();
    let call = |header: &str, value: &str| Call {
        method: "GET".to_owned(),
        path: "/things".to_owned(),
        headers: vec![(header.to_owned(), value.to_owned())],
        ..Call::default()
    };
    for (header, value, key, status) in [
        ("authorization", "Bearer t", None, 200),
        ("authorization", "Bearer ", None, 401),
        ("authorization", "Basic t", None, 401),
        ("x-api-key", "t", None, 401),
        ("authorization", "Bearer t", Some("t"), 200),
        ("authorization", "Bearer u", Some("t"), 401),
    ] {
        let answer = server.fake.answer(&mut Memory::default(), key, call(header, value));
        assert_eq!(answer.status, status, "{header}: {value}, {key:?}");
    }
}

#[test]
fn names_are_told_apart_as_the_definition_says() {
    use super::object::Stored;
    for (form, key) in [("exact", "OpenAI_Main"), ("ignore-case", "openai_main"), ("slug", "openai-main")] {
        let collection = json!({"list": {"path": "/things", "items": "things"}, "id": "name", "natural_key": ["name"], "natural_key_as": form});
        let collection = serde_json::from_value(collection).unwrap();
        let kept = Stored::from_json(&json!({"kind": "thing", "stamp": 1, "fields": {"name": "OpenAI_Main"}})).unwrap();
        assert_eq!(kept.natural_key(&collection), Some(vec![key.to_owned()]), "{form}");
        assert_eq!(kept.own_id(&collection).as_deref(), Some(key), "{form}");
    }
}
