//! `daemon.json`: where a running daemon is found.

use super::{StateError, files, lock};
use crate::clock::WallMs;
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
};

/// A daemon that announced itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Its process.
    pub pid: u32,
    /// Base address of its HTTP routes, without a trailing slash.
    pub http: String,
    /// Address for Firefox.
    pub ws: String,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_at: WallMs,
}

/// Why no daemon was found.
#[derive(Debug, thiserror::Error)]
pub enum FindDaemonError {
    /// None is running on this folder.
    #[error("no daemon is running on state folder {0}; start one with `baa-conductor serve`")]
    NotRunning(PathBuf),
    /// What it left behind cannot be trusted or read.
    #[error("{path} {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("daemon.json")
}

impl DaemonInfo {
    /// The daemon that runs on this folder. It was alive a moment ago, which does not mean that it answers.
    pub fn find(folder: &Path) -> Result<DaemonInfo, FindDaemonError> {
        // One that was killed could not clean up, and its pid and port may be anybody's now: only the lock tells. Looked at
        // first, since whoever takes it removes what was left behind.
        match lock::is_locked(folder) {
            Ok(true) => {}
            Ok(false) => return Err(FindDaemonError::NotRunning(folder.to_owned())),
            Err(reason) => {
                return Err(FindDaemonError::Unusable { path: lock::file(folder), reason: reason.to_string() });
            }
        }
        let path = file(folder);
        // Checked like the token, which client commands send to the address in it.
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

/// Keeps `daemon.json` in place while the daemon serves.
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
        // Only our own: someone may have removed the lock file and started another.
        let text = files::read_private(&self.path, false).unwrap_or_default();
        if serde_json::from_str::<DaemonInfo>(&text).is_ok_and(|found| found == self.daemon)
            && let Err(error) = super::remove(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "could not remove the announcement");
        }
    }
}
