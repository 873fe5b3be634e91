//! HTTP on loopback: reads a request to its end, hands it to the platform it is for, writes the reply, and does to the
//! connection what a fault wants done.
//!
//! All decisions are taken in one short synchronous section under one lock ([`Shared::process`]); nothing is awaited
//! while it is held. So requests are processed one after the other, in the order of the log, however many are in flight.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::defined::Defined;
use super::edge::{self, Appender};
use super::faults::{Armed, FaultKind, strike};
use super::log::{Log, LoggedRequest, loggable};
use super::login::{self, Sessions};
use super::message::{Defect, Reply, Request, bearer_token, parse_query};
use super::payload::{HangUp, Payload, response};
use super::quirks::Quirks;
use super::store::{Platform, Store};
use super::{SandboxError, flashback, gateway, koreai};

/// A request body may not be larger.
const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// How long to wait after a connection could not be accepted, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// One more API is one more arm in each of these.
impl Platform {
    /// The platform that a path belongs to.
    fn at(path: &str) -> Option<Self> {
        let prefix = |platform: &Self| match platform {
            Self::Koreai => koreai::PREFIX,
            Self::Gateway => gateway::PREFIX,
            Self::Flashback => flashback::PREFIX,
        };
        Self::ALL
            .into_iter()
            .find(|platform| path.strip_prefix(prefix(platform)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// What a target's base URL has after the origin.
    pub(super) fn base(self) -> &'static str {
        match self {
            Self::Koreai => "/api/public",
            Self::Gateway => "/api",
            Self::Flashback => "",
        }
    }

    fn handle(self, store: &mut Store, quirks: &Quirks, now: &str, request: &Request) -> Reply {
        match self {
            Self::Koreai => koreai::handle(store, quirks, now, request),
            Self::Gateway => gateway::handle(store, quirks, now, request),
            Self::Flashback => flashback::handle(store, quirks, now, request),
        }
    }

    /// An error in the platform's shape.
    fn failure(self, status: u16, message: &str) -> Reply {
        match self {
            Self::Koreai => koreai::failure(status, message),
            Self::Gateway => gateway::failure(status, message),
            Self::Flashback => flashback::failure(status, message),
        }
    }
}

/// What answers a request: a handler of its own, or a definition.
#[derive(Clone, Copy, Debug)]
enum Api<'a> {
    Own(Platform),
    Defined(&'a Defined),
}

impl<'a> Api<'a> {
    fn at(path: &str, defined: &'a [Defined]) -> Option<Self> {
        let defined = defined.iter().find(|api| api.owns(path)).map(Self::Defined);
        defined.or_else(|| Platform::at(path).map(Self::Own))
    }

    fn base(self) -> &'a str {
        match self {
            Self::Own(platform) => platform.base(),
            Self::Defined(api) => api.base(),
        }
    }

    fn failure(self, status: u16, message: &str) -> Reply {
        match self {
            Self::Own(platform) => platform.failure(status, message),
            Self::Defined(api) => api.failure(status, message),
        }
    }
}

fn failure(api: Option<Api<'_>>, status: u16, message: &str) -> Reply {
    match api {
        Some(api) => api.failure(status, message),
        None => Reply::json(status, &json!({ "error": message })),
    }
}

/// How much the server has been driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were accepted.
    pub sockets: u64,
    /// Requests that came in.
    pub requests: u64,
    /// The most requests that were open at one time.
    pub peak_in_flight: u64,
}

/// What all connections share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// The only credential that is accepted, as a key, a token or a password; any is, without one.
    api_key: Option<String>,
    /// The APIs that are served from their definitions.
    defined: Vec<Defined>,
    sockets: AtomicU64,
    requests: AtomicU64,
    in_flight: AtomicU64,
    peak_in_flight: AtomicU64,
}

/// What one request may change.
pub(super) struct State {
    pub(super) store: Store,
    pub(super) quirks: Quirks,
    pub(super) faults: Vec<Armed>,
    pub(super) log: Log,
    pub(super) sessions: Sessions,
    /// The file that the store's lines go to.
    pub(super) disk: Option<Appender>,
}

