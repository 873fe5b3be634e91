//! One document behind a web address, over HTTP with tags and conditions.
//!
//! The lines travel in a JSON document, `{"data":{"state":[…]}}`, and other keys around them are ignored. So a server
//! that keeps files can have the state, and one that keeps JSON records and adds to them what it thinks necessary. A
//! document that is a state file as it is can be read, too; it becomes JSON with the next write.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::FutureExt as _;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH, LOCATION};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use url::Url;

use super::bucket::{Bucket, Condition, Object, Pending, Put, Trouble, Version};
use super::failed;
use crate::io::http::{self, Endpoint, SendError, SendErrorKind};
use crate::platform::exchange::neutral;
use crate::secret::Secret;
use crate::state::StateError;

/// The variable that holds the value of the `Authorization` header.
const AUTHORIZATION: &str = "PATCHBAY_STATE_AUTHORIZATION";

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A larger document is not read.
const MAX_BODY: usize = 256 << 20;

/// A document and, for the self-test, what may be made beside it.
pub(super) struct Web {
    url: Url,
    label: String,
    client: reqwest::Client,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Web({})", self.label)
    }
}

impl Web {
    /// Gets ready. Nothing is sent yet.
    pub(super) fn connect(url: &Url, label: String, env: &BTreeMap<String, String>) -> Result<Self, StateError> {
        let authorization = env.get(AUTHORIZATION).filter(|value| !value.is_empty());
        let endpoint = Endpoint {
            base_url: url.to_string(),
            headers: authorization.map(|value| ("authorization".to_owned(), Secret::new(value.as_str()))).into_iter().collect(),
            timeout: TIMEOUT,
            extra_roots: None,
            pool: 4,
        };
        let client = http::build(&endpoint).map_err(|error| failed("open", &label, error.detail))?;
        Ok(Self { url: url.clone(), label, client })
    }

    /// The document itself has no name; what has one lies beside it.
    fn request(&self, method: Method, name: &str) -> RequestBuilder {
        let mut url = self.url.clone();
        if !name.is_empty() {
            url.set_path(&format!("{}-{name}", self.url.path()));
        }
        // A proxy that packs an answer makes another tag of its tag, and a weak one; a cache answers with what was.
        let request = self.client.request(method, url).timeout(TIMEOUT);
        request.header(ACCEPT, "application/json, */*").header(ACCEPT_ENCODING, "identity").header(CACHE_CONTROL, "no-cache")
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        match request.send().await {
            Ok(response) => Ok(response),
            Err(error) => Err(match http::explain(error) {
                SendError { kind: SendErrorKind::Tls(_) | SendErrorKind::Unsendable, detail, .. } => {
                    Trouble::Final { cause: detail, help: None }
                }
                SendError { detail, .. } => Trouble::Unclear(detail),
            }),
        }
    }
}

impl Bucket for Web {
    fn label(&self) -> &str {
        &self.label
    }

    fn server(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    fn get<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Object>> {
        async move {
            let mut response = self.send(self.request(Method::GET, name)).await?;
            match response.status().as_u16() {
                200 => {}
                404 | 410 => return Ok(None),
                status => return Err(refusal(status, response.headers())),
            }
            let version = version(response.headers()).unwrap_or(Version { etag: None, number: None });
            let mut body = Vec::new();
            loop {
                match response.chunk().await {
                    Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BODY => body.extend_from_slice(&chunk),
                    Ok(Some(_)) => return Err(failed("read", &self.label, "it is larger than 256 MiB").into()),
                    Ok(None) => break,
                    Err(error) => return Err(Trouble::Unclear(http::explain_body(error).detail)),
                }
            }
            let bytes = unpack(&body).ok_or_else(|| failed("read", &self.label, "what is there is no state of patchbay"))?;
            Ok(Some(Object { bytes, version }))
        }
        .boxed()
    }

    fn version<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Version>> {
        // Not every server answers HEAD as it answers GET, and only the self-test asks.
        async move { Ok(self.get(name).await?.map(|object| object.version)) }.boxed()
    }

    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>, condition: Condition) -> Pending<'a, Put> {
        async move {
            let request = self.request(Method::PUT, name).header(CONTENT_TYPE, "application/json").body(pack(&bytes));
            let request = match condition {
                Condition::Absent => request.header(IF_NONE_MATCH, "*"),
                Condition::Is(Version { etag: Some(etag), .. }) => request.header(IF_MATCH, etag),
                Condition::Is(_) => return Err(Trouble::Final { cause: "the server sends no ETag".to_owned(), help: None }),
            };
            let response = self.send(request).await?;
            match response.status().as_u16() {
                200 | 201 | 204 => Ok(Put::Done(version(response.headers()))),
                304 | 409 | 412 => Ok(Put::Refused),
                status => Err(refusal(status, response.headers())),
            }
        }
        .boxed()
    }

    fn remove<'a>(&'a self, name: &'a str) -> Pending<'a, ()> {
        async move {
            let response = self.send(self.request(Method::DELETE, name)).await?;
            match response.status().as_u16() {
                200..=299 | 404 | 410 => Ok(()),
                status => Err(refusal(status, response.headers())),
            }
        }
        .boxed()
    }

    fn names(&self) -> Pending<'_, Option<Vec<String>>> {
        async { Ok(None) }.boxed()
    }
}

