//! The private folder of a command, with its home and its temporary files.
//!
//! ```text
//! created, locked (daemon) ─► opened, locked (supervisor) ─► command runs ─► removed (supervisor) ─► unlocked
//!                                                              └── crash ──► unlocked ─► swept by a later daemon
//! ```
//!
//! Invariant: every process that still needs the folder holds a shared lock on it, so that an unlocked folder is a leftover.
//! The kernel releases a lock when its process ends in any way.

mod leftovers;
mod removal;

pub(in crate::host) use leftovers::{SweepResult, sweep};
pub(in crate::host) use removal::HeldFolder;

use rustix::{
    fs::{FlockOperation, Mode, mkdir},
    io::Errno,
};
use std::{
    env, io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

/// Attempts to find an unused name.
const NAME_ATTEMPTS_MAX: usize = 16;
/// The prefix of folder names.
const PREFIX: &str = "baa-conductor-command-";
/// Random bytes in a name, as hex digits.
const NAME_BYTES: usize = 12;
/// Time to remove a folder in which no command ran.
const UNUSED_REMOVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The folder of a command, held by the daemon.
#[derive(Debug)]
pub(in crate::host) struct CommandFolder {
    path: PathBuf,
    /// The open folder with its shared lock.
    held: HeldFolder,
    /// Whether a supervisor removes it.
    handed_over: bool,
}

impl CommandFolder {
    /// Creates a folder in `within` that only this user can enter.
    pub(in crate::host) fn new(within: &Path) -> io::Result<Self> {
        let within = within.canonicalize()?;
        for _ in 0..NAME_ATTEMPTS_MAX {
            let path = within.join(random_name()?);
            match mkdir(&path, Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            }
            // A sweep may have removed it before it was locked.
            let Ok(held) = HeldFolder::open(&path) else { continue };
            if !held.lock(FlockOperation::NonBlockingLockShared)? || !held.is_there() {
                continue;
            }
            let folder = CommandFolder { path, held, handed_over: false };
            mkdir(folder.home(), Mode::RWXU)?;
            mkdir(folder.temporary(), Mode::RWXU)?;
            return Ok(folder);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Returns the parent of all such folders.
    pub(in crate::host) fn parent() -> PathBuf {
        env::temp_dir()
    }

    /// Returns the canonical path.
    pub(in crate::host) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the command's home folder.
    pub(in crate::host) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Returns the command's folder for temporary files.
    pub(in crate::host) fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Leaves the removal to a supervisor, so that this process never walks through files of a command.
    pub(in crate::host) fn hand_over(&mut self) {
        self.handed_over = true;
    }

    /// Releases the lock; returns whether the folder still exists and needs a sweep.
    pub(in crate::host) fn release(self) -> bool {
        self.held.is_there()
    }
}

impl Drop for CommandFolder {
    fn drop(&mut self) {
        if self.handed_over {
            return;
        }
        if let Err(left) = self.held.remove(Instant::now() + UNUSED_REMOVAL_TIMEOUT) {
            tracing::warn!(folder = %self.path.display(), %left, "a command's private folder cannot be removed");
        }
    }
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; NAME_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{digits}"))
}

/// Returns whether a name has the form of a folder's name.
fn is_folder_name(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == 2 * NAME_BYTES && rest.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_folder_is_private_and_goes_with_its_content() {
        let folder = CommandFolder::new(&env::temp_dir()).unwrap();
        let path = folder.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(folder.temporary().join("x"), "x").unwrap();
        assert!(folder.home().is_dir());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_was_handed_over_stays_for_its_supervisor() {
        let mut folder = CommandFolder::new(&env::temp_dir()).unwrap();
        let held = HeldFolder::open(folder.path()).unwrap();
        folder.hand_over();
        assert!(folder.release());
        held.remove(Instant::now() + UNUSED_REMOVAL_TIMEOUT).unwrap();
        assert!(!held.is_there());
    }

    #[test]
    fn folder_names_are_recognized_and_others_are_not() {
        assert!(is_folder_name(&random_name().unwrap()));
        for other in
            ["baa-conductor-0123456789abcdef01234567", "baa-conductor-command-0123456789abcdef0123456", "x", ""]
        {
            assert!(!is_folder_name(other), "{other}");
        }
    }
}
