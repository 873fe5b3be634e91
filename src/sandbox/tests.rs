//! The sandbox over a real socket, spoken to in plain text so that nothing hides what the wire carries.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// One request on an open connection.
async fn send(stream: &mut TcpStream, method: &str, path: &str, body: &str) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: sandbox\r\nx-api-key: k\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// One whole answer: its status and its body.
async fn receive(stream: &mut TcpStream) -> (u16, Value) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// Everything that comes until the server closes the connection.
async fn receive_until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn connect(sandbox: &Sandbox) -> TcpStream {
    TcpStream::connect(sandbox.addr()).await.unwrap()
}

async fn in_memory() -> Sandbox {
    start(Options::in_memory()).await.unwrap()
}

fn openai(name: &str) -> String {
    json!({"provider": "Open AI", "connectionName": name, "model": "gpt-4o", "fields": {"API_KEY": "sk-canary-0123456789"}})
        .to_string()
}

fn count(sandbox: &Sandbox) -> usize {
    sandbox.edit(|store| store.count(Platform::Koreai))
}

const CONNECTIONS: &str = "/api/public/connections";

#[tokio::test]
async fn one_connection_carries_many_requests_to_three_platforms() {
    let sandbox = in_memory().await;
    let origin = sandbox.origin();
    for (platform, base) in [("koreai", Some("/api/public")), ("gateway", Some("/api")), ("flashback", Some("")), ("other", None)]
    {
        assert_eq!(sandbox.base_url(platform), base.map(|base| format!("{origin}{base}")), "{platform}");
    }

    let mut stream = connect(&sandbox).await;
    for (method, path, body, status) in [
        ("POST", CONNECTIONS, openai("A"), 200),
        ("GET", "/api/public/connections?limit=1", String::new(), 200),
        ("GET", "/api/providers", String::new(), 401),
        ("GET", "/ai/llm?workspaceId=w", String::new(), 401),
        ("GET", "/elsewhere", String::new(), 404),
    ] {
        send(&mut stream, method, path, &body).await;
        assert_eq!(receive(&mut stream).await.0, status, "{method} {path}");
    }
    assert_eq!(sandbox.counters(), Counters { sockets: 1, requests: 5, peak_in_flight: 1 });

    let requests = sandbox.requests();
    let seen: Vec<_> = requests.iter().map(|request| (request.method.as_str(), request.path.as_str(), request.status)).collect();
    assert_eq!(seen[..2], [("POST", CONNECTIONS, 200), ("GET", "/api/public/connections?limit=1", 200)]);
    let key = requests[0].body["fields"]["API_KEY"].as_str().unwrap();
    assert!(key.starts_with("(secret b3:") && key.len() == 24, "{key}");
    assert_eq!((&requests[0].body["connectionName"], &requests[1].body), (&json!("A"), &Value::Null));
    sandbox.clear_requests();
    assert!(sandbox.requests().is_empty());
    sandbox.stop().await;
    assert!(stream.read_u8().await.is_err(), "open connections are closed");
}

#[tokio::test]
async fn a_connection_can_be_closed_before_and_after_the_request_is_processed() {
    for (fault, created) in [("POST /connections reset-before", 0), ("POST /connections reset-after", 1)] {
        let sandbox = in_memory().await;
        sandbox.add_fault(fault.parse().unwrap());
        let mut stream = connect(&sandbox).await;
        send(&mut stream, "POST", CONNECTIONS, &openai("A")).await;
        assert_eq!(receive_until_closed(&mut stream).await, "", "{fault}");
        assert_eq!((count(&sandbox), sandbox.requests()[0].status), (created, 0), "{fault}");

        sandbox.clear_faults();
        let mut stream = connect(&sandbox).await;
        send(&mut stream, "GET", CONNECTIONS, "").await;
        assert_eq!(receive(&mut stream).await.1["total"], created);
    }
}

#[tokio::test]
async fn an_answer_can_be_cut_short() {
    let sandbox = in_memory().await;
    sandbox.add_fault("POST * truncate".parse().unwrap());
    let mut stream = connect(&sandbox).await;
    send(&mut stream, "POST", CONNECTIONS, &openai("A")).await;
    let answer = receive_until_closed(&mut stream).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let announced: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && body.starts_with("{\"connectionId\":"), "{answer}");
    assert_eq!((body.len(), count(&sandbox)), (announced / 2, 1));
}

#[tokio::test]
async fn other_faults_answer_in_the_place_of_the_platform() {
    let sandbox = in_memory().await;
    for fault in ["* * delay=1", "GET * status=503 times=1 retry-after=3", "GET * html=502 times=1", "GET * not-json times=1"] {
        sandbox.add_fault(fault.parse().unwrap());
    }
    let mut stream = connect(&sandbox).await;
    for (status, body) in [(503, true), (502, false), (200, false), (200, true)] {
        send(&mut stream, "GET", CONNECTIONS, "").await;
        let (seen, answer) = receive(&mut stream).await;
        assert_eq!((seen, answer.is_object()), (status, body), "{answer}");
    }
}

#[tokio::test]
async fn a_key_can_be_demanded() {
    for (key, status) in [("k", 200), ("other", 401)] {
        let sandbox = start(Options { api_key: Some(key.to_owned()), ..Options::in_memory() }).await.unwrap();
        let mut stream = connect(&sandbox).await;
        send(&mut stream, "GET", CONNECTIONS, "").await;
        assert_eq!(receive(&mut stream).await.0, status, "{key}");
    }
}

#[tokio::test]
async fn the_file_outlives_the_sandbox_and_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("sandbox.jsonl"), folder.path().join("log/requests.jsonl"));
    let options = || Options { file: Some(file.clone()), log: Some(log.clone()), ..Options::in_memory() };

    let sandbox = start(options()).await.unwrap();
    let mut stream = connect(&sandbox).await;
    send(&mut stream, "POST", CONNECTIONS, &openai("A")).await;
    let id = receive(&mut stream).await.1["connectionId"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        assert!(sandbox.edit(|store| store.touch(Platform::Koreai, &id)));
    }
    sandbox.stop().await;
    assert_eq!(edge::read(&file).unwrap().lines().count(), 4);

    // Dropped, not stopped: the next one gets the file as soon as the runtime has seen it.
    drop(start(options()).await.unwrap());
    let sandbox = start(options()).await.unwrap();
    assert_eq!(sandbox.edit(|store| store.find(Platform::Koreai, "A").map(str::to_owned)), Some(id));
    assert_eq!(edge::read(&file).unwrap().lines().count(), 1, "rewritten at the start");
    for path in [&file, &log] {
        let text = edge::read(path).unwrap();
        assert!(!text.is_empty() && !text.contains("canary"), "{text}");
    }
}

#[test]
fn errors_name_what_they_are_about() {
    for (error, text) in [
        ("GET * explode".parse::<Fault>().unwrap_err(), "not a fault, `explode` is not known: `GET * explode`"),
        (Quirks::default().set("list_cap", "many").unwrap_err(), "the quirk `list_cap` cannot be `many`: it is a number | none"),
        (SandboxError::Busy { path: "a/b".into() }, "another sandbox is using `a/b`"),
        (SandboxError::Listen { port: 80, source: std::io::ErrorKind::PermissionDenied.into() }, "cannot listen on 127.0.0.1:80"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
