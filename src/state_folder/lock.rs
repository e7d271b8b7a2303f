//! `conductor.lock`: one daemon per folder.
//!
//! The file stays when the daemon ends; only the kernel's lock on it counts, which no crash can leave behind.

use super::{StateError, files};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Takes the lock, or tells who has it.
pub(super) fn take(folder: &Path) -> Result<File, StateError> {
    let path = folder.join("conductor.lock");
    let options = &mut OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let (mut file, _) = files::open(&path, options).map_err(|error| match error {
        files::Distrust::Io(error) => StateError::io(&path, "opened")(error),
        other => StateError::io(&path, "locked")(io::Error::other(other.to_string())),
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StateError::Taken { path: folder.to_owned(), pid: holder(&mut file) });
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

/// The pid in the file; nothing in the moment between its holder's lock and its holder's line.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
