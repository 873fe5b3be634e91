//! The six kinds of Kore.ai connections.

use serde_json::{Value, json};

use crate::profile::{
    Drift, Edit, Line, Profile, Rotation, Served, Shows, Strikes, Theirs, blocked, changed, line, nothing, update, with,
};

const FIRST: &str = "first-secret-000000";
const SECOND: &str = "second-secret-00000";
/// The server shows `sk-***` for it, and `***` for ours.
const THEIRS: &str = "sk-theirs-000000000";
/// The server shows the same for it as for ours.
const ALIKE: &str = "alike-secret-000000";

fn profile(kind: &'static str, spec: &'static str, created: &Value) -> Profile {
    Profile {
        platform: "koreai",
        kind,
        quirks: "",
        spec,
        create: line("POST /api/public/connections", created.clone()),
        create_is_repeated: false,
        edits: Vec::new(),
        secrets: Vec::new(),
        drifts: Vec::new(),
        doubts: &[],
        doubts_when_new: &[],
        never_shown: &[],
        twin: Some(("/connectionId", "cn-twin")),
        delete: None,
        gone_is_a_failure: false,
        served: Served::Own,
        strikes: Strikes::All,
    }
}

fn patch(body: Value) -> Vec<Line> {
    vec![line("PATCH /api/public/connections/{id}", body)]
}

/// A full replacement by the body of the create, which has the provider besides.
fn put(created: &Value) -> Vec<Line> {
    let mut body = created.clone();
    let map = body.as_object_mut().unwrap();
    for constant in ["provider", "bodyTab"] {
        map.remove(constant);
    }
    vec![line("PUT /api/public/connections/{id}", body)]
}

/// `fields.API_KEY`, in the environment as `SECRET`.
fn api_key(sends: Value) -> Rotation {
    Rotation {
        field: "fields.API_KEY",
        variable: "SECRET",
        first: FIRST,
        second: SECOND,
        prefix: "",
        at: "/fields/API_KEY",
        sends: patch(sends),
    }
}

/// What others do to `fields.API_KEY`.
fn api_keys_of_others() -> Vec<Drift> {
    let drift = |class, theirs, shows| Drift {
        class,
        at: "/fields/API_KEY",
        theirs: Theirs::Secret(theirs),
        path: "fields.API_KEY",
        shows,
    };
    vec![
        drift("a secret that its mask gives away", THEIRS, Shows::Rotate),
        drift("a secret behind the same mask", ALIKE, Shows::Doubt(&["fields.API_KEY modified-outside"])),
    ]
}

/// The kinds of which nothing but the key can be changed.
fn keyed(kind: &'static str, spec: &'static str, created: &Value, fixed: Vec<Edit>) -> Profile {
    let mut drifts = vec![Drift {
        class: "a field that cannot be changed",
        at: "/model",
        theirs: Theirs::Value("theirs".into()),
        path: "model",
        shows: Shows::Blocked,
    }];
    drifts.extend(api_keys_of_others());
    let mut edits = vec![
        blocked("the name, which stays", &["connectionName"], "Under test", "Renamed"),
        blocked("a plain field, which stays", &["model"], "model: m-1", "model: m-2"),
    ];
    edits.extend(fixed);
    Profile {
        edits,
        secrets: vec![api_key(json!({ "fields": { "API_KEY": "(secret)" } }))],
        drifts,
        ..profile(kind, spec, created)
    }
}

pub(crate) fn openai() -> Profile {
    let spec = r#"      connectionName: Under test
      model: m-1
      fields: { API_KEY: "${{ env.SECRET }}" }
"#;
    let created =
        json!({ "provider": "Open AI", "connectionName": "Under test", "model": "m-1", "fields": { "API_KEY": "(secret)" } });
    keyed("openai", spec, &created, Vec::new())
}

pub(crate) fn anthropic() -> Profile {
    let spec = r#"      connectionName: Under test
      model: m-1
      fields: { API_KEY: "${{ env.SECRET }}" }
"#;
    let created = json!({
        "provider": "Anthropic", "modelType": "EASY_INTEGRATION", "connectionName": "Under test", "model": "m-1",
        "fields": { "API_KEY": "(secret)" }
    });
    keyed("anthropic", spec, &created, Vec::new())
}

