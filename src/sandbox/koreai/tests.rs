//! Every rule of the vendor, one table or story each, without a network.

use serde_json::{Value, json};

use super::super::message::request;
use super::super::quirks::Quirks;
use super::super::secrets::StoredSecret;
use super::super::store::{Platform, Store};
use super::handle;

const NOW: &str = "2024-01-15T10:30:00.000Z";
const BASE: &str = "/api/public/connections";

/// A vendor of one's own.
struct Desk {
    store: Store,
    quirks: Quirks,
}

impl Desk {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(quirks: &[(&str, &str)]) -> Self {
        let mut desk = Self { store: Store::in_memory(), quirks: Quirks::default() };
        for (name, value) in quirks {
            desk.quirks.set(name, value).unwrap();
        }
        desk
    }

    fn send(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = request(method, &format!("{BASE}{path}"), ("x-api-key", "k"), body);
        let reply = handle(&mut self.store, &self.quirks, NOW, &request);
        (reply.status, reply.value())
    }

    fn get(&mut self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, &Value::Null);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Creates and gives the id.
    fn create(&mut self, body: &Value) -> String {
        let (status, answer) = self.send("POST", "", body);
        assert_eq!(status, 200, "{answer}");
        answer["connectionId"].as_str().unwrap().to_owned()
    }

    /// The message of a refusal.
    fn refusal(&mut self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let (status, answer) = self.send(method, path, body);
        let messages: Vec<&str> =
            answer["errors"].as_array().unwrap().iter().map(|error| error["msg"].as_str().unwrap()).collect();
        (status, messages.join("; "))
    }
}

fn openai(name: &str) -> Value {
    json!({"provider": "Open AI", "connectionName": name, "model": "gpt-4o", "fields": {"API_KEY": "sk-proj-0123456789MQAA"}})
}

fn azure() -> Value {
    json!({
        "provider": "Azure Open AI", "connectionName": "Azure", "model": "GPT-4", "modelType": "EASY_INTEGRATION",
        "fields": {"API_KEY": "0123456789abcdef", "api_version": "v", "your_resource_name": "r", "deployment_id": "d"}
    })
}

fn anthropic() -> Value {
    json!({"provider": "Anthropic", "connectionName": "Claude", "model": "claude", "modelType": "EASY_INTEGRATION", "fields": {"API_KEY": "sk-ant-0123456789"}})
}

fn custom(status: &str) -> Value {
    json!({
        "provider": "API", "connectionName": "Custom", "model": "m", "promptVars": [{"name": "prompt"}], "customVars": [],
        "endpointUrl": "https://llm.example/v1",
        "headers": [{"key": "Authorization", "value": "Bearer gsk_newkey12345"}, {"key": "Content-Type", "value": "application/json"}],
        "payload": {"model": "m", "limits": {"max_tokens": 10, "n": 1}}, "outputPath": "content[0].text",
        "inputTokensPath": "usage.in", "outputTokensPath": "usage.out", "status": status, "isEnable": true
    })
}

fn custom_existing() -> Value {
    json!({
        "provider": "API", "connectionName": "Existing", "model": "llama3", "endpointUrl": "https://llm.example/v1",
        "headers": [{"key": "x-api-key", "value": "gsk_newkey12345"}], "mapProvider": "openAIModel",
        "llmFeatures": {"toolCalling": true, "streaming": false}, "IOMappings": ["textToText"],
        "status": "FINALIZED", "isEnable": true, "idp": "none", "bodyTab": "providerReferences"
    })
}

fn custom_legacy() -> Value {
    json!({"provider": "API", "connectionName": "Legacy", "fields": {"BASE_URL": "https://llm.example", "API_KEY": "sk-legacy-0123456789"}})
}

/// The body without one (possibly nested) member.
fn without(mut body: Value, path: &str) -> Value {
    let (parent, key) = path.rsplit_once('/').unwrap();
    body.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().remove(key);
    body
}

/// The body with one (possibly nested) member set.
fn with(mut body: Value, path: &str, value: Value) -> Value {
    let (parent, key) = path.rsplit_once('/').unwrap();
    body.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().insert(key.to_owned(), value);
    body
}

