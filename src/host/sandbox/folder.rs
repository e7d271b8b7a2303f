//! A folder that one command has for itself: its home, and its place for temporary files.

use rustix::{
    fs::{Mode, mkdir},
    io::Errno,
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// How often a name is drawn.
const TRIES: usize = 16;

/// The folder; it goes with everything in it when this is dropped.
#[derive(Debug)]
pub(in crate::host) struct OwnFolder(PathBuf);

impl OwnFolder {
    /// Makes one, for this user alone.
    pub(in crate::host) fn new(within: &Path) -> io::Result<Self> {
        let within = within.canonicalize()?;
        for _ in 0..TRIES {
            let mut name = [0; 12];
            getrandom::fill(&mut name).map_err(io::Error::other)?;
            let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
            let folder = OwnFolder(within.join(format!("baa-conductor-{name}")));
            match mkdir(&folder.0, Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => {
                    // Somebody else's, which must stay.
                    std::mem::forget(folder);
                    continue;
                }
                Err(error) => {
                    std::mem::forget(folder);
                    return Err(error.into());
                }
            }
            mkdir(folder.home(), Mode::RWXU)?;
            mkdir(folder.temporary(), Mode::RWXU)?;
            return Ok(folder);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where it is, without links on the way.
    pub(in crate::host) fn path(&self) -> &Path {
        &self.0
    }

    /// What the command has for a home.
    pub(in crate::host) fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    /// Where its temporary files go.
    pub(in crate::host) fn temporary(&self) -> PathBuf {
        self.0.join("tmp")
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a command's own folder cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_folder_is_private_and_goes_with_its_content() {
        let folder = OwnFolder::new(&std::env::temp_dir()).unwrap();
        let path = folder.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(folder.temporary().join("x"), "x").unwrap();
        assert!(folder.home().is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
