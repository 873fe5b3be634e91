//! The bodies on the wire are the samples of the vendors' pages: the examples hold those samples, and what leaves the
//! program for them is compared key by key. The sandbox takes no part, so a misreading that it shares cannot hide here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::Project;
use serde_json::{Value, json};

/// Request lines and bodies of the writes, in the order of arrival.
type Writes = Arc<Mutex<Vec<(String, Value)>>>;

/// A server that has no objects and refuses every write, after it has noted it. Its threads end with the test's process.
fn recorder() -> (String, Writes) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let writes = Writes::default();
    let noted = Arc::clone(&writes);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let noted = Arc::clone(&noted);
            std::thread::spawn(move || answer(&stream.unwrap(), &noted));
        }
    });
    (url, writes)
}

fn answer(mut stream: &TcpStream, writes: &Writes) {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        if request.is_empty() {
            request = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    if request.is_empty() {
        return;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (status, text) = if request.starts_with("GET ") {
        ("200 OK", json!({ "success": true, "connections": [], "providers": [], "aiLlms": [], "total": 0 }))
    } else {
        writes.lock().unwrap().push((request, serde_json::from_slice(&body).unwrap()));
        ("400 Bad Request", json!({ "error": "noted" }))
    };
    let text = text.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    // A client that has gone is no failure of the test: its missing write is.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes())));
}

/// What an apply of an example sends, ordered by name. Each variable has its own name as its value.
fn sent(example: &str, prefix: &str) -> Vec<(String, Value)> {
    let (url, writes) = recorder();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let mut project = Project::empty();
    for entry in std::fs::read_dir(root.join("connections")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        project.write(&format!("connections/{name}"), &std::fs::read_to_string(&path).unwrap());
    }
    let settings: String = std::fs::read_to_string(root.join("patchbay.toml"))
        .unwrap()
        .lines()
        .map(|line| if line.starts_with("base_url") { format!("base_url = \"{url}{prefix}\"\n") } else { format!("{line}\n") })
        .collect();
    project.write("patchbay.toml", &settings);
    for line in std::fs::read_to_string(root.join(".env.example")).unwrap().lines() {
        if let Some(name) = line.strip_suffix('=') {
            project.set(name, &format!("value-of-{name}"));
        }
    }
    let ran = project.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 1, "every write is refused: {ran}");
    let mut writes = std::mem::take(&mut *writes.lock().unwrap());
    writes.sort_by_key(|(_, body)| name_of(body));
    writes
}

/// The name in a body, of whichever API.
fn name_of(body: &Value) -> String {
    format!("{}{}", body["connectionName"], body["name"])
}

fn expect(example: &str, prefix: &str, request: &str, bodies: &[Value]) {
    let mut bodies: Vec<_> = bodies.iter().map(|body| (request.to_owned(), body.clone())).collect();
    bodies.sort_by_key(|(_, body)| name_of(body));
    assert_eq!(sent(example, prefix), bodies);
}

#[test]
fn kore_connections_are_created_with_the_bodies_of_the_vendor() {
    let text = |name: &str, shown: &str, on: bool, default: &str| json!({ "name": name, "displayName": shown, "status": on, "dataType": "String", "elementType": "textBox", "defaultValue": default, "required": on });
    let mut examples = text("examples", "Examples", false, "");
    examples["examples"] = true.into();
    expect(
        "kore",
        "/api/public",
        "POST /api/public/connections",
        &[
            json!({ "provider": "Open AI", "connectionName": "OpenAI GPT-4o", "model": "gpt-4o", "fields": { "API_KEY": "value-of-OPENAI_API_KEY" } }),
            json!({
                "connectionName": "Azure GPT-4", "provider": "Azure Open AI", "model": "GPT-4",
                "fields": {
                    "API_KEY": "value-of-AZURE_OPENAI_API_KEY", "api_version": "2024-08-01-preview",
                    "your_resource_name": "your-azure-resource", "deployment_id": "your-deployment-id"
                },
                "modelType": "EASY_INTEGRATION"
            }),
            json!({
                "connectionName": "Anthropic Claude", "provider": "Anthropic", "model": "claude-3-5-haiku-20241022",
                "fields": { "API_KEY": "value-of-ANTHROPIC_API_KEY" }, "modelType": "EASY_INTEGRATION"
            }),
            json!({
                "model": "CustomProvider", "provider": "API", "connectionName": "CustomProvider",
                "promptVars": [text("prompt", "Prompt", true, "hlo"), text("system_prompt", "System prompt", false, ""), examples],
                "customVars": [],
                "endpointUrl": "https://api.anthropic.com/v1/messages",
                "headers": [{ "key": "x-api-key", "value": "value-of-LLM_API_KEY" }],
                "payload": {
                    "model": "claude-3-5-haiku-20241022", "max_tokens": 1024,
                    "messages": [{ "role": "user", "content": "What is the weather like in San Francisco?" }]
                },
                "outputPath": "content[0].text", "inputTokensPath": "usage.input_tokens", "outputTokensPath": "usage.output_tokens",
                "status": "FINALIZED", "isEnable": true
            }),
            json!({
                "model": "claude-3-5-haiku-20241022", "provider": "API", "connectionName": "Custom_Existingnew",
                "endpointUrl": "https://api.anthropic.com/v1/messages",
                "headers": [{ "key": "x-api-key", "value": "value-of-LLM_API_KEY" }],
                "status": "FINALIZED", "isEnable": true, "idp": "none", "bodyTab": "providerReferences", "mapProvider": "anthropicModel",
                "llmFeatures": {
                    "toolCalling": false, "supportTools": true, "parallelToolCalling": true, "structuredResponse": true,
                    "dataGeneration": false, "streaming": true
                },
                "IOMappings": ["textToText", "textToImage"]
            }),
            json!({
                "provider": "API", "connectionName": "My Custom API",
                "fields": { "BASE_URL": "https://api.example.com", "API_KEY": "value-of-CUSTOM_API_KEY" }
            }),
        ],
    );
}

#[test]
fn gateway_providers_are_created_with_the_bodies_of_the_vendor() {
    expect(
        "gateway",
        "/api",
        "POST /api/providers",
        &[
            json!({
                "name": "openai", "apiKey": "value-of-OPENAI_API_KEY",
                "metadata": { "displayName": "OpenAI", "baseUrl": "https://api.openai.com/v1" }
            }),
            json!({ "name": "anthropic", "apiKey": "value-of-ANTHROPIC_API_KEY" }),
        ],
    );
}

#[test]
fn flashback_configurations_are_created_with_the_fields_of_the_vendor() {
    expect(
        "flashback",
        "",
        "POST /ai/llm",
        &[
            json!({
                "name": "OpenAI", "aiType": "OPENAI", "endpoint": "https://api.openai.com/v1", "secret": "value-of-OPENAI_API_KEY",
                "workspaceId": "YOUR-WORKSPACE-ID"
            }),
            json!({
                "name": "Bedrock", "aiType": "AWS", "endpoint": "https://bedrock-runtime.eu-central-1.amazonaws.com",
                "key": "value-of-AWS_ACCESS_KEY_ID", "secret": "value-of-AWS_SECRET_ACCESS_KEY", "workspaceId": "YOUR-WORKSPACE-ID"
            }),
        ],
    );
}