#[test]
fn a_key_is_needed_for_everything() {
    let mut store = Store::in_memory();
    for (header, value) in [("x-api-key", ""), ("x-api-key", "  "), ("authorization", "Bearer k")] {
        for method in ["GET", "POST", "DELETE"] {
            let request = request(method, BASE, (header, value), &openai("A"));
            let reply = handle(&mut store, &Quirks::default(), NOW, &request);
            assert_eq!(
                (reply.status, reply.value()["errors"][0]["code"].as_str()),
                (401, Some("UNAUTHORIZED")),
                "{header} {method}"
            );
        }
    }
    assert_eq!(store.count(Platform::Koreai), 0);
}

#[test]
fn every_shape_is_created_and_each_of_its_mandatory_fields_is() {
    let shapes: [(Value, &[&str]); 6] = [
        (openai("A"), &["/provider", "/connectionName", "/model", "/fields", "/fields/API_KEY"]),
        (
            azure(),
            &[
                "/model",
                "/modelType",
                "/fields/API_KEY",
                "/fields/api_version",
                "/fields/your_resource_name",
                "/fields/deployment_id",
            ],
        ),
        (anthropic(), &["/model", "/modelType", "/fields/API_KEY"]),
        (custom("DRAFT"), &["/connectionName", "/endpointUrl", "/headers", "/promptVars", "/payload", "/outputPath"]),
        (custom_existing(), &["/connectionName", "/model", "/endpointUrl", "/headers", "/IOMappings"]),
        (custom_legacy(), &["/connectionName", "/fields/BASE_URL", "/fields/API_KEY"]),
    ];
    let mut desk = Desk::new();
    for (body, mandatory) in shapes {
        for path in mandatory {
            let (status, message) = desk.refusal("POST", "", &without(body.clone(), path));
            let name = if *path == "/fields" { "fields.API_KEY".to_owned() } else { path[1..].replace('/', ".") };
            assert!(status == 400 && message.contains(&format!("`{name}` is required")), "{path}: {status} {message}");
        }
        desk.create(&body);
    }
    assert_eq!(desk.store.count(Platform::Koreai), 6);
}

#[test]
fn wrong_values_and_unknown_fields_are_named() {
    let mut desk = Desk::new();
    for (body, why) in [
        (with(openai("A"), "/provider", json!("OpenAI")), "`provider` must be one of: API, Open AI, Azure Open AI, Anthropic"),
        (with(openai("A"), "/model", json!(4)), "`model` must be a string"),
        (with(openai("A"), "/endpointUrl", json!("x")), "`endpointUrl` is not a field of this connection"),
        (with(openai("A"), "/fields/BASE_URL", json!("x")), "`fields.BASE_URL` is not a field of this connection"),
        (with(openai("A"), "/fields/API_KEY", json!(1)), "`fields.API_KEY` must be a string that is not empty"),
        (with(openai("A"), "/fields", json!([])), "`fields.API_KEY` is required; `fields` must be an object"),
        (with(azure(), "/modelType", json!("EASY")), "`modelType` must be one of: EASY_INTEGRATION"),
        (custom("ACTIVE"), "`status` must be one of: DRAFT, FINALIZED"),
        (with(custom("DRAFT"), "/headers", json!([{"key": "a"}])), "`headers` must be a list of objects with `key` and `value`"),
        (with(custom("DRAFT"), "/payload", json!("text")), "`payload` must be an object"),
        (with(custom("DRAFT"), "/promptVars", json!({})), "`promptVars` must be a list"),
        (with(custom("DRAFT"), "/isEnable", json!("yes")), "`isEnable` must be true or false"),
        (
            with(custom_existing(), "/mapProvider", json!("cohere")),
            "`mapProvider` must be one of: openAIModel, anthropicModel, geminiModel",
        ),
        (
            with(custom_existing(), "/IOMappings", json!(["textToVideo"])),
            "`IOMappings` must be a list of: textToText, textToImage, imageToText, audioToText",
        ),
    ] {
        assert_eq!(desk.refusal("POST", "", &body), (400, why.to_owned()));
    }
    let (_, message) = desk.refusal("POST", "", &with(custom_existing(), "/llmFeatures/vision", json!(true)));
    assert!(message.starts_with("`llmFeatures` must be an object of true or false for: toolCalling"), "{message}");
    assert_eq!(desk.store.count(Platform::Koreai), 0);
}

