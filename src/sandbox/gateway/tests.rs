//! What was seen on the real server, and where the documented one differs.

use serde_json::{Value, json};

use super::super::message::{Reply, request};
use super::super::quirks::Quirks;
use super::super::secrets::StoredSecret;
use super::super::store::{Platform, Store};
use super::handle;

const NOW: &str = "2025-01-01T12:00:00.750Z";
const BASE: &str = "/api/providers";

struct Server {
    store: Store,
    quirks: Quirks,
    now: &'static str,
}

impl Server {
    fn seen() -> Self {
        Self { store: Store::in_memory(), quirks: Quirks::default(), now: NOW }
    }

    fn documented() -> Self {
        let mut server = Self::seen();
        server.quirks.set("gateway", "documented").unwrap();
        server
    }

    fn reply(&mut self, method: &str, path: &str, header: (&str, &str), body: &Value) -> Reply {
        let mut request = request(method, &format!("{BASE}{path}"), ("authorization", "Bearer t"), body);
        request.headers.push((header.0.to_owned(), header.1.to_owned()));
        handle(&mut self.store, &self.quirks, self.now, &request)
    }

    fn send(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let reply = self.reply(method, path, ("accept", "*/*"), body);
        (reply.status, reply.value())
    }

    fn save(&mut self, name: &str, metadata: &Value) -> Value {
        let (status, answer) = self.send("POST", "", &json!({"name": name, "apiKey": "sk-0123456789", "metadata": metadata}));
        assert_eq!(status, 200, "{answer}");
        answer["provider"].clone()
    }

