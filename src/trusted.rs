//! Files that decide what the daemon does or hold its secrets, judged before they are read: the configuration, token
//! files, the database with its log, the folder of the extension.
//!
//! The whole way is walked from the root, link by link, without opening anything: each folder and link on it, and the
//! file at its end, must belong to this user or to root, and nobody else may write them. A folder that is this user's
//! alone makes up for what lies above it: others can put nothing there that is not this user's already. A folder with
//! the sticky bit keeps its entries, and what is mounted read-only nobody writes.
//!
//! Invariant: what passes was put there by this user or by root, and no other user of this machine can change that.

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

/// Most bytes of a trusted text.
const TEXT_BYTES_MAX: u64 = 4 << 20;
/// What SQLite keeps beside a database.
const DATABASE_SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why something is not trusted. It names what is to blame, the reason, and the command that mends it.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It is another user's, who may change it at any time.
    #[error("{} belongs to user {owner}, who may change it: `chown {}{own} {}` makes it yours", .path.display(), if *.link { "-h " } else { "" }, ShellQuoted(.path))]
    ForeignOwner {
        /// The file, folder or link.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// This user.
        own: u32,
        /// Whether it is a symbolic link.
        link: bool,
    },
    /// Others may write it.
    #[error("{} has mode {mode:04o}, so that {} may change it: `chmod {}-w {}` mends that", .path.display(), if *.by_all { "others" } else { "its group" }, if *.by_all { "go" } else { "g" }, ShellQuoted(.path))]
    Writable {
        /// The file or folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Whether everybody may, not only its group.
        by_all: bool,
    },
    /// It holds a secret that others can read.
    #[error("{} has mode {mode:04o}, so that others may read it: `chmod 600 {}` mends that", .path.display(), ShellQuoted(.path))]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no file, or changed while it was looked at.
    #[error("{} {what}", .path.display())]
    NotUsable {
        /// What was looked at.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A path as a shell reads it.
struct ShellQuoted<'a>(&'a Path);

impl fmt::Display for ShellQuoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
        if text.chars().all(plain) { f.write_str(&text) } else { write!(f, "'{}'", text.replace('\'', "'\\''")) }
    }
}

/// Who can read a file besides this user and root.
#[derive(Debug)]
pub enum FileSecrecy {
    /// Nobody.
    Private,
    /// Nobody while the folders on its way stay closed to others; its own mode lets them in.
    Hidden(TrustError),
    /// Others.
    Open(TrustError),
}

/// A trusted file, open to be read.
#[derive(Debug)]
pub struct TrustedFile {
    file: File,
    /// Where it really lies; nothing for a pipe.
    found: Option<WalkedFile>,
}

impl TrustedFile {
    /// Opens a file that nobody but this user and root can have written. A pipe that this process was handed by
    /// descriptor (`/dev/stdin`, `/dev/fd/N`) passes.
    ///
    /// # Errors
    ///
    /// `Io` with `NotFound`: there is none. Else why it is not trusted.
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

    /// Its whole text.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no text, or has more than 4 MiB.
    pub fn read(&mut self) -> io::Result<String> {
        let mut text = String::new();
        (&mut self.file).take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > TEXT_BYTES_MAX {
            return Err(io::Error::other("it is longer than 4 MiB"));
        }
        Ok(text)
    }

    /// Who else can read it.
    pub fn secrecy(&self) -> FileSecrecy {
        self.found.as_ref().map_or(FileSecrecy::Private, WalkedFile::secrecy)
    }
}

fn is_inherited_descriptor(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// Judges the way to a private file that must not be a link itself; its own mode is the caller's to judge.
///
/// # Errors
///
/// Others may change a folder on the way.
pub fn check_parent_folders(path: &Path) -> Result<(), TrustError> {
    path_walk::walk(path.parent().unwrap_or(path), LastName::Existing).map(drop)
}

/// Judges a database and what SQLite keeps beside it, there or to be made: it holds the keys of pairings and what runs.
/// Nothing is opened, which would take away the locks of other connections of this process.
///
/// # Errors
///
/// Others may change or read it, or put something in its place.
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

/// Judges a folder into which files are written that others must not change, there or to be made.
///
/// # Errors
///
/// Others may change it, or put another one in its place.
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
