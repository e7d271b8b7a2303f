//! Ids and names as types: cheap to clone, checked where they enter the daemon.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::{
    borrow::{Borrow, Cow},
    fmt,
    sync::Arc,
};

/// Maximum length of a name that a caller or client chooses.
pub const NAME_CHARS_MAX: usize = 128;

/// Why a text is not a valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty text.
    #[error("must not be empty")]
    Empty,
    /// More than [`NAME_CHARS_MAX`] characters.
    #[error("must not be longer than {NAME_CHARS_MAX} characters")]
    Long,
    /// A character outside `A-Za-z0-9._:-`.
    #[error("may only hold the characters A-Z a-z 0-9 . _ : -")]
    Character,
}

/// Checks a name of 1 to [`NAME_CHARS_MAX`] characters of `A-Za-z0-9._:-`.
pub fn check_name(text: &str) -> Result<(), NameError> {
    match text.as_bytes() {
        [] => Err(NameError::Empty),
        bytes if bytes.len() > NAME_CHARS_MAX => Err(NameError::Long),
        bytes if bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(b)) => Ok(()),
        _ => Err(NameError::Character),
    }
}

/// Reads and describes a type that is a checked text, made by its `parse`.
macro_rules! checked_text {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <Cow<'_, str>>::deserialize(deserializer)?;
                $name::parse(&text).map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string"})
            }
        }
    };
}
pub(crate) use checked_text;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text that is known to be a valid name.
            pub fn trusted(text: impl Into<Arc<str>>) -> Self {
                $name(text.into())
            }

            /// Checks a text from outside.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check_name(text).map(|()| $name(text.into()))
            }

            /// Returns the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the shared text of the name.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        checked_text!($name);

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Id of a client: a Firefox profile with the extension, as its `hello` names it.
    ClientId
}
name! {
    /// Id of a browser request; chosen by the caller, or `req_` and a ULID.
    RequestId
}
name! {
    /// Id of a client's WebSocket connection; a UUID.
    ConnectionId
}
name! {
    /// Name of a registered platform, such as `claude`.
    PlatformName
}

impl RequestId {
    /// Generates an id that sorts by time: `req_01J…`.
    pub fn generate() -> Self {
        let mut text = *b"req_00000000000000000000000000";
        let mut digits = [0; ulid::ULID_LEN];
        text[4..].copy_from_slice(ulid::Ulid::generate().array_to_str(&mut digits).as_bytes());
        RequestId(std::str::from_utf8(&text).expect("its digits are ASCII").into())
    }
}

impl ConnectionId {
    /// Generates a random id.
    pub fn generate() -> Self {
        let mut text = uuid::Uuid::encode_buffer();
        ConnectionId(Arc::from(&*uuid::Uuid::new_v4().hyphenated().encode_lower(&mut text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_128_characters_of_its_alphabet() {
        assert_eq!(ClientId::parse("A9._:-z").unwrap().as_str(), "A9._:-z");
        assert!(RequestId::parse(&"x".repeat(128)).is_ok());
        assert_eq!(RequestId::parse(&"x".repeat(129)), Err(NameError::Long));
        assert_eq!(RequestId::parse(""), Err(NameError::Empty));
        for bad in ["has space", "ümlaut", "a/b", "a\n"] {
            assert_eq!(ClientId::parse(bad), Err(NameError::Character), "{bad}");
        }
    }

    #[test]
    fn generated_ids_are_names_and_differ() {
        let (a, b) = (RequestId::generate(), RequestId::generate());
        assert!(a != b && a.as_str().starts_with("req_") && check_name(a.as_str()).is_ok());
        assert_eq!(ConnectionId::generate().as_str().len(), 36);
    }
}
