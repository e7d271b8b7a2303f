//! The folders beneath which operations may reach. Each is looked up by its name once, at the start, and kept open: whoever
//! may rename it later, or put a link in its place, changes nothing.
//!
//! Invariant: none of them lies beneath another, since what lies beneath a root may be renamed by whoever the roots confine.

use super::outcome::Refusal;
use rustix::fs::{Mode, OFlags, Stat, fstat, open, stat};
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A folder by its path, and which one that was when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Folder {
    /// Without links on the way.
    pub(super) path: PathBuf,
    device: u64,
    inode: u64,
}

impl Folder {
    /// The one that an open handle stands for.
    fn of(path: PathBuf, found: &Stat) -> Self {
        Folder { path, device: id(found.st_dev), inode: id(found.st_ino) }
    }

    /// The one that is at a path now.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path.to_owned(), &stat(path)?))
    }

    /// Whether that is the one that was found.
    pub(super) fn is(&self, found: &Stat) -> bool {
        (id(found.st_dev), id(found.st_ino)) == (self.device, self.inode)
    }

    /// Refuses another one at its path, or at the place where it is shown.
    pub(super) fn check(&self, found: &Stat) -> Result<(), String> {
        let path = self.path.display();
        if self.is(found) {
            Ok(())
        } else {
            Err(format!("{path} is not the folder that it was when the daemon started: put it back, or start it anew"))
        }
    }
}

/// Numbers of devices and files are of different types on different systems.
fn id(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

/// A root that is open.
#[derive(Debug)]
pub(super) struct Root {
    /// As it is configured.
    pub(super) named: PathBuf,
    pub(super) folder: Folder,
    pub(super) handle: OwnedFd,
}

/// All roots. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Roots {
    open: Arc<[Root]>,
    /// Why one of them could not be opened.
    fault: Option<String>,
}

impl Roots {
    /// Opens folders, each without what lies beneath another.
    pub(super) fn open(named: &[PathBuf]) -> Self {
        let mut fault = None;
        let mut open = Vec::new();
        for path in named {
            match open_root(path) {
                Ok(root) => open.push(root),
                Err(error) => {
                    fault = Some(format!("the root {} was not there when the daemon started: {error}", path.display()));
                }
            }
        }
        let paths: Vec<_> = open.iter().map(|root: &Root| root.folder.path.clone()).collect();
        let is_inner = |path: &Path| paths.iter().any(|other| path != other && path.starts_with(other));
        open.retain(|root| !is_inner(&root.folder.path));
        open.dedup_by(|one, other| one.folder == other.folder);
        Roots { open: open.into(), fault }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Root> {
        self.open.iter()
    }

    /// The folders; why not, when one of them was not there.
    pub(super) fn folders(&self) -> Result<Vec<Folder>, Refusal> {
        match &self.fault {
            Some(why) => Err(Refusal::SandboxUnavailable(why.clone())),
            None => Ok(self.iter().map(|root| root.folder.clone()).collect()),
        }
    }

    /// Whether a path without links lies beneath one of them.
    pub(super) fn hold(&self, path: &Path) -> bool {
        self.iter().any(|root| path.starts_with(&root.folder.path))
    }
}

fn open_root(named: &Path) -> io::Result<Root> {
    let path = named.canonicalize()?;
    let handle = open_plainly(&path)?;
    let folder = Folder::of(path, &fstat(&handle)?);
    Ok(Root { named: named.to_owned(), folder, handle })
}

/// Opens a folder to which no link leads.
#[cfg(target_os = "linux")]
fn open_plainly(path: &Path) -> io::Result<OwnedFd> {
    use rustix::{
        fs::{CWD, ResolveFlags, openat2},
        io::Errno,
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS) {
        // There, operations beneath roots refuse.
        Err(Errno::NOSYS) => Ok(open(path, flags | OFlags::NOFOLLOW, Mode::empty())?),
        done => Ok(done?),
    }
}

/// The same where roots refuse anyway.
#[cfg(not(target_os = "linux"))]
fn open_plainly(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::sandbox::OwnFolder;
    use std::fs;

    #[test]
    fn a_root_is_opened_once_and_one_within_another_is_the_outer_one() {
        let own = OwnFolder::new(&std::env::temp_dir()).unwrap();
        let at = |name: &str| own.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir(at("ab")).unwrap();
        std::os::unix::fs::symlink(at("ab"), at("link")).unwrap();
        let roots = Roots::open(&[at("a/b"), at("a"), at("link")]);
        let folders = roots.folders().unwrap();
        assert_eq!(folders.iter().map(|folder| &*folder.path).collect::<Vec<_>>(), [at("a"), at("ab")]);
        assert!(roots.hold(&at("a/b/c")) && !roots.hold(&at("abc")));
        fs::rename(at("a"), at("gone")).unwrap();
        fs::create_dir(at("a")).unwrap();
        assert!(folders[0].check(&stat(at("a")).unwrap()).is_err());
        assert!(folders[0].check(&stat(at("gone")).unwrap()).is_ok());
        assert!(Roots::open(&[at("nowhere")]).folders().is_err());
    }
}