#[test]
fn bodies_must_be_json() {
    let mut desk = Desk::new();
    let mut odd = request("POST", BASE, ("x-api-key", "k"), &openai("A"));
    odd.headers.retain(|(name, _)| name != "content-type");
    assert_eq!(handle(&mut desk.store, &desk.quirks, NOW, &odd).status, 400);
    assert_eq!(desk.refusal("POST", "", &json!([])), (400, "the body must be a JSON object".to_owned()));
}

#[test]
fn the_answer_to_a_create_has_the_write_mask_and_no_modified_on() {
    let mut desk = Desk::new();
    let (_, answer) = desk.send("POST", "", &openai("OpenAI GPT-4o"));
    let id = answer["connectionId"].as_str().unwrap();
    assert!(id.starts_with("cn-") && id.len() == 39, "{id}");
    assert_eq!(answer["fields"]["API_KEY"], "sk***************MQAA");
    assert_eq!((answer["status"].as_str(), answer["createdOn"].as_str()), (Some("ACTIVE"), Some(NOW)));
    assert_eq!(answer.get("modifiedOn"), None);
}

#[test]
fn a_read_has_the_read_mask() {
    let mut desk = Desk::new();
    let id = desk.create(&openai("A"));
    let read = desk.get(&format!("/{id}"));
    assert_eq!(read["fields"]["API_KEY"], "sk-***************");
    assert_eq!((read["createdOn"].as_str(), read["modifiedOn"].as_str()), (Some(NOW), Some(NOW)));
    let id = desk.create(&azure());
    let read = desk.get(&format!("/{id}"));
    assert_eq!(read["fields"]["API_KEY"], "***************");
    assert_eq!(read["fields"]["api_version"], "v");
    assert_eq!(desk.refusal("GET", "/cn-none", &Value::Null), (404, "connection not found: cn-none".to_owned()));
}

#[test]
fn a_list_item_has_no_fields_no_endpoint_and_no_headers() {
    let mut desk = Desk::new();
    desk.create(&azure());
    desk.create(&custom("DRAFT"));
    let list = desk.get("");
    let keys = |index: usize| -> Vec<String> { list["connections"][index].as_object().unwrap().keys().cloned().collect() };
    let mut azure_keys = keys(0);
    azure_keys.sort_unstable();
    assert_eq!(
        azure_keys,
        ["connectionId", "connectionName", "createdOn", "model", "modelType", "modifiedOn", "provider", "status"]
    );
    let mut custom_keys = keys(1);
    custom_keys.sort_unstable();
    assert_eq!(custom_keys, ["connectionId", "connectionName", "createdOn", "model", "modifiedOn", "provider", "status"]);
    assert_eq!((list["total"].as_u64(), list["connections"][1]["status"].as_str()), (Some(2), Some("INACTIVE")));
}

#[test]
fn lists_are_filtered_and_limited_but_not_paged() {
    let mut desk = Desk::new();
    for name in ["A", "B", "C"] {
        desk.create(&openai(name));
    }
    desk.create(&custom("DRAFT"));
    for (query, names, total) in [
        ("", vec!["A", "B", "C", "Custom"], 4),
        ("?provider=Open%20AI", vec!["A", "B", "C"], 3),
        ("?provider=API&status=INACTIVE", vec!["Custom"], 1),
        ("?status=ACTIVE&limit=2", vec!["A", "B"], 3),
        ("?limit=2&offset=2&page=2", vec!["A", "B"], 4),
        ("?limit=1000", vec!["A", "B", "C", "Custom"], 4),
    ] {
        let list = desk.get(query);
        let shown: Vec<&str> =
            list["connections"].as_array().unwrap().iter().map(|item| item["connectionName"].as_str().unwrap()).collect();
        assert_eq!((shown, list["total"].as_u64()), (names, Some(total)), "{query}");
    }
    for query in ["?provider=Google", "?status=FINALIZED", "?limit=0", "?limit=all"] {
        assert_eq!(desk.refusal("GET", query, &Value::Null).0, 400, "{query}");
    }
}

