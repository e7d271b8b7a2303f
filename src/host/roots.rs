//! The folders beneath which operations may reach. Each is looked up by its name once, at the start, and kept open: whoever
//! may rename it later, or put a link in its place, changes nothing.
//!
//! Invariant: none of them lies beneath another, since what lies beneath a root may be renamed by whoever the roots confine.

use super::outcome::OperationRefusal;
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
pub(super) struct FolderIdentity {
    /// Without links on the way.
    pub(super) path: PathBuf,
    device: u64,
    inode: u64,
}

impl FolderIdentity {
    /// The one that an open handle stands for.
    fn of(path: PathBuf, found: &Stat) -> Self {
        FolderIdentity { path, device: id(found.st_dev), inode: id(found.st_ino) }
    }

    /// The one that is at a path now.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path.to_owned(), &stat(path)?))
    }

    /// Whether that is the one that was found.
    pub(super) fn matches(&self, found: &Stat) -> bool {
        (id(found.st_dev), id(found.st_ino)) == (self.device, self.inode)
    }

    /// Refuses another one at its path, or at the place where it is shown.
    pub(super) fn check(&self, found: &Stat) -> Result<(), String> {
        let path = self.path.display();
        if self.matches(found) {
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
pub(super) struct OpenRoot {
    /// As it is configured.
    pub(super) configured: PathBuf,
    pub(super) folder: FolderIdentity,
    pub(super) handle: OwnedFd,
}

/// All roots. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenRoots {
    roots: Arc<[OpenRoot]>,
    /// Why one of them could not be opened.
    open_error: Option<String>,
}

impl OpenRoots {
    /// Opens folders, each without what lies beneath another.
    pub(super) fn open(configured: &[PathBuf]) -> Self {
        let mut open_error = None;
        let mut roots = Vec::new();
        for path in configured {
            match open_root(path) {
                Ok(root) => roots.push(root),
                Err(error) => {
                    open_error =
                        Some(format!("the root {} was not there when the daemon started: {error}", path.display()));
                }
            }
        }
        let paths: Vec<_> = roots.iter().map(|root: &OpenRoot| root.folder.path.clone()).collect();
        let is_inner = |path: &Path| paths.iter().any(|other| path != other && path.starts_with(other));
        roots.retain(|root| !is_inner(&root.folder.path));
        roots.dedup_by(|one, other| one.folder == other.folder);
        OpenRoots { roots: roots.into(), open_error }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenRoot> {
        self.roots.iter()
    }

    /// The folders; why not, when one of them was not there.
    pub(super) fn folders(&self) -> Result<Vec<FolderIdentity>, OperationRefusal> {
        match &self.open_error {
            Some(why) => Err(OperationRefusal::SandboxUnavailable(why.clone())),
            None => Ok(self.iter().map(|root| root.folder.clone()).collect()),
        }
    }

    /// Whether a path without links lies beneath one of them.
    pub(super) fn contain(&self, path: &Path) -> bool {
        self.iter().any(|root| path.starts_with(&root.folder.path))
    }
}

fn open_root(configured: &Path) -> io::Result<OpenRoot> {
    let path = configured.canonicalize()?;
    let handle = open_without_links(&path)?;
    let folder = FolderIdentity::of(path, &fstat(&handle)?);
    Ok(OpenRoot { configured: configured.to_owned(), folder, handle })
}

/// Opens a folder to which no link leads.
#[cfg(target_os = "linux")]
fn open_without_links(path: &Path) -> io::Result<OwnedFd> {
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
fn open_without_links(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::sandbox::CommandFolder;
    use std::fs;

    #[test]
    fn a_root_is_opened_once_and_one_within_another_is_the_outer_one() {
        let own = CommandFolder::new(&std::env::temp_dir()).unwrap();
        let at = |name: &str| own.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir(at("ab")).unwrap();
        std::os::unix::fs::symlink(at("ab"), at("link")).unwrap();
        let roots = OpenRoots::open(&[at("a/b"), at("a"), at("link")]);
        let folders = roots.folders().unwrap();
        assert_eq!(folders.iter().map(|folder| &*folder.path).collect::<Vec<_>>(), [at("a"), at("ab")]);
        assert!(roots.contain(&at("a/b/c")) && !roots.contain(&at("abc")));
        fs::rename(at("a"), at("gone")).unwrap();
        fs::create_dir(at("a")).unwrap();
        assert!(folders[0].check(&stat(at("a")).unwrap()).is_err());
        assert!(folders[0].check(&stat(at("gone")).unwrap()).is_ok());
        assert!(OpenRoots::open(&[at("nowhere")]).folders().is_err());
    }
}
