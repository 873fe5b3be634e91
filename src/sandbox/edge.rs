//! The only part of the sandbox that touches files or the clock. Everything else is handed values.
#![expect(clippy::disallowed_methods, reason = "the sandbox is a server of its own and does not go through `io`")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SandboxError;

/// How often, and how far apart, a file that another sandbox holds is asked for.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The time as the APIs print it: RFC 3339 in UTC, in milliseconds.
pub(super) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Keeps other sandboxes away from the file at `path`, for as long as the result lives.
///
/// The fold of the lines is held in memory, so two writers would not see each other and would give out the same ids.
/// It is a sibling file that is locked, because the file itself is replaced when it is rewritten. A crash leaves no
/// lock behind: the system drops it. Where a file system has no locks there is none, and nothing else changes.
pub(super) async fn lock(path: &Path) -> Result<File, SandboxError> {
    create_folder_of(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(|source| trouble("cannot open", &lock_path, source))?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
    Err(SandboxError::Busy { path: path.to_owned() })
}

/// The text of a file; a file that does not exist is empty.
pub(super) fn read(path: &Path) -> Result<String, SandboxError> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|source| trouble("cannot read", path, source)),
    }
}

/// Puts `text` in the place of a file's content, wholly or not at all.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), SandboxError> {
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path))
        .map_err(|source| trouble("cannot create a file beside", path, source))?;
    file.write_all(text.as_bytes()).map_err(|source| trouble("cannot rewrite", path, source))?;
    file.persist(path).map_err(|problem| trouble("cannot replace", path, problem.error))?;
    Ok(())
}

/// A file that grows. Lines are not synced to the disk one by one: the sandbox is not the place where anything of value
/// lives, and a line that a power cut tears off is left out at the next start.
#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    file: File,
    /// Held, never read.
    _lock: Option<File>,
}

impl Appender {
    /// Opens the file at its end, creating it and its folder where they are missing.
    pub(super) fn open(path: &Path, lock: Option<File>) -> Result<Self, SandboxError> {
        create_folder_of(path)?;
        let file =
            OpenOptions::new().create(true).append(true).open(path).map_err(|source| trouble("cannot open", path, source))?;
        Ok(Self { path: path.to_owned(), file, _lock: lock })
    }

    /// Appends whole lines.
    pub(super) fn append(&mut self, lines: &str) -> Result<(), SandboxError> {
        self.file.write_all(lines.as_bytes()).map_err(|source| trouble("cannot write", &self.path, source))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn create_folder_of(path: &Path) -> Result<(), SandboxError> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|source| trouble("cannot create", folder, source))
}

fn trouble(action: &'static str, path: &Path, source: std::io::Error) -> SandboxError {
    SandboxError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_grow_and_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/sandbox.jsonl");
        let mut file = Appender::open(&path, None).unwrap();
        file.append("one\n").unwrap();
        file.append("two\n").unwrap();
        assert_eq!(read(&path).unwrap(), "one\ntwo\n");
        replace(&path, "three\n").unwrap();
        assert_eq!(read(&path).unwrap(), "three\n");
        assert_eq!(read(&folder.path().join("absent")).unwrap(), "");
        let problem = read(folder.path()).unwrap_err().to_string();
        assert!(problem.starts_with("cannot read"), "{problem}");
    }

    #[test]
    fn the_clock_prints_milliseconds() {
        let stamp = now();
        assert_eq!((stamp.len(), stamp.ends_with('Z')), (24, true), "{stamp}");
    }
}
