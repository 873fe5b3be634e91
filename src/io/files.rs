//! Files: reading them with errors that people understand, finding them by glob, writing them whole or not at all.
#![expect(clippy::disallowed_methods, reason = "this is where files are touched")]

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tempfile::{NamedTempFile, PersistError};

/// A file that could not be read or written.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What went wrong, in words.
    pub why: String,
    /// Is it just not there?
    pub not_found: bool,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path.display(), self.why)
    }
}

fn error(path: &Path, error: &io::Error) -> FileError {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        _ => error.to_string(),
    };
    FileError { path: path.to_owned(), why, not_found: error.kind() == io::ErrorKind::NotFound }
}

/// The text of a file.
///
/// # Errors
/// If it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|e| error(path, &e))
}

/// The bytes of a file.
///
/// # Errors
/// If it cannot be read.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|e| error(path, &e))
}

/// Is there such a file?
#[must_use]
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// The path without links and without detours; itself if nothing is there.
#[must_use]
pub fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The nearest folder at or above `start` that has a file of this name.
#[must_use]
pub fn find_up(start: &Path, name: &str) -> Option<PathBuf> {
    let start = fs::canonicalize(start).ok()?;
    start.ancestors().find(|dir| dir.join(name).is_file()).map(Path::to_owned)
}

/// The files below `dir` that match one of the globs, as paths relative to `dir`, sorted. Hidden folders, `target` and
/// `node_modules` are not entered; links to folders are not followed, so that no circle can trap us. Beside them, those
/// that match one of the `others` alone.
///
/// # Errors
/// If a glob is none, or a folder cannot be read.
pub fn glob(dir: &Path, patterns: &[String], others: &[String]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), FileError> {
    let set = |patterns| glob_set(patterns).map_err(|why| FileError { path: dir.to_owned(), why, not_found: false });
    let (set, other) = (set(patterns)?, set(others)?);
    let (mut found, mut beside) = (Vec::new(), Vec::new());
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let folder = dir.join(&relative);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) => return Err(error(&folder, &e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| error(&folder, &e))?;
            let name = entry.file_name();
            let path = relative.join(&name);
            let kind = entry.file_type().map_err(|e| error(&dir.join(&path), &e))?;
            if kind.is_dir() {
                let name = name.to_string_lossy();
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    open.push(path);
                }
                continue;
            }
            let list = match (set.is_match(&path), other.is_match(&path)) {
                (true, _) => &mut found,
                (false, true) => &mut beside,
                (false, false) => continue,
            };
            // Also a link to nothing: whoever reads it gets an error, and no plan takes what it declared for removed.
            if kind.is_file() || (kind.is_symlink() && !dir.join(&path).is_dir()) {
                list.push(path);
            }
        }
    }
    found.sort();
    beside.sort();
    Ok((found, beside))
}

fn glob_set(patterns: &[String]) -> Result<GlobSet, String> {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern.trim_start_matches("./"))
            .literal_separator(true)
            .build()
            .map_err(|e| format!("`{pattern}` is not a pattern: {}", e.kind()))?;
        builder.add(glob);
    }
    builder.build().map_err(|e| e.to_string())
}

/// Is this a folder?
#[must_use]
pub fn is_dir(path: &Path) -> bool {
    path.is_dir()
}

/// Writes a file whole or not at all, for the user's eyes only.
///
/// # Errors
/// If it cannot be written; the old file is still there then.
pub fn write_private(path: &Path, text: &str) -> Result<(), FileError> {
    whole(path, text, NamedTempFile::persist)
}

/// Writes a file whole or not at all, for everybody to read: reports, which others pick up.
///
/// # Errors
/// If it cannot be written; the old file is still there then.
pub fn write_public(path: &Path, text: &str) -> Result<(), FileError> {
    whole(path, text, |file, path| {
        let readable = fs::Permissions::from_mode(0o644);
        match file.as_file().set_permissions(readable) {
            Ok(()) => file.persist(path),
            Err(error) => Err(PersistError { error, file }),
        }
    })
}

/// Replaces the text of a file that is there. Links are followed and permissions stay; the new text is on the disk as a
/// whole before it takes the place of the old one.
///
/// # Errors
/// If it cannot be written; the old text is still there then.
pub fn overwrite(path: &Path, text: &str) -> Result<(), FileError> {
    let path = fs::canonicalize(path).map_err(|e| error(path, &e))?;
    let permissions = fs::metadata(&path).map_err(|e| error(&path, &e))?.permissions();
    if permissions.readonly() {
        return Err(FileError { path, why: "permission denied".to_owned(), not_found: false });
    }
    whole(&path, text, |file, path| match file.as_file().set_permissions(permissions.clone()) {
        Ok(()) => file.persist(path),
        Err(error) => Err(PersistError { error, file }),
    })
}

/// Could a file be written here? Nothing is left behind.
///
/// # Errors
/// Why it could not.
pub fn writable(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Err(FileError { path: path.to_owned(), why: "it is a folder".to_owned(), not_found: false });
    }
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    NamedTempFile::new_in(dir).map(drop).map_err(|e| error(path, &e))
}

/// Adds text at the end of a file, in one write and without waiting for the disk: logs.
///
/// # Errors
/// If it cannot be written.
pub fn append_unsynced(path: &Path, text: &str) -> Result<(), FileError> {
    let write = || fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes());
    write().map_err(|e| error(path, &e))
}

