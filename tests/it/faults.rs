//! Failures inside and below the daemon, and their effect on callers: panics, dead threads, a database that cannot be
//! written, read or trusted, exhausted system resources.

mod clock;
mod damage;
mod database;
mod panics;
mod system;
mod threads;

use crate::support::{Caller, Daemon, Folder};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The failpoints of a daemon.
pub(crate) struct Faults(PathBuf);

impl Faults {
    /// Creates failpoints in the future folder of a daemon.
    fn within(folder: &Folder) -> Self {
        let faults = Faults(folder.path().join("faults"));
        fs::create_dir(&faults.0).unwrap();
        faults
    }

    /// Returns the value of `BAA_TEST_FAULTS`.
    fn folder(&self) -> &Path {
        &self.0
    }

    /// Makes the next thread at this failpoint panic.
    pub(crate) fn panic(&self, point: &str) {
        self.set(point, "panic");
    }

    /// Makes the next thread at this failpoint hang.
    fn hang(&self, point: &str) {
        self.set(point, "hang");
    }

    fn set(&self, point: &str, fault: &str) {
        // Renamed into place, so that the daemon never reads an incomplete file.
        let draft = self.0.join("draft");
        fs::write(&draft, fault).unwrap();
        fs::rename(draft, self.0.join(point)).unwrap();
    }

    /// Returns whether the failure is still pending.
    pub(crate) fn is_set(&self, point: &str) -> bool {
        self.0.join(point).exists()
    }
}

/// Starts a daemon with failpoints.
pub(crate) async fn fragile(settings: &str) -> (Daemon, Faults) {
    let folder = Folder::new();
    let faults = Faults::within(&folder);
    let mut command = folder.command(settings);
    command.env("BAA_TEST_FAULTS", faults.folder());
    (Daemon::spawn(folder, command).await, faults)
}

/// Sets a soft limit of a running daemon; `None` sets it to the hard limit.
pub(crate) fn limit(daemon: &Daemon, resource: Resource, soft: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let old = rustix::process::getrlimit(resource);
    let current = soft.or(old.maximum);
    prlimit(pid, resource, Rlimit { current, maximum: old.maximum }).unwrap();
}

/// Returns status, code and reasons of `GET /readyz`.
async fn readiness(caller: &Caller) -> (u16, String, String) {
    let answer = caller.get("/readyz").await;
    let json = answer.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (answer.status, text(&json["error"]), json["details"]["reasons"].to_string())
}
