//! `daemon.json`: process and addresses of the running daemon, for client commands.

use super::{StateError, files, lock};
use crate::clock::WallMs;
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
};

/// A running daemon, as it announces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Process id.
    pub pid: u32,
    /// Base URL of its HTTP routes, without a trailing slash.
    pub http: String,
    /// URL of its WebSocket for the extension.
    pub ws: String,
    /// Start time, in Unix milliseconds.
    pub started_at: WallMs,
}

/// Why no daemon was found.
#[derive(Debug, thiserror::Error)]
pub enum FindDaemonError {
    /// No daemon is running on the folder.
    #[error("no daemon is running on state folder {0}; start one with `baa-conductor serve`")]
    NotRunning(PathBuf),
    /// A file in the folder is not trusted or cannot be read.
    #[error("{path} {reason}")]
    Unusable {
        /// File.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
}

pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("daemon.json")
}

impl DaemonInfo {
    /// Returns the daemon that is running on the folder. It may not answer.
    pub fn find(folder: &Path) -> Result<DaemonInfo, FindDaemonError> {
        // A killed daemon leaves its file behind, and its pid and port may be in use by another program: only the lock is
        // reliable. It is checked first, since the next daemon removes the file after it has taken the lock.
        match lock::is_locked(folder) {
            Ok(true) => {}
            Ok(false) => return Err(FindDaemonError::NotRunning(folder.to_owned())),
            Err(reason) => {
                return Err(FindDaemonError::Unusable { path: lock::file(folder), reason: reason.to_string() });
            }
        }
        let path = file(folder);
        // As trusted as the token, which client commands send to the address in this file.
        let text = match files::read_private(&path, false) {
            Ok(text) => text,
            Err(files::PrivateFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FindDaemonError::NotRunning(folder.to_owned()));
            }
            Err(reason) => return Err(FindDaemonError::Unusable { path, reason: reason.to_string() }),
        };
        serde_json::from_str(&text)
            .map_err(|error| FindDaemonError::Unusable { path, reason: format!("cannot be read: {error}") })
    }
}

/// Keeps `daemon.json` in place; removes it when dropped.
#[derive(Debug)]
#[must_use = "the announcement ends when this is dropped"]
pub struct Announcement {
    path: PathBuf,
    daemon: DaemonInfo,
}

impl Announcement {
    pub(super) fn publish(folder: &Path, daemon: DaemonInfo) -> Result<Self, StateError> {
        let path = file(folder);
        let text = serde_json::to_string(&daemon).expect("texts and numbers serialize");
        files::write_private(&path, &format!("{text}\n")).map_err(StateError::io(&path, "written"))?;
        Ok(Announcement { path, daemon })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Only the daemon's own file: if the lock file was removed, another daemon may have replaced it.
        let text = files::read_private(&self.path, false).unwrap_or_default();
        if serde_json::from_str::<DaemonInfo>(&text).is_ok_and(|found| found == self.daemon)
            && let Err(error) = super::remove(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "could not remove the announcement");
        }
    }
}
