//! A folder that one command has for itself: its home, and its place for temporary files.
//!
//! ```text
//! made and locked (daemon) ─► held and locked (supervisor) ─► the command ─► emptied, removed (supervisor) ─► unlocked
//!                                                                 └── a crash ──► unlocked ─► swept by a later daemon
//! ```
//!
//! Invariant: whoever still needs the folder holds a shared lock on it, so that one without a lock is a leftover. Locks end
//! with the process that holds them, however it ends.

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

/// How often a name is drawn.
const NAME_ATTEMPTS_MAX: usize = 16;
/// What the names of such folders begin with.
const PREFIX: &str = "baa-conductor-command-";
/// Random bytes in a name, which has them as hex digits.
const NAME_BYTES: usize = 12;
/// How long it may take to remove a folder in which no command ran.
const UNUSED_REMOVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// A folder, as its maker has it.
#[derive(Debug)]
pub(in crate::host) struct CommandFolder {
    path: PathBuf,
    /// With its shared lock.
    held: HeldFolder,
    /// Whether a supervisor was told to remove it.
    handed_over: bool,
}

impl CommandFolder {
    /// Makes one, for this user alone.
    pub(in crate::host) fn new(within: &Path) -> io::Result<Self> {
        let within = within.canonicalize()?;
        for _ in 0..NAME_ATTEMPTS_MAX {
            let path = within.join(random_name()?);
            match mkdir(&path, Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            }
            // A sweep may have come between, taken it for a leftover and removed it.
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

    /// Where such folders are made.
    pub(in crate::host) fn parent() -> PathBuf {
        env::temp_dir()
    }

    /// Where it is, without links on the way.
    pub(in crate::host) fn path(&self) -> &Path {
        &self.path
    }

    /// What the command has for a home.
    pub(in crate::host) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Where its temporary files go.
    pub(in crate::host) fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// A supervisor is told of it and removes it: what a command may have put there is nothing for this process.
    pub(in crate::host) fn hand_over(&mut self) {
        self.handed_over = true;
    }

    /// Lets go of it; whether it is still there, for a sweep.
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
            tracing::warn!(folder = %self.path.display(), %left, "a command's own folder cannot be removed");
        }
    }
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; NAME_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{digits}"))
}

/// Whether a name can be that of such a folder.
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
    fn one_that_was_handed_over_stays_for_its_supervisor() {
        let mut folder = CommandFolder::new(&env::temp_dir()).unwrap();
        let held = HeldFolder::open(folder.path()).unwrap();
        folder.hand_over();
        assert!(folder.release());
        held.remove(Instant::now() + UNUSED_REMOVAL_TIMEOUT).unwrap();
        assert!(!held.is_there());
    }

    #[test]
    fn names_are_known_again_and_others_are_not() {
        assert!(is_folder_name(&random_name().unwrap()));
        for other in
            ["baa-conductor-0123456789abcdef01234567", "baa-conductor-command-0123456789abcdef0123456", "x", ""]
        {
            assert!(!is_folder_name(other), "{other}");
        }
    }
}
