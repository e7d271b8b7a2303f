//! The folders beneath which operations may read and write. Each is resolved once, at start, and kept open, so that a later
//! rename or a link in its place has no effect.
//!
//! Invariant: no root lies beneath another, since confined operations may rename what lies beneath a root.

use super::outcome::OperationRefusal;
use rustix::fs::{Mode, OFlags, Stat, fstat, open, stat};
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A folder's path with the device and inode that it had when it was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FolderIdentity {
    /// Canonical, without links.
    pub(super) path: PathBuf,
    device: u64,
    inode: u64,
}

impl FolderIdentity {
    /// Identifies a folder by the metadata of its open handle.
    fn of(path: PathBuf, found: &Stat) -> Self {
        FolderIdentity { path, device: id(found.st_dev), inode: id(found.st_ino) }
    }

    /// Identifies the folder that is at `path` now.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path.to_owned(), &stat(path)?))
    }

    /// Returns whether `found` is the metadata of this folder.
    pub(super) fn matches(&self, found: &Stat) -> bool {
        (id(found.st_dev), id(found.st_ino)) == (self.device, self.inode)
    }

    /// Fails when `found` is the metadata of another folder.
    pub(super) fn check(&self, found: &Stat) -> Result<(), String> {
        let path = self.path.display();
        if self.matches(found) {
            Ok(())
        } else {
            Err(format!(
                "{path} is no longer the folder that it was when the daemon started: restore it, or restart the daemon"
            ))
        }
    }
}

/// Converts a device or inode number, whose type differs between systems.
fn id(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

/// An open root.
#[derive(Debug)]
pub(super) struct OpenRoot {
    /// The path as configured.
    pub(super) configured: PathBuf,
    pub(super) folder: FolderIdentity,
    pub(super) handle: OwnedFd,
}

/// All open roots. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenRoots {
    roots: Arc<[OpenRoot]>,
    /// Why a root could not be opened.
    open_error: Option<String>,
}

impl OpenRoots {
    /// Opens the configured roots, without those beneath another.
    pub(super) fn open(configured: &[PathBuf]) -> Self {
        let mut open_error = None;
        let mut roots = Vec::new();
        for path in configured {
            match open_root(path) {
                Ok(root) => roots.push(root),
                Err(error) => {
                    open_error = Some(format!(
                        "the root {} could not be opened when the daemon started: {error}",
                        path.display()
                    ));
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

    /// Returns the identities of all roots.
    ///
    /// # Errors
    ///
    /// A root could not be opened at start.
    pub(super) fn folders(&self) -> Result<Vec<FolderIdentity>, OperationRefusal> {
        match &self.open_error {
            Some(why) => Err(OperationRefusal::SandboxUnavailable(why.clone())),
            None => Ok(self.iter().map(|root| root.folder.clone()).collect()),
        }
    }

    /// Returns whether a canonical path lies beneath a root.
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

/// Opens a folder whose path contains no links.
#[cfg(target_os = "linux")]
fn open_without_links(path: &Path) -> io::Result<OwnedFd> {
    use rustix::{
        fs::{CWD, ResolveFlags, openat2},
        io::Errno,
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS) {
        // Operations beneath roots refuse on such a kernel.
        Err(Errno::NOSYS) => Ok(open(path, flags | OFlags::NOFOLLOW, Mode::empty())?),
        done => Ok(done?),
    }
}

/// Opens a folder; operations beneath roots refuse on this system anyway.
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
