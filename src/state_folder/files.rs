//! Reads and writes small private files. The checks use the open file, not its path.

use crate::trusted;
use rustix::{fs::OFlags, process::geteuid};
use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Maximum size of a private file, in bytes.
const BYTES_MAX: u64 = 64 << 10;

/// Why a private file is not trusted or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// A symbolic link.
    #[error("is a symbolic link")]
    Link,
    /// A folder, a pipe or the like.
    #[error("is not a regular file")]
    NotAFile,
    /// Owned by another user.
    #[error("belongs to user {0}, not to this one")]
    Foreign(u32),
    /// Accessible to other users.
    #[error("has mode {0:04o}, which lets others in; make it 0600")]
    Open(u32),
    /// Other users may replace it.
    #[error("is not trusted: {0}")]
    Way(trusted::TrustError),
    /// Larger than the limit.
    #[error("is too long")]
    Long,
    /// The system refused.
    #[error("cannot be used: {0}")]
    Io(#[from] io::Error),
}

/// Opens an existing regular file. Does not follow a link or block on a pipe.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> Result<(File, Metadata), PrivateFileError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        let is_link = rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::LOOP);
        if is_link { PrivateFileError::Link } else { PrivateFileError::Io(error) }
    })?;
    let found = file.metadata()?;
    if found.is_file() { Ok((file, found)) } else { Err(PrivateFileError::NotAFile) }
}

/// Opens a file of this user (or of root, if `root_too`) for reading, if no other user can access it.
pub(super) fn open_private(path: &Path, root_too: bool) -> Result<File, PrivateFileError> {
    let (file, found) = open(path, OpenOptions::new().read(true))?;
    trusted::check_parent_folders(path).map_err(PrivateFileError::Way)?;
    if found.uid() != geteuid().as_raw() && !(root_too && found.uid() == 0) {
        return Err(PrivateFileError::Foreign(found.uid()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(PrivateFileError::Open(found.mode() & 0o7777));
    }
    Ok(file)
}

/// Reads a private file.
pub(super) fn read_private(path: &Path, root_too: bool) -> Result<String, PrivateFileError> {
    let file = open_private(path, root_too)?;
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX { Err(PrivateFileError::Long) } else { Ok(text) }
}

/// Replaces a private file atomically: readers see the old or the new text, even after a crash.
pub(super) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let beside = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    super::remove(&beside)?;
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    write().inspect_err(|_| drop(super::remove(&beside)))
}
