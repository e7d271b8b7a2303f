//! The way to a path, from the root: every folder and every link on it.

use super::{Distrust, owner};
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

/// Links that are followed at most, as the kernel does.
const LINKS_MAX: usize = 40;

/// What the last name on a way is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is there and stays, or it is made in one step that fails where something is.
    Kept,
    /// Files are made in its folder by name: the sticky bit is not enough there.
    Made,
}

/// What stands at the end of a way.
#[derive(Debug)]
pub(super) struct Found {
    /// Its path without links.
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
    /// Whether a folder on the way keeps others out.
    pub(super) hidden: bool,
}

/// A way that was walked.
#[derive(Debug)]
pub(super) struct Walked {
    /// Where it ends, without links.
    pub(super) real: PathBuf,
    /// What is there.
    pub(super) found: Option<Found>,
}

/// What was seen on the way so far.
#[derive(Debug, Default)]
struct Seen {
    /// The first folder or link that others may change, since the last folder that is this user's alone.
    distrust: Option<Distrust>,
    hidden: bool,
}

/// Walks to a path; what is not there yet ends the way early.
pub(super) fn walk(path: &Path, end: End) -> Result<Walked, Distrust> {
    let absolute = std::path::absolute(path)?;
    let (mut at, mut seen, mut links) = (PathBuf::from("/"), Seen::default(), 0);
    let mut rest = names(&absolute);
    seen.folder(&at, &fs::symlink_metadata(&at)?, is_last(&rest, end));
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
                return seen.distrust.map_or(Ok(Walked { real, found: None }), Err);
            }
            Err(error) => return Err(error.into()),
        };
        if metadata.is_symlink() {
            seen.owner(&next, &metadata);
            links += 1;
            if links > LINKS_MAX {
                return Err(Distrust::Unfit { path: next, what: "leads through too many links" });
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
            seen.folder(&at, &metadata, is_last(&rest, end));
        } else if !rest.is_empty() {
            return Err(Distrust::Unfit { path: at, what: "is not a folder" });
        }
        if rest.is_empty() {
            let found = Found { path: at.clone(), metadata, hidden: seen.hidden };
            return seen.distrust.map_or(Ok(Walked { real: at, found: Some(found) }), Err);
        }
    }
    let metadata = fs::symlink_metadata(&at)?;
    let found = Found { path: at.clone(), metadata, hidden: seen.hidden };
    seen.distrust.map_or(Ok(Walked { real: at, found: Some(found) }), Err)
}

/// The names in a path, in their order.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

/// Whether the names of a folder must be safe from being made by others.
fn is_last(rest: &VecDeque<OsString>, end: End) -> bool {
    rest.is_empty() || (end == End::Made && rest.len() == 1)
}

impl Seen {
    fn owner(&mut self, path: &Path, metadata: &Metadata) {
        if let Err(distrust) = check_owner(path, metadata) {
            self.distrust.get_or_insert(distrust);
        }
    }

    /// `last`: whether files are to be made in it, against which the sticky bit does not help.
    fn folder(&mut self, path: &Path, metadata: &Metadata, last: bool) {
        let mode = metadata.mode();
        let private = owner::is_private_group(metadata.gid());
        self.hidden |= mode & 0o001 == 0 && (mode & 0o010 == 0 || private);
        if metadata.uid() == geteuid().as_raw() && mode & 0o077 == 0 {
            self.distrust = None;
            return;
        }
        self.owner(path, metadata);
        let keeps = mode & 0o1000 != 0 && !last;
        if let Err(distrust) = check(path, metadata)
            && !keeps
        {
            self.distrust.get_or_insert(distrust);
        }
    }
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    if owner::is_trusted(metadata.uid()) {
        return Ok(());
    }
    let (path, owner, own) = (path.to_owned(), metadata.uid(), geteuid().as_raw());
    Err(Distrust::Foreign { path, owner, own, link: metadata.is_symlink() })
}

/// Whether only this user and root may write a file or folder.
pub(super) fn check(path: &Path, metadata: &Metadata) -> Result<(), Distrust> {
    check_owner(path, metadata)?;
    let mode = metadata.mode() & 0o7777;
    let by_all = mode & 0o002 != 0;
    let by_group = mode & 0o020 != 0 && !owner::is_private_group(metadata.gid());
    if !(by_all || by_group) || is_read_only(path) {
        return Ok(());
    }
    Err(Distrust::Writable { path: path.to_owned(), mode, by_all })
}

/// Whether it lies in what is mounted read-only, as a container's configuration may.
fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}