#[test]
fn lists_can_be_made_to_lie() {
    for (quirk, value, shown, total) in
        [("list_cap", "2", 2, Some(3)), ("list_short", "true", 2, Some(3)), ("list_total", "false", 3, None)]
    {
        let mut desk = Desk::with(&[(quirk, value)]);
        for name in ["A", "B", "C"] {
            desk.create(&openai(name));
        }
        let list = desk.get("?limit=100");
        assert_eq!((list["connections"].as_array().unwrap().len(), list["total"].as_u64()), (shown, total), "{quirk}");
    }
}

#[test]
fn patch_of_an_external_provider_takes_the_key_and_nothing_else() {
    let mut desk = Desk::new();
    let id = format!("/{}", desk.create(&azure()));
    for (body, name) in [
        (json!({"model": "GPT-5"}), "model"),
        (json!({"connectionName": "B", "fields": {"API_KEY": "0123456789"}}), "connectionName"),
        (json!({"fields": {"api_version": "w"}}), "fields.api_version"),
    ] {
        let (status, message) = desk.refusal("PATCH", &id, &body);
        assert!(status == 400 && message.starts_with(&format!("`{name}` cannot be changed")), "{message}");
    }
    for body in [json!({}), json!({"fields": {}})] {
        assert_eq!(desk.refusal("PATCH", &id, &body), (400, "`fields.API_KEY` is required".to_owned()));
    }
    let (status, answer) = desk.send("PATCH", &id, &json!({"fields": {"API_KEY": "fedcba9876543210"}}));
    assert_eq!((status, answer["fields"]["API_KEY"].as_str()), (200, Some("fe***************3210")));
    assert_eq!((answer.get("createdOn"), answer["modifiedOn"].as_str()), (None, Some("2024-01-15T10:30:00.001Z")));
    assert_eq!(desk.get(&id)["fields"]["deployment_id"], "d", "the other fields stay");
    assert_eq!(desk.refusal("PATCH", "/cn-none", &json!({})).0, 404);
}

#[test]
fn the_watermark_moves_with_every_update() {
    let mut desk = Desk::new();
    let id = format!("/{}", desk.create(&openai("A")));
    for expected in ["001Z", "002Z", "003Z"] {
        let (_, answer) = desk.send("PATCH", &id, &json!({"fields": {"API_KEY": "sk-proj-0123456789MQAA"}}));
        assert!(answer["modifiedOn"].as_str().unwrap().ends_with(expected), "{answer}");
    }
}

#[test]
fn patch_of_a_custom_connection_takes_any_of_its_fields() {
    let mut desk = Desk::new();
    let id = format!("/{}", desk.create(&custom("FINALIZED")));
    let (status, answer) = desk.send("PATCH", &id, &json!({"outputPath": "text", "connectionName": "Renamed"}));
    assert_eq!((status, answer["outputPath"].as_str(), answer["connectionName"].as_str()), (200, Some("text"), Some("Renamed")));
    assert_eq!(answer["endpointUrl"], "https://llm.example/v1", "the rest stays");
    for (body, why) in [
        (json!({"mapProvider": "openAIModel"}), "`mapProvider` is not a field of this connection"),
        (json!({"provider": "Anthropic"}), "`provider` cannot be changed"),
        (json!({"connectionName": ""}), "`connectionName` must not be empty"),
        (json!({}), "at least one field is required"),
    ] {
        assert_eq!(desk.refusal("PATCH", &id, &body), (400, why.to_owned()));
    }
}