impl State {
    /// Appends to the file what the store has not saved. Lines that could not be written are kept and tried again.
    pub(super) fn save(&mut self) -> Result<(), SandboxError> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        let lines = self.store.unsaved();
        if !lines.is_empty() {
            disk.append(lines)?;
            self.store.saved();
        }
        Ok(())
    }
}

impl Shared {
    pub(super) fn new(state: State, api_key: Option<String>, defined: Vec<Defined>) -> Self {
        Self {
            state: Mutex::new(state),
            api_key,
            defined,
            sockets: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            peak_in_flight: AtomicU64::new(0),
        }
    }

    /// The state, for a short synchronous section. A handler that panicked under the lock has not left half a change:
    /// handlers store last.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The base URL's path of a platform, for those that are served.
    pub(super) fn base(&self, platform: &str) -> Option<&str> {
        let defined = self.defined.iter().find(|api| api.platform() == platform).map(Defined::base);
        defined.or_else(|| Platform::named(platform).map(Platform::base))
    }

    /// The names of all platforms that are served.
    pub(super) fn platforms(&self) -> impl Iterator<Item = &str> {
        Platform::ALL.iter().map(|platform| platform.as_str()).chain(self.defined.iter().map(Defined::platform))
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            sockets: self.sockets.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            peak_in_flight: self.peak_in_flight.load(Ordering::Relaxed),
        }
    }

    /// Decides what becomes of a request, and remembers it. Gives the reply and how long it is held back.
    fn process(&self, mut request: Request, target: String) -> (Reply, Duration) {
        let now = edge::now();
        let api = Api::at(&request.path, &self.defined);
        let mut guard = self.lock();
        let state = &mut *guard;
        let is_own = matches!(api, Some(Api::Own(_)));
        if let Some(expected) = self.api_key.as_ref().filter(|_| is_own && !state.sessions.knows(&request)) {
            drop_other_credentials(&mut request, expected);
        }
        if matches!(api, Some(Api::Own(Platform::Gateway))) {
            state.sessions.admit(&state.quirks, &mut request);
        }
        let below_base = api.and_then(|api| request.path.strip_prefix(api.base())).unwrap_or(&request.path);
        let struck = strike(&mut state.faults, &request.method, [below_base, &request.path]);
        let mut handle = || match api {
            None if request.path == login::PATH && request.method == "POST" => {
                state.sessions.open(&state.quirks, self.api_key.as_deref(), &request)
            }
            Some(Api::Own(platform)) => platform.handle(&mut state.store, &state.quirks, &now, &request),
            Some(Api::Defined(api)) => api.handle(&mut state.store, self.api_key.as_deref(), &request),
            None => nowhere(),
        };
        let mut reply = match struck.kind {
            None => handle(),
            Some(FaultKind::ResetAfter) => Reply { defect: Defect::Unanswered, ..handle() },
            Some(FaultKind::Truncate) => Reply { defect: Defect::Truncated, ..handle() },
            Some(FaultKind::NotJson) => {
                handle();
                Reply::text(200, "application/json", "this is {not JSON")
            }
            Some(other) => injected(api, other),
        };
        if let Err(problem) = state.save() {
            reply = failure(api, 500, &problem.to_string());
        }
        let status = if reply.defect == Defect::Unanswered { 0 } else { reply.status };
        let body = match api {
            Some(Api::Defined(api)) => loggable(&request.body, api.secrets()),
            Some(Api::Own(_)) | None => loggable(&request.body, &BTreeSet::new()),
        };
        let logged = LoggedRequest { method: request.method, path: target, status, body };
        if let Err(problem) = state.log.push(&now, logged) {
            reply = failure(api, 500, &problem.to_string());
        }
        (reply, Duration::from_millis(struck.delay))
    }
}

/// To the handlers a wrong credential is the same as none.
fn drop_other_credentials(request: &mut Request, expected: &str) {
    request.headers.retain(|(name, value)| match name.as_str() {
        "x-api-key" | "x-root-key" => value == expected,
        "authorization" => bearer_token(value) == Some(expected),
        _ => true,
    });
}

fn nowhere() -> Reply {
    failure(
        None,
        404,
        "the sandbox serves /api/public/connections (koreai), /api/providers (gateway), /ai/llm (flashback) and /NAME for each definition",
    )
}

