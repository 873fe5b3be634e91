//! The real servers: MLflow AI Gateway and ContextForge, started on loopback from their registry packages, and the
//! program in a folder of its own. After every step the server's own decryption of its own database says which key is
//! stored. Runs where these variables name what is started; CI installs both.
//!
//! | variable | what it names |
//! |---|---|
//! | `PATCHBAY_TEST_MLFLOW` | `mlflow`, of PyPI |
//! | `PATCHBAY_TEST_CONTEXTFORGE` | `mcpgateway`, of PyPI's `mcp-contextforge-gateway` |
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;
#[path = "servers/contextforge.rs"]
mod contextforge;
#[path = "servers/mlflow.rs"]
mod mlflow;
#[path = "servers/server.rs"]
mod server;
#[path = "servers/story.rs"]
mod story;
#[path = "servers/tap.rs"]
mod tap;
