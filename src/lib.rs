//! patchbay reconciles connection definitions of LLM platforms with their live APIs.
pub mod address;
pub mod base64;
pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod engine;
pub mod io;
pub mod path;
pub mod plan;
pub mod platform;
pub mod sandbox;
pub mod secret;
pub mod source;
pub mod state;
pub mod suggest;
pub mod value;
pub mod view;
