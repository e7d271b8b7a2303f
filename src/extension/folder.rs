//! The extension on disk: unpacked in a folder, and the same as one file in it.
//!
//! Everything is first written beside its place, in the folder itself, so that a full disk leaves an earlier output as it
//! was. Files in the folder that are none of ours stay.

use super::{Extension, ID, MANIFEST, XPI, parts::PACKAGED_PATHS};
use crate::trusted;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where it is written before it is put into place.
const STAGING_FOLDER: &str = ".baa-conductor-new";
/// What its sources have and an output never has.
const SOURCES_ONLY_FILE: &str = "package.json";

/// Why it was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something else stands in its place.
    #[error("{0} is not a folder")]
    NotAFolder(PathBuf),
    /// The folder may hold what somebody needs.
    #[error("{0} is not empty and holds no earlier output of this command: name an empty folder, or a new one")]
    Foreign(PathBuf),
    /// The extension's own sources.
    #[error("{0} holds the sources of the extension: name another folder")]
    Sources(PathBuf),
    /// Others could change it before a browser loads it.
    #[error(
        "the extension is not written there, since others could change it before it is loaded: {0}; or name another folder"
    )]
    Distrusted(trusted::TrustError),
    /// The system refused before anything changed.
    #[error("cannot write to {path}; what was there is as it was")]
    Unchanged {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system refused in the middle.
    #[error("cannot finish {path}, which is incomplete now: empty it, then run this again")]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Extension {
    /// Writes it to a folder, unpacked, with the `.xpi` beside it. An earlier output there is replaced.
    ///
    /// # Errors
    ///
    /// The folder holds something else, or cannot be written.
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
                // In a shared folder another program may have taken the name first.
                trusted::check_folder(folder).map_err(distrusted)?;
            }
            Err(error) => return Err(unchanged(error)),
        }
        let stage = folder.join(STAGING_FOLDER);
        self.stage(&stage).map_err(|error| {
            // The next run removes what cannot be removed now.
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

/// Whether the folder may be written to: it is empty, or an earlier output.
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

/// Whether a manifest is one of this extension, of whatever version.
fn is_ours(manifest: &[u8]) -> bool {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    manifest["browser_specific_settings"]["gecko"]["id"] == ID
}

/// Puts what was written into place. The manifest stays there throughout: it says whose folder this is.
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

/// Removes a file, a link or a whole folder that may be gone already.
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
