//! The key of fingerprints, and names that are unique.
//!
//! The key lies in `.patchbay/key` beside the project, 64 hex digits for its owner only, in a folder that git ignores;
//! or it comes from a variable, as in CI. It is never in the state.
//!
//! A new key waits beside the old one, in `.patchbay/key.next-<id>`, until every fingerprint is made with it. So at every
//! instant the keys of all fingerprints are there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Context as _;
use super::fs::{Fs as _, RealFs, make_private_folder, read_small, write_private};
use crate::state::{Key, StateError};

/// The variable that goes before the file.
const VARIABLE: &str = "PATCHBAY_STATE_KEY";
const FOLDER: &str = ".patchbay";
const FILE: &str = "key";
/// What the name of a key that waits begins with; the rest tells which one it is.
const NEXT: &str = "key.next-";

/// The key as a variable, if it is set to something.
#[must_use]
pub fn key_variable(env: &BTreeMap<String, String>) -> Option<&str> {
    env.get(VARIABLE).filter(|key| !key.is_empty()).map(String::as_str)
}

/// The key: from the variable if it is set, else from `.patchbay/key` under the project's folder. If there is neither
/// one is made when `create` says so, else there is none.
///
/// # Errors
/// The variable or the file holds no key, or the file cannot be read or made.
pub fn load_key(dir: &Path, from_env: Option<&str>, create: bool) -> Result<Option<Key>, StateError> {
    if let Some(text) = from_env {
        let unusable = || StateError::Key {
            place: VARIABLE.to_owned(),
            why: "it is neither 64 hex digits, base64 of 32 bytes, nor a text of at least 32 characters".to_owned(),
        };
        return Key::from_text(text).ok_or_else(unusable).map(Some);
    }
    let path = dir.join(FOLDER).join(FILE);
    match read_key(&path)? {
        Some(key) => Ok(Some(key)),
        None if create => make_key(&path).map(Some),
        None => Ok(None),
    }
}

fn read_key(path: &Path) -> Result<Option<Key>, StateError> {
    let Some(bytes) = read_small(path).context("read", path)?.map(Zeroizing::new) else { return Ok(None) };
    let key = std::str::from_utf8(&bytes).ok().and_then(|text| Key::from_hex(text.trim()));
    let unusable = || StateError::Key { place: path.display().to_string(), why: "it is not 64 hex digits".to_owned() };
    key.ok_or_else(unusable).map(Some)
}

/// A key that nobody had before. It is nowhere but in memory.
///
/// # Errors
/// The system has no randomness.
pub fn new_key() -> Result<Key, StateError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    random(bytes.as_mut_slice())?;
    Ok(Key::new(*bytes))
}

/// A key that is to take the place of `.patchbay/key`, if a rotation is under way or was interrupted.
///
/// # Errors
/// Its file holds no key, or cannot be read.
pub fn waiting_key(dir: &Path) -> Result<Option<Key>, StateError> {
    match waiting(&dir.join(FOLDER))?.first() {
        Some(path) => read_key(path),
        None => Ok(None),
    }
}

/// Lets a new key wait beside the old one; it is durable when this returns. `false` if another one waits, too: then
/// another rotation began at the same moment, and this one must not go on.
///
/// # Errors
/// It cannot be written.
pub fn let_key_wait(dir: &Path, key: &Key) -> Result<bool, StateError> {
    let folder = dir.join(FOLDER);
    let path = folder.join(name_of_waiting(key));
    place_key(&path, key)?;
    Ok(waiting(&folder)? == [path])
}

/// Returns when a key that waits is durable, which another run may have written a moment ago.
///
/// # Errors
/// The system cannot promise it.
pub fn sync_waiting_key(dir: &Path) -> Result<(), StateError> {
    let folder = dir.join(FOLDER);
    RealFs.sync_folder(&folder).context("sync", &folder)
}

/// Gives the waiting key the place of the old one, in one step. Another run may have done that already. `false` if the
/// key is neither of the two by now; then nothing was changed.
///
/// A waiting key is named after itself, and its name goes with it. So a run that was held up behind its look at the old
/// key cannot put another one there.
///
/// # Errors
/// It cannot be replaced.
pub fn replace_key(dir: &Path, old: &Key, new: &Key) -> Result<bool, StateError> {
    let folder = dir.join(FOLDER);
    let path = folder.join(FILE);
    let is_now = |key: &Key| read_key(&path).map(|now| now.is_some_and(|now| now.to_hex() == key.to_hex()));
    if is_now(new)? {
        return Ok(true);
    }
    if !is_now(old)? {
        return Ok(false);
    }
    match RealFs.rename(&folder.join(name_of_waiting(new)), &path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return is_now(new),
        outcome => outcome.context("replace", &path)?,
    }
    sync_waiting_key(dir).map(|()| true)
}

