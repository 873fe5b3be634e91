//! HTTP: sends a [`RequestSpec`] to one target and brings back a [`ResponseSpec`]. The one place where a secret leaves
//! its wrapper for the wire.
//!
//! Redirects are never followed: the library's default would carry `x-api-key` to another host. The client is built at
//! the first request, so that offline commands never load a root store, and once, so that all requests share one pool.
#![expect(clippy::disallowed_methods, reason = "this is where the client is built")]

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;

use super::tls::{self, Trouble};
use crate::platform::exchange::{RequestSpec, ResponseSpec, climbs, neutral};
use crate::platform::model::Method;
use crate::secret::Secret;

/// A larger answer is cut off as an error.
const MAX_BODY: usize = 256 << 20;

/// How to reach a target.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The base URL without a slash at the end.
    pub base_url: String,
    /// Headers sent with every request; credentials among them.
    pub headers: Vec<(String, Secret)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// Certificates to trust beside the system's, PEM.
    pub extra_roots: Option<Vec<u8>>,
    /// Connections kept open; the target's parallelism.
    pub pool: usize,
}

/// A client for one target.
pub struct HttpClient {
    endpoint: Endpoint,
    client: OnceLock<Result<reqwest::Client, SendError>>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({})", self.endpoint.base_url)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// What happened.
    pub kind: SendErrorKind,
    /// May the request have reached the server all the same?
    pub may_have_arrived: bool,
    /// What the library said, without the URL.
    pub detail: String,
}

/// What happened to a request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendErrorKind {
    /// Nothing listens there, or the name does not resolve.
    Connect,
    /// The certificate is not trusted, or the handshake failed.
    Tls(Trouble),
    /// No answer in time.
    Timeout,
    /// The connection broke before an answer came.
    Broken,
    /// The answer's body broke off.
    CutShort,
    /// The request could not be made: a header or the URL is malformed.
    Unsendable,
}

impl HttpClient {
    /// A client that is built at its first request.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, client: OnceLock::new() }
    }

    /// The target's base URL.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.endpoint.base_url
    }

    /// How long one request may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.endpoint.timeout
    }

    /// Sends one request, once; with a credential in a header besides what every request has.
    ///
    /// # Errors
    /// If no complete answer came. An answer that reports a failure is an answer.
    pub async fn send(&self, request: &RequestSpec, credential: Option<(&str, &Secret)>) -> Result<ResponseSpec, SendError> {
        let client = self.client.get_or_init(|| build(&self.endpoint)).as_ref().map_err(Clone::clone)?;
        let mut request = self.request(client, request)?;
        if let Some((name, value)) = credential {
            let (name, value) = header(name, value)?;
            request.headers_mut().insert(name, value);
        }
        match tokio::time::timeout(self.endpoint.timeout, exchange(client, request)).await {
            Ok(result) => result,
            Err(_) => Err(SendError {
                kind: SendErrorKind::Timeout,
                may_have_arrived: true,
                detail: format!("no answer within {}", seconds(self.endpoint.timeout)),
            }),
        }
    }

    fn request(&self, client: &reqwest::Client, spec: &RequestSpec) -> Result<reqwest::Request, SendError> {
        let method = match spec.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut url = below(&self.endpoint.base_url, &spec.path)?;
        if !spec.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&spec.query);
        }
        let mut builder = client.request(method, url);
        if let Some(body) = &spec.body {
            let json = body.expose_json().ok_or_else(|| unsendable("the body depends on something unknown".into()))?;
            let bytes = serde_json::to_vec(&json).map_err(|e| unsendable(e.to_string()))?;
            builder = builder.header(CONTENT_TYPE, "application/json").body(bytes);
        }
        builder.build().map_err(|e| unsendable(e.without_url().to_string()))
    }
}

/// The URL of a path, which must be below the base URL. Credentials travel with every request, so this is the last wall
/// before another host, and before other places on the same one, whatever a definition or an id says.
fn below(base_url: &str, path: &str) -> Result<url::Url, SendError> {
    let parsed = |text: &str| url::Url::parse(text).map_err(|e| unsendable(format!("the URL is malformed: {e}")));
    let (base, url) = (parsed(base_url)?, parsed(&format!("{base_url}{path}"))?);
    let same_place = url.origin() == base.origin() && url.username() == base.username() && url.password() == base.password();
    let root = base.path().trim_end_matches('/');
    let inside = url.path().strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let steps = path.split(['?', '#']).next().unwrap_or_default();
    if !same_place || !inside || climbs(steps) || path.contains(char::is_control) {
        return Err(unsendable(format!("the path `{}` leads away from the base URL", neutral(path))));
    }
    Ok(url)
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), SendError> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable(format!("`{name}` is no header name")))?;
    let mut value = HeaderValue::from_str(value.expose())
        .map_err(|_| unsendable(format!("the value for the header `{name}` has characters that no header can carry")))?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn unsendable(detail: String) -> SendError {
    SendError { kind: SendErrorKind::Unsendable, may_have_arrived: false, detail }
}

/// The names under which servers tell it, the usual one first.
const REQUEST_IDS: [&str; 3] = ["x-request-id", "request-id", "x-correlation-id"];

