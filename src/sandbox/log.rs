//! The log of requests: the last hundred thousand in memory, all of them in a file of JSON lines if one was asked for.
//!
//! It is made for assertions ("a plan without changes sends no write") and for people who want to see what patchbay
//! does. It never holds a secret: bodies are redacted before they come here, and headers never come.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::SandboxError;
use super::edge::Appender;
use super::secrets::{redact, redact_named};

/// How many requests are remembered.
const REMEMBERED: usize = 100_000;

/// One request, as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRequest {
    /// The method.
    pub method: String,
    /// The path with its query, as it was sent.
    pub path: String,
    /// The status of the answer; 0 if the connection was closed instead.
    pub status: u16,
    /// The body with `(secret b3:…)` for each secret; `null` if there was none.
    pub body: Value,
}

/// The log.
#[derive(Debug, Default)]
pub(super) struct Log {
    requests: VecDeque<LoggedRequest>,
    file: Option<Appender>,
}

impl Log {
    /// An empty log that also writes to `file`.
    pub(super) fn new(file: Option<Appender>) -> Self {
        Self { requests: VecDeque::new(), file }
    }

    /// Remembers a request. `at` is the time of the line in the file.
    pub(super) fn push(&mut self, at: &str, request: LoggedRequest) -> Result<(), SandboxError> {
        let line = self.file.is_some().then(|| {
            let LoggedRequest { method, path, status, body } = &request;
            format!("{}\n", json!({"at": at, "method": method, "path": path, "status": status, "body": body}))
        });
        if self.requests.len() == REMEMBERED {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
        match (&mut self.file, line) {
            (Some(file), Some(line)) => file.append(&line),
            _ => Ok(()),
        }
    }

    /// What is remembered, oldest first.
    pub(super) fn all(&self) -> Vec<LoggedRequest> {
        self.requests.iter().cloned().collect()
    }

    /// Forgets what is remembered. The file stays as it is.
    pub(super) fn clear(&mut self) {
        self.requests.clear();
    }
}

/// A request body as the log may have it; `names` are those of more secrets. What is no JSON is not shown: nobody can tell
/// what is secret in it.
pub(super) fn loggable(body: &[u8], names: &BTreeSet<String>) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return Value::String(format!("({} bytes that are not JSON)", body.len()));
    };
    redact_named(&mut value, names);
    redact(&mut value);
    value
}

#[cfg(test)]
mod tests {
    use super::super::edge::read;
    use super::super::secrets::hex;
    use super::*;

    fn request(path: &str) -> LoggedRequest {
        LoggedRequest { method: "GET".to_owned(), path: path.to_owned(), status: 200, body: Value::Null }
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut log = Log::default();
        for number in 0..=REMEMBERED {
            log.push("", request(&number.to_string())).unwrap();
        }
        let all = log.all();
        assert_eq!((all.len(), all[0].path.as_str()), (REMEMBERED, "1"));
        log.clear();
        assert!(log.all().is_empty());
    }

    #[test]
    fn the_file_has_one_line_per_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.jsonl");
        let mut log = Log::new(Some(Appender::open(&path, None).unwrap()));
        log.push("2024-01-15T10:30:00.000Z", request("/a?b=c")).unwrap();
        log.push("2024-01-15T10:30:00.001Z", request("/d")).unwrap();
        let text = read(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], r#"{"at":"2024-01-15T10:30:00.000Z","method":"GET","path":"/a?b=c","status":200,"body":null}"#);
    }

    #[test]
    fn bodies_are_shown_without_secrets_or_not_at_all() {
        for (body, expected) in [
            ("", json!(null)),
            ("{\"name\":\"a\",\"secret\":\"x\"}", json!({"name": "a", "secret": format!("(secret b3:{})", hex(b"x", 12))})),
            ("canary", json!("(6 bytes that are not JSON)")),
        ] {
            assert_eq!(loggable(body.as_bytes(), &BTreeSet::new()), expected, "{body}");
        }
    }
}