fn version(headers: &HeaderMap) -> Option<Version> {
    let etag = headers.get(ETAG)?.to_str().ok()?.to_owned();
    Some(Version { etag: Some(etag), number: None })
}

/// What an answer that reports a failure comes down to.
fn refusal(status: u16, headers: &HeaderMap) -> Trouble {
    let cause = format!("the server answered {status}");
    match status {
        401 | 403 => {
            Trouble::Final { cause, help: Some(format!("set {AUTHORIZATION} to the value of the Authorization header")) }
        }
        // Followed, it would carry the credentials along.
        300..=399 => {
            let to = headers
                .get(LOCATION)
                .and_then(|to| to.to_str().ok())
                .map_or_else(String::new, |to| format!(" to {}", neutral(to)));
            Trouble::Final {
                cause: format!("{cause}: redirected{to}"),
                help: Some("name the address that it redirects to".to_owned()),
            }
        }
        408 | 425 | 429 | 500..=599 => Trouble::Unclear(cause),
        _ => Trouble::Final {
            cause,
            help: Some("the server must answer GET and PUT of a JSON document, and honour If-Match and If-None-Match".to_owned()),
        },
    }
}

/// Lines as a JSON document.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    json!({ "data": { "state": text.lines().collect::<Vec<_>>() } }).to_string().into_bytes()
}

/// The lines of a JSON document, or a text that is one already.
fn unpack(body: &[u8]) -> Option<Vec<u8>> {
    if body.starts_with(b"{\"patchbay_state\":") {
        return Some(body.to_vec());
    }
    let document: Value = serde_json::from_slice(body).ok()?;
    let mut text = String::new();
    for line in document.get("data")?.get("state")?.as_array()? {
        text.push_str(line.as_str()?);
        text.push('\n');
    }
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(url: &str) -> Web {
        Web::connect(&Url::parse(url).unwrap(), "label".to_owned(), &BTreeMap::new()).unwrap()
    }

    #[test]
    fn lines_come_back_from_json_with_whatever_the_server_added() {
        let text = "{\"patchbay_state\":1}\n{\"k\":\"t/ä\"}\n";
        assert_eq!(unpack(&pack(text.as_bytes())).as_deref(), Some(text.as_bytes()));
        let grown = br#"{"permissions":{"write":["x"]},"data":{"state":["a","b"],"id":"s","last_modified":17}}"#;
        assert_eq!(unpack(grown).as_deref(), Some(&b"a\nb\n"[..]));
        assert_eq!(unpack(text.as_bytes()).as_deref(), Some(text.as_bytes()));
        for other in ["", "[]", "{}", "<html>", r#"{"data":{"state":"x"}}"#, r#"{"data":{"state":[1]}}"#] {
            assert_eq!(unpack(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_the_self_test_makes_lies_beside_the_document() {
        let web = web("https://host.example/states/prod?token=abc");
        let url = |name: &str| web.request(Method::GET, name).build().unwrap().url().to_string();
        assert_eq!(url(""), "https://host.example/states/prod?token=abc");
        assert_eq!(url("probe-1"), "https://host.example/states/prod-probe-1?token=abc");
        assert_eq!(web.server(), "https://host.example");
    }

    #[test]
    fn answers_are_final_or_unclear() {
        let headers = HeaderMap::new();
        for status in [408, 429, 500, 503] {
            assert!(matches!(refusal(status, &headers), Trouble::Unclear(_)), "{status}");
        }
        for status in [301, 400, 401, 403, 405, 413] {
            assert!(matches!(refusal(status, &headers), Trouble::Final { help: Some(_), .. }), "{status}");
        }
    }
}