    fn names(&mut self, query: &str) -> Vec<String> {
        let (_, list) = self.send("GET", query, &Value::Null);
        list["providers"].as_array().unwrap().iter().map(|provider| provider["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_token_or_the_root_key_is_needed() {
    let mut store = Store::in_memory();
    for (header, value, status) in [
        ("authorization", "Bearer t", 200),
        ("x-root-key", "r", 200),
        ("authorization", "Bearer ", 401),
        ("x-root-key", "", 401),
        ("x-api-key", "k", 401),
    ] {
        let request = request("GET", BASE, (header, value), &Value::Null);
        assert_eq!(handle(&mut store, &Quirks::default(), NOW, &request).status, status, "{header}: {value}");
    }
}

#[test]
fn create_and_update_look_the_same() {
    let mut server = Server::seen();
    let created = server.save("OpenAI", &json!({"displayName": "Mine", "baseUrl": "https://proxy.example/v1", "region": "eu"}));
    let expected = json!({
        "id": "1", "name": "openai", "displayName": "Mine", "baseUrl": "https://proxy.example/v1",
        "models": ["gpt-4o", "gpt-4o-mini"], "defaultModel": "gpt-4o", "hasCredentials": true,
        "createdAt": "2025-01-01 12:00:00", "updatedAt": "2025-01-01 12:00:00"
    });
    assert_eq!(created, expected);
    server.now = "2025-01-01T12:00:09.000Z";
    let updated = server.save("openai", &json!({"displayName": "Ours"}));
    assert_eq!((updated["id"].as_str(), updated["createdAt"].as_str()), (Some("1"), Some("2025-01-01 12:00:00")));
    assert_eq!(updated["updatedAt"], "2025-01-01 12:00:09");
    assert_eq!(updated["baseUrl"], "https://api.openai.com/v1", "omitted metadata goes back to the vendor's default");
    assert_eq!(server.store.count(Platform::Gateway), 1);
}

#[test]
fn names_are_matched_without_regard_to_case() {
    let mut server = Server::seen();
    server.save("MyGateway", &Value::Null);
    let (status, answer) = server.send("GET", "/MYGATEWAY", &Value::Null);
    assert_eq!(
        (status, answer["provider"]["name"].as_str(), answer["provider"]["defaultModel"].is_null()),
        (200, Some("mygateway"), true)
    );
    assert_eq!(server.send("GET", "/other", &Value::Null), (404, json!({"error": "Provider not found"})));
}

#[test]
fn the_key_is_mandatory_and_a_bad_one_is_a_server_error() {
    let mut server = Server::seen();
    for body in [json!({"name": "a"}), json!({"apiKey": "sk-0123456789"}), json!({"name": "", "apiKey": "sk-0123456789"})] {
        assert_eq!(server.send("POST", "", &body), (400, json!({"error": "name and apiKey are required"})));
    }
    for key in ["short", "sk-with a space"] {
        let body = json!({"name": "a", "apiKey": key});
        assert_eq!(server.send("POST", "", &body), (500, json!({"error": "Failed to save provider"})), "{key}");
    }
    assert_eq!(server.store.count(Platform::Gateway), 0);
}

#[test]
fn put_changes_the_key_and_the_display_name() {
    let mut server = Server::seen();
    server.save("openai", &json!({"baseUrl": "https://proxy.example"}));
    assert_eq!(server.send("PUT", "/openai", &json!({"baseUrl": "https://other.example"})).0, 400);
    let (status, answer) = server.send("PUT", "/OpenAI", &json!({"baseUrl": "https://other.example", "displayName": "New"}));
    assert_eq!((status, answer["provider"]["displayName"].as_str()), (200, Some("New")));
    assert_eq!(answer["provider"]["baseUrl"], "https://proxy.example", "ignored without a word");
    assert_eq!(server.send("PUT", "/openai", &json!({"apiKey": "sk-another-one"})).0, 200);
    let stored = &server.store.get(Platform::Gateway, "openai").unwrap()["apiKey"];
    assert!(StoredSecret::from_value(stored).unwrap().holds("sk-another-one"));
    assert_eq!(server.send("PUT", "/openai", &json!({"apiKey": "bad key here"})).0, 500);
    assert_eq!(server.send("PUT", "/none", &json!({"displayName": "x"})).0, 400, "not 404");
}

#[test]
fn delete_says_whether_there_was_one() {
    let mut server = Server::seen();
    server.save("openai", &Value::Null);
    assert_eq!(server.send("DELETE", "/OpenAI", &Value::Null), (200, json!({"success": true})));
    assert_eq!(server.send("DELETE", "/openai", &Value::Null).0, 404);
    assert_eq!(server.save("openai", &Value::Null)["id"], "2", "ids are not used again");
}

#[test]
fn lists_end_silently_after_a_hundred() {
    let mut server = Server::seen();
    for number in 0..107 {
        server.save(&format!("p{number:03}"), &Value::Null);
    }
    for (query, shown) in
        [("", 100), ("?limit=0", 100), ("?limit=x", 100), ("?limit=200", 107), ("?limit=10&offset=100", 7), ("?offset=200", 0)]
    {
        let (_, list) = server.send("GET", query, &Value::Null);
        assert_eq!((list["providers"].as_array().unwrap().len(), list["total"].as_u64()), (shown, Some(107)), "{query}");
    }
}

#[test]
fn a_search_switches_sorting_off() {
    for (mut server, searched) in [(Server::seen(), ["b", "a"]), (Server::documented(), ["a", "b"])] {
        for name in ["b", "c", "a"] {
            server.save(name, &json!({"displayName": if name == "c" { "other" } else { "Same" }}));
        }
        assert_eq!(server.names("?sortBy=name"), ["a", "b", "c"]);
        assert_eq!(server.names("?sortBy=name&sortOrder=desc"), ["c", "b", "a"]);
        assert_eq!(server.names("?sortBy=id"), ["b", "c", "a"]);
        assert_eq!(server.names("?search=SAME&sortBy=name"), searched);
    }
}

#[test]
fn the_test_calls_known_vendors_only() {
    let mut server = Server::seen();
    for (name, key, status) in
        [("openai", "sk-0123456789", 200), ("openai", "sk-invalid-key", 400), ("other", "sk-invalid-key", 200)]
    {
        server.send("POST", "", &json!({"name": name, "apiKey": key}));
        assert_eq!(server.send("POST", &format!("/{name}/test"), &Value::Null).0, status, "{name} {key}");
    }
    assert_eq!(server.send("POST", "/none/test", &Value::Null).0, 404);
}

#[test]
fn etags_are_sent_and_if_match_protects_nobody() {
    let mut server = Server::seen();
    server.save("openai", &Value::Null);
    let reply = server.reply("GET", "/openai", ("accept", "*/*"), &Value::Null);
    let (_, tag) = reply.headers.iter().find(|(name, _)| *name == "etag").unwrap().clone();
    let again = server.reply("GET", "/openai", ("if-none-match", tag.as_str()), &Value::Null);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let body = json!({"displayName": "New"});
    assert_eq!(server.reply("PUT", "/openai", ("if-match", "W/\"stale\""), &body).status, 200);
    assert_eq!(server.reply("GET", "/openai", ("if-none-match", tag.as_str()), &Value::Null).status, 200);
}

#[test]
fn the_documented_server_differs() {
    let mut server = Server::documented();
    let provider = server.save("OpenAI", &json!({"baseUrl": "https://proxy.example"}));
    let expected = json!({
        "id": 1, "name": "OpenAI", "displayName": "OpenAI", "baseUrl": "https://proxy.example",
        "createdAt": "2025-01-01 12:00:00", "updatedAt": "2025-01-01 12:00:00"
    });
    assert_eq!(provider, expected);
    assert_eq!(server.save("OpenAI", &json!({}))["baseUrl"], "https://proxy.example", "omitted metadata stays");
    assert_eq!(
        server.send("GET", "/openai", &Value::Null),
        (404, json!({"error": "Provider not found", "code": "PROVIDER_NOT_FOUND"}))
    );
    assert_eq!(
        server.send("POST", "", &json!({"name": "a", "apiKey": "bad"})),
        (400, json!({"error": "Invalid API key format", "code": "INVALID_API_KEY"}))
    );
    assert_eq!(server.send("POST", "", &json!({})).1["code"], "MISSING_FIELDS");
    assert_eq!(server.send("PUT", "/OpenAI", &json!({"displayName": "x"})).0, 404, "the page has no PUT");
    for number in 0..107 {
        server.save(&format!("p{number}"), &Value::Null);
    }
    assert_eq!(server.names("").len(), 108);
}