#[test]
fn a_draft_is_finalized_by_put_only() {
    let mut desk = Desk::new();
    let id = format!("/{}", desk.create(&custom("DRAFT")));
    let (status, message) = desk.refusal("PATCH", &id, &json!({"status": "FINALIZED"}));
    assert!(status == 400 && message.ends_with("PUT is required"), "{message}");
    assert_eq!(desk.send("PUT", &id, &custom("FINALIZED")).1["status"], "ACTIVE");
    assert_eq!(desk.send("PATCH", &id, &json!({"status": "FINALIZED"})).0, 200, "it is final already");
    assert_eq!(desk.send("PATCH", &id, &json!({"status": "DRAFT"})).1["status"], "INACTIVE", "the way back is open");
}

#[test]
fn put_replaces_everything_and_demands_what_is_mandatory() {
    let mut desk = Desk::new();
    let id = format!("/{}", desk.create(&custom_existing()));
    assert_eq!(
        desk.refusal("PUT", &id, &without(custom_existing(), "/mapProvider")),
        (400, "`mapProvider` is required".to_owned())
    );
    let smaller = without(without(custom_existing(), "/llmFeatures"), "/provider");
    let (status, answer) = desk.send("PUT", &id, &smaller);
    assert_eq!((status, answer.get("llmFeatures"), answer["provider"].as_str()), (200, None, Some("API")));
    let read = desk.get(&id);
    assert_eq!(
        (read.get("llmFeatures"), read["createdOn"].as_str(), read["modifiedOn"].as_str()),
        (None, Some(NOW), Some("2024-01-15T10:30:00.001Z"))
    );

    let id = format!("/{}", desk.create(&openai("A")));
    let (status, message) = desk.refusal("PUT", &id, &openai("A"));
    assert_eq!((status, message.as_str()), (400, "PUT is supported only for connections whose provider is API"));
}

#[test]
fn nothing_is_deleted() {
    let mut desk = Desk::new();
    let id = desk.create(&openai("A"));
    for path in [format!("/{id}"), "/cn-none".to_owned(), String::new()] {
        assert_eq!(desk.refusal("DELETE", &path, &Value::Null).0, 405, "{path}");
    }
    assert_eq!(desk.refusal("GET", &format!("/{id}/more"), &Value::Null).0, 404);
    assert_eq!(desk.store.count(Platform::Koreai), 1);
}

#[test]
fn names_are_unique() {
    for status in [400_u16, 409] {
        let mut desk = Desk::with(&[("duplicate_status", &status.to_string())]);
        desk.create(&openai("A"));
        let id = format!("/{}", desk.create(&custom("FINALIZED")));
        let taken = (status, "connectionName already exists: A".to_owned());
        assert_eq!(desk.refusal("POST", "", &openai("A")), taken);
        assert_eq!(desk.refusal("PATCH", &id, &json!({"connectionName": "A"})), taken);
        assert_eq!(desk.refusal("PUT", &id, &with(custom("FINALIZED"), "/connectionName", json!("A"))), taken);
        assert_eq!(desk.send("PUT", &id, &custom("FINALIZED")).0, 200, "its own name is not taken");
    }
}

#[test]
fn names_may_be_fixed() {
    let mut desk = Desk::with(&[("name_editable", "false")]);
    let id = format!("/{}", desk.create(&custom("FINALIZED")));
    let fixed = (400, "`connectionName` cannot be changed".to_owned());
    assert_eq!(desk.refusal("PATCH", &id, &json!({"connectionName": "B"})), fixed);
    assert_eq!(desk.refusal("PUT", &id, &with(custom("FINALIZED"), "/connectionName", json!("B"))), fixed);
    assert_eq!(desk.send("PATCH", &id, &json!({"connectionName": "Custom"})).0, 200);
}

#[test]
fn a_key_may_be_unique_per_model() {
    let mut desk = Desk::new();
    desk.create(&openai("A"));
    desk.create(&openai("B"));

    let mut desk = Desk::with(&[("unique_key_per_model", "true")]);
    let id = format!("/{}", desk.create(&openai("A")));
    assert_eq!(desk.refusal("POST", "", &openai("B")).0, 400);
    desk.create(&with(openai("B"), "/model", json!("gpt-4.1")));
    desk.create(&with(openai("C"), "/fields/API_KEY", json!("sk-another-key-0123")));
    assert_eq!(desk.send("PATCH", &id, &json!({"fields": {"API_KEY": "sk-proj-0123456789MQAA"}})).0, 200, "its own key");
    assert_eq!(desk.refusal("PATCH", &id, &json!({"fields": {"API_KEY": "sk-another-key-0123"}})).0, 400);
}

