//! The token of a running daemon. Its file is checked at every use, so that a rotated token is valid from the next call on.
//!
//! Invariant: a file that is missing, accessible to other users or without a token changes nothing; the daemon keeps its
//! token.

use super::{
    files::PrivateFileError,
    token::{self, TokenError},
};
use crate::secret::Secret;
use parking_lot::Mutex;
use std::{fs, io, os::unix::fs::MetadataExt, path::PathBuf};

/// A token, and the file that it is reloaded from.
#[derive(Debug)]
pub struct LiveToken {
    file: Option<TokenFile>,
    current: Mutex<CurrentToken>,
}

/// The file of a token.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    /// Whether the file may belong to root.
    root_too: bool,
}

#[derive(Debug)]
struct CurrentToken {
    token: Secret,
    /// The version of the file that was checked last; `None` if it did not exist.
    version: Option<FileVersion>,
    generation: u64,
}

/// Identifies a version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileVersion {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl LiveToken {
    /// Creates a token without a file.
    pub fn fixed(token: Secret) -> Self {
        LiveToken { file: None, current: Mutex::new(CurrentToken { token, version: None, generation: 0 }) }
    }

    /// Reads the token from a file.
    pub(super) fn of_file(path: PathBuf, root_too: bool) -> Result<Self, TokenError> {
        let file = TokenFile { path, root_too };
        // Before the file is read: a change in between is found at the next use.
        let version = file.version().ok().flatten();
        let token = token::read(&file.path, root_too)?;
        Ok(LiveToken { file: Some(file), current: Mutex::new(CurrentToken { token, version, generation: 0 }) })
    }

    /// Returns whether `given` is the current token.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.with_current(|current| current.token.matches(given))
    }

    /// Returns the generation of the current token if `given` is that token.
    pub fn generation_of(&self, given: &[u8]) -> Option<u64> {
        self.with_current(|current| current.token.matches(given).then_some(current.generation))
    }

    /// Returns the number of rotations since the start. Sessions of an earlier generation are invalid.
    pub fn generation(&self) -> u64 {
        self.with_current(|current| current.generation)
    }

    fn with_current<T>(&self, read: impl FnOnce(&CurrentToken) -> T) -> T {
        let mut current = self.current.lock();
        if let Some(file) = &self.file {
            current.reload_if_changed(file);
        }
        read(&current)
    }
}

impl TokenFile {
    fn version(&self) -> io::Result<Option<FileVersion>> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) => Ok(Some(FileVersion {
                device: found.dev(),
                inode: found.ino(),
                bytes: found.len(),
                changed: (found.ctime(), found.ctime_nsec()),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl CurrentToken {
    /// Reloads the token if the file has changed.
    fn reload_if_changed(&mut self, file: &TokenFile) {
        let path = file.path.display();
        let now = match file.version() {
            Ok(now) => now,
            // Logged once the file is accessible again or has changed.
            Err(_) => return,
        };
        if now == self.version {
            return;
        }
        // Each version is read and logged once.
        self.version = now;
        match token::read(&file.path, file.root_too) {
            Ok(token) if token == self.token => {}
            Ok(token) => {
                self.token = token;
                self.generation += 1;
                tracing::info!(%path, "the token was rotated; all sessions are invalid");
            }
            Err(TokenError::File { reason: PrivateFileError::Io(error), .. })
                if error.kind() == io::ErrorKind::NotFound =>
            {
                tracing::warn!(%path, "the token file is missing; the current token stays valid");
            }
            Err(error) => tracing::warn!(%error, "the token file cannot be used; the current token stays valid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_folder::tests::Temporary;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    fn live(temporary: &Temporary) -> LiveToken {
        token::replace(&temporary.0).unwrap();
        LiveToken::of_file(token::file(&temporary.0), false).unwrap()
    }

    fn text(temporary: &Temporary) -> String {
        fs::read_to_string(token::file(&temporary.0)).unwrap().trim().to_owned()
    }

    #[test]
    fn a_rotated_token_is_valid_at_once_and_the_old_one_is_not() {
        let temporary = Temporary::new();
        let live = live(&temporary);
        let mut old = text(&temporary);
        assert!(live.matches(old.as_bytes()) && live.generation() == 0);
        for turn in 1..=3 {
            token::replace(&temporary.0).unwrap();
            let new = text(&temporary);
            assert!(!live.matches(old.as_bytes()) && live.matches(new.as_bytes()));
            assert_eq!(live.generation(), turn);
            old = new;
        }
    }

    #[test]
    fn the_generation_changes_without_a_check_of_a_token() {
        let temporary = Temporary::new();
        let live = live(&temporary);
        token::replace(&temporary.0).unwrap();
        assert_eq!(live.generation(), 1);
    }

    #[test]
    fn an_unusable_file_changes_nothing_until_it_is_usable() {
        let temporary = Temporary::new();
        let live = live(&temporary);
        let (path, old) = (token::file(&temporary.0), text(&temporary));
        let chmod = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let stays = |what: &str| {
            assert!(live.matches(old.as_bytes()) && live.generation() == 0, "{what}");
        };
        fs::remove_file(&path).unwrap();
        stays("gone");
        fs::write(&path, "loose").unwrap();
        chmod(0o644);
        stays("open to others");
        fs::write(&path, "").unwrap();
        chmod(0o600);
        stays("empty");
        fs::write(&path, &old).unwrap();
        stays("the same again");
        fs::write(&path, "another-one-that-is-long").unwrap();
        assert!(live.matches(b"another-one-that-is-long") && live.generation() == 1);
    }

    #[test]
    fn a_fixed_token_has_no_file() {
        let live = LiveToken::fixed(Secret::new("right"));
        assert!(live.matches(b"right") && !live.matches(b"wrong") && live.generation() == 0);
    }
}
