//! The remote store: one state for a team, in object storage or behind a plain web address. No lock and no lease.
//!
//! The entries are those of the local store, and so are the claims: the earlier intent goes, the later one yields. What
//! differs is what makes an entry durable. A file can be appended to and exchanged; a store on the network has neither,
//! but it has writes with a condition, and those are enough.
//!
//! - *Segments* (object storage). A base object holds the sorted part and the number of an *epoch*. Behind it stand
//!   numbered segments, each written under a name that must be free, so that of two writers one has the number and the
//!   other one reads what it wrote and takes the next. Whoever tidies seals the log first, with a segment after which
//!   no other counts, and then replaces the base if it is still the one that was folded. A writer looks at the base
//!   once more after each segment: if the epoch is still open its segment is in front of the seal, and is acknowledged.
//! - *Document* (plain HTTP). There is one document, read and written whole, with the tag that was read as condition.
//!
//! An answer that does not come proves nothing: the request may have been performed, may be performed later, or never.
//! So nobody guesses. Every batch has a name of its own, and whoever is in doubt looks who is in the slot.
//!
//! Tags are how a store names contents, and equal contents may have equal tags. Each content therefore has something in
//! it that none before had: epoch and seal in a base, serial and batch in a document; and the lineage in all of them.
//!
//! All of it rests on the store keeping two writers apart. Some that look as if they did do not, so a store is tried
//! before the first write, and refused if it fails ([`selftest`]). Readers try nothing and write nothing.
//!
//! | file | what it does |
//! |---|---|
//! | `address` | from a URL to a store |
//! | `bucket` | what is asked of a store: a few calls |
//! | `cloud`, `web` | the two kinds of stores that there are |
//! | `selftest` | refuses stores that do not keep writers apart |
//! | `content` | what stands in an object |
//! | `ledger` | what was read, and in which order intents became known |
//! | `link` | the way to a store, as one run has it |
//! | `patience` | how often something is tried again |
//! | `segments`, `document` | the two protocols |
//! | `run` | one run on either of them: claims, the end |
//! | `journal` | the same for callers that block |

mod address;
mod bucket;
mod cloud;
mod content;
mod document;
mod journal;
mod ledger;
mod link;
mod patience;
mod run;
mod segments;
mod selftest;
mod web;

#[cfg(test)]
mod memory;
#[cfg(test)]
mod proofs;

pub use address::Remote;
pub use journal::RemoteStore;

use crate::state::StateError;

/// An error of a store on the network.
fn failed(verb: &'static str, place: &str, cause: impl Into<String>) -> StateError {
    StateError::Remote { verb, place: place.to_owned(), cause: cause.into(), help: None }
}
