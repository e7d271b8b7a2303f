//! What the system lets the process have.

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::{io, os::fd::AsFd};
use tokio::signal::unix::{SignalKind, signal};

/// Raises the number of files the process may have open as far as the system allows: each connection takes two, and the
/// usual soft limit of 1 024 is below `server.max_connections`.
pub fn raise_open_file_limit() {
    let limits = getrlimit(Resource::Nofile);
    if limits.current == limits.maximum {
        return;
    }
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Has a write beyond the limit of a file's size fail like one to a full disk, where it would end the process. To be
/// called within a runtime; it holds until the process ends.
pub fn survive_file_size_limit() {
    // Who listens for a signal is not ended by it; nobody needs to be told.
    if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
        tracing::warn!(%error, "a file that grows beyond its limit would end the process");
    }
}

/// How many files the process may have open.
pub fn open_file_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether one more file could be opened now.
pub fn can_open_file() -> bool {
    io::stderr().as_fd().try_clone_to_owned().is_ok()
}

/// Keeps the process from being looked into by others of the same user, and has what a killed supervisor leaves behind
/// handed to this process, so that it can be ended.
#[cfg(target_os = "linux")]
pub fn protect_process() {
    use rustix::process::{DumpableBehavior, getpid, set_child_subreaper, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the process cannot be kept from being looked into");
    }
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tracing::warn!(%error, "what a killed supervisor leaves behind cannot be adopted");
    }
}

/// Keeps the process from being looked into, where the system can.
#[cfg(not(target_os = "linux"))]
pub fn protect_process() {}
