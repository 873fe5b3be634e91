//! The AI LLM API of Flashback (apis/flashback.md; apis/seeds/flashback-ai-llm.txt is its page for the create).
//!
//! There is no read by id, the secret never comes back, and nothing has a modification stamp: whether a secret is still
//! the one that was written, nothing remote can tell. An object is stored under its id with `key` and `secret` sealed.

use serde_json::{Map, Value, json};

use super::message::{Object, Outcome, Reply, Request, text};
use super::quirks::{FlashbackErrors, Quirks};
use super::secrets::{Mask, StoredSecret, looks_masked};
use super::store::{Platform, Store, member, uuid_shaped};

/// Where the API lives.
pub(super) const PREFIX: &str = "/ai/llm";

/// The page's body list omits GOOGLE; its prose has it.
const AI_TYPES: [&str; 5] = ["OPENAI", "GOOGLE", "ANTHROPIC", "AWS", "OTHER"];

/// The texts that a body may carry. Others are ignored.
const WRITABLE: [&str; 6] = ["name", "aiType", "endpoint", "key", "secret", "apiKeyUuid"];

/// Those of them that a create needs besides `workspaceId`; the credential is checked on its own.
const MANDATORY: [&str; 4] = ["name", "aiType", "endpoint", "workspaceId"];

/// Answers one request.
pub(super) fn handle(store: &mut Store, quirks: &Quirks, now: &str, request: &Request) -> Reply {
    match route(store, quirks, now, request) {
        Ok(reply) => reply,
        // "A body with `success: false` under status 200 is an error too."
        Err(refusal) if quirks.flashback_errors == FlashbackErrors::Ok => Reply { status: 200, ..refusal },
        Err(refusal) => refusal,
    }
}

fn route(store: &mut Store, quirks: &Quirks, now: &str, request: &Request) -> Outcome {
    if request.bearer().is_none() {
        return Err(failure(401, "Unauthorized"));
    }
    let segments = request.below(PREFIX).unwrap_or_default();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", []) => Ok(list(store, request)),
        ("POST", []) => create(store, now, request),
        ("PUT", [id]) => update(store, id, request),
        ("DELETE", [id]) => delete(store, quirks, id),
        ("POST", [id, "validate"]) => validate(store, id),
        // There is no read by id: list and filter.
        _ => Err(failure(404, "Not found")),
    }
}

/// An error in the vendor's shape.
pub(super) fn failure(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"success": false, "message": message}))
}

fn list(store: &Store, request: &Request) -> Reply {
    let workspace = request.parameter("workspaceId");
    let items: Vec<Value> = store
        .list(Platform::Flashback)
        .filter(|(_, llm)| workspace.is_none_or(|workspace| member(llm, "workspaceId") == workspace))
        .map(|(_, llm)| render(llm))
        .collect();
    Reply::json(200, &json!({"success": true, "aiLlms": items}))
}

/// The keys of an answer, in its order: everything but `secret` and our own notes.
const SHOWN: [&str; 11] =
    ["id", "orgId", "workspaceId", "userId", "name", "aiType", "endpoint", "key", "apiKeyId", "createdAt", "repos"];

fn render(llm: &Value) -> Value {
    let mut answer = Map::new();
    for name in SHOWN {
        if let Some(value) = llm.get(name) {
            let mut value = value.clone();
            if name == "key" {
                StoredSecret::show(&mut value, Mask::Read);
            }
            answer.insert(name.to_owned(), value);
        }
    }
    Value::Object(answer)
}