pub(crate) fn azure_openai() -> Profile {
    let spec = r#"      connectionName: Under test
      model: m-1
      fields:
        API_KEY: ${{ env.SECRET }}
        api_version: 2024-08-01-preview
        your_resource_name: acme-eu
        deployment_id: gpt4-eu
"#;
    let created = json!({
        "provider": "Azure Open AI", "modelType": "EASY_INTEGRATION", "connectionName": "Under test", "model": "m-1",
        "fields": {
            "API_KEY": "(secret)", "api_version": "2024-08-01-preview", "your_resource_name": "acme-eu", "deployment_id": "gpt4-eu"
        }
    });
    let fixed = vec![
        blocked("a nested field, which stays", &["fields.api_version"], "2024-08-01-preview", "2025-01-01"),
        blocked("a nested field, which stays", &["fields.your_resource_name"], "acme-eu", "acme-us"),
        blocked("a nested field, which stays", &["fields.deployment_id"], "gpt4-eu", "gpt4-us"),
    ];
    let mut profile = keyed("azure-openai", spec, &created, fixed);
    profile.drifts.push(Drift {
        class: "a nested field that cannot be changed",
        at: "/fields/deployment_id",
        theirs: Theirs::Value("theirs".into()),
        path: "fields.deployment_id",
        shows: Shows::Blocked,
    });
    profile
}

/// The header `Authorization`, whose value is `Bearer` and the variable `SECRET`; `headers` is the list as it is sent.
fn authorization(headers: &Value) -> Rotation {
    Rotation {
        field: "headers.value",
        variable: "SECRET",
        first: FIRST,
        second: SECOND,
        prefix: "Bearer ",
        at: "/headers/0/value",
        sends: patch(json!({ "headers": headers })),
    }
}

/// What others do to `headers`, whose second item is `Content-Type`.
fn headers_of_others() -> Vec<Drift> {
    let drift = |class, at, theirs, path, shows| Drift { class, at, theirs, path, shows };
    let secret = "headers[key=Authorization].value";
    vec![
        changed("the value of an item", "/headers/1/value", "text/theirs", "headers[key=Content-Type].value"),
        drift(
            "one more item",
            "/headers",
            Theirs::Item(json!({ "key": "X-Theirs", "value": "theirs" })),
            "headers",
            Shows::Update,
        ),
        drift("a secret item that its mask gives away", "/headers/0/value", Theirs::Secret(THEIRS), secret, Shows::Rotate),
        drift(
            "a secret item behind the same mask",
            "/headers/0/value",
            Theirs::Secret(ALIKE),
            secret,
            Shows::Doubt(&["headers[key=Authorization].value modified-outside"]),
        ),
    ]
}

