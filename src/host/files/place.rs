//! From a path to a handle. The kernel resolves it, beneath a root where there are any: neither `..`, nor a link, nor
//! something renamed in between leads out, since no step outside is ever taken.
//!
//! A link that begins with `/` leaves its root for the kernel, also when it leads back in. Where it leads is then looked up
//! as anybody would, and that place is opened beneath a root again, this time without any link: what was looked up is a
//! guess, and only what the kernel then finds counts.

use super::problem;
use crate::host::{
    outcome::{Refusal, Stopped},
    roots::{Root, Roots},
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
const TRIES: usize = 64;

/// Where an operation may reach.
#[derive(Clone, Debug)]
pub(in crate::host) enum Bounds {
    /// Everywhere.
    Everywhere,
    /// Beneath the roots, and beneath folders of the system, which nobody who is confined may rename.
    Beneath(Roots, Vec<PathBuf>),
}

/// What a path is resolved beneath.
struct Base<'a> {
    /// What paths beneath it begin with.
    named: &'a Path,
    /// The same without links on the way.
    real: PathBuf,
    /// Open since the start; nothing for a folder of the system.
    handle: Option<&'a OwnedFd>,
}

impl<'a> Base<'a> {
    fn all(roots: &'a Roots, system: &'a [PathBuf]) -> Vec<Self> {
        let root =
            |root: &'a Root| Base { named: &root.named, real: root.folder.path.clone(), handle: Some(&root.handle) };
        let folder = |named: &'a PathBuf| Some(Base { named, real: fs::canonicalize(named).ok()?, handle: None });
        roots.iter().map(root).chain(system.iter().filter_map(folder)).collect()
    }

    fn resolve(&self, rest: &Path, flags: OFlags, guarded: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
        match self.handle {
            Some(handle) => resolve(handle, rest, flags, guarded),
            None => {
                let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                resolve(open(&self.real, folder, Mode::empty())?, rest, flags, guarded)
            }
        }
    }
}

/// Opens what a path names, without doing anything to it. `flags`: besides `O_PATH`.
pub(super) fn open_place(path: &Path, flags: OFlags, bounds: &Bounds) -> Result<OwnedFd, Stopped> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    match bounds {
        Bounds::Everywhere => match resolve(CWD, path, flags, ResolveFlags::NO_MAGICLINKS) {
            Err(Errno::NOSYS) => open(path, flags, Mode::empty()).map_err(|error| problem(error, path).into()),
            done => done.map_err(|error| problem(error, path).into()),
        },
        Bounds::Beneath(roots, system) => beneath(path, flags, &Base::all(roots, system)),
    }
}

fn beneath(path: &Path, flags: OFlags, bases: &[Base<'_>]) -> Result<OwnedFd, Stopped> {
    let outside = || Stopped::from(Refusal::OutsideRoots { path: path.display().to_string() });
    let guarded = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut inside = false;
    for base in bases {
        let Ok(rest) = path.strip_prefix(base.named) else { continue };
        inside = true;
        match base.resolve(rest, flags, guarded) {
            Err(Errno::XDEV) => {}
            Err(Errno::NOSYS) => {
                let why = "this kernel is older than openat2, which keeps files beneath the roots";
                return Err(Refusal::SandboxUnavailable(why.to_owned()).into());
            }
            done => return done.map_err(|error| problem(error, path).into()),
        }
    }
    let Ok(real) = fs::canonicalize(path) else { return Err(outside()) };
    for base in bases {
        let Ok(rest) = real.strip_prefix(&base.real) else { continue };
        return match base.resolve(rest, flags, guarded | ResolveFlags::NO_SYMLINKS) {
            Ok(place) => Ok(place),
            // Inside and spelled plainly, a failure is one like any other; a link that came in between is a way out.
            Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)) if inside => Err(problem(error, path).into()),
            Err(_) => Err(outside()),
        };
    }
    Err(outside())
}

fn resolve(
    folder: impl std::os::fd::AsFd,
    path: &Path,
    flags: OFlags,
    guarded: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    for _ in 1..TRIES {
        match openat2(&folder, path, flags, Mode::empty(), guarded) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => return done,
        }
    }
    openat2(folder, path, flags, Mode::empty(), guarded)
}

/// Opens the very same thing again, to be read.
pub(super) fn reopen(place: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    open(link_of(place), flags, Mode::empty())
}

/// Where something open is, as the kernel says.
pub(super) fn path_of(place: &OwnedFd) -> PathBuf {
    fs::read_link(link_of(place)).unwrap_or_default()
}

fn link_of(place: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", place.as_raw_fd()))
}

/// Whether it is a view of the kernel or of a process and no file, such as the environment of this very process.
pub(super) fn is_view(place: &OwnedFd) -> bool {
    const PROC: u64 = 0x9fa0;
    rustix::fs::fstatfs(place).is_ok_and(|system| system.f_type.cast_unsigned() == PROC)
}