#[test]
fn what_reading_a_custom_connection_gives_is_a_quirk() {
    for (quirk, fields) in [("everything", true), ("top-level", false)] {
        let mut desk = Desk::with(&[("read_back", quirk)]);
        let id = format!("/{}", desk.create(&custom("FINALIZED")));
        let read = desk.get(&id);
        assert_eq!(read.get("payload").is_some(), fields, "{quirk}");
        assert_eq!(read["connectionName"], "Custom");
        if fields {
            assert_eq!(read["headers"][0], json!({"key": "Authorization", "value": "***************"}));
            assert_eq!(read["headers"][1], json!({"key": "Content-Type", "value": "application/json"}));
        }
        let id = format!("/{}", desk.create(&openai("A")));
        assert_eq!(desk.get(&id)["fields"]["API_KEY"], "sk-***************", "only custom connections are hidden");
    }
}

#[test]
fn the_words_of_the_status_are_a_quirk() {
    for (quirk, read) in [("list-vocabulary", "INACTIVE"), ("written", "DRAFT")] {
        let mut desk = Desk::with(&[("status_words", quirk)]);
        let (_, created) = desk.send("POST", "", &custom("DRAFT"));
        let id = created["connectionId"].as_str().unwrap().to_owned();
        assert_eq!((created["status"].as_str(), desk.get(&format!("/{id}"))["status"].as_str()), (Some(read), Some(read)));
        assert_eq!(desk.get("")["connections"][0]["status"], "INACTIVE", "lists have their own words");
    }
}

#[test]
fn whether_patch_merges_objects_is_a_quirk() {
    for (quirk, features, limits) in [
        ("false", json!({"streaming": true}), json!({"limits": {"n": 2}})),
        ("true", json!({"toolCalling": true, "streaming": true}), json!({"model": "m", "limits": {"max_tokens": 10, "n": 2}})),
    ] {
        let mut desk = Desk::with(&[("patch_merges_objects", quirk)]);
        let id = format!("/{}", desk.create(&custom_existing()));
        desk.send("PATCH", &id, &json!({"llmFeatures": {"streaming": true}}));
        assert_eq!(desk.get(&id)["llmFeatures"], features, "{quirk}");
        let id = format!("/{}", desk.create(&custom("FINALIZED")));
        desk.send("PATCH", &id, &json!({"payload": {"limits": {"n": 2}}}));
        assert_eq!(desk.get(&id)["payload"], limits, "{quirk}");
    }
}

#[test]
fn the_store_holds_no_secret_and_knows_a_mask() {
    let mut desk = Desk::new();
    let id = desk.create(&custom("FINALIZED"));
    desk.create(&openai("A"));
    let text: String = desk.store.list(Platform::Koreai).map(|(_, object)| object.to_string()).collect();
    assert!(!text.contains("gsk_newkey12345") && !text.contains("0123456789"), "{text}");
    let stored =
        |desk: &Desk| StoredSecret::from_value(&desk.store.get(Platform::Koreai, &id).unwrap()["headers"][0]["value"]).unwrap();
    assert!(stored(&desk).holds("Bearer gsk_newkey12345") && !stored(&desk).is_mask());

    // The real vendor would take its own mask for a key.
    let headers = desk.get(&format!("/{id}"))["headers"].clone();
    assert_eq!(desk.send("PATCH", &format!("/{id}"), &json!({"headers": headers})).0, 200);
    assert!(stored(&desk).is_mask());
}

#[test]
fn placeholders_of_the_vendor_pass_through() {
    let mut desk = Desk::new();
    let payload = json!({"messages": [{"role": "user", "content": "{{prompt}}"}]});
    let id = desk.create(&with(custom("DRAFT"), "/payload", payload.clone()));
    assert_eq!(desk.get(&format!("/{id}"))["payload"], payload);
}
