//! Ids of an app's own objects, and their encoding in a path.
//!
//! An id must name one object and never change which path is requested. Ids that encoding cannot make safe are
//! rejected: browsers and servers remove `.` and `..` from a path however they are encoded, and a server may stop at a
//! NUL.

use crate::ids::checked_text;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::{borrow::Cow, fmt, sync::Arc};

/// Most bytes of an id.
pub const ID_BYTES_MAX: usize = 256;

/// An id that can stand in a path: 1 to [`ID_BYTES_MAX`] bytes, no control characters, not blank, no dot segment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AppId(Arc<str>);

/// Why a text is not such an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppIdError {
    /// The id is empty or blank.
    #[error("must not be empty")]
    Empty,
    /// More than [`ID_BYTES_MAX`] bytes.
    #[error("must not be longer than {ID_BYTES_MAX} bytes")]
    Long,
    /// A control character.
    #[error("must not hold control characters")]
    Control,
    /// `.` or `..`, alone or between slashes.
    #[error("must not be or hold a path segment of dots")]
    Dots,
}

checked_text!(AppId);

impl AppId {
    /// Checks a text from outside.
    pub fn parse(text: &str) -> Result<Self, AppIdError> {
        match text {
            _ if text.trim().is_empty() => Err(AppIdError::Empty),
            _ if text.len() > ID_BYTES_MAX => Err(AppIdError::Long),
            _ if text.contains(char::is_control) => Err(AppIdError::Control),
            // Encoded slashes are taken for slashes by some servers in the middle.
            _ if text.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) => Err(AppIdError::Dots),
            _ => Ok(AppId(text.into())),
        }
    }

    /// Returns the id as the app writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the id to a path, as one segment: everything but letters, digits and `-._~` percent-encoded.
    pub(super) fn push_onto(&self, path: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path.push('%');
                path.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
            }
        }
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_encoding_cannot_make_safe_is_refused() {
        for (text, why) in [
            ("", AppIdError::Empty),
            (" \u{a0}", AppIdError::Empty),
            (".", AppIdError::Dots),
            ("..", AppIdError::Dots),
            ("a/../b", AppIdError::Dots),
            ("..\\a", AppIdError::Dots),
            ("a/.", AppIdError::Dots),
            ("a\0b", AppIdError::Control),
            ("a\nb", AppIdError::Control),
            ("\u{9b}", AppIdError::Control),
            (&"x".repeat(257), AppIdError::Long),
        ] {
            assert_eq!(AppId::parse(text), Err(why), "{text:?}");
        }
        for text in ["...", ".a", "a..b", "%2e%2e", "a/b", "x", &"x".repeat(256)] {
            assert_eq!(AppId::parse(text).map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn everything_but_the_unreserved_characters_is_encoded() {
        for (id, segment) in [
            ("5f0c-A._~z", "5f0c-A._~z"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("100%;=&+ :@", "100%25%3B%3D%26%2B%20%3A%40"),
            ("ü😀", "%C3%BC%F0%9F%98%80"),
        ] {
            let mut path = "/".to_owned();
            AppId::parse(id).unwrap().push_onto(&mut path);
            assert_eq!(path[1..], *segment);
        }
    }
}
