//! Walks a path from the root: every folder and every link on it.

use super::{TrustError, owner};
use rustix::{
    fs::{StatVfsMountFlags, statvfs},
    process::geteuid,
};
use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// Maximum of links that are followed, as in the kernel.
const LINKS_MAX: usize = 40;

/// How the last name of a path is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastName {
    /// It exists, or it is created in one step that fails if it exists.
    Existing,
    /// Files with this name are created in its folder, for which the sticky bit is no protection.
    Created,
}

/// The file or folder at the end of a path.
#[derive(Debug)]
pub(super) struct WalkedFile {
    /// Path without links.
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
    /// Whether a folder on the path denies access to other users.
    pub(super) is_hidden: bool,
}

/// The result of a walk.
#[derive(Debug)]
pub(super) struct WalkedPath {
    /// The path without links.
    pub(super) real: PathBuf,
    /// The file or folder; `None` if it does not exist.
    pub(super) found: Option<WalkedFile>,
}

/// State of a walk.
#[derive(Debug, Default)]
struct WalkState {
    /// The first folder or link that other users may change, since the last private folder of this user.
    trust_error: Option<TrustError>,
    is_hidden: bool,
}

/// Walks a path; ends early at a name that does not exist.
pub(super) fn walk(path: &Path, end: LastName) -> Result<WalkedPath, TrustError> {
    let absolute = std::path::absolute(path)?;
    let (mut at, mut state, mut links) = (PathBuf::from("/"), WalkState::default(), 0);
    let mut rest = names(&absolute);
    state.visit_folder(&at, &fs::symlink_metadata(&at)?, needs_write_protection(&rest, end));
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let metadata = match fs::symlink_metadata(&next) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let real = rest.iter().fold(next, |path, name| path.join(name));
                return state.trust_error.map_or(Ok(WalkedPath { real, found: None }), Err);
            }
            Err(error) => return Err(error.into()),
        };
        if metadata.is_symlink() {
            state.check_owner_of(&next, &metadata);
            links += 1;
            if links > LINKS_MAX {
                return Err(TrustError::NotUsable { path: next, what: "leads through too many links" });
            }
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for name in names(&target).into_iter().rev() {
                rest.push_front(name);
            }
            continue;
        }
        at = next;
        if metadata.is_dir() {
            state.visit_folder(&at, &metadata, needs_write_protection(&rest, end));
        } else if !rest.is_empty() {
            return Err(TrustError::NotUsable { path: at, what: "is not a folder" });
        }
        if rest.is_empty() {
            let found = WalkedFile { path: at.clone(), metadata, is_hidden: state.is_hidden };
            return state.trust_error.map_or(Ok(WalkedPath { real: at, found: Some(found) }), Err);
        }
    }
    let metadata = fs::symlink_metadata(&at)?;
    let found = WalkedFile { path: at.clone(), metadata, is_hidden: state.is_hidden };
    state.trust_error.map_or(Ok(WalkedPath { real: at, found: Some(found) }), Err)
}

/// Returns the names in a path.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

/// Returns whether other users must not be able to create names in the current folder.
fn needs_write_protection(rest: &VecDeque<OsString>, end: LastName) -> bool {
    rest.is_empty() || (end == LastName::Created && rest.len() == 1)
}

impl WalkState {
    fn check_owner_of(&mut self, path: &Path, metadata: &Metadata) {
        if let Err(trust_error) = check_owner(path, metadata) {
            self.trust_error.get_or_insert(trust_error);
        }
    }

    /// Updates the state by a folder. `last`: whether files are created in it, for which the sticky bit is no protection.
    fn visit_folder(&mut self, path: &Path, metadata: &Metadata, last: bool) {
        let mode = metadata.mode();
        let private = owner::is_private_group(metadata.gid());
        self.is_hidden |= mode & 0o001 == 0 && (mode & 0o010 == 0 || private);
        if metadata.uid() == geteuid().as_raw() && mode & 0o077 == 0 {
            self.trust_error = None;
            return;
        }
        self.check_owner_of(path, metadata);
        let is_sticky = mode & 0o1000 != 0 && !last;
        if let Err(trust_error) = check(path, metadata)
            && !is_sticky
        {
            self.trust_error.get_or_insert(trust_error);
        }
    }
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), TrustError> {
    if owner::is_trusted(metadata.uid()) {
        return Ok(());
    }
    let (path, owner, own) = (path.to_owned(), metadata.uid(), geteuid().as_raw());
    Err(TrustError::ForeignOwner { path, owner, own, link: metadata.is_symlink() })
}

/// Checks that only this user and root may write a file or folder.
pub(super) fn check(path: &Path, metadata: &Metadata) -> Result<(), TrustError> {
    check_owner(path, metadata)?;
    let mode = metadata.mode() & 0o7777;
    let by_all = mode & 0o002 != 0;
    let by_group = mode & 0o020 != 0 && !owner::is_private_group(metadata.gid());
    if !(by_all || by_group) || is_read_only(path) {
        return Ok(());
    }
    Err(TrustError::Writable { path: path.to_owned(), mode, by_all })
}

/// Returns whether a path is on a read-only mount, as the configuration of a container may be.
fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}
