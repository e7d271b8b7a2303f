//! Checks files that control the daemon or contain its secrets before they are read: the configuration, token files, the
//! database with its log, the folder of the extension.
//!
//! The whole path is walked from the root, link by link, without opening anything. Each folder and link on it and the file
//! at its end must be owned by this user or root, and must not be writable by other users. A private folder of this user
//! outweighs the folders above it, since other users cannot create anything in it. A folder with the sticky bit protects
//! its existing entries, and files on a read-only mount are not writable.
//!
//! Invariant: a file that passes was created by this user or root, and no other user of this machine can replace or change
//! it.

mod owner;
mod path_walk;

#[cfg(test)]
mod tests;

use path_walk::{LastName, WalkedFile};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Maximum size of a trusted text, in bytes.
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// Suffixes of the files that SQLite creates beside a database.
const DATABASE_SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why a path is not trusted. The text has the path, the reason, and the command that corrects it.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Owned by another user, who may change it at any time.
    #[error("{} belongs to user {owner}, who may change it; to own it, run `chown {}{own} {}`", .path.display(), if *.link { "-h " } else { "" }, ShellQuoted(.path))]
    ForeignOwner {
        /// File, folder or link.
        path: PathBuf,
        /// User id of the owner.
        owner: u32,
        /// User id of this process.
        own: u32,
        /// Whether it is a symbolic link.
        link: bool,
    },
    /// Writable by other users.
    #[error("{} has mode {mode:04o}, so that {} may change it; run `chmod {}-w {}`", .path.display(), if *.by_all { "others" } else { "its group" }, if *.by_all { "go" } else { "g" }, ShellQuoted(.path))]
    Writable {
        /// File or folder.
        path: PathBuf,
        /// Mode.
        mode: u32,
        /// Whether it is writable by all users, not only by its group.
        by_all: bool,
    },
    /// A secret that other users can read.
    #[error("{} has mode {mode:04o}, so that others may read it; run `chmod 600 {}`", .path.display(), ShellQuoted(.path))]
    Readable {
        /// File.
        path: PathBuf,
        /// Mode.
        mode: u32,
    },
    /// Not a regular file, or changed during the check.
    #[error("{} {what}", .path.display())]
    NotUsable {
        /// Path.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Displays a path quoted for a shell.
struct ShellQuoted<'a>(&'a Path);

impl fmt::Display for ShellQuoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
        if text.chars().all(plain) { f.write_str(&text) } else { write!(f, "'{}'", text.replace('\'', "'\\''")) }
    }
}

/// Whether users other than this one and root can read a file.
#[derive(Debug)]
pub enum FileSecrecy {
    /// No other user can.
    Private,
    /// The mode of the file would let them, but a folder on the path does not.
    Hidden(TrustError),
    /// Other users can.
    Open(TrustError),
}

/// A trusted file, open for reading.
#[derive(Debug)]
pub struct TrustedFile {
    file: File,
    /// The file at the end of the path; `None` for a pipe.
    found: Option<WalkedFile>,
}

impl TrustedFile {
    /// Opens a file that only this user and root can have written. Accepts a pipe that this process inherited as a descriptor
    /// (`/dev/stdin`, `/dev/fd/N`).
    ///
    /// # Errors
    ///
    /// `Io` with `NotFound` if it does not exist; otherwise why it is not trusted.
    pub fn open(path: &Path) -> Result<Self, TrustError> {
        if is_inherited_descriptor(path) {
            let file = File::open(path)?;
            if !file.metadata()?.is_file() {
                return Ok(TrustedFile { file, found: None });
            }
        }
        let found =
            path_walk::walk(path, LastName::Existing)?.found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        found.check_file()?;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(&found.path)?;
        let opened = file.metadata()?;
        if (opened.dev(), opened.ino()) != found.id() {
            return Err(TrustError::NotUsable { path: found.path, what: "changed while it was opened" });
        }
        Ok(TrustedFile { file, found: Some(found) })
    }

    /// Reads the whole text.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not UTF-8, or is longer than 4 MiB.
    pub fn read(&mut self) -> io::Result<String> {
        let mut text = String::new();
        (&mut self.file).take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > TEXT_BYTES_MAX {
            return Err(io::Error::other("it is longer than 4 MiB"));
        }
        Ok(text)
    }

    /// Returns whether other users can read the file.
    pub fn secrecy(&self) -> FileSecrecy {
        self.found.as_ref().map_or(FileSecrecy::Private, WalkedFile::secrecy)
    }
}

fn is_inherited_descriptor(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// Checks the folders on the path to a private file. The caller checks the file itself, which must not be a link.
///
/// # Errors
///
/// Other users may change a folder on the path.
pub fn check_parent_folders(path: &Path) -> Result<(), TrustError> {
    path_walk::walk(path.parent().unwrap_or(path), LastName::Existing).map(drop)
}

/// Checks a database and the files that SQLite creates beside it, which may not exist yet. A database contains the keys of
/// clients. Opens nothing: closing a file would release the locks of this process's connections.
///
/// # Errors
///
/// Other users may change, read or replace it.
pub fn check_database(path: &Path) -> Result<(), TrustError> {
    let walked = path_walk::walk(path, LastName::Created)?;
    let real = walked.real;
    for end in [""].iter().chain(&DATABASE_SIDE_FILES) {
        let name: OsString = [real.as_os_str(), OsStr::new(end)].into_iter().collect();
        let Some(found) = path_walk::walk(Path::new(&name), LastName::Created)?.found else { continue };
        found.check_file()?;
        if let FileSecrecy::Open(trust_error) = found.secrecy() {
            return Err(trust_error);
        }
    }
    Ok(())
}

/// Checks a folder for files that other users must not change; it may not exist yet.
///
/// # Errors
///
/// Other users may change or replace it.
pub fn check_folder(path: &Path) -> Result<(), TrustError> {
    path_walk::walk(path, LastName::Existing).map(drop)
}

impl WalkedFile {
    fn id(&self) -> (u64, u64) {
        (self.metadata.dev(), self.metadata.ino())
    }

    fn check_file(&self) -> Result<(), TrustError> {
        let metadata: &Metadata = &self.metadata;
        match metadata.is_file() {
            true => path_walk::check(&self.path, metadata),
            false => Err(TrustError::NotUsable { path: self.path.clone(), what: "is not a regular file" }),
        }
    }

    fn secrecy(&self) -> FileSecrecy {
        let mode = self.metadata.mode() & 0o7777;
        let by_group = mode & 0o040 != 0 && !owner::is_private_group(self.metadata.gid());
        if mode & 0o004 == 0 && !by_group {
            return FileSecrecy::Private;
        }
        let trust_error = TrustError::Readable { path: self.path.clone(), mode };
        if self.is_hidden { FileSecrecy::Hidden(trust_error) } else { FileSecrecy::Open(trust_error) }
    }
}
