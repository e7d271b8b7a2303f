//! Handling of a damaged database: left unchanged until the operator asks for a new one, then moved to a quarantine
//! name.

use super::{OpenError, open};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Returns whether the database at `path` exists and is damaged. Reads the whole file, which takes long for a large one.
///
/// # Errors
///
/// The file cannot be examined.
pub fn is_damaged(path: &Path) -> Result<bool, OpenError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OpenError::Unreachable { path: path.into(), reason: error.to_string() }),
        Ok(_) => open::is_damaged(path),
    }
}

/// Renames a database and its log to `conductor.db.damaged-MS` and returns the new name. `at`: Unix milliseconds.
///
/// # Errors
///
/// The folder cannot be written, or the name is taken.
pub fn quarantine_database(path: &Path, at: i64) -> io::Result<PathBuf> {
    let named = |base: &Path, end: &str| {
        let mut name = OsString::from(base);
        name.push(end);
        PathBuf::from(name)
    };
    let aside = named(path, &format!(".damaged-{at}"));
    // The database is renamed last: until then the next start rejects it as well.
    for end in ["-wal", "-shm", "-journal", ""] {
        let (from, to) = (named(path, end), named(&aside, end));
        if to.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !end.is_empty() => {}
            done => done?,
        }
    }
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreSettings, tests::Folder};

    #[actix_rt::test]
    async fn only_what_is_damaged_is_called_so() {
        let folder = Folder::new();
        let path = folder.database();
        assert!(!is_damaged(&path).unwrap(), "there is none");
        Store::open(&path, &StoreSettings::default()).unwrap().close().await.unwrap();
        assert!(!is_damaged(&path).unwrap(), "it is whole");
        fs::write(&path, b"garbage".repeat(999)).unwrap();
        assert!(is_damaged(&path).unwrap());
    }

    #[test]
    fn all_of_it_is_moved_and_nothing_is_overwritten() {
        let folder = Folder::new();
        let path = folder.database();
        let beside = |end: &str| path.with_file_name(format!("conductor.db{end}"));
        for end in ["", "-wal", "-shm"] {
            fs::write(beside(end), format!("old{end}")).unwrap();
        }
        assert_eq!(quarantine_database(&path, 7).unwrap(), beside(".damaged-7"));
        for end in ["", "-wal", "-shm"] {
            assert!(!beside(end).exists());
            assert_eq!(fs::read_to_string(beside(&format!(".damaged-7{end}"))).unwrap(), format!("old{end}"));
        }
        fs::write(&path, "newer").unwrap();
        assert_eq!(quarantine_database(&path, 7).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
    }
}