fn create(store: &mut Store, now: &str, request: &Request) -> Outcome {
    let body = checked(request)?;
    for name in MANDATORY {
        if text(&body, name).is_empty() {
            return Err(failure(400, &format!("{name} is required")));
        }
    }
    // A credential may also be given by reference.
    if text(&body, "secret").is_empty() && text(&body, "apiKeyUuid").is_empty() {
        return Err(failure(400, "secret is required"));
    }

    let id = uuid_shaped("flashback", store.next_number(Platform::Flashback));
    let mut llm = json!({
        "id": id, "orgId": "org-sandbox", "workspaceId": text(&body, "workspaceId"), "userId": "user-sandbox",
        "key": null, "createdAt": now
    });
    write(&mut llm, &body);
    check_name(store, &id, &llm)?;
    store.put(Platform::Flashback, &id, llm);
    Ok(Reply::json(200, &json!({"success": true, "aiLlmId": id, "message": "AI LLM configuration created successfully"})))
}

/// Every field is optional, so this PUT is partial.
fn update(store: &mut Store, id: &str, request: &Request) -> Outcome {
    let mut llm = existing(store, id)?;
    let body = checked(request)?;
    if body.contains_key("workspaceId") && text(&body, "workspaceId") != member(&llm, "workspaceId") {
        return Err(failure(400, "workspaceId cannot be changed"));
    }
    for name in ["name", "secret"] {
        if body.contains_key(name) && text(&body, name).is_empty() {
            return Err(failure(400, &format!("{name} must not be empty")));
        }
    }
    write(&mut llm, &body);
    check_name(store, id, &llm)?;
    store.put(Platform::Flashback, id, llm);
    Ok(Reply::json(200, &json!({"success": true, "aiLlmId": id})))
}

/// 403 means "no permission" and "in use"; only the message tells.
fn delete(store: &mut Store, quirks: &Quirks, id: &str) -> Outcome {
    let llm = existing(store, id)?;
    let repos = llm.get("repos").and_then(Value::as_array).is_some_and(|repos| !repos.is_empty());
    if repos || quirks.flashback_in_use {
        return Err(failure(403, "AI LLM configuration is in use by repositories"));
    }
    store.remove(Platform::Flashback, id);
    Ok(Reply::json(200, &json!({"success": true, "aiLlmId": id})))
}

/// Makes a "real call": one with a secret that has `invalid` in it, or with a mask, does not work.
fn validate(store: &Store, id: &str) -> Outcome {
    let llm = existing(store, id)?;
    let works = llm.get("works") != Some(&json!(false));
    let message = if works { "Credentials are valid" } else { "Invalid credentials" };
    Ok(Reply::json(200, &json!({"success": works, "message": message})))
}

fn existing(store: &Store, id: &str) -> Result<Value, Reply> {
    store.get(Platform::Flashback, id).cloned().ok_or_else(|| failure(404, "AI LLM configuration not found"))
}

/// The body of a write, with its values checked but not their presence.
fn checked(request: &Request) -> Result<Object, Reply> {
    let body = request.object().map_err(|problem| failure(400, &problem))?;
    for name in WRITABLE.into_iter().chain(["workspaceId"]) {
        // Only `key` can be taken away again.
        let emptied = name == "key" && body.get(name).is_some_and(Value::is_null);
        if !emptied && body.get(name).is_some_and(|value| !value.is_string()) {
            return Err(failure(400, &format!("{name} must be a string")));
        }
    }
    if body.contains_key("aiType") && !AI_TYPES.contains(&text(&body, "aiType")) {
        return Err(failure(400, &format!("aiType must be one of: {}", AI_TYPES.join(", "))));
    }
    if body.contains_key("endpoint") && !is_url(text(&body, "endpoint")) {
        return Err(failure(400, "endpoint must be a valid URL"));
    }
    Ok(body)
}

/// "Endpoint URL format is validated": http or https, with a host.
fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', ':']) && !host.contains(char::is_whitespace))
}

