//! Opens paths. The kernel resolves them, beneath a root if any are configured, so that neither `..`, nor a link, nor a
//! concurrent rename leads outside.
//!
//! For the kernel, an absolute link leaves the root, also when its target lies beneath it. Then the path is canonicalized
//! first, and the result is opened beneath a root again, this time without links: the canonical path is only a guess, and
//! the result of the second resolution counts.

use super::errno_error;
use crate::host::{
    outcome::{OperationFailure, OperationRefusal},
    roots::{OpenRoot, OpenRoots},
};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2},
    io::Errno,
};
use std::{
    fs,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Attempts to resolve a path while concurrent renames interfere.
const RESOLVE_ATTEMPTS_MAX: usize = 64;

/// The part of the file system that an operation may reach.
#[derive(Clone, Debug)]
pub(in crate::host) enum PathBounds {
    /// No bound.
    Everywhere,
    /// Beneath the roots, and beneath system folders, which no confined operation can rename.
    Beneath(OpenRoots, Vec<PathBuf>),
}

/// A folder beneath which paths are resolved.
struct ResolveBase<'a> {
    /// The folder as configured, a prefix of paths beneath it.
    prefix: &'a Path,
    /// The canonical path of the folder.
    real: PathBuf,
    /// The handle of a root; `None` for a system folder.
    handle: Option<&'a OwnedFd>,
}

impl<'a> ResolveBase<'a> {
    fn all(roots: &'a OpenRoots, system: &'a [PathBuf]) -> Vec<Self> {
        let root = |root: &'a OpenRoot| ResolveBase {
            prefix: &root.configured,
            real: root.folder.path.clone(),
            handle: Some(&root.handle),
        };
        let folder =
            |prefix: &'a PathBuf| Some(ResolveBase { prefix, real: fs::canonicalize(prefix).ok()?, handle: None });
        roots.iter().map(root).chain(system.iter().filter_map(folder)).collect()
    }

    fn open(&self, rest: &Path, flags: OFlags, resolve_flags: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
        match self.handle {
            Some(handle) => openat2_retrying(handle, rest, flags, resolve_flags),
            None => {
                let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                openat2_retrying(open(&self.real, folder, Mode::empty())?, rest, flags, resolve_flags)
            }
        }
    }
}

/// Opens a path with `O_PATH` and `flags`, within `bounds`.
pub(super) fn open_path(path: &Path, flags: OFlags, bounds: &PathBounds) -> Result<OwnedFd, OperationFailure> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    match bounds {
        PathBounds::Everywhere => match openat2_retrying(CWD, path, flags, ResolveFlags::NO_MAGICLINKS) {
            Err(Errno::NOSYS) => open(path, flags, Mode::empty()).map_err(|error| errno_error(error, path).into()),
            done => done.map_err(|error| errno_error(error, path).into()),
        },
        PathBounds::Beneath(roots, system) => open_beneath(path, flags, &ResolveBase::all(roots, system)),
    }
}

fn open_beneath(path: &Path, flags: OFlags, bases: &[ResolveBase<'_>]) -> Result<OwnedFd, OperationFailure> {
    let outside = || OperationFailure::from(OperationRefusal::OutsideRoots { path: path.display().to_string() });
    let resolve_flags = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut is_inside = false;
    for base in bases {
        let Ok(rest) = path.strip_prefix(base.prefix) else { continue };
        is_inside = true;
        match base.open(rest, flags, resolve_flags) {
            Err(Errno::XDEV) => {}
            Err(Errno::NOSYS) => {
                let why = "host_ops.roots needs openat2, which this kernel does not have (Linux 5.6)";
                return Err(OperationRefusal::SandboxUnavailable(why.to_owned()).into());
            }
            done => return done.map_err(|error| errno_error(error, path).into()),
        }
    }
    let Ok(real) = fs::canonicalize(path) else { return Err(outside()) };
    for base in bases {
        let Ok(rest) = real.strip_prefix(&base.real) else { continue };
        return match base.open(rest, flags, resolve_flags | ResolveFlags::NO_SYMLINKS) {
            Ok(handle) => Ok(handle),
            // Without links these are ordinary errors; every other error may be a link that was created in between.
            Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)) if is_inside => {
                Err(errno_error(error, path).into())
            }
            Err(_) => Err(outside()),
        };
    }
    Err(outside())
}

fn openat2_retrying(
    folder: impl std::os::fd::AsFd,
    path: &Path,
    flags: OFlags,
    resolve_flags: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    for _ in 1..RESOLVE_ATTEMPTS_MAX {
        match openat2(&folder, path, flags, Mode::empty(), resolve_flags) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => return done,
        }
    }
    openat2(folder, path, flags, Mode::empty(), resolve_flags)
}

/// Opens the same file again for reading.
pub(super) fn reopen_for_reading(handle: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    open(proc_link(handle), flags, Mode::empty())
}

/// Returns the path of a handle as reported by the kernel.
pub(super) fn path_of_handle(handle: &OwnedFd) -> PathBuf {
    fs::read_link(proc_link(handle)).unwrap_or_default()
}

fn proc_link(handle: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Returns whether a handle is on procfs, such as the environment of this process.
pub(super) fn is_on_procfs(handle: &OwnedFd) -> bool {
    const PROC: u64 = 0x9fa0;
    rustix::fs::fstatfs(handle).is_ok_and(|system| system.f_type.cast_unsigned() == PROC)
}
