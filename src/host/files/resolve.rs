//! From a path to a handle. The kernel resolves it, beneath a root where there are any: neither `..`, nor a link, nor
//! something renamed in between leads out, since no step outside is ever taken.
//!
//! A link that begins with `/` leaves its root for the kernel, also when it leads back in. Where it leads is then looked up
//! as anybody would, and that place is opened beneath a root again, this time without any link: what was looked up is a
//! guess, and only what the kernel then finds counts.

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

/// How often the kernel is asked again when something was renamed while it looked.
const RESOLVE_ATTEMPTS_MAX: usize = 64;

/// Where an operation may reach.
#[derive(Clone, Debug)]
pub(in crate::host) enum PathBounds {
    /// Everywhere.
    Everywhere,
    /// Beneath the roots, and beneath folders of the system, which nobody who is confined may rename.
    Beneath(OpenRoots, Vec<PathBuf>),
}

/// What a path is resolved beneath.
struct ResolveBase<'a> {
    /// What paths beneath it begin with.
    prefix: &'a Path,
    /// The same without links on the way.
    real: PathBuf,
    /// Open since the start; nothing for a folder of the system.
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

/// Opens what a path names, without doing anything to it. `flags`: besides `O_PATH`.
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
                let why = "this kernel is older than openat2, which keeps files beneath the roots";
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
            // Inside and spelled plainly, a failure is one like any other; a link that came in between is a way out.
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

/// Opens the very same thing again, to be read.
pub(super) fn reopen_for_reading(handle: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    open(proc_link(handle), flags, Mode::empty())
}

/// Where something open is, as the kernel says.
pub(super) fn path_of_handle(handle: &OwnedFd) -> PathBuf {
    fs::read_link(proc_link(handle)).unwrap_or_default()
}

fn proc_link(handle: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Whether it is a view of the kernel or of a process and no file, such as the environment of this very process.
pub(super) fn is_on_procfs(handle: &OwnedFd) -> bool {
    const PROC: u64 = 0x9fa0;
    rustix::fs::fstatfs(handle).is_ok_and(|system| system.f_type.cast_unsigned() == PROC)
}
