//! What goes wrong inside or beneath the daemon, and what others notice of it: panics, dead threads, a database that
//! cannot be written, read or trusted, a system that gives nothing more.

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

/// The points of a daemon at which the test can have something go wrong.
pub(crate) struct Faults(PathBuf);

impl Faults {
    /// In a folder of the daemon's to be.
    fn within(folder: &Folder) -> Self {
        let faults = Faults(folder.path().join("faults"));
        fs::create_dir(&faults.0).unwrap();
        faults
    }

    /// What `BAA_TEST_FAULTS` is to name.
    fn folder(&self) -> &Path {
        &self.0
    }

    /// The next to come by at this point panics.
    pub(crate) fn panic(&self, point: &str) {
        self.set(point, "panic");
    }

    /// The next to come by at this point never goes on.
    fn hang(&self, point: &str) {
        self.set(point, "hang");
    }

    fn set(&self, point: &str, fault: &str) {
        // Renamed into place, so that it is never seen half written.
        let draft = self.0.join("draft");
        fs::write(&draft, fault).unwrap();
        fs::rename(draft, self.0.join(point)).unwrap();
    }

    /// Whether it has not happened yet.
    pub(crate) fn is_set(&self, point: &str) -> bool {
        self.0.join(point).exists()
    }
}

/// A daemon with such points.
pub(crate) async fn fragile(settings: &str) -> (Daemon, Faults) {
    let folder = Folder::new();
    let faults = Faults::within(&folder);
    let mut command = folder.command(settings);
    command.env("BAA_TEST_FAULTS", faults.folder());
    (Daemon::spawn(folder, command).await, faults)
}

/// Sets a soft limit of a running daemon; `None` lifts it to what is possible at most.
pub(crate) fn limit(daemon: &Daemon, resource: Resource, soft: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let old = rustix::process::getrlimit(resource);
    let current = soft.or(old.maximum);
    prlimit(pid, resource, Rlimit { current, maximum: old.maximum }).unwrap();
}

/// Status, code and reasons of `GET /readyz`.
async fn readiness(caller: &Caller) -> (u16, String, String) {
    let answer = caller.get("/readyz").await;
    let json = answer.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (answer.status, text(&json["error"]), json["details"]["reasons"].to_string())
}
