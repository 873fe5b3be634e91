//! Platforms: what an API is, as data, and the way from a change to a request and from an answer to an observation.
//!
//! Sans-I/O: requests and answers are values. Nothing here sends, waits or knows the time.

pub mod bounds;
pub mod builtin;
mod check;
pub mod compare;
pub mod draft;
pub mod exchange;
pub mod export;
pub mod fake;
pub mod mask;
pub mod model;
pub mod object;
pub mod parse;
pub mod refer;
pub mod sample;
pub mod schema;