/// `.patchbay/key.next-<id>`, without the folder.
fn name_of_waiting(key: &Key) -> String {
    format!("{NEXT}{}", key.id())
}

/// The files of all keys that wait, sorted.
fn waiting(folder: &Path) -> Result<Vec<PathBuf>, StateError> {
    let names = RealFs.list(folder).context("list", folder)?;
    let is_waiting = |name: &OsString| name.as_encoded_bytes().starts_with(NEXT.as_bytes());
    Ok(names.into_iter().filter(is_waiting).map(|name| folder.join(name)).collect())
}

fn make_key(path: &Path) -> Result<Key, StateError> {
    place_key(path, &new_key()?)
}

/// Writes a key that appears under its name whole or not at all: of two first runs one makes it, and the other one must
/// not read half of it. Gives the key that is there then.
fn place_key(path: &Path, key: &Key) -> Result<Key, StateError> {
    let folder = path.parent().unwrap_or(path);
    make_private_folder(folder).context("create", folder)?;
    let ignore = folder.join(".gitignore");
    match write_private(&ignore, b"*\n") {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(StateError::io("create", &ignore, &error));
        }
        _ => {}
    }
    let mut nonce = [0; 8];
    random(&mut nonce)?;
    let draft = folder.join(format!("{FILE}.{:016x}.part", u64::from_le_bytes(nonce)));
    let mut text = key.to_hex();
    text.push('\n');
    write_private(&draft, text.as_bytes()).context("create", &draft)?;
    let linked = RealFs.link(&draft, path);
    let synced = RealFs.sync_folder(folder);
    drop(RealFs.unlink(&draft));
    match linked {
        Ok(()) => synced.context("sync", folder).map(|()| key.clone()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            synced.context("sync", folder)?;
            let gone = || StateError::io("read", path, &"it was there a moment ago");
            read_key(path)?.ok_or_else(gone)
        }
        Err(error) => Err(StateError::io("create", path, &error)),
    }
}

/// A new lineage: unique, and sorted by when it was made. The clock is the caller's.
///
/// # Errors
/// The system has no randomness.
pub fn new_lineage(now_ms: u64) -> Result<String, StateError> {
    let mut bytes = [0; 10];
    random(&mut bytes)?;
    Ok(ulid(now_ms, bytes))
}

/// 48 bits of milliseconds and 80 bits of randomness as 26 characters of Crockford's alphabet, which has no letters
/// that look like digits.
#[must_use]
pub fn ulid(millis: u64, random: [u8; 10]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let low = random.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let bits = (u128::from(millis & 0xffff_ffff_ffff) << 80) | low;
    let digit = |n: u32| (bits >> (5 * n)).to_le_bytes()[0] & 31;
    (0..26).rev().map(|n| char::from(ALPHABET[usize::from(digit(n))])).collect()
}

fn random(bytes: &mut [u8]) -> Result<(), StateError> {
    #[expect(clippy::disallowed_methods, reason = "a key needs real randomness, and an error where there is none")]
    getrandom::fill(bytes).map_err(|error| StateError::io("get randomness for", Path::new("the state"), &error))
}

