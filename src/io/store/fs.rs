//! The few system calls that the store is made of, as a trait, so that tests can let each of them fail.
//!
//! Each method is one call (or one that is repeated only where nothing happened), because the store's correctness is
//! argued call by call.

#![expect(clippy::disallowed_methods, reason = "the state's one door to the file system")]

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Which file a name or a handle stands for, whatever it is called at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

#[cfg(test)]
impl Identity {
    /// An identity on a disk that exists only in a test.
    pub(super) fn made_up(file: u64) -> Self {
        Self { device: 0, inode: file }
    }
}

/// An open file.
pub trait Handle: Send + fmt::Debug {
    /// Which file it is.
    ///
    /// # Errors
    /// Whatever the system says.
    fn identity(&self) -> io::Result<Identity>;

    /// How long it is.
    ///
    /// # Errors
    /// Whatever the system says.
    fn size(&self) -> io::Result<u64>;

    /// Everything from an offset to the end.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_from(&self, offset: u64) -> io::Result<Vec<u8>>;

    /// One write at the end of the file, wherever that is by then. May write less than it was given.
    ///
    /// # Errors
    /// Whatever the system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns when the content is on the disk.
    ///
    /// # Errors
    /// Whatever the system says. After an error nobody knows what is on the disk, and asking again proves nothing.
    fn sync(&self) -> io::Result<()>;
}

/// A file system.
pub trait Fs: Send + Sync + fmt::Debug {
    /// The file behind a symbolic link, so that renames hit the file and not the link; any other path as it is.
    fn resolve(&self, path: &Path) -> PathBuf;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// Whatever the system says.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn Handle>>;

    /// Opens a file for reading and appending.
    ///
    /// # Errors
    /// Whatever the system says.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Handle>>;

    /// Makes a file for reading and appending.
    ///
    /// # Errors
    /// Whatever the system says, above all that the name is taken.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Handle>>;

    /// Swaps two names in one step.
    ///
    /// # Errors
    /// `Unsupported` where the file system cannot do it, and whatever the system says.
    fn exchange(&self, one: &Path, two: &Path) -> io::Result<()>;

    /// Gives a file another name, whatever had that name before.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a further name, if that is free. The old name may be gone afterwards.
    ///
    /// # Errors
    /// Whatever the system says, above all that the name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name.
    ///
    /// # Errors
    /// Whatever the system says.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, sorted. A folder that is not there has none.
    ///
    /// # Errors
    /// Whatever the system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Which file has this name.
    ///
    /// # Errors
    /// Whatever the system says.
    fn identity(&self, path: &Path) -> io::Result<Identity>;

    /// Returns when the names in a folder are on the disk.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file the permissions and, where that is allowed, the owner of another one.
    ///
    /// # Errors
    /// Whatever the system says about the permissions.
    fn mimic(&self, like: &Path, path: &Path) -> io::Result<()>;
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

#[derive(Debug)]
struct RealFile(File);

impl Handle for RealFile {
    fn identity(&self) -> io::Result<Identity> {
        self.0.metadata().map(|data| Identity { device: data.dev(), inode: data.ino() })
    }

    fn size(&self) -> io::Result<u64> {
        self.0.metadata().map(|data| data.len())
    }

