//! Folders that commands left behind because whoever was to remove them died.

use super::{CommandFolder, HeldFolder, is_folder_name};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};
use tokio::time::Instant;

/// Most folders that are named when they cannot be removed.
const NAMED_MAX: usize = 8;

/// What a sweep came to.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) struct SweepResult {
    /// Folders that are gone.
    pub(in crate::host) removed: usize,
    /// Folders that are not.
    pub(in crate::host) left: usize,
    /// Some of those, each with why.
    pub(in crate::host) named: Vec<(String, String)>,
}

/// Removes the folders of this user's commands that nobody holds any more. Those of living ones, of any daemon, are
/// locked and stay; so do those of other users.
pub(in crate::host) fn sweep(within: &Path, until: Instant) -> SweepResult {
    let mut swept = SweepResult::default();
    for entry in fs::read_dir(within).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(is_folder_name) {
            continue;
        }
        // What cannot be opened is no folder, another user's, or gone.
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
    /// Forgets it as a crash would: with its content, and without its lock.
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
    fn only_what_is_held_by_nobody_goes() {
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
    fn what_takes_too_long_is_named() {
        let place = CommandFolder::new(&CommandFolder::parent()).unwrap();
        let left = CommandFolder::new(&place.temporary()).unwrap().abandon();
        let swept = sweep(&place.temporary(), Instant::now());
        assert_eq!((swept.removed, swept.left, swept.named.len()), (0, 1, 1));
        assert!(left.is_dir());
    }
}
