//! From a path to a handle where no kernel keeps it beneath a root: there, roots refuse.

use super::errno_error;
use crate::host::{
    outcome::{OperationFailure, OperationRefusal},
    roots::OpenRoots,
};
use rustix::fs::{Mode, OFlags, open};
use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// Where an operation may reach.
#[derive(Clone, Debug)]
pub(in crate::host) enum PathBounds {
    /// Everywhere.
    Everywhere,
    /// Beneath the roots, and beneath folders of the system.
    Beneath(OpenRoots, Vec<PathBuf>),
}

/// Opens what a path names. `flags`: besides reading.
pub(super) fn open_path(path: &Path, flags: OFlags, bounds: &PathBounds) -> Result<OwnedFd, OperationFailure> {
    if let PathBounds::Beneath(..) = bounds {
        let why = "this system cannot keep files beneath the roots";
        return Err(OperationRefusal::SandboxUnavailable(why.to_owned()).into());
    }
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    open(path, flags, Mode::empty()).map_err(|error| errno_error(error, path).into())
}

/// Another handle of the very same thing.
pub(super) fn reopen_for_reading(handle: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(handle, 0)
}

/// Where something open is, as the kernel says.
#[cfg(target_vendor = "apple")]
pub(super) fn path_of_handle(handle: &OwnedFd) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let path = rustix::fs::getpath(handle).map(|path| path.into_bytes()).unwrap_or_default();
    std::ffi::OsString::from_vec(path).into()
}

/// Where something open is; nobody says it here.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn path_of_handle(_: &OwnedFd) -> PathBuf {
    PathBuf::new()
}

/// Whether it is a view of the kernel and no file.
pub(super) fn is_on_procfs(_: &OwnedFd) -> bool {
    false
}