    fn read_from(&self, offset: u64) -> io::Result<Vec<u8>> {
        let left = self.0.metadata()?.len().saturating_sub(offset);
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or(0));
        // Runs read a few kilobytes after each append: a large buffer every time costs more than the reading.
        let mut chunk = vec![0; usize::try_from(left.clamp(1024, 64 * 1024)).unwrap_or(1024)];
        loop {
            match self.0.read_at(&mut chunk, offset + bytes.len() as u64) {
                Ok(0) => return Ok(bytes),
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl Fs for RealFs {
    fn resolve(&self, path: &Path) -> PathBuf {
        let is_link = fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
        let target = if is_link { fs::canonicalize(path).ok() } else { None };
        target.unwrap_or_else(|| path.to_path_buf())
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(RealFile(File::open(path)?)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).append(true).open(path)?)))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).append(true).create_new(true).open(path)?)))
    }

    fn exchange(&self, one: &Path, two: &Path) -> io::Result<()> {
        special::exchange(one, two)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to) {
            // What a file system without hard links says.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
                special::rename_if_free(from, to).map_err(|_| error)
            }
            outcome => outcome,
        }
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            outcome => outcome?,
        };
        let mut names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        fs::metadata(path).map(|data| Identity { device: data.dev(), inode: data.ino() })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match File::open(folder)?.sync_all() {
            // Some file systems cannot sync a folder and say so; there the name is as durable as it gets.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            outcome => outcome,
        }
    }

    fn mimic(&self, like: &Path, path: &Path) -> io::Result<()> {
        let (wanted, given) = (fs::metadata(like)?, fs::metadata(path)?);
        if (wanted.uid(), wanted.gid()) != (given.uid(), given.gid()) {
            // Only root may give files away; a team that shares a folder by group gets by with the group.
            let owned = std::os::unix::fs::chown(path, Some(wanted.uid()), Some(wanted.gid()));
            drop(owned.or_else(|_| std::os::unix::fs::chown(path, None, Some(wanted.gid()))));
        }
        fs::set_permissions(path, wanted.permissions())
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod special {
    //! Renames with a condition.

    use std::io::{self, ErrorKind};
    use std::path::Path;

    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    pub(super) fn exchange(one: &Path, two: &Path) -> io::Result<()> {
        renameat_with(CWD, one, CWD, two, RenameFlags::EXCHANGE).map_err(|error| {
            // A kernel, a file system or a layer between them that does not know the flag.
            if [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP].contains(&error) {
                ErrorKind::Unsupported.into()
            } else {
                error.into()
            }
        })
    }

    pub(super) fn rename_if_free(from: &Path, to: &Path) -> io::Result<()> {
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod special {
    //! Renames with a condition, which this system does not have.

    use std::io::{self, ErrorKind};
    use std::path::Path;

    pub(super) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(super) fn rename_if_free(_: &Path, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// A small file whole; `None` if it is not there.
pub(super) fn read_small(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A folder that only its owner may look into. One that is there already stays as it is.
pub(super) fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A new durable file that only its owner may read.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
pub(super) mod raw {
    //! What tests do behind the store's back.

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    pub(in crate::io::store) fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    pub(in crate::io::store) fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
    }

    pub(in crate::io::store) fn remove(path: &Path) {
        fs::remove_file(path).unwrap();
    }

    pub(in crate::io::store) fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    pub(in crate::io::store) fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The names in a folder, sorted.
    pub(in crate::io::store) fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_swapped_and_identities_go_with_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        raw::write(&one, "1");
        raw::write(&two, "2");
        let identity = RealFs.identity(&one).unwrap();
        match RealFs.exchange(&one, &two) {
            Ok(()) => {
                assert_eq!((raw::read(&one).as_str(), raw::read(&two).as_str()), ("2", "1"));
                assert_eq!(RealFs.identity(&two).unwrap(), identity);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
        }
        let gone = RealFs.exchange(&one, &folder.path().join("three")).unwrap_err();
        assert!(matches!(gone.kind(), ErrorKind::NotFound | ErrorKind::Unsupported));
    }

    #[test]
    fn a_link_never_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        raw::write(&one, "1");
        RealFs.link(&one, &two).unwrap();
        assert_eq!(raw::read(&two), "1");
        assert_eq!(RealFs.link(&one, &two).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(RealFs.create_new(&two).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn appends_go_to_the_end_and_reads_start_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut one = RealFs.create_new(&path).unwrap();
        let mut two = RealFs.open_append(&path).unwrap();
        assert_eq!((one.append(b"ab").unwrap(), two.append(b"cd").unwrap(), one.append(b"e").unwrap()), (2, 2, 1));
        one.sync().unwrap();
        assert_eq!(two.read_from(1).unwrap(), b"bcde");
        assert_eq!((two.size().unwrap(), two.identity().unwrap()), (5, RealFs.identity(&path).unwrap()));
        RealFs.sync_folder(folder.path()).unwrap();
    }

    #[test]
    fn a_link_is_followed_and_a_missing_folder_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        raw::write(&file, "x");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(RealFs.resolve(&link), fs::canonicalize(&file).unwrap());
        assert_eq!(RealFs.resolve(&folder.path().join("none")), folder.path().join("none"));
        assert_eq!(RealFs.list(&folder.path().join("none")).unwrap(), Vec::<OsString>::new());
        assert_eq!(RealFs.list(folder.path()).unwrap(), ["file", "link"]);
    }
}
