//! Resource limits and protection of the daemon's own process.

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::{io, os::fd::AsFd};
use tokio::signal::unix::{SignalKind, signal};

/// Raises the soft limit of open files to the hard limit: each connection takes two, and the usual soft limit of 1 024 is
/// below `server.max_connections`.
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

/// Installs a SIGXFSZ handler, so that a write beyond the file size limit fails like a write to a full disk instead of
/// ending the process. Call it within a Tokio runtime; it holds until the process ends.
pub fn survive_file_size_limit() {
    // Installing the handler is enough; the stream of signals is not read.
    if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
        tracing::warn!(%error, "cannot handle SIGXFSZ: a file that grows beyond the file size limit would end the process");
    }
}

/// Returns the soft limit of open files.
pub fn open_file_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Returns whether one more file can be opened now.
pub fn can_open_file() -> bool {
    io::stderr().as_fd().try_clone_to_owned().is_ok()
}

/// Makes the process undumpable, so that other processes of the same user cannot inspect it, and makes it a child
/// subreaper, so that it can end what a killed supervisor leaves behind.
#[cfg(target_os = "linux")]
pub fn protect_process() {
    use rustix::process::{DumpableBehavior, getpid, set_child_subreaper, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "cannot protect the process from inspection by other processes of this user");
    }
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tracing::warn!(%error, "cannot adopt processes that a killed supervisor leaves behind");
    }
}

/// Does nothing on this system.
#[cfg(not(target_os = "linux"))]
pub fn protect_process() {}
