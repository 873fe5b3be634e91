//! The sandbox: APIs on loopback, over real HTTP. Three have handlers of their own; any other one is made from its
//! definition.
//!
//! It serves people who try patchbay (`patchbay sandbox`, `base_url = "sandbox:"`) and patchbay's own tests. It is as
//! strict as the vendors are, and where nobody outside can tell how a vendor behaves, a [quirk](Quirks) decides. What
//! goes wrong on the way is a [fault](Fault). A fault or a quirk changes what the server does, never what a client of
//! ours checks: no code outside this folder knows that it talks to a sandbox.
//!
//! ```text
//! server   HTTP, faults, defects of connections      the only async part, with payload for its answers
//! koreai gateway flashback                           one pure handler each: (store, quirks, now, request) → reply
//! defined                                            any other API, as its definition says
//! store    objects, and the lines that persist them  pure
//! log faults quirks secrets message                  pure
//! edge     files and the clock
//! ```
//!
//! Deliberately absent: TLS, any address but loopback, scopes and users, and every secret: what outlives a request is
//! two masks and a digest.

mod defined;
mod edge;
mod faults;
mod flashback;
mod gateway;
mod koreai;
mod log;
mod login;
mod message;
mod payload;
mod quirks;
mod secrets;
mod server;
mod store;

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use faults::{Fault, FaultKind};
pub use log::LoggedRequest;
pub use quirks::{FlashbackErrors, GatewayServer, Quirks, ReadBack, StatusWords};
pub use secrets::StoredSecret;
pub use server::Counters;
pub use store::{Platform, Shelf, Store};

use crate::platform::fake::Fake;
use defined::Defined;
use edge::Appender;
use faults::Armed;
use log::Log;
use login::Sessions;
use server::{Shared, State};

/// How to start a sandbox. There is no `Debug`, because there is a key.
pub struct Options {
    /// Where the objects are kept; nowhere if absent.
    pub file: Option<PathBuf>,
    /// Where requests are logged, as JSON lines, besides in memory.
    pub log: Option<PathBuf>,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// How the vendors behave.
    pub quirks: Quirks,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// The only key or token that is accepted. Without one, any that is not empty is.
    pub api_key: Option<String>,
    /// APIs that are served besides, each below a path with its name.
    pub defined: Vec<Fake>,
}

impl Options {
    /// A sandbox that leaves nothing behind, on any free port, with vendors as they are documented.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { file: None, log: None, port: 0, quirks: Quirks::default(), faults: Vec::new(), api_key: None, defined: Vec::new() }
    }
}

/// Starts a sandbox on the current tokio runtime, of either flavour, with its I/O and time drivers enabled.
///
/// A file belongs to one sandbox at a time. If another one has it, this waits a few seconds for it and then gives up.
pub async fn start(options: Options) -> Result<Sandbox, SandboxError> {
    let Options { file, log, port, quirks, faults, api_key, defined } = options;
    let (store, disk) = match &file {
        Some(path) => {
            let (store, disk) = open_store(path).await?;
            (store, Some(disk))
        }
        None => (Store::in_memory(), None),
    };
    let log = Log::new(log.map(|path| Appender::open(&path, None)).transpose()?);
    let listen = |source| SandboxError::Listen { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;

    let faults = faults.into_iter().map(Armed::new).collect();
    let state = State { store, quirks, faults, log, sessions: Sessions::default(), disk };
    let shared = Arc::new(Shared::new(state, api_key, defined.into_iter().map(Defined::new).collect()));
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server::serve(listener, Arc::clone(&shared), stopped));
    Ok(Sandbox { addr, shared, stop, task })
}

async fn open_store(path: &Path) -> Result<(Store, Appender), SandboxError> {
    let lock = edge::lock(path).await?;
    let loaded = Store::load(&edge::read(path)?).map_err(|(line, reason)| SandboxError::Corrupt {
        path: path.to_owned(),
        line,
        reason,
    })?;
    if loaded.stale {
        edge::replace(path, &loaded.store.compact())?;
    }
    Ok((loaded.store, Appender::open(path, Some(lock))?))
}

/// A running sandbox. Dropping it stops it too: the task that accepts connections sees that its handle is gone.
pub struct Sandbox {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// Nothing is ever sent: that it is dropped is the message.
    stop: oneshot::Sender<Infallible>,
    task: JoinHandle<()>,
}

impl Sandbox {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The base URL of a platform, for those that the sandbox serves.
    #[must_use]
    pub fn base_url(&self, platform: &str) -> Option<String> {
        self.shared.base(platform).map(|base| format!("{}{base}", self.origin()))
    }

    /// The names of all platforms that it serves.
    pub fn platforms(&self) -> impl Iterator<Item = &str> {
        self.shared.platforms()
    }

    /// The requests so far, oldest first; the last hundred thousand of them.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.shared.lock().log.all()
    }

    /// Forgets the requests so far. A log file keeps them.
    pub fn clear_requests(&self) {
        self.shared.lock().log.clear();
    }

    /// How much it has been driven since it was started.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Adds a fault after those that are there.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.lock().faults.push(Armed::new(fault));
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Changes how the vendors behave from now on.
    pub fn set_quirks(&self, quirks: Quirks) {
        self.shared.lock().quirks = quirks;
    }

    /// Looks at the objects, or changes them behind the API's back. No rule of any vendor is applied. If the file cannot
    /// be written, the next request says so.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut Store) -> T) -> T {
        let mut state = self.shared.lock();
        let result = edit(&mut state.store);
        state.save().ok();
        result
    }

    /// Stops it and waits until every connection is closed and its file is free.
    pub async fn stop(self) {
        let Self { stop, task, .. } = self;
        drop(stop);
        // It fails only if the runtime is shutting down, which stops it as well.
        task.await.ok();
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Why there is no sandbox, or why it was set up wrongly.
#[derive(Debug)]
pub enum SandboxError {
    /// The port cannot be listened on.
    Listen {
        /// The port that was asked for.
        port: u16,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file cannot be used.
    File {
        /// What was tried, as in `cannot read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another sandbox has the file.
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something that no sandbox wrote.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such quirk.
    UnknownQuirk {
        /// The name that was given.
        name: String,
    },
    /// A quirk does not take that value.
    Quirk {
        /// The quirk.
        name: String,
        /// The value that was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A text is no fault.
    Fault {
        /// The text.
        text: String,
        /// Why it is none.
        reason: String,
    },
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { port: 0, .. } => write!(f, "cannot listen on 127.0.0.1"),
            Self::Listen { port, .. } => write!(f, "cannot listen on 127.0.0.1:{port}"),
            Self::File { action, path, .. } => write!(f, "{action} `{}`", path.display()),
            Self::Busy { path } => write!(f, "another sandbox is using `{}`", path.display()),
            Self::Corrupt { path, line, reason } => write!(f, "line {line} of `{}` is not a sandbox's: {reason}", path.display()),
            Self::UnknownQuirk { name } => {
                let names: Vec<&str> = Quirks::names().iter().map(|(name, _)| *name).collect();
                write!(f, "there is no quirk `{name}`: there are {}", names.join(", "))
            }
            Self::Quirk { name, value, expected } => write!(f, "the quirk `{name}` cannot be `{value}`: it is {expected}"),
            Self::Fault { text, reason } => write!(f, "not a fault, {reason}: `{text}`"),
        }
    }
}

impl std::error::Error for SandboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
