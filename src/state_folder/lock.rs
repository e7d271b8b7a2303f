//! `conductor.lock`: one daemon per folder.
//!
//! The file stays when the daemon ends; only the kernel's lock on it counts, which no crash can leave behind. The daemon
//! holds it exclusively; a client command shares it for the moment that it takes to see that no daemon does.

use super::{StateError, files};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// How often the lock is tried before it counts as another daemon's, and the pause in between: together far longer than
/// a client command shares it.
const LOCK_ATTEMPTS: u32 = 11;
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(20);

pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("conductor.lock")
}

/// Takes the lock, or tells who has it.
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

/// Tries until nobody else has the lock, or often enough.
pub(super) fn lock_with_retries(file: &File, mut pause: impl FnMut()) -> Result<(), TryLockError> {
    for _ in 1..LOCK_ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => pause(),
            done => return done,
        }
    }
    file.try_lock()
}

/// Whether a daemon holds the lock now. The file must be private: whoever can open it can lock it.
pub(super) fn is_locked(folder: &Path) -> Result<bool, files::PrivateFileError> {
    let file = match files::open_private(&file(folder), false) {
        Err(files::PrivateFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match file.try_lock_shared() {
        // Closing the file lets go of it again.
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The pid in the file; nothing in the moment between its holder's lock and its holder's line.
fn holder_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
