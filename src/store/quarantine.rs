//! What to do with a database that is damaged: nothing, until the operator asks for a new one; then it is moved aside.

use super::{OpenError, open};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Whether there is a database at `path` and it is damaged. All of it is looked at, which takes a while for a big one.
///
/// # Errors
///
/// It cannot be looked at.
pub fn is_damaged(path: &Path) -> Result<bool, OpenError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OpenError::Unreachable { path: path.into(), reason: error.to_string() }),
        Ok(_) => open::is_damaged(path),
    }
}

/// Moves a database with its log beside itself, as `conductor.db.damaged-MS`, and answers that name. `at`: milliseconds
/// since the Unix epoch.
///
/// # Errors
///
/// The folder cannot be written, or something of that name is there already.
pub fn quarantine_database(path: &Path, at: i64) -> io::Result<PathBuf> {
    let named = |base: &Path, end: &str| {
        let mut name = OsString::from(base);
        name.push(end);
        PathBuf::from(name)
    };
    let aside = named(path, &format!(".damaged-{at}"));
    // The database last: while it is there, the next start refuses it as well.
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