pub(crate) fn custom() -> Profile {
    let spec = r#"      connectionName: Under test
      model: m-1
      endpointUrl: https://llm.example/v1
      headers:
        - { key: Authorization, value: "Bearer ${{ env.SECRET }}" }
        - { key: Content-Type, value: application/json }
      promptVars:
        - { name: prompt, required: true, defaultValue: hello }
      customVars: []
      payload: { messages: [{ role: user, content: "{{prompt}}" }], max_tokens: 1024 }
      outputPath: content[0].text
      inputTokensPath: usage.in
      outputTokensPath: usage.out
      status: DRAFT
      isEnable: true
"#;
    let headers = |kind: &str, third: &[&str]| -> Value {
        let more = third.iter().map(|key| json!({ "key": key, "value": "acme" }));
        let first = [json!({ "key": "Authorization", "value": "(secret)" }), json!({ "key": "Content-Type", "value": kind })];
        first.into_iter().chain(more).collect()
    };
    let payload = |max: u32| json!({ "messages": [{ "role": "user", "content": "{{prompt}}" }], "max_tokens": max });
    let prompt = |default: &str| json!([{ "name": "prompt", "required": true, "defaultValue": default }]);
    let created = json!({
        "provider": "API", "connectionName": "Under test", "model": "m-1", "endpointUrl": "https://llm.example/v1",
        "headers": headers("application/json", &[]), "promptVars": prompt("hello"), "customVars": [], "payload": payload(1024),
        "outputPath": "content[0].text", "inputTokensPath": "usage.in", "outputTokensPath": "usage.out",
        "status": "DRAFT", "isEnable": true
    });
    let mut drifts = vec![
        changed("the name", "/connectionName", "Theirs", "connectionName"),
        changed("a plain field", "/model", "theirs", "model"),
        changed("a URL", "/endpointUrl", "https://theirs.example", "endpointUrl"),
        changed("a flag", "/isEnable", true, "isEnable"),
        changed("an enum with other read words", "/status", "DRAFT", "status"),
        changed("inside a list", "/promptVars/0/defaultValue", "theirs", "promptVars"),
        changed("inside a free object", "/payload/messages/0/content", "theirs", "payload"),
    ];
    drifts.extend(headers_of_others());
    Profile {
        edits: vec![
            update(
                "an enum with other read words, by the verb for it",
                &["status"],
                "status: DRAFT",
                "status: FINALIZED",
                put(&with(created.clone(), "status", "FINALIZED")),
            ),
            update("a plain field", &["model"], "model: m-1", "model: m-2", patch(json!({ "model": "m-2" }))),
            update("the name", &["connectionName"], "Under test", "Renamed", patch(json!({ "connectionName": "Renamed" }))),
            nothing("two spellings of a URL", "https://llm.example/v1", "https://LLM.example/v1/"),
            update(
                "a URL",
                &["endpointUrl"],
                "https://llm.example/v1",
                "https://llm.example/v2",
                patch(json!({ "endpointUrl": "https://llm.example/v2" })),
            ),
            update(
                "the value of an item",
                &["headers.value"],
                "value: application/json",
                "value: text/plain",
                patch(json!({ "headers": headers("text/plain", &[]) })),
            ),
            update(
                "one more item",
                &["headers.key", "headers.value"],
                "      promptVars:",
                "        - { key: X-Tenant, value: acme }\n      promptVars:",
                patch(json!({ "headers": headers("text/plain", &["X-Tenant"]) })),
            ),
            update(
                "another key of an item",
                &["headers.key"],
                "X-Tenant",
                "X-Org",
                patch(json!({ "headers": headers("text/plain", &["X-Org"]) })),
            ),
            nothing("two spellings of a header's name", "X-Org", "x-org"),
            update("inside a list", &["promptVars"], "hello", "hi", patch(json!({ "promptVars": prompt("hi") }))),
            update(
                "a list that was empty",
                &["customVars"],
                "customVars: []",
                "customVars: [{ name: tone }]",
                patch(json!({ "customVars": [{ "name": "tone" }] })),
            ),
            update(
                "inside a free object",
                &["payload"],
                "max_tokens: 1024",
                "max_tokens: 4096",
                patch(json!({ "payload": payload(4096) })),
            ),
            update(
                "three fields at once",
                &["outputPath", "inputTokensPath", "outputTokensPath"],
                "content[0].text\n      inputTokensPath: usage.in\n      outputTokensPath: usage.out",
                "text\n      inputTokensPath: in\n      outputTokensPath: out",
                patch(json!({ "outputPath": "text", "inputTokensPath": "in", "outputTokensPath": "out" })),
            ),
            update("a flag", &["isEnable"], "isEnable: true", "isEnable: false", patch(json!({ "isEnable": false }))),
        ],
        secrets: vec![authorization(&headers("text/plain", &["X-Org"]))],
        drifts,
        ..profile("custom", spec, &created)
    }
}