/// Takes a file away, if it is there.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(error(path, &e)),
        _ => Ok(()),
    }
}

/// Writes a new file whole or not at all, for the user's eyes only.
///
/// # Errors
/// If it cannot be written, or if there is such a file already.
pub fn write_new(path: &Path, text: &str) -> Result<(), FileError> {
    whole(path, text, NamedTempFile::persist_noclobber)
}

/// Writes a temporary file beside the path, and gives it its name when all of it is on the disk.
fn whole(
    path: &Path,
    text: &str,
    persist: impl Fn(NamedTempFile, PathBuf) -> Result<fs::File, PersistError>,
) -> Result<(), FileError> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = NamedTempFile::new_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        persist(file, path.to_owned()).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| error(path, &e))
}

/// Is there anything at this path, be it a link that leads nowhere?
#[must_use]
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Writes a file that is not there yet, and makes the folders above it. A file that is there is never touched.
///
/// # Errors
/// If it is there, or cannot be written.
pub fn create_new(path: &Path, text: &str) -> Result<(), FileError> {
    let write = || -> io::Result<()> {
        if let Some(dir) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(dir)?;
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| error(path, &e))
}

/// Adds text at the end of a file, which is made if it is not there.
///
/// # Errors
/// If it cannot be written.
pub fn append(path: &Path, text: &str) -> Result<(), FileError> {
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| error(path, &e))
}

/// Makes a folder and those above it.
///
/// # Errors
/// If it cannot be made.
pub fn make_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|e| error(path, &e))
}

/// The permission bits of a file: `0o600`. `None` if it is not there.
#[must_use]
pub fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|data| data.permissions().mode() & 0o777)
}

/// What git makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Git {
    /// It is in the index, so it is committed, whatever `.gitignore` says.
    Tracked {
        /// Does `.gitignore` list it all the same?
        listed: bool,
    },
    /// It is ignored.
    Ignored,
    /// The next `git add .` takes it along.
    Open,
}

/// What git makes of a file. `None` where that cannot be told: no repository, or no git.
#[must_use]
pub fn git(path: &Path) -> Option<Git> {
    let (dir, name) = (path.parent()?, path.file_name()?);
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let ask = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(args).arg("--").arg(name).current_dir(dir).stdin(std::process::Stdio::null());
        git.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        git.status().ok()?.code()
    };
    // Of a tracked file, git says that it is not ignored; without the index it says what is listed.
    let listed = match ask(&["check-ignore", "--quiet", "--no-index"])? {
        0 => true,
        1 => false,
        _ => return None,
    };
    match (ask(&["ls-files", "--error-unmatch"])?, listed) {
        (0, listed) => Some(Git::Tracked { listed }),
        (_, true) => Some(Git::Ignored),
        (_, false) => Some(Git::Open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_find_files_below_and_skip_what_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "connections/a.yaml",
            "connections/deep/er/b.yaml",
            "connections/c.yml",
            "connections/.hidden/x.yaml",
            "target/y.yaml",
            "z.yaml",
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let find = |pattern: &str| {
            let (found, _) = glob(dir.path(), &[pattern.to_owned()], &[]).unwrap();
            found.iter().map(|p| p.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(find("connections/**/*.yaml"), ["connections/a.yaml", "connections/deep/er/b.yaml"]);
        assert_eq!(find("*.yaml"), ["z.yaml"]);
        assert_eq!(find("./connections/*.yml"), ["connections/c.yml"]);
        assert_eq!(find("**/*.yaml").len(), 3);
        assert!(glob(dir.path(), &["[".to_owned()], &[]).is_err());
    }

    #[test]
    fn errors_say_what_and_where() {
        let dir = tempfile::tempdir().unwrap();
        let missing = read_text(&dir.path().join("no.yaml")).unwrap_err();
        assert!(missing.not_found && missing.to_string().ends_with("no.yaml`: no such file"));
        assert!(read_text(dir.path()).unwrap_err().why.contains("folder"));
        let binary = dir.path().join("b");
        fs::write(&binary, [0xff, 0xfe]).unwrap();
        assert_eq!(read_text(&binary).unwrap_err().why, "it is not UTF-8 text");
    }

    #[test]
    fn git_tracks_what_it_tracks_whatever_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| {
            let mut git = std::process::Command::new("git");
            git.args(args).current_dir(dir.path()).stdout(std::process::Stdio::null());
            assert!(git.status().unwrap().success(), "{args:?}");
        };
        for name in ["tracked", "listed", "ignored", "open"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let all = || ["tracked", "listed", "ignored", "open"].map(|name| git(&dir.path().join(name)));
        run(&["init", "--quiet"]);
        run(&["add", "tracked", "listed"]);
        fs::write(dir.path().join(".gitignore"), "listed\nignored\n").unwrap();
        assert_eq!(
            all(),
            [Some(Git::Tracked { listed: false }), Some(Git::Tracked { listed: true }), Some(Git::Ignored), Some(Git::Open)]
        );
    }

    #[test]
    fn private_files_are_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        write_private(&path, "one").unwrap();
        write_private(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_private(&dir.path().join("no/such/plan.json"), "x").is_err());
    }
}