async fn exchange(client: &reqwest::Client, request: reqwest::Request) -> Result<ResponseSpec, SendError> {
    let mut response = client.execute(request).await.map_err(explain)?;
    let headers = response.headers();
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).map(ToOwned::to_owned);
    let mut answer = ResponseSpec {
        status: response.status().as_u16(),
        content_type: text(CONTENT_TYPE),
        location: text(LOCATION),
        retry_after: retry_after(headers),
        request_id: REQUEST_IDS.into_iter().find_map(|name| text(HeaderName::from_static(name))),
        date: text(DATE).and_then(|at| Some(jiff::fmt::rfc2822::parse(&at).ok()?.timestamp())),
        body: Vec::new(),
    };
    while let Some(chunk) = response.chunk().await.map_err(explain_body)? {
        if answer.body.len() + chunk.len() > MAX_BODY {
            let detail = format!("the answer is larger than {} MiB", MAX_BODY >> 20);
            return Err(SendError { kind: SendErrorKind::CutShort, may_have_arrived: true, detail });
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// A client for this endpoint: no redirects, no repetitions, its own certificates.
pub(super) fn build(endpoint: &Endpoint) -> Result<reqwest::Client, SendError> {
    // Fails only if a provider is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut headers = HeaderMap::new();
    for (name, value) in &endpoint.headers {
        let (name, value) = header(name, value)?;
        headers.insert(name, value);
    }
    let mut builder = reqwest::Client::builder()
        .default_headers(headers)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("patchbay/", env!("CARGO_PKG_VERSION")))
        .tcp_nodelay(true)
        .connect_timeout(endpoint.timeout.min(Duration::from_secs(10)))
        .pool_max_idle_per_host(endpoint.pool);
    let url = url::Url::parse(&endpoint.base_url).ok();
    if url.as_ref().and_then(url::Url::host_str).is_some_and(|h| h == "localhost" || h == "[::1]" || h.starts_with("127.")) {
        // What stays on this machine does not travel through a proxy.
        builder = builder.no_proxy();
    }
    if endpoint.base_url.starts_with("http://") {
        // Reading the system's root store costs milliseconds that a plain target does not need.
        builder = builder.tls_certs_only([]);
    } else if let Some(pem) = &endpoint.extra_roots {
        let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| unsendable(format!("ca_file: {e}")))?;
        builder = builder.tls_certs_merge(roots);
    }
    builder.build().map_err(|e| unsendable(e.without_url().to_string()))
}

/// Why a request has no answer.
pub(super) fn explain(error: reqwest::Error) -> SendError {
    let connect = error.is_connect();
    let timeout = error.is_timeout();
    let error = error.without_url();
    // A server may want our certificate after the handshake; what else is wrong with TLS by then is a broken connection.
    let tls = tls::find(&error).map(tls::words).filter(|(trouble, _)| connect || *trouble == Trouble::Ours);
    let (kind, detail) = match tls {
        Some((trouble, words)) => (SendErrorKind::Tls(trouble), words),
        None if connect => (SendErrorKind::Connect, root_cause(&error)),
        None if timeout => (SendErrorKind::Timeout, root_cause(&error)),
        None => (SendErrorKind::Broken, root_cause(&error)),
    };
    SendError { kind, may_have_arrived: !connect, detail }
}

/// Why an answer has no end.
pub(super) fn explain_body(error: reqwest::Error) -> SendError {
    let timeout = error.is_timeout();
    let detail = root_cause(&error.without_url());
    SendError { kind: if timeout { SendErrorKind::Timeout } else { SendErrorKind::CutShort }, may_have_arrived: true, detail }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.to_string().as_str() {
        "tls handshake eof" => "it closed the connection where TLS begins; is it http?".to_owned(),
        other => neutral(other),
    }
}

/// `Retry-After` in both its forms.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = at.duration_since(crate::io::clock::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_stays_below_its_base_url() {
        for (base, path, expected) in [
            ("http://127.0.0.1", "/things", Some("http://127.0.0.1/things")),
            ("https://api.example/api/public", "/things/a%2Fb", Some("https://api.example/api/public/things/a%2Fb")),
            ("https://api.example/api", "/session?tenant=1", Some("https://api.example/api/session?tenant=1")),
            ("https://api.example:8443/api", "", Some("https://api.example:8443/api")),
            ("https://api.example", "//other.example/x", Some("https://api.example//other.example/x")),
            // Another host, another port.
            ("http://127.0.0.1", "1:9999/things", None),
            ("http://127.0.0.1", "@other.example/things", None),
            ("http://127.0.0.1", ".other.example/things", None),
            ("http://127.0.0.1:80", "80/things", None),
            ("http://127.0.0.1", ":81/things", None),
            ("https://api.example", "nonsense:password@other.example/things", None),
            // Another place on the same host.
            ("https://api.example/api", "-admin/things", None),
            ("https://api.example/api", "/../admin", None),
            ("https://api.example/api", "/things/%2E%2E", None),
            ("https://api.example/api", "/things/%2e", None),
            ("https://api.example/api", "/things/.\t./x", None),
            ("https://api.example/api", "\\..\\admin", None),
        ] {
            let url = below(base, path);
            assert_eq!(url.as_ref().ok().map(url::Url::as_str), expected, "{base} {path}");
            assert!(
                url.is_ok() || url.is_err_and(|e| e.kind == SendErrorKind::Unsendable && !e.may_have_arrived),
                "{base} {path}"
            );
        }
    }
}
