//! A secret text that `Debug`, log lines and printed configurations never show.
//!
//! Invariant: only [`Secret::expose`] returns the text. Comparisons take constant time.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};
use subtle::ConstantTimeEq;

/// Printed instead of a secret.
pub const MASK: &str = "********";

/// A token or key. Cheap to clone.
#[derive(Clone)]
pub struct Secret {
    text: Arc<str>,
    digest: [u8; 32],
}

/// Minimum length of a token: local programs can try thousands per second.
const SECRET_CHARS_MIN: usize = 16;

/// Why a text is not accepted as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Empty text.
    #[error("must not be empty")]
    Empty,
    /// Too short: it can be guessed.
    #[error(
        "must have at least {SECRET_CHARS_MIN} characters, or it can be guessed; `openssl rand -hex 32` makes one of 64"
    )]
    Short,
    /// A space, a control character or a non-ASCII character, which an `Authorization` header cannot contain.
    #[error("may hold visible ASCII characters only")]
    Character,
}

impl Secret {
    /// Wraps a text without checking it; see [`Secret::check`].
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let digest = Sha256::digest(text.as_bytes()).into();
        Secret { text, digest }
    }

    /// Checks that the text can be used as a token in an `Authorization: Bearer` header.
    pub fn check(&self) -> Result<(), SecretError> {
        match self.text.as_bytes() {
            [] => Err(SecretError::Empty),
            bytes if !bytes.iter().all(u8::is_ascii_graphic) => Err(SecretError::Character),
            bytes if bytes.len() < SECRET_CHARS_MIN => Err(SecretError::Short),
            _ => Ok(()),
        }
    }

    /// Returns the text, for an `Authorization` header or the token file; never for a log or an answer.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns whether `given` is this secret. Compares digests in constant time.
    pub fn matches(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.digest.ct_eq(&given).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.digest.ct_eq(&other.digest).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expose_shows_a_secret() {
        let secret = Secret::new("hush-hush");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "******** Some(\n    ********,\n)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"********\"");
        assert_eq!(secret.expose(), "hush-hush");
    }

    #[test]
    fn only_the_same_text_matches() {
        let secret = Secret::new("hush-hush");
        assert!(secret.matches(b"hush-hush") && secret == Secret::new("hush-hush"));
        for other in ["", "hush", "hush-hush ", "HUSH-HUSH"] {
            assert!(!secret.matches(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn a_token_is_visible_ascii_and_not_short() {
        assert_eq!(Secret::new("A~!b".repeat(4)).check(), Ok(()));
        assert_eq!(Secret::new("").check(), Err(SecretError::Empty));
        assert_eq!(Secret::new("a".repeat(15)).check(), Err(SecretError::Short));
        for bad in ["a b", "a\n", "schlüssel"] {
            assert_eq!(Secret::new(bad).check(), Err(SecretError::Character), "{bad:?}");
        }
    }
}