/// The reply of a fault that processes nothing.
fn injected(api: Option<Api<'_>>, kind: FaultKind) -> Reply {
    match kind {
        FaultKind::Status { code, retry_after, body } => {
            let reply = match body {
                _ if matches!(code, 204 | 304) => Reply { status: code, ..Reply::default() },
                Some(body) if body.starts_with(['{', '[']) => Reply::text(code, "application/json", &body),
                Some(body) => Reply::text(code, "text/plain; charset=utf-8", &body),
                None => failure(api, code, "a fault of the sandbox"),
            };
            match retry_after {
                Some(seconds) => reply.with_header("retry-after", seconds.to_string()),
                None => reply,
            }
        }
        FaultKind::Html(code) => {
            let page = format!(
                "<html><head><title>{code}</title></head><body><h1>{code}</h1><p>a fault of the sandbox</p></body></html>"
            );
            Reply::text(code, "text/html; charset=utf-8", &page)
        }
        FaultKind::Redirect(url) => Reply { status: 307, ..Reply::default() }.with_header("location", url),
        // The others let the request be processed, and are not asked here.
        FaultKind::ResetBefore | FaultKind::ResetAfter | FaultKind::Truncate | FaultKind::NotJson | FaultKind::Delay(_) => {
            Reply { defect: Defect::Unanswered, ..Reply::default() }
        }
    }
}

/// Accepts connections until `stop` is sent or its sender is gone, then ends those that are open.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stop: oneshot::Receiver<Infallible>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    shared.sockets.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

/// Answers the requests of one connection, until either side closes it.
async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    // Without this an answer may wait 40 ms for an acknowledgement. If it cannot be had, the answer waits.
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    // An error is a client that went away, or a defect that was wanted.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

/// Counts a request as open for as long as it lives.
struct Flight<'a>(&'a Shared);

impl<'a> Flight<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let open = shared.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        shared.peak_in_flight.fetch_max(open, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Payload>, HangUp> {
    let _flight = Flight::begin(&shared);
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(problem) if problem.is::<LengthLimitError>() => {
            return Ok(response(failure(Api::at(head.uri.path(), &shared.defined), 413, "the body is larger than 32 MiB")));
        }
        // The client went away in the middle of its request.
        Err(_) => return Err(HangUp),
    };
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: parse_query(head.uri.query().unwrap_or_default()),
        headers: head.headers.iter().map(header).collect(),
        body: body.into(),
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let (reply, delay) = shared.process(request, target);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if reply.defect == Defect::Unanswered { Err(HangUp) } else { Ok(response(reply)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_platforms() {
        for (path, platform) in [
            ("/api/public/connections", Some(Platform::Koreai)),
            ("/api/public/connections/cn-1", Some(Platform::Koreai)),
            ("/api/public/connectionsX", None),
            ("/api/providers/openai/test", Some(Platform::Gateway)),
            ("/ai/llm", Some(Platform::Flashback)),
            ("/", None),
        ] {
            assert_eq!(Platform::at(path), platform, "{path}");
        }
    }

    #[test]
    fn a_wrong_credential_is_none() {
        let headers = [("x-api-key", "k"), ("x-root-key", "other"), ("authorization", "Bearer k"), ("accept", "*/*")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut request = Request { headers, ..Request::default() };
        drop_other_credentials(&mut request, "k");
        let left: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["x-api-key", "authorization", "accept"]);
    }

    #[test]
    fn faults_that_process_nothing() {
        let throttled =
            injected(Some(Api::Own(Platform::Koreai)), FaultKind::Status { code: 429, retry_after: Some(2), body: None });
        assert_eq!((throttled.status, throttled.headers[1].clone()), (429, ("retry-after", "2".to_owned())));
        assert_eq!(throttled.value()["errors"][0]["msg"], "a fault of the sandbox");
        let page = injected(None, FaultKind::Html(502));
        assert!(page.status == 502 && page.body.starts_with(b"<html>"));
        let moved = injected(None, FaultKind::Redirect("http://127.0.0.1:1/".to_owned()));
        assert_eq!((moved.status, moved.headers), (307, vec![("location", "http://127.0.0.1:1/".to_owned())]));
        assert_eq!(injected(None, FaultKind::ResetBefore).defect, Defect::Unanswered);
    }
}
