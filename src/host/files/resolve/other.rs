//! Opens paths on systems that cannot resolve them beneath a folder: operations with roots are refused.

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

/// The part of the file system that an operation may reach.
#[derive(Clone, Debug)]
pub(in crate::host) enum PathBounds {
    /// No bound.
    Everywhere,
    /// Beneath the roots, and beneath system folders.
    Beneath(OpenRoots, Vec<PathBuf>),
}

/// Opens a path for reading with `flags`.
pub(super) fn open_path(path: &Path, flags: OFlags, bounds: &PathBounds) -> Result<OwnedFd, OperationFailure> {
    if let PathBounds::Beneath(..) = bounds {
        let why = "host_ops.roots is not supported on this system";
        return Err(OperationRefusal::SandboxUnavailable(why.to_owned()).into());
    }
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    open(path, flags, Mode::empty()).map_err(|error| errno_error(error, path).into())
}

/// Duplicates a handle.
pub(super) fn reopen_for_reading(handle: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(handle, 0)
}

/// Returns the path of a handle as reported by the kernel.
#[cfg(target_vendor = "apple")]
pub(super) fn path_of_handle(handle: &OwnedFd) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let path = rustix::fs::getpath(handle).map(|path| path.into_bytes()).unwrap_or_default();
    std::ffi::OsString::from_vec(path).into()
}

/// Returns an empty path: this system does not report it.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn path_of_handle(_: &OwnedFd) -> PathBuf {
    PathBuf::new()
}

/// Returns `false`: there is no procfs.
pub(super) fn is_on_procfs(_: &OwnedFd) -> bool {
    false
}
