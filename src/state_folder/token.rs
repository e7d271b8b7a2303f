//! The token of callers: configured, or 256 random bits in the state folder.

use super::files::{self, PrivateFileError};
use crate::{
    http::settings::AuthSettings,
    secret::{Secret, SecretError},
};
use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file is not private, or cannot be read.
    #[error("token file {path} {reason}")]
    File {
        /// File.
        path: PathBuf,
        /// Cause.
        reason: PrivateFileError,
    },
    /// The file contains no valid token.
    #[error("token file {path} holds no token: it {reason}")]
    Content {
        /// File.
        path: PathBuf,
        /// Cause.
        reason: SecretError,
    },
    /// A new token cannot be written.
    #[error("token file {path} cannot be written")]
    Write {
        /// File.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The system provides no random numbers.
    #[error("the system provides no random numbers")]
    Random,
}

/// Returns the path of the folder's own token.
pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("token")
}

/// Returns the configured token, if any.
pub(super) fn configured(auth: &AuthSettings) -> Result<Option<Secret>, TokenError> {
    match (&auth.token, &auth.token_file) {
        (Some(token), _) => Ok(Some(token.clone())),
        // A service manager may provide a file of root.
        (None, Some(path)) => read(path, true).map(Some),
        (None, None) => Ok(None),
    }
}

/// Reads the folder's own token, if it exists.
pub(super) fn own(folder: &Path) -> Result<Option<Secret>, TokenError> {
    match read(&file(folder), false) {
        Ok(token) => Ok(Some(token)),
        Err(TokenError::File { reason: PrivateFileError::Io(error), .. })
            if error.kind() == io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns the folder's own token; creates it if missing.
pub(super) fn own_or_create(folder: &Path) -> Result<Secret, TokenError> {
    match own(folder)? {
        Some(token) => Ok(token),
        None => replace(folder),
    }
}

/// Replaces the folder's own token by a new one.
pub(super) fn replace(folder: &Path) -> Result<Secret, TokenError> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|_| TokenError::Random)?;
    let text = bits.iter().fold(String::with_capacity(65), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    });
    let path = file(folder);
    files::write_private(&path, &format!("{text}\n")).map_err(|source| TokenError::Write { path, source })?;
    Ok(Secret::new(text))
}

pub(super) fn read(path: &Path, root_too: bool) -> Result<Secret, TokenError> {
    let text = files::read_private(path, root_too);
    let text = text.map_err(|reason| TokenError::File { path: path.to_owned(), reason })?;
    let token = Secret::new(text.trim());
    token.check().map_err(|reason| TokenError::Content { path: path.to_owned(), reason })?;
    Ok(token)
}
