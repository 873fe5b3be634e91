//! A server of a few lines for definitions of a test's own: collections of JSON objects, masks, and what a delete does to
//! the objects that refer to the deleted one.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "a part of a test")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a part of a test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Map, Value, json};

/// What a read shows of a secret.
pub const MASK: &str = "*****";

/// What the server has, and how it behaves.
#[derive(Default)]
pub struct Store {
    /// Objects by collection and id.
    pub objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// `METHOD /path` of every request, with the body of a write.
    pub log: Vec<String>,
    /// A delete of an object of the first collection takes along, or leaves behind, those of the second one that have its
    /// id in this field.
    pub references: Vec<(&'static str, &'static str, &'static str)>,
    /// Does it take them along?
    pub cascades: bool,
    /// Does a mask in an update keep what is stored? Otherwise it is stored.
    pub mask_keeps: bool,
    /// Does an update take no notice of null?
    pub ignores_null: bool,
    /// The ids of objects that no list shows.
    pub unlisted: Vec<String>,
    /// Is every create refused?
    pub refuses_creates: bool,
    /// Counts writes: stamps and ids are made of it.
    pub count: u64,
}

/// A running server. Its threads end with the test's process.
pub struct Tiny {
    pub url: String,
    store: Arc<Mutex<Store>>,
}

impl Tiny {
    pub fn start(store: Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let store = Arc::new(Mutex::new(store));
        let shared = Arc::clone(&store);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(&stream.unwrap(), &shared));
            }
        });
        Self { url, store }
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    /// The requests since the last look.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.store().log)
    }

    /// The writes since the last look.
    pub fn writes(&self) -> Vec<String> {
        self.requests().into_iter().filter(|line| !line.starts_with("GET ")).collect()
    }
}

impl Store {
    /// Makes an object behind patchbay's back; returns its id.
    pub fn add(&mut self, collection: &str, mut object: Value) -> String {
        self.count += 1;
        let id = format!("{}-{}", &collection[..1], self.count);
        object["id"] = id.clone().into();
        object["updated"] = self.count.into();
        self.objects.entry(collection.to_owned()).or_default().insert(id.clone(), object);
        id
    }

    /// The id of the object that has this value in this field.
    pub fn id(&self, collection: &str, field: &str, value: &str) -> String {
        let found = self.objects[collection].iter().find(|(_, object)| object[field] == value);
        found.unwrap_or_else(|| panic!("no {field} = {value}")).0.clone()
    }

    /// Changes an object as a request would.
    pub fn patch(&mut self, collection: &str, id: &str, body: &Value) {
        self.count += 1;
        let (count, keeps, ignores_null) = (self.count, self.mask_keeps, self.ignores_null);
        let object = self.objects.get_mut(collection).unwrap().get_mut(id).unwrap();
        for (name, value) in body.as_object().unwrap().iter().filter(|(_, value)| !(ignores_null && value.is_null())) {
            let stored = object[name].take();
            object[name] = if keeps { kept(value, &stored) } else { value.clone() };
        }
        object["updated"] = count.into();
    }

    fn delete(&mut self, collection: &str, id: &str) -> bool {
        let gone = self.objects.get_mut(collection).is_some_and(|objects| objects.remove(id).is_some());
        for (_, users, field) in self.references.iter().filter(|(used, ..)| gone && *used == collection) {
            let Some(users) = self.objects.get_mut(*users) else { continue };
            if self.cascades {
                users.retain(|_, user| user[*field] != id);
            } else {
                for user in users.values_mut().filter(|user| user[*field] == id) {
                    self.count += 1;
                    user[*field] = Value::Null;
                    user["updated"] = self.count.into();
                }
            }
        }
        gone
    }

    fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let steps: Vec<&str> = path.split(['/', '?']).skip(1).collect();
        match (method, steps.as_slice()) {
            ("GET", [collection]) => {
                let all = self.objects.get(*collection).into_iter().flatten();
                let all = all.filter(|(id, _)| !self.unlisted.contains(id));
                let all: Vec<Value> = all.map(|(_, object)| shown(object, None)).collect();
                (200, json!({ *collection: all, "total": all.len() }))
            }
            ("GET", [collection, id]) => match self.objects.get(*collection).and_then(|objects| objects.get(*id)) {
                Some(object) => (200, shown(object, None)),
                None => (404, json!({ "error": "not found" })),
            },
            // A test that writes what it found to the object.
            ("POST", [collection, id, "health"]) => {
                self.patch(collection, id, &json!({ "health": "fine" }));
                (200, json!({ "status": "healthy" }))
            }
            ("POST", _) if self.refuses_creates => (400, json!({ "error": "no" })),
            ("POST", [collection]) => {
                let parent = self.references.iter().find(|(_, users, _)| users == collection);
                let body = body.cloned().unwrap_or_default();
                if let Some((used, _, field)) = parent
                    && !self.objects.get(*used).is_some_and(|all| body[*field].as_str().is_some_and(|id| all.contains_key(id)))
                {
                    return (404, json!({ "error": "no such parent" }));
                }
                let id = self.add(collection, body);
                (201, shown(&self.objects[*collection][&id], None))
            }
            ("PATCH", [collection, id]) if self.objects.get(*collection).is_some_and(|all| all.contains_key(*id)) => {
                self.patch(collection, id, body.unwrap());
                (200, shown(&self.objects[*collection][*id], None))
            }
            ("DELETE", [collection, id]) if self.delete(collection, id) => (200, json!({})),
            _ => (404, json!({ "error": "not found" })),
        }
    }
}

/// The stored values where the new ones are masks.
fn kept(new: &Value, stored: &Value) -> Value {
    match new {
        Value::String(text) if text == MASK => stored.clone(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), kept(value, &stored[key]))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// Secrets are called so, at any depth; `api_key` at the top is never shown.
fn shown(value: &Value, name: Option<&str>) -> Value {
    let is_secret = name.is_some_and(|name| name.contains("secret") || name.contains("password") || name.contains("api_key"));
    match value {
        Value::String(_) if is_secret => MASK.into(),
        Value::Object(map) => {
            let visible = map.iter().filter(|(key, _)| name.is_some() || *key != "api_key");
            visible.map(|(key, value)| (key.clone(), shown(value, Some(key)))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn answer(mut stream: &TcpStream, store: &Mutex<Store>) {
    let mut reader = BufReader::new(stream);
    let (mut request, mut line, mut length) = (String::new(), String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        if request.is_empty() {
            request = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let Some((method, path)) = request.split_once(' ') else { return };
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let mut store = store.lock().unwrap();
    store.log.push(body.as_ref().map_or_else(|| request.clone(), |body| format!("{request} {body}")));
    let (status, answer) = store.call(method, path, body.as_ref());
    drop(store);
    let text = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    // A client that has gone is no failure of the test: its missing answer is.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes())));
}