pub(crate) fn custom_existing() -> Profile {
    let spec = r#"      connectionName: Under test
      model: m-1
      endpointUrl: https://llm.example/v1
      headers:
        - { key: Authorization, value: "Bearer ${{ env.SECRET }}" }
        - { key: Content-Type, value: application/json }
      mapProvider: openAIModel
      llmFeatures: { toolCalling: true, supportTools: true, streaming: false }
      IOMappings: [textToText, imageToText]
      idp: none
      status: DRAFT
      isEnable: true
"#;
    let headers = |kind: &str, name: &str| -> Value {
        json!([{ "key": "Authorization", "value": "(secret)" }, { "key": name, "value": kind }])
    };
    let created = json!({
        "provider": "API", "bodyTab": "providerReferences", "connectionName": "Under test", "model": "m-1",
        "endpointUrl": "https://llm.example/v1", "headers": headers("application/json", "Content-Type"),
        "mapProvider": "openAIModel", "llmFeatures": { "toolCalling": true, "supportTools": true, "streaming": false },
        "IOMappings": ["textToText", "imageToText"], "idp": "none", "status": "DRAFT", "isEnable": true
    });
    let mut drifts = vec![
        changed("a nested flag", "/llmFeatures/streaming", false, "llmFeatures.streaming"),
        changed("an enum", "/mapProvider", "geminiModel", "mapProvider"),
        changed("an enum with other read words", "/status", "DRAFT", "status"),
        Drift {
            class: "one more word of a set",
            at: "/IOMappings",
            theirs: Theirs::Item("audioToText".into()),
            path: "IOMappings",
            shows: Shows::Update,
        },
        changed("a plain field", "/idp", "theirs", "idp"),
    ];
    drifts.extend(headers_of_others());
    Profile {
        edits: vec![
            update(
                "an enum with other read words, by the verb for it",
                &["status"],
                "status: DRAFT",
                "status: FINALIZED",
                put(&with(created.clone(), "status", "FINALIZED")),
            ),
            update("the same word back", &["status"], "status: FINALIZED", "status: DRAFT", patch(json!({ "status": "DRAFT" }))),
            update(
                "and forth",
                &["status"],
                "status: DRAFT",
                "status: FINALIZED",
                put(&with(created.clone(), "status", "FINALIZED")),
            ),
            update("a plain field", &["model"], "model: m-1", "model: m-2", patch(json!({ "model": "m-2" }))),
            update("the name", &["connectionName"], "Under test", "Renamed", patch(json!({ "connectionName": "Renamed" }))),
            nothing("two spellings of a URL", "https://llm.example/v1", "HTTPS://llm.example/v1"),
            update(
                "a URL",
                &["endpointUrl"],
                "https://llm.example/v1",
                "https://llm.example/v2",
                patch(json!({ "endpointUrl": "https://llm.example/v2" })),
            ),
            update(
                "an item under another key",
                &["headers.key", "headers.value"],
                "key: Content-Type, value: application/json",
                "key: Accept, value: text/plain",
                patch(json!({ "headers": headers("text/plain", "Accept") })),
            ),
            update(
                "an item under its old key",
                &["headers.key", "headers.value"],
                "key: Accept, value: text/plain",
                "key: Content-Type, value: text/plain",
                patch(json!({ "headers": headers("text/plain", "Content-Type") })),
            ),
            update(
                "an enum",
                &["mapProvider"],
                "openAIModel",
                "anthropicModel",
                patch(json!({ "mapProvider": "anthropicModel" })),
            ),
            update(
                "a nested flag",
                &["llmFeatures.streaming"],
                "streaming: false",
                "streaming: true",
                patch(json!({ "llmFeatures": { "toolCalling": true, "supportTools": true, "streaming": true } })),
            ),
            update(
                "more nested flags",
                &[
                    "llmFeatures.toolCalling",
                    "llmFeatures.supportTools",
                    "llmFeatures.parallelToolCalling",
                    "llmFeatures.structuredResponse",
                    "llmFeatures.dataGeneration",
                ],
                "{ toolCalling: true, supportTools: true, streaming: true }",
                "{ toolCalling: false, supportTools: false, parallelToolCalling: true, structuredResponse: true, dataGeneration: true, streaming: true }",
                patch(json!({ "llmFeatures": {
                    "toolCalling": false, "supportTools": false, "parallelToolCalling": true, "structuredResponse": true,
                    "dataGeneration": true, "streaming": true
                } })),
            ),
            nothing("a set in another order", "[textToText, imageToText]", "[imageToText, textToText]"),
            update(
                "a set",
                &["IOMappings"],
                "[textToText, imageToText]",
                "[textToText, textToImage]",
                patch(json!({ "IOMappings": ["textToText", "textToImage"] })),
            ),
            update("another plain field", &["idp"], "idp: none", "idp: other", patch(json!({ "idp": "other" }))),
            update("a flag", &["isEnable"], "isEnable: true", "isEnable: false", patch(json!({ "isEnable": false }))),
        ],
        secrets: vec![authorization(&headers("text/plain", "Content-Type"))],
        drifts,
        ..profile("custom-existing", spec, &created)
    }
}

pub(crate) fn custom_legacy() -> Profile {
    let spec = r#"      connectionName: Under test
      fields: { BASE_URL: https://api.example.com, API_KEY: "${{ env.SECRET }}", MODEL_NAME: m-1 }
"#;
    let fields = |url: &str, model: &str| json!({ "BASE_URL": url, "API_KEY": "(secret)", "MODEL_NAME": model });
    let created =
        json!({ "provider": "API", "connectionName": "Under test", "fields": fields("https://api.example.com", "m-1") });
    let mut drifts = vec![
        changed("the name", "/connectionName", "Theirs", "connectionName"),
        changed("a nested URL", "/fields/BASE_URL", "https://theirs.example", "fields.BASE_URL"),
        changed("a nested field", "/fields/MODEL_NAME", "theirs", "fields.MODEL_NAME"),
    ];
    drifts.extend(api_keys_of_others());
    Profile {
        edits: vec![
            update("the name", &["connectionName"], "Under test", "Renamed", patch(json!({ "connectionName": "Renamed" }))),
            nothing("two spellings of a URL", "https://api.example.com", "https://API.example.com/"),
            update(
                "a nested URL",
                &["fields.BASE_URL"],
                "https://api.example.com",
                "https://api.example.org",
                patch(json!({ "fields": fields("https://api.example.org", "m-1") })),
            ),
            update(
                "a nested field",
                &["fields.MODEL_NAME"],
                "m-1",
                "m-2",
                patch(json!({ "fields": fields("https://api.example.org", "m-2") })),
            ),
        ],
        secrets: vec![api_key(json!({ "fields": fields("https://api.example.org", "m-2") }))],
        drifts,
        ..profile("custom-legacy", spec, &created)
    }
}
