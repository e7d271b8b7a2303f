//! The token as a running daemon knows it. Its file is looked at whenever somebody shows a token, so that one that was
//! rotated counts from the next call on, whoever wrote it and however.
//!
//! Invariant: a file that is gone, open to others or without a token changes nothing: the daemon goes on with what it had.

use super::{
    files::PrivateFileError,
    token::{self, TokenError},
};
use crate::secret::Secret;
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// A token, and the file that it is taken from anew when that changes.
#[derive(Debug)]
pub struct LiveToken {
    file: Option<TokenFile>,
    current: Mutex<CurrentToken>,
}

/// A token's file.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    /// Whether it may be root's.
    root_too: bool,
}

#[derive(Debug)]
struct CurrentToken {
    token: Secret,
    /// The file that was looked at last; nothing when there was none.
    version: Option<FileVersion>,
    generation: u64,
}

/// What tells one state of a file from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileVersion {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl LiveToken {
    /// A token that no file holds and that stays.
    pub fn fixed(token: Secret) -> Self {
        LiveToken { file: None, current: Mutex::new(CurrentToken { token, version: None, generation: 0 }) }
    }

    /// The token in a file.
    pub(super) fn of_file(path: PathBuf, root_too: bool) -> Result<Self, TokenError> {
        let file = TokenFile { path, root_too };
        // Marked before it is read: a change in between is found the next time.
        let version = file.version().ok().flatten();
        let token = token::read(&file.path, root_too)?;
        Ok(LiveToken { file: Some(file), current: Mutex::new(CurrentToken { token, version, generation: 0 }) })
    }

    /// Whether `given` is the token as it is now.
    pub fn matches(&self, given: &[u8]) -> bool {
        self.with_current(|current| current.token.matches(given))
    }

    /// The generation of the token that `given` is; nothing when it is not the token as it is now.
    pub fn generation_of(&self, given: &[u8]) -> Option<u64> {
        self.with_current(|current| current.token.matches(given).then_some(current.generation))
    }

    /// How often the token became another one since the start. What was given out under an earlier number, such as a
    /// session, is to be forgotten.
    pub fn generation(&self) -> u64 {
        self.with_current(|current| current.generation)
    }

    fn with_current<T>(&self, read: impl FnOnce(&CurrentToken) -> T) -> T {
        // A panic leaves it whole: it is changed field by field after everything that can go wrong.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
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
    /// Takes over what the file holds by now.
    fn reload_if_changed(&mut self, file: &TokenFile) {
        let path = file.path.display();
        let now = match file.version() {
            Ok(now) => now,
            // Told when it can be looked at again, or when it is another one.
            Err(_) => return,
        };
        if now == self.version {
            return;
        }
        // Each state is read and told of once.
        self.version = now;
        match token::read(&file.path, file.root_too) {
            Ok(token) if token == self.token => {}
            Ok(token) => {
                self.token = token;
                self.generation += 1;
                tracing::info!(%path, "the token was rotated; sessions are forgotten");
            }
            Err(TokenError::File { reason: PrivateFileError::Io(error), .. })
                if error.kind() == io::ErrorKind::NotFound =>
            {
                tracing::warn!(%path, "the token file is gone; the token stays what it was");
            }
            Err(error) => tracing::warn!(%error, "the token file cannot be used; the token stays what it was"),
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
    fn a_rotated_token_counts_at_once_and_the_old_one_no_more() {
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
    fn the_generation_follows_though_nobody_showed_a_token() {
        let temporary = Temporary::new();
        let live = live(&temporary);
        token::replace(&temporary.0).unwrap();
        assert_eq!(live.generation(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_used_changes_nothing_until_it_can() {
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
    fn a_fixed_token_looks_at_no_file() {
        let live = LiveToken::fixed(Secret::new("right"));
        assert!(live.matches(b"right") && !live.matches(b"wrong") && live.generation() == 0);
    }
}
