//! `conductor.lock`: the lock that allows one daemon per folder.
//!
//! The file remains after the daemon; only the kernel's lock on it counts, which ends with the process. The daemon holds it
//! exclusively; a client command takes it shared for a moment to check whether a daemon holds it.

use super::{StateError, files};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Attempts to take the lock, and the pause between them; together far longer than a client command holds it.
const LOCK_ATTEMPTS: u32 = 11;
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(20);

pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("conductor.lock")
}

/// Takes the lock, or returns the process that holds it.
pub(super) fn acquire(folder: &Path) -> Result<File, StateError> {
    let path = file(folder);
    let options = &mut OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let (mut file, _) = files::open(&path, options).map_err(|error| match error {
        files::PrivateFileError::Io(error) => StateError::io(&path, "opened")(error),
        other => StateError::io(&path, "locked")(io::Error::other(other.to_string())),
    })?;
    match lock_with_retries(&file, || thread::sleep(LOCK_RETRY_DELAY)) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StateError::Taken { path: folder.to_owned(), pid: holder_pid(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(StateError::io(&path, "locked")(error)),
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write().map_err(StateError::io(&path, "written"))?;
    Ok(file)
}

/// Tries to take the lock several times.
pub(super) fn lock_with_retries(file: &File, mut pause: impl FnMut()) -> Result<(), TryLockError> {
    for _ in 1..LOCK_ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => pause(),
            done => return done,
        }
    }
    file.try_lock()
}

/// Returns whether a daemon holds the lock. The file must be private, since any process that can open it can lock it.
pub(super) fn is_locked(folder: &Path) -> Result<bool, files::PrivateFileError> {
    let file = match files::open_private(&file(folder), false) {
        Err(files::PrivateFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match file.try_lock_shared() {
        // Closing the file releases the lock.
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Reads the pid of the holder; `None` if it has not written it yet.
fn holder_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
