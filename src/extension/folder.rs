//! Writes the extension to a folder: unpacked, and as an `.xpi` file.
//!
//! All files are first written to a staging folder inside it, so that a full disk leaves an earlier output unchanged. Other
//! files in the folder are kept.

use super::{Extension, ID, MANIFEST, XPI, parts::PACKAGED_PATHS};
use crate::trusted;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Name of the staging folder.
const STAGING_FOLDER: &str = ".baa-conductor-new";
/// A file that the sources of the extension have, and an output never has.
const SOURCES_ONLY_FILE: &str = "package.json";

/// Why the extension was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Not a folder.
    #[error("{0} is not a folder")]
    NotAFolder(PathBuf),
    /// The folder contains other files.
    #[error("{0} is not empty and is not an earlier output of this command: name an empty folder, or a new one")]
    Foreign(PathBuf),
    /// The folder contains the sources of the extension.
    #[error("{0} contains the sources of the extension: name another folder")]
    Sources(PathBuf),
    /// Other users could change the files before a browser loads them.
    #[error(
        "the extension was not written, since other users could change it before it is loaded: {0}; or name another folder"
    )]
    Distrusted(trusted::TrustError),
    /// Writing failed before anything was changed.
    #[error("cannot write to {path}; it was not changed")]
    Unchanged {
        /// Folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Writing failed while files were being replaced.
    #[error("cannot finish {path}, which is incomplete now: empty it, then run this again")]
    Incomplete {
        /// Folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

impl Extension {
    /// Writes the extension to a folder, unpacked and with the `.xpi`. Replaces an earlier output.
    ///
    /// # Errors
    ///
    /// The folder contains other files, or cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        let unchanged = |source| WriteError::Unchanged { path: folder.to_owned(), source };
        let distrusted = |distrust| match distrust {
            trusted::TrustError::Io(source) => unchanged(source),
            trusted::TrustError::NotUsable { .. } => unchanged(io::ErrorKind::NotADirectory.into()),
            distrust => WriteError::Distrusted(distrust),
        };
        trusted::check_folder(folder).map_err(distrusted)?;
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => return Err(WriteError::NotAFolder(folder.to_owned())),
            Ok(_) => check_contents(folder)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder).map_err(unchanged)?;
                // In a shared folder another program may have created it first.
                trusted::check_folder(folder).map_err(distrusted)?;
            }
            Err(error) => return Err(unchanged(error)),
        }
        let stage = folder.join(STAGING_FOLDER);
        self.stage(&stage).map_err(|error| {
            // If this fails, the next run removes it.
            remove(&stage).unwrap_or_default();
            unchanged(error)
        })?;
        move_into_place(&stage, folder).map_err(|source| WriteError::Incomplete { path: folder.to_owned(), source })
    }

    fn stage(&self, stage: &Path) -> io::Result<()> {
        remove(stage)?;
        fs::create_dir(stage)?;
        for file in self.files() {
            let path = stage.join(file.name);
            fs::create_dir_all(path.parent().expect("it lies in the folder"))?;
            fs::write(path, file.bytes)?;
        }
        fs::write(stage.join(XPI), self.xpi())
    }
}

/// Checks that the folder is empty or an earlier output.
fn check_contents(folder: &Path) -> Result<(), WriteError> {
    let unchanged = |source| WriteError::Unchanged { path: folder.to_owned(), source };
    let entries: Vec<_> = fs::read_dir(folder).and_then(Iterator::collect).map_err(unchanged)?;
    let has = |name: &str| entries.iter().any(|entry: &fs::DirEntry| entry.file_name() == name);
    if entries.iter().all(|entry| entry.file_name() == STAGING_FOLDER) {
        return Ok(());
    }
    if !fs::read(folder.join(MANIFEST)).is_ok_and(|manifest| is_ours(&manifest)) {
        return Err(WriteError::Foreign(folder.to_owned()));
    }
    if has(SOURCES_ONLY_FILE) { Err(WriteError::Sources(folder.to_owned())) } else { Ok(()) }
}

/// Returns whether a manifest belongs to any version of this extension.
fn is_ours(manifest: &[u8]) -> bool {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    manifest["browser_specific_settings"]["gecko"]["id"] == ID
}

/// Moves the staged files into place. The folder always has a manifest, which identifies it as an output.
fn move_into_place(stage: &Path, folder: &Path) -> io::Result<()> {
    fs::rename(stage.join(MANIFEST), folder.join(MANIFEST))?;
    for name in PACKAGED_PATHS.iter().chain(&[XPI]).filter(|name| **name != MANIFEST) {
        let (new, place) = (stage.join(name), folder.join(name));
        remove(&place)?;
        if new.exists() {
            fs::rename(new, place)?;
        }
    }
    fs::remove_dir(stage)
}

/// Removes a file, a link or a whole folder; a missing one is no error.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
