//! The local store: the state as one file that is appended, exchanged and merged. No lock anywhere.
//!
//! - *Append and check*: one write at the end of the file, one sync, read back, and look whether the path still is the
//!   file that was written. If somebody exchanged it meanwhile, again on the new one.
//! - *Exchange and merge*: tidying writes a part file beside the state, swaps the two names, and then brings over what
//!   the swapped-out file had and the new one lacks. Where names cannot be swapped the old file is renamed away and
//!   the new one linked in its place.
//! - *Take and merge*: a part file that somebody left behind is renamed first, so that only one run merges it.
//!
//! What was acknowledged is in the state file or in a part file at every instant: an append that saw its own file at
//! the path was made before any exchange, so whoever exchanges sees it; one that did not see it is repeated. Part
//! files are `.<name>.*.part` beside the state, and every reader joins them.
//!
//! Nothing is created or changed before the first append, so a run that changes nothing leaves every byte alone.
//!
//! | file | what it does |
//! |---|---|
//! | `fs` | the system calls |
//! | `site` | the names, and reading everything that is there at one moment |
//! | `log` | the state file while it is open |
//! | `local` | the protocol |
//! | `committer` | many callers, one append |
//! | `location`, `journal` | a file or a store on the network, for everybody who need not know which |
//! | `remote` | the store on the network, with modules of its own |
//! | `repair` | a damaged file: its bytes, and a repaired one in its place |
//! | `key` | the key of fingerprints, lineages |

mod committer;
mod fs;
mod journal;
mod key;
mod local;
mod location;
mod log;
mod remote;
mod repair;
mod site;

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod model;
#[cfg(test)]
mod proofs;

use std::io;
use std::path::Path;

pub use committer::{CommitStats, Committer, Finished};
pub use fs::{Fs, Handle, Identity, RealFs};
pub use journal::Journal;
pub use key::{key_variable, let_key_wait, load_key, new_key, new_lineage, replace_key, sync_waiting_key, ulid, waiting_key};
pub use local::LocalStore;
pub use location::{Location, Opened, begin};
pub use remote::{Remote, RemoteStore};
pub use repair::{raw_state, replace_damaged};
pub use site::RawState;

use crate::state::StateError;

/// How often something is tried again because another process was faster. Each repetition means that the other one got
/// something done, so this many mean that something else is wrong: a file system whose identities do not hold still.
const ROUNDS: usize = 1000;

/// Says what was tried with which file.
trait Context<T> {
    fn context(self, verb: &'static str, path: &Path) -> Result<T, StateError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, verb: &'static str, path: &Path) -> Result<T, StateError> {
        self.map_err(|error| StateError::io(verb, path, &error))
    }
}

/// `None` where the file is not there.
fn if_there<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn unsettled(path: &Path) -> StateError {
    StateError::Unsettled { path: path.display().to_string() }
}

/// Writes all of it, however little one call takes.
fn write_whole(file: &mut dyn Handle, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.append(rest)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => rest = &rest[written..],
        }
    }
    Ok(())
}
