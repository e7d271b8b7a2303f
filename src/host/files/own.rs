//! The daemon's own files, which no file operation reaches: by whichever path, and under whichever name they are linked.

use super::place::path_of;
use crate::host::outcome::{Problem, ProblemCode};
use std::{
    ffi::OsStr,
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

/// Folders within the state folder that are looked into, one in the other.
const DEPTH_MAX: usize = 4;

/// What belongs to the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct Own {
    /// Folders and files without links on the way.
    paths: Vec<PathBuf>,
    /// Files whose names begin those of others that are the daemon's too: a database, its log, its copies.
    beginnings: Vec<PathBuf>,
}

/// Ends of what is hidden beside a file whether or not it is there yet.
const ENDS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

impl Own {
    /// These folders and files, whether or not they are there yet, and everything whose path begins as one of
    /// `beginnings` does.
    pub(in crate::host) fn new(
        paths: impl IntoIterator<Item = PathBuf>,
        beginnings: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        let (paths, beginnings) = (paths.into_iter(), beginnings.into_iter());
        Own { paths: paths.map(|path| real(&path)).collect(), beginnings: beginnings.map(|path| real(&path)).collect() }
    }

    /// What it is made of: all that is there, and what a database will have beside it.
    pub(in crate::host) fn paths(&self) -> Vec<PathBuf> {
        let with_end = |path: &PathBuf, end: &str| {
            let mut name = path.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        let usual = self.beginnings.iter().flat_map(|path| ENDS.map(|end| with_end(path, end)));
        let mut paths: Vec<_> = self.paths.iter().cloned().chain(usual).chain(self.begun()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Files that are there and begin so.
    fn begun(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let folders = self.beginnings.iter().filter_map(|path| fs::read_dir(path.parent()?).ok());
        folders.flatten().flatten().map(|entry| entry.path()).filter(|path| self.begins(path))
    }

    /// Whether a path begins so, in the same folder.
    fn begins(&self, path: &Path) -> bool {
        let bytes = |name: Option<&OsStr>| name.map(|name| name.as_bytes().to_vec());
        self.beginnings.iter().any(|own| {
            let (Some(name), Some(begins)) = (bytes(path.file_name()), bytes(own.file_name())) else { return false };
            path.parent() == own.parent() && name.starts_with(&begins)
        })
    }

    /// Refuses what is open when it is the daemon's.
    pub(super) fn check(&self, place: &OwnedFd) -> Result<(), Problem> {
        let path = path_of(place);
        let found = place.try_clone().and_then(|handle| File::from(handle).metadata());
        let found =
            found.map_err(|error| Problem::new(ProblemCode::IoError, format!("{}: {error}", path.display())))?;
        let id = (found.dev(), found.ino());
        let is_ours = self.paths.iter().any(|own| path.starts_with(own) || holds(own, id, 0))
            || self.begins(&path)
            || self.begun().any(|own| holds(&own, id, 0));
        if is_ours { Err(denied(&path)) } else { Ok(()) }
    }

    /// Refuses a name in a folder that is open.
    pub(super) fn check_name(&self, folder: &OwnedFd, name: &Path) -> Result<(), Problem> {
        self.check(folder)?;
        let path = path_of(folder).join(name);
        if self.paths.contains(&path) || self.begins(&path) { Err(denied(&path)) } else { Ok(()) }
    }
}

fn denied(path: &Path) -> Problem {
    Problem::new(ProblemCode::PermissionDenied, format!("{} belongs to the daemon", path.display()))
}

/// Whether this is the file or folder of that device and number, or holds it.
fn holds(path: &Path, id: (u64, u64), depth: usize) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    if (found.dev(), found.ino()) == id {
        return true;
    }
    let entries = (found.is_dir() && depth < DEPTH_MAX).then(|| fs::read_dir(path).ok()).flatten();
    entries.into_iter().flatten().flatten().any(|entry| holds(&entry.path(), id, depth + 1))
}

/// A path without links on the way, as far as it is there.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    }
}
