//! The daemon's folder on disk, and what in it does not belong to the store.
//!
//! ```text
//! conductor.lock   held by the one daemon that runs on this folder
//! token            what callers show; made at first start
//! daemon.json      where a running daemon is found; there from ready to exit
//! database.json    which database belongs here, and how far it had come
//! instructions.off  there while instructions may not run
//! logs/            log files, when they are on
//! ```
//!
//! Invariant: who holds a [`StateFolder`] is the only daemon on it, and nobody but this user can look inside.

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
    /// Neither an option nor the environment says where it could be.
    #[error("there is no place for the state folder: set HOME, XDG_STATE_HOME or --state-dir")]
    Nowhere,
    /// It is someone else's.
    #[error("state folder {path} belongs to user {owner}, not to this one ({own})")]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// Our own user id.
        own: u32,
    },
    /// Something else stands in its place.
    #[error("state folder {path} is not a folder")]
    NotAFolder {
        /// What was named.
        path: PathBuf,
    },
    /// Another daemon runs on it.
    #[error("another daemon{} already runs on state folder {path}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// The other daemon's process, when it could be told.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("{path} cannot be {what}")]
    Io {
        /// What was to be touched.
        path: PathBuf,
        /// Done how.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl StateError {
    fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> StateError {
        move |source| StateError::Io { path: path.to_owned(), what, source }
    }
}

/// Where the state folder is: `--state-dir`, else where the system keeps such things.
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

/// Creates the folder if need be and makes sure that it is this user's alone.
pub fn prepare(path: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        if path.exists() {
            StateError::NotAFolder { path: path.to_owned() }
        } else {
            StateError::io(path, "created")(error)
        }
    })?;
    // On the opened folder, so that nobody can put another in its place in between.
    let folder = File::open(path).map_err(StateError::io(path, "opened"))?;
    let found = folder.metadata().map_err(StateError::io(path, "read"))?;
    let own = geteuid().as_raw();
    if found.uid() != own {
        return Err(StateError::Foreign { path: path.to_owned(), owner: found.uid(), own });
    }
    if found.mode() & 0o077 != 0 {
        folder.set_permissions(Permissions::from_mode(0o700)).map_err(StateError::io(path, "made private"))?;
        tracing::warn!(path = %path.display(), "state folder was open to others; it is private now");
    }
    Ok(())
}

/// The folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    /// The kernel frees the lock when this closes, however the process ends.
    _lock: File,
}

impl StateFolder {
    /// Prepares the folder and takes it; fails with [`StateError::Taken`] while another daemon has it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        prepare(path)?;
        let lock = lock::acquire(path)?;
        // A killed daemon's announcement would pass for this one's until it makes its own.
        let left = announcement::file(path);
        remove(&left).map_err(StateError::io(&left, "removed"))?;
        Ok(StateFolder { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token that callers must show: the configured one, else the folder's own, which is made if there is none.
    pub fn token(&self, auth: &AuthSettings) -> Result<Secret, TokenError> {
        match token::configured(auth)? {
            Some(token) => Ok(token),
            None => token::own_or_create(&self.path),
        }
    }

    /// The same for a daemon, which is to notice when it is rotated.
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

    /// Tells client commands where this daemon is, until the announcement is dropped.
    pub fn announce(&self, http: &str, ws: &str, started_at: WallMs) -> Result<Announcement, StateError> {
        let daemon = DaemonInfo { pid: std::process::id(), http: http.to_owned(), ws: ws.to_owned(), started_at };
        Announcement::publish(&self.path, daemon)
    }
}

/// Where log files go.
pub fn logs_folder(state_folder: &Path) -> PathBuf {
    state_folder.join("logs")
}

/// Where the folder's own token lies.
pub fn token_file(state_folder: &Path) -> PathBuf {
    token::file(state_folder)
}

/// The token for a client command; nothing when none is configured and no daemon has made one yet.
pub fn client_token(state_folder: &Path, auth: &AuthSettings) -> Result<Option<Secret>, TokenError> {
    match token::configured(auth)? {
        Some(token) => Ok(Some(token)),
        None => token::own(state_folder),
    }
}

/// Puts a new token into the folder, in place of the old one.
pub fn rotate_token(state_folder: &Path) -> Result<Secret, TokenError> {
    token::replace(state_folder)
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