/// Puts the fields that a body has into an object.
fn write(llm: &mut Value, body: &Object) {
    for name in WRITABLE {
        let Some(value) = body.get(name) else { continue };
        let mut value = value.clone();
        if name == "secret" {
            let secret = text(body, name);
            llm["works"] = json!(!secret.contains("invalid") && !looks_masked(secret));
        }
        if matches!(name, "key" | "secret") {
            StoredSecret::seal(&mut value);
        }
        // Written under one name, read back under another.
        let stored = if name == "apiKeyUuid" { "apiKeyId" } else { name };
        llm[stored] = value;
    }
}

/// A name is unique within its workspace.
fn check_name(store: &Store, id: &str, llm: &Value) -> Result<(), Reply> {
    let key = Platform::Flashback.natural_key(llm);
    if store.find(Platform::Flashback, &key).is_some_and(|other| other != id) {
        return Err(failure(400, "An AI LLM configuration with this name already exists in the workspace"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::message::request;
    use super::*;

    const NOW: &str = "2025-01-01T12:00:00.000Z";

    struct Server {
        store: Store,
        quirks: Quirks,
    }

    impl Server {
        fn new() -> Self {
            Self { store: Store::in_memory(), quirks: Quirks::default() }
        }

        fn send(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
            let request = request(method, &format!("/ai/llm{path}"), ("authorization", "Bearer t"), body);
            let reply = handle(&mut self.store, &self.quirks, NOW, &request);
            (reply.status, reply.value())
        }

        fn create(&mut self, body: &Value) -> String {
            let (status, answer) = self.send("POST", "", body);
            assert_eq!((status, answer["success"].as_bool()), (200, Some(true)), "{answer}");
            format!("/{}", answer["aiLlmId"].as_str().unwrap())
        }

        fn items(&mut self, query: &str) -> Vec<Value> {
            self.send("GET", query, &Value::Null).1["aiLlms"].as_array().unwrap().clone()
        }
    }

    fn llm(name: &str) -> Value {
        json!({"name": name, "aiType": "OPENAI", "endpoint": "https://api.openai.com", "secret": "sk-0123456789", "workspaceId": "w1"})
    }

    fn with(mut body: Value, name: &str, value: Value) -> Value {
        body[name] = value;
        body
    }

    #[test]
    fn a_token_is_needed() {
        let request = request("GET", "/ai/llm", ("x-api-key", "k"), &Value::Null);
        let reply = handle(&mut Store::in_memory(), &Quirks::default(), NOW, &request);
        assert_eq!((reply.status, reply.value()["success"].as_bool()), (401, Some(false)));
    }

    #[test]
    fn the_secret_never_comes_back_and_nothing_tells_when_it_changed() {
        let mut server = Server::new();
        let id = server.create(&with(llm("a"), "key", json!("AKIA0123456789")));
        server.create(&llm("b"));
        let items = server.items("");
        assert_eq!((items[0]["key"].as_str(), items[1]["key"].is_null()), (Some("***************"), true));
        let before = items[0].clone();
        assert_eq!(
            server.send("PUT", &id, &json!({"secret": "sk-another-one"})),
            (200, json!({"success": true, "aiLlmId": &id[1..]}))
        );
        assert_eq!(server.items("")[0], before, "neither a mask nor a stamp moves");
        assert!(before.get("secret").is_none() && before.get("updatedAt").is_none());
        let stored = &server.store.get(Platform::Flashback, &id[1..]).unwrap()["secret"];
        assert!(StoredSecret::from_value(stored).unwrap().holds("sk-another-one"));
    }

    #[test]
    fn there_is_no_read_by_id() {
        let mut server = Server::new();
        let id = server.create(&llm("a"));
        assert_eq!(server.send("GET", &id, &Value::Null).0, 404);
        server.create(&with(llm("a"), "workspaceId", json!("w2")));
        assert_eq!(
            (server.items("").len(), server.items("?workspaceId=w2").len(), server.items("?workspaceId=w3").len()),
            (2, 1, 0)
        );
    }

    #[test]
    fn bodies_are_checked() {
        let mut server = Server::new();
        for (body, why) in [
            (with(llm("a"), "name", json!("")), "name is required"),
            (with(llm("a"), "workspaceId", json!("")), "workspaceId is required"),
            (with(llm("a"), "secret", json!("")), "secret is required"),
            (with(llm("a"), "name", json!(1)), "name must be a string"),
            (with(llm("a"), "aiType", json!("COHERE")), "aiType must be one of: OPENAI, GOOGLE, ANTHROPIC, AWS, OTHER"),
            (with(llm("a"), "endpoint", json!("api.openai.com")), "endpoint must be a valid URL"),
            (with(llm("a"), "endpoint", json!("https:///v1")), "endpoint must be a valid URL"),
        ] {
            assert_eq!(server.send("POST", "", &body), (400, json!({"success": false, "message": why})));
        }
        server.create(&with(llm("google"), "aiType", json!("GOOGLE")));
    }

    #[test]
    fn a_credential_may_be_a_reference() {
        let mut server = Server::new();
        server.create(&with(with(llm("a"), "secret", json!("")), "apiKeyUuid", json!("key-1")));
        assert_eq!(server.items("")[0]["apiKeyId"], "key-1");
    }

    #[test]
    fn put_is_partial_and_keeps_the_workspace() {
        let mut server = Server::new();
        let id = server.create(&llm("a"));
        server.create(&llm("b"));
        assert_eq!(server.send("PUT", &id, &json!({"endpoint": "https://other.example", "workspaceId": "w1"})).0, 200);
        let item = server.items("").swap_remove(0);
        assert_eq!((item["name"].as_str(), item["endpoint"].as_str()), (Some("a"), Some("https://other.example")));
        assert_eq!(server.send("PUT", &id, &json!({"workspaceId": "w2"})).0, 400);
        assert_eq!(server.send("PUT", &id, &json!({"name": "b"})).0, 400);
        assert_eq!(server.send("PUT", &id, &json!({"name": "a"})).0, 200);
        assert_eq!(server.send("PUT", "/none", &json!({})).0, 404);
    }

    #[test]
    fn names_are_unique_within_a_workspace() {
        let mut server = Server::new();
        server.create(&llm("a"));
        server.create(&with(llm("a"), "workspaceId", json!("w2")));
        assert_eq!(server.send("POST", "", &llm("a")).0, 400);
    }

    #[test]
    fn delete_is_forbidden_while_in_use() {
        let mut server = Server::new();
        let id = server.create(&llm("a"));
        server.store.update(Platform::Flashback, &id[1..], |llm| llm["repos"] = json!(["r1"]));
        assert_eq!(server.send("DELETE", &id, &Value::Null).0, 403);
        server.store.update(Platform::Flashback, &id[1..], |llm| llm["repos"] = json!([]));
        server.quirks.set("flashback_in_use", "true").unwrap();
        assert_eq!(server.send("DELETE", &id, &Value::Null).0, 403);
        server.quirks.set("flashback_in_use", "false").unwrap();
        assert_eq!(server.send("DELETE", &id, &Value::Null).0, 200);
        assert_eq!(server.send("DELETE", &id, &Value::Null).0, 404);
    }

    #[test]
    fn validation_says_false_under_200() {
        let mut server = Server::new();
        for (secret, success) in [("sk-0123456789", true), ("sk-invalid", false), ("***************", false)] {
            let id = server.create(&with(llm(secret), "secret", json!(secret)));
            let (status, answer) = server.send("POST", &format!("{id}/validate"), &Value::Null);
            assert_eq!((status, answer["success"].as_bool()), (200, Some(success)), "{secret}");
        }
    }

    #[test]
    fn errors_may_come_under_200() {
        let mut server = Server::new();
        server.quirks.set("flashback_errors", "ok").unwrap();
        assert_eq!(
            server.send("DELETE", "/none", &Value::Null),
            (200, json!({"success": false, "message": "AI LLM configuration not found"}))
        );
    }
}
