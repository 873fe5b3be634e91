//! A web server on loopback that keeps documents and honours conditions, or does not.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "only the tests of the shared state use it")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Well,
    /// It performs one write in so many and hangs up instead of answering.
    HangsUp { of: usize },
    /// It looks whether the condition holds, and writes a moment later.
    LooksFirst,
    /// Conditions mean nothing to it.
    IgnoresConditions,
    /// Its tags are weak.
    WeakTags,
    /// It sends no tags.
    NoTags,
    /// It lets nobody in.
    Denies,
}

struct Shelf {
    manner: Manner,
    documents: BTreeMap<String, Bytes>,
    writes: usize,
    authorization: Option<String>,
}

/// The server; it ends with its handle.
pub struct Etags {
    shelf: Arc<Mutex<Shelf>>,
    origin: String,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Etags {
    pub fn start(manner: Manner) -> Self {
        let shelf = Shelf { manner, documents: BTreeMap::new(), writes: 0, authorization: None };
        let shelf = Arc::new(Mutex::new(shelf));
        let (ready, origin) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&shelf);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
                serve(listener, shared, stopped).await;
            });
        });
        Self { shelf, origin: origin.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    /// The address of a document.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.origin)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    /// How many requests came that were to change something.
    pub fn writes(&self) -> usize {
        self.shelf().writes
    }

    pub fn set(&self, manner: Manner) {
        self.shelf().manner = manner;
    }

    /// The `Authorization` of the last request.
    pub fn authorization(&self) -> Option<String> {
        self.shelf().authorization.clone()
    }

    /// The paths of all documents.
    pub fn paths(&self) -> Vec<String> {
        self.shelf().documents.keys().cloned().collect()
    }

    /// Puts a document there.
    pub fn put(&self, path: &str, text: &str) {
        self.shelf().documents.insert(format!("/{path}"), Bytes::copy_from_slice(text.as_bytes()));
    }

    pub fn document(&self, path: &str) -> Option<String> {
        self.shelf().documents.get(&format!("/{path}")).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }
}

impl Drop for Etags {
    fn drop(&mut self) {
        self.stop.take();
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

async fn serve(listener: TcpListener, shelf: Arc<Mutex<Shelf>>, mut stopped: oneshot::Receiver<Infallible>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shelf = Arc::clone(&shelf);
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(request, Arc::clone(&shelf)));
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        }
    }
}

async fn answer(request: Request<Incoming>, shelf: Arc<Mutex<Shelf>>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path().to_owned();
    let manner = {
        let mut shelf = shelf.lock().unwrap();
        shelf.authorization = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        shelf.writes += usize::from(head.method != Method::GET);
        shelf.manner
    };
    if manner == Manner::Denies {
        return Ok(reply(StatusCode::FORBIDDEN, None, Bytes::new()));
    }
    if head.method == Method::GET {
        let shelf = shelf.lock().unwrap();
        return Ok(match shelf.documents.get(&path) {
            Some(bytes) => reply(StatusCode::OK, tag(manner, bytes), bytes.clone()),
            None => reply(StatusCode::NOT_FOUND, None, Bytes::new()),
        });
    }
    let may = {
        let shelf = shelf.lock().unwrap();
        manner == Manner::IgnoresConditions || holds(&head.headers, shelf.documents.get(&path), manner)
    };
    if manner == Manner::LooksFirst {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if !may {
        return Ok(reply(StatusCode::PRECONDITION_FAILED, None, Bytes::new()));
    }
    let mut shelf = shelf.lock().unwrap();
    if manner != Manner::LooksFirst
        && manner != Manner::IgnoresConditions
        && !holds(&head.headers, shelf.documents.get(&path), manner)
    {
        return Ok(reply(StatusCode::PRECONDITION_FAILED, None, Bytes::new()));
    }
    if head.method == Method::DELETE {
        shelf.documents.remove(&path);
        return Ok(reply(StatusCode::NO_CONTENT, None, Bytes::new()));
    }
    let etag = tag(manner, &body);
    shelf.documents.insert(path, body);
    match manner {
        Manner::HangsUp { of } if shelf.writes.is_multiple_of(of) => Err(io::Error::other("hangs up")),
        _ => Ok(reply(StatusCode::OK, etag, Bytes::new())),
    }
}

fn holds(headers: &HeaderMap, there: Option<&Bytes>, manner: Manner) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    if text(IF_NONE_MATCH).is_some() && there.is_some() {
        return false;
    }
    match text(IF_MATCH) {
        Some(wanted) => there.and_then(|bytes| tag(manner, bytes)) == Some(wanted),
        None => true,
    }
}

fn tag(manner: Manner, bytes: &Bytes) -> Option<String> {
    let hash = &blake3::hash(bytes).to_hex()[..16];
    match manner {
        Manner::NoTags => None,
        Manner::WeakTags => Some(format!("W/\"{hash}\"")),
        _ => Some(format!("\"{hash}\"")),
    }
}

fn reply(status: StatusCode, etag: Option<String>, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    if let Some(etag) = etag {
        response.headers_mut().insert(ETAG, etag.parse().unwrap());
    }
    response
}
