//! Requests by hand, and a wire between the program and a server on which everything that passes is written down.
#![allow(unreachable_pub, missing_docs, reason = "a test")]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that passed, and the status of its answer.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub body: Value,
    pub status: u16,
}

impl Seen {
    /// `METHOD path status`, without what is the same in every path, and without ids.
    pub fn line(&self) -> String {
        let path = self.path.trim_start_matches("/api/3.0/mlflow/gateway/").trim_start_matches("/v1/").trim_start_matches("llm/");
        let is_id = |word: &str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let words: Vec<&str> = path.split('/').map(|word| if is_id(word) { "ID" } else { word }).collect();
        format!("{} {} {}", self.method, words.join("/"), self.status)
    }
}

/// The wire. It is there as long as the program of the tests.
pub struct Tap {
    pub port: u16,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    seen: Vec<Seen>,
    /// The answer to the next request whose line begins so does not arrive.
    lost: Option<String>,
}

impl Tap {
    /// In front of the server at this port.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Log::default()));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let log = Arc::clone(&shared);
                // A client that hung up is no matter of ours.
                std::thread::spawn(move || drop(pass(&client, server, &log)));
            }
        });
        Self { port, log }
    }

    /// What passed since the last look, in the order of the answers.
    pub fn seen(&self) -> Vec<Seen> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(log.lost.is_none(), "nobody asked for {:?}", log.lost);
        std::mem::take(&mut log.seen)
    }

    /// As if nothing had passed yet.
    pub fn forget(&self) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = Log::default();
    }

    /// The answer to the next request whose line begins so gets lost; the server has done what it was asked.
    pub fn lose(&self, line: &str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).lost = Some(line.to_owned());
    }
}

/// One request and its answer; the connection ends with it.
fn pass(client: &TcpStream, server: u16, log: &Mutex<Log>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let (first, headers, body) = message(&mut reader)?;
    let mut words = first.split(' ').map(ToOwned::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: String = headers
        .lines()
        .filter(|line| !is_header(line, "connection") && !is_header(line, "host"))
        .fold(String::new(), |a, l| a + l + "\r\n");
    let answer = exchange(server, &method, &path, &headers, &body)?;
    let status = status(&answer);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let seen = Seen { method, path, body, status };
    {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lost = log.lost.take_if(|begin| seen.line().starts_with(begin.as_str())).is_some();
        log.seen.push(seen);
        if is_lost {
            return Ok(());
        }
    }
    let mut client = client;
    client.write_all(&answer)
}

/// A request of a test itself: the status and the body of the answer.
pub fn send(port: u16, method: &str, path: &str, headers: &str, body: &Value) -> Option<(u16, Value)> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let headers = format!("{headers}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let answer = exchange(port, method, path, &headers, &body).ok()?;
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    Some((status(&answer), serde_json::from_slice(&answer[at..]).unwrap_or(Value::Null)))
}

/// With HTTP/1.0: the answer comes in one piece and ends with the connection.
fn exchange(port: u16, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n")?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The first line, the headers and the body of a request.
fn message(reader: &mut BufReader<&TcpStream>) -> io::Result<(String, String, Vec<u8>)> {
    let (mut first, mut headers, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if is_header(&line, "content-length") {
            length = line.split(':').nth(1).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
        }
        headers.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((first, headers, body))
}

fn is_header(line: &str, name: &str) -> bool {
    line.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name))
}

fn status(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(&answer[..answer.len().min(12)]).split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}