#[cfg(test)]
mod tests {
    use super::super::fs::raw;
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load_key(folder.path(), None, false).unwrap().is_none());
        assert!(raw::names(folder.path()).is_empty());
        let made = load_key(folder.path(), None, true).unwrap().unwrap();
        let again = load_key(folder.path(), None, true).unwrap().unwrap();
        let read = load_key(folder.path(), None, false).unwrap().unwrap();
        assert_eq!(made.to_hex(), again.to_hex());
        assert_eq!(made.to_hex(), read.to_hex());
        let private = folder.path().join(".patchbay");
        assert_eq!(raw::names(&private), [".gitignore", "key"]);
        assert_eq!(raw::read(&private.join(".gitignore")), "*\n");
        assert_eq!(raw::read(&private.join("key")), format!("{}\n", made.to_hex().as_str()));
        assert_eq!((raw::mode(&private), raw::mode(&private.join("key"))), (0o700, 0o600));
    }

    #[test]
    fn of_two_first_runs_one_makes_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<String> = std::thread::scope(|scope| {
            let make = || load_key(folder.path(), None, true).unwrap().unwrap().to_hex().to_string();
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn the_variable_goes_first_and_must_be_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let hex = "0f".repeat(32);
        let key = load_key(folder.path(), Some(&hex), true).unwrap().unwrap();
        assert_eq!(key.to_hex().as_str(), hex);
        assert!(raw::names(folder.path()).is_empty());
        for short in ["", "secret"] {
            let error = load_key(folder.path(), Some(short), true).unwrap_err();
            assert!(error.to_string().starts_with("the state key in `PATCHBAY_STATE_KEY` is not usable"), "{error}");
        }
    }

    #[test]
    fn a_broken_key_file_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        load_key(folder.path(), None, true).unwrap();
        let path = folder.path().join(".patchbay/key");
        for broken in ["", "0f0f", &"g".repeat(64), &"0f".repeat(33)] {
            raw::write(&path, broken);
            assert!(matches!(load_key(folder.path(), None, true), Err(StateError::Key { .. })), "{broken}");
            assert_eq!(raw::read(&path), broken);
        }
    }

    #[test]
    fn a_new_key_waits_and_then_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let hex = |key: &Key| key.to_hex().to_string();
        let old = load_key(dir, None, true).unwrap().unwrap();
        assert!(waiting_key(dir).unwrap().is_none());
        let new = new_key().unwrap();
        assert_ne!(hex(&new), hex(&old));
        assert_eq!(let_key_wait(dir, &new), Ok(true));
        assert_eq!(let_key_wait(dir, &new), Ok(true), "it waits already");
        assert_eq!(waiting_key(dir).unwrap().as_ref().map(hex), Some(hex(&new)));
        assert_eq!(load_key(dir, None, false).unwrap().as_ref().map(hex), Some(hex(&old)));
        let private = dir.join(".patchbay");
        let name = format!("key.next-{}", new.id());
        assert_eq!(raw::names(&private), [".gitignore", "key", name.as_str()]);
        assert_eq!(raw::mode(&private.join(&name)), 0o600);

        assert_eq!(replace_key(dir, &old, &new), Ok(true));
        assert_eq!(raw::names(&private), [".gitignore", "key"]);
        assert_eq!(raw::read(&private.join("key")), format!("{}\n", hex(&new)));
        assert_eq!(raw::mode(&private.join("key")), 0o600);
        assert_eq!(replace_key(dir, &old, &new), Ok(true), "somebody else did it");
    }

    #[test]
    fn of_two_rotations_that_begin_at_once_not_both_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        load_key(dir, None, true).unwrap();
        let alone: Vec<bool> = std::thread::scope(|scope| {
            let begin = || let_key_wait(dir, &new_key().unwrap()).unwrap();
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(alone.iter().filter(|alone| **alone).count() <= 1, "{alone:?}");
        assert_eq!(waiting(&dir.join(".patchbay")).unwrap().len(), 8);
    }

    #[test]
    fn a_run_that_was_held_up_puts_no_other_key_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let path = dir.join(".patchbay/key");
        let first = load_key(dir, None, true).unwrap().unwrap();
        let [second, third] = [0, 1].map(|_| new_key().unwrap());
        let_key_wait(dir, &second).unwrap();
        let_key_wait(dir, &third).unwrap();
        // It is the third one's turn, and the run that brings the second one still believes in the first.
        assert_eq!(replace_key(dir, &first, &third), Ok(true));
        assert_eq!(replace_key(dir, &first, &second), Ok(false));
        assert_eq!(raw::read(&path).trim(), third.to_hex().as_str());
        raw::remove(&path);
        assert_eq!(replace_key(dir, &third, &second), Ok(false));
        assert_eq!(waiting_key(dir).unwrap().map(|key| key.id()), Some(second.id()), "it is not lost");
    }

    #[test]
    fn lineages_are_ulids() {
        assert_eq!(ulid(0, [0; 10]), "00000000000000000000000000");
        assert_eq!(ulid(u64::MAX, [0xff; 10]), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert_eq!(&ulid(1_469_918_176_385, [0; 10])[..10], "01ARYZ6S41");
        assert_ne!(new_lineage(1).unwrap(), new_lineage(1).unwrap());
        assert!(new_lineage(1_000).unwrap() < new_lineage(2_000).unwrap());
        assert_eq!(new_lineage(5).unwrap().len(), 26);
    }
}
