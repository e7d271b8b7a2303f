//! The state folder of the daemon and the files in it, except those of the store.
//!
//! ```text
//! conductor.lock   held by the one daemon that runs on this folder
//! token            token of callers; created at the first start
//! daemon.json      addresses of the running daemon; exists while it serves
//! database.json    identity and progress of the database that belongs to the folder
//! instructions.off  exists while instructions are off
//! logs/            log files, if enabled
//! ```
//!
//! Invariant: the holder of a [`StateFolder`] is the only daemon on it, and only this user can access the folder.

mod announcement;
mod files;
mod instruction_switch;
mod live_token;
mod lock;
mod store_mark;
mod token;

pub use announcement::{Announcement, DaemonInfo, FindDaemonError};
pub use instruction_switch::{disable_instructions, enable_instructions, instructions_enabled};
pub use live_token::LiveToken;
pub use store_mark::StoreMark;
pub use token::TokenError;

use crate::{clock::WallMs, http::settings::AuthSettings, secret::Secret};
use rustix::process::geteuid;
use std::{
    env,
    ffi::OsString,
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither an option nor the environment has a location.
    #[error("no location for the state folder: set HOME, XDG_STATE_HOME or --state-dir")]
    Nowhere,
    /// Owned by another user.
    #[error("state folder {path} belongs to user {owner}, not to this one ({own})")]
    Foreign {
        /// Folder.
        path: PathBuf,
        /// User id of the owner.
        owner: u32,
        /// User id of this process.
        own: u32,
    },
    /// Not a folder.
    #[error("state folder {path} is not a folder")]
    NotAFolder {
        /// Path.
        path: PathBuf,
    },
    /// Another daemon is running on it.
    #[error("another daemon{} already runs on state folder {path}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Taken {
        /// Folder.
        path: PathBuf,
        /// Process id of the other daemon, if known.
        pid: Option<u32>,
    },
    /// A system call failed.
    #[error("{path} cannot be {what}")]
    Io {
        /// Path.
        path: PathBuf,
        /// The failed operation, as a participle.
        what: &'static str,
        /// Cause.
        source: io::Error,
    },
}

impl StateError {
    fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> StateError {
        move |source| StateError::Io { path: path.to_owned(), what, source }
    }
}

/// Returns the path of the state folder: `--state-dir`, otherwise the default of the system.
pub fn locate(option: Option<&Path>) -> Result<PathBuf, StateError> {
    match option {
        Some(path) => std::path::absolute(path).map_err(StateError::io(path, "found")),
        None => default_path(cfg!(target_os = "macos"), |name| env::var_os(name)).ok_or(StateError::Nowhere),
    }
}

fn default_path(macos: bool, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(folder) = absolute("XDG_STATE_HOME") {
        return Some(folder.join("baa-conductor"));
    }
    let below = if macos { "Library/Application Support/baa-conductor" } else { ".local/state/baa-conductor" };
    Some(absolute("HOME")?.join(below))
}

/// Creates the folder if necessary and makes it private to this user.
pub fn prepare(path: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        if path.exists() {
            StateError::NotAFolder { path: path.to_owned() }
        } else {
            StateError::io(path, "created")(error)
        }
    })?;
    // On the open folder, so that it cannot be replaced in between.
    let folder = File::open(path).map_err(StateError::io(path, "opened"))?;
    let found = folder.metadata().map_err(StateError::io(path, "read"))?;
    let own = geteuid().as_raw();
    if found.uid() != own {
        return Err(StateError::Foreign { path: path.to_owned(), owner: found.uid(), own });
    }
    if found.mode() & 0o077 != 0 {
        folder.set_permissions(Permissions::from_mode(0o700)).map_err(StateError::io(path, "made private"))?;
        tracing::warn!(path = %path.display(), "the state folder was accessible to other users; made it private");
    }
    Ok(())
}

/// The state folder, locked by this process until it is dropped.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    /// The kernel releases the lock when this file is closed, however the process ends.
    _lock: File,
}

impl StateFolder {
    /// Prepares and locks the folder; fails with [`StateError::Taken`] while another daemon has it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        prepare(path)?;
        let lock = lock::acquire(path)?;
        // The announcement of a killed daemon would be taken for this one's.
        let left = announcement::file(path);
        remove(&left).map_err(StateError::io(&left, "removed"))?;
        Ok(StateFolder { path: path.to_owned(), _lock: lock })
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the token of callers: the configured one, otherwise the folder's own, which is created if missing.
    pub fn token(&self, auth: &AuthSettings) -> Result<Secret, TokenError> {
        match token::configured(auth)? {
            Some(token) => Ok(token),
            None => token::own_or_create(&self.path),
        }
    }

    /// Returns the same token for a daemon, which reloads it after a rotation.
    pub fn live_token(&self, auth: &AuthSettings) -> Result<LiveToken, TokenError> {
        match (&auth.token, &auth.token_file) {
            (Some(token), _) => Ok(LiveToken::fixed(token.clone())),
            (None, Some(path)) => LiveToken::of_file(path.clone(), true),
            (None, None) => {
                token::own_or_create(&self.path)?;
                LiveToken::of_file(token::file(&self.path), false)
            }
        }
    }

    /// Announces this daemon to client commands, until the announcement is dropped.
    pub fn announce(&self, http: &str, ws: &str, started_at: WallMs) -> Result<Announcement, StateError> {
        let daemon = DaemonInfo { pid: std::process::id(), http: http.to_owned(), ws: ws.to_owned(), started_at };
        Announcement::publish(&self.path, daemon)
    }
}

/// Returns the folder for log files.
pub fn logs_folder(state_folder: &Path) -> PathBuf {
    state_folder.join("logs")
}

/// Returns the path of the folder's own token.
pub fn token_file(state_folder: &Path) -> PathBuf {
    token::file(state_folder)
}

/// Returns the token for a client command; `None` if none is configured and no daemon has created one yet.
pub fn client_token(state_folder: &Path, auth: &AuthSettings) -> Result<Option<Secret>, TokenError> {
    match token::configured(auth)? {
        Some(token) => Ok(Some(token)),
        None => token::own(state_folder),
    }
}

/// Replaces the folder's token by a new one.
pub fn rotate_token(state_folder: &Path) -> Result<Secret, TokenError> {
    token::replace(state_folder)
}

/// Removes a file; a missing one is no error.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
