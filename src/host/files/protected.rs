//! Protected files, which no file operation reaches by any path, link or hard link: the daemon's own.

use super::resolve::path_of_handle;
use crate::host::outcome::{OperationError, OperationErrorCode};
use std::{
    ffi::OsStr,
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

/// Depth to which protected folders are searched for a file.
const DEPTH_MAX: usize = 4;

/// The files and folders that belong to the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct ProtectedFiles {
    /// Canonical paths of folders and files.
    paths: Vec<PathBuf>,
    /// Path prefixes of further files in the same folder: a database, its log, its copies.
    prefixes: Vec<PathBuf>,
}

/// Suffixes of database files that are protected before they exist.
const DATABASE_SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

impl ProtectedFiles {
    /// Protects these folders and files, whether or not they exist yet, and everything that begins with one of `prefixes`.
    pub(in crate::host) fn new(
        paths: impl IntoIterator<Item = PathBuf>,
        prefixes: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        let (paths, prefixes) = (paths.into_iter(), prefixes.into_iter());
        ProtectedFiles {
            paths: paths.map(|path| resolve_existing(&path)).collect(),
            prefixes: prefixes.map(|path| resolve_existing(&path)).collect(),
        }
    }

    /// Returns all protected paths: existing ones, and future files of databases.
    pub(in crate::host) fn paths(&self) -> Vec<PathBuf> {
        let with_suffix = |path: &PathBuf, suffix: &str| {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let usual = self.prefixes.iter().flat_map(|path| DATABASE_SUFFIXES.map(|suffix| with_suffix(path, suffix)));
        let mut paths: Vec<_> = self.paths.iter().cloned().chain(usual).chain(self.existing_with_prefix()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Lists existing files with a protected prefix.
    fn existing_with_prefix(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let folders = self.prefixes.iter().filter_map(|path| fs::read_dir(path.parent()?).ok());
        folders.flatten().flatten().map(|entry| entry.path()).filter(|path| self.has_prefix(path))
    }

    /// Returns whether a path has a protected prefix.
    fn has_prefix(&self, path: &Path) -> bool {
        let bytes = |name: Option<&OsStr>| name.map(|name| name.as_bytes().to_vec());
        self.prefixes.iter().any(|own| {
            let (Some(name), Some(begins)) = (bytes(path.file_name()), bytes(own.file_name())) else { return false };
            path.parent() == own.parent() && name.starts_with(&begins)
        })
    }

    /// Fails when an open file or folder is protected.
    pub(super) fn check(&self, handle: &OwnedFd) -> Result<(), OperationError> {
        let path = path_of_handle(handle);
        let found = handle.try_clone().and_then(|handle| File::from(handle).metadata());
        let found = found.map_err(|error| {
            OperationError::new(OperationErrorCode::IoError, format!("{}: {error}", path.display()))
        })?;
        let id = (found.dev(), found.ino());
        let is_protected = self.paths.iter().any(|own| path.starts_with(own) || contains_file(own, id, 0))
            || self.has_prefix(&path)
            || self.existing_with_prefix().any(|own| contains_file(&own, id, 0));
        if is_protected { Err(access_denied(&path)) } else { Ok(()) }
    }

    /// Fails when a name in an open folder is protected.
    pub(super) fn check_name(&self, folder: &OwnedFd, name: &Path) -> Result<(), OperationError> {
        self.check(folder)?;
        let path = path_of_handle(folder).join(name);
        if self.paths.contains(&path) || self.has_prefix(&path) { Err(access_denied(&path)) } else { Ok(()) }
    }
}

fn access_denied(path: &Path) -> OperationError {
    OperationError::new(
        OperationErrorCode::PermissionDenied,
        format!("{} is protected: it belongs to the daemon", path.display()),
    )
}

/// Returns whether `path` is the file with this device and inode, or a folder that contains it.
fn contains_file(path: &Path, id: (u64, u64), depth: usize) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    if (found.dev(), found.ino()) == id {
        return true;
    }
    let entries = (found.is_dir() && depth < DEPTH_MAX).then(|| fs::read_dir(path).ok()).flatten();
    entries.into_iter().flatten().flatten().any(|entry| contains_file(&entry.path(), id, depth + 1))
}

/// Canonicalizes the existing part of a path.
fn resolve_existing(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolve_existing(parent).join(name),
        _ => path.to_owned(),
    }
}
