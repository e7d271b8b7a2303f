//! What the system lets the process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files the process may have open as far as the system allows: each connection takes two, and the
/// usual soft limit of 1 024 is below `server.max_connections`.
pub fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    if limits.current == limits.maximum {
        return;
    }
    let raised = Rlimit { current: limits.maximum, maximum: limits.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Keeps the process from being looked into by others of the same user, and has what a killed supervisor leaves behind
/// handed to this process, so that it can be ended.
#[cfg(target_os = "linux")]
pub fn guard_process() {
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
pub fn guard_process() {}
