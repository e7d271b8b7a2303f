//! Removes folders of commands whose daemon or supervisor died before it removed them.

use super::{CommandFolder, HeldFolder, is_folder_name};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};
use tokio::time::Instant;

/// Folders that are named in the result when they cannot be removed.
const NAMED_MAX: usize = 8;

/// The result of a sweep.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) struct SweepResult {
    /// The number of removed folders.
    pub(in crate::host) removed: usize,
    /// The number of folders that could not be removed.
    pub(in crate::host) left: usize,
    /// Some of the latter, with the reason.
    pub(in crate::host) named: Vec<(String, String)>,
}

/// Removes unlocked folders of this user's commands. Folders of running commands, of any daemon, are locked and stay, like
/// those of other users.
pub(in crate::host) fn sweep(within: &Path, until: Instant) -> SweepResult {
    let mut swept = SweepResult::default();
    for entry in fs::read_dir(within).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(is_folder_name) {
            continue;
        }
        // Not a folder, of another user, or gone.
        let Ok(held) = HeldFolder::open(&entry.path()) else { continue };
        let is_free = held.is_own() && held.lock(FlockOperation::NonBlockingLockExclusive).is_ok_and(|locked| locked);
        if !is_free || !held.is_there() {
            continue;
        }
        match held.remove(until) {
            Ok(()) => swept.removed += 1,
            Err(left) => {
                swept.left += 1;
                if swept.named.len() < NAMED_MAX {
                    swept.named.push((entry.path().display().to_string(), left.to_string()));
                }
            }
        }
    }
    swept
}

impl CommandFolder {
    /// Releases the lock without removing the folder, like a crash.
    #[cfg(test)]
    fn abandon(mut self) -> std::path::PathBuf {
        self.hand_over();
        self.path().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::symlink, time::Duration};

    #[test]
    fn only_unlocked_folders_are_removed() {
        let place = CommandFolder::new(&CommandFolder::parent()).unwrap();
        let within = place.temporary();
        let (living, left) = (CommandFolder::new(&within).unwrap(), CommandFolder::new(&within).unwrap().abandon());
        fs::create_dir_all(left.join("tmp/a/b")).unwrap();
        for name in ["baa-conductor-command-x", "other"] {
            fs::create_dir(within.join(name)).unwrap();
        }
        let link = within.join("baa-conductor-command-0123456789abcdef01234567");
        symlink(within.join("other"), &link).unwrap();
        let soon = || Instant::now() + Duration::from_secs(60);
        assert_eq!(sweep(&within, soon()), SweepResult { removed: 1, ..SweepResult::default() });
        assert!(!left.exists() && living.home().is_dir() && link.is_symlink());
        assert!(within.join("other").is_dir() && within.join("baa-conductor-command-x").is_dir());
        let path = living.abandon();
        assert_eq!(sweep(&within, soon()).removed, 1);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_takes_too_long_is_named() {
        let place = CommandFolder::new(&CommandFolder::parent()).unwrap();
        let left = CommandFolder::new(&place.temporary()).unwrap().abandon();
        let swept = sweep(&place.temporary(), Instant::now());
        assert_eq!((swept.removed, swept.left, swept.named.len()), (0, 1, 1));
        assert!(left.is_dir());
    }
}
