//! Reads and writes files by path, beneath the roots if any are configured, and never protected files.
//!
//! ```text
//! path ──► resolve (by the kernel, beneath a root) ──► handle ──► kind, protected? ──► read, or write a temporary file and rename
//! ```
//!
//! Invariant: every check is made on an open handle, and the operation uses this handle, so that a path that changes in
//! between has no effect.

mod protected;
mod read;
#[cfg_attr(not(target_os = "linux"), path = "resolve/other.rs")]
mod resolve;
#[cfg(test)]
mod tests;
mod write;

pub(super) use protected::ProtectedFiles;
pub(super) use resolve::PathBounds;

use super::outcome::{OperationError, OperationErrorCode};
pub use crate::api::host::FileEncoding;
use crate::clock::WallMs;
use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Default of `max_bytes`.
pub const READ_BYTES_DEFAULT: u64 = 1 << 20;
/// Upper bound of `max_bytes`.
pub const READ_BYTES_MAX: u64 = 16 << 20;

/// The input of `files/read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReadInput {
    /// The file's path.
    pub path: String,
    /// The base of a relative path; absent: the first root, else the home folder.
    pub cwd: Option<String>,
    /// The encoding of the returned content.
    pub encoding: FileEncoding,
    /// The first byte to read.
    pub offset: u64,
    /// The maximum number of bytes to read.
    pub max_bytes: u64,
}

/// The input of `files/write`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWriteInput {
    /// The file's path.
    pub path: String,
    /// The base of a relative path; absent: the first root, else the home folder.
    pub cwd: Option<String>,
    /// The content.
    pub content: String,
    /// The encoding of `content`.
    pub encoding: FileEncoding,
    /// Whether an existing file is replaced.
    pub overwrite: bool,
    /// Whether missing parent folders are created.
    pub create_parents: bool,
    /// The file mode; absent: that of the replaced file, else the default.
    #[serde(serialize_with = "serialize_octal", deserialize_with = "deserialize_octal")]
    pub mode: Option<u32>,
}

impl FileReadInput {
    /// Returns the input as JSON, as repeated in the outcome.
    pub fn echo(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl FileWriteInput {
    /// Returns the input without `content` as JSON, as repeated in the outcome.
    pub fn echo(&self) -> Value {
        serde_json::to_value(EchoedFileWrite::from(self)).unwrap_or_default()
    }
}

impl FileEncoding {
    /// Decodes a text; `None` when it is not valid.
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            FileEncoding::Utf8 => Some(text.as_bytes().to_vec()),
            FileEncoding::Base64 => BASE64_STANDARD.decode(text).ok(),
        }
    }

    /// Encodes bytes; `None` when they are not valid UTF-8.
    fn encode(self, bytes: Vec<u8>) -> Option<String> {
        match self {
            FileEncoding::Utf8 => String::from_utf8(bytes).ok(),
            FileEncoding::Base64 => Some(BASE64_STANDARD.encode(bytes)),
        }
    }
}

/// The result of `files/read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileReadResult {
    /// The canonical path.
    pub path: String,
    /// The content that was read.
    pub content: String,
    /// The encoding of `content`.
    pub encoding: FileEncoding,
    /// The size of the whole file in bytes.
    pub size_bytes: u64,
    /// Whether more bytes follow.
    pub truncated: bool,
    /// The time of the last modification.
    pub modified_at: WallMs,
}

/// The result of `files/write`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileWriteResult {
    /// The canonical path.
    pub path: String,
    /// Whether the file did not exist before.
    pub created: bool,
    /// The size of the file in bytes.
    pub bytes_written: u64,
}

/// The part of [`FileWriteInput`] that is repeated in the outcome.
#[derive(Debug, Serialize)]
struct EchoedFileWrite<'a> {
    path: &'a str,
    cwd: Option<&'a str>,
    encoding: FileEncoding,
    overwrite: bool,
    create_parents: bool,
    #[serde(serialize_with = "serialize_octal")]
    mode: Option<u32>,
}

impl<'a> From<&'a FileWriteInput> for EchoedFileWrite<'a> {
    fn from(file: &'a FileWriteInput) -> Self {
        EchoedFileWrite {
            path: &file.path,
            cwd: file.cwd.as_deref(),
            encoding: file.encoding,
            overwrite: file.overwrite,
            create_parents: file.create_parents,
            mode: file.mode,
        }
    }
}

#[expect(clippy::ref_option, reason = "serde hands fields over so")]
fn serialize_octal<S: Serializer>(mode: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    match mode {
        Some(mode) => serializer.serialize_str(&format!("{mode:04o}")),
        None => serializer.serialize_none(),
    }
}

/// File operations within bounds.
#[derive(Clone, Debug)]
pub(super) struct FileAccess {
    /// Where files may be read.
    pub(super) readable: PathBounds,
    /// Where files may be written.
    pub(super) writable: PathBounds,
    /// Files that may be neither read nor written.
    pub(super) protected: ProtectedFiles,
    /// The absolute base of relative paths.
    pub(super) base: PathBuf,
}

impl FileAccess {
    /// Makes a path absolute, without resolving links and dots.
    fn absolute_path(&self, path: &str, cwd: Option<&str>) -> PathBuf {
        self.base.join(cwd.unwrap_or_default()).join(path)
    }
}

/// Converts an error of the system.
fn errno_error(error: Errno, path: &Path) -> OperationError {
    let shown = path.display();
    let (code, message) = match error {
        Errno::NOENT | Errno::NOTDIR => (OperationErrorCode::NotFound, format!("{shown} does not exist")),
        Errno::ISDIR => (OperationErrorCode::IsDirectory, format!("{shown} is a folder")),
        Errno::EXIST => {
            (OperationErrorCode::AlreadyExists, format!("{shown} exists already; set overwrite to replace it"))
        }
        Errno::LOOP => {
            (OperationErrorCode::NotRegularFile, format!("{shown} leads in a circle, or to what is no file"))
        }
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            (OperationErrorCode::PermissionDenied, format!("the system does not allow it for {shown}"))
        }
        error => (OperationErrorCode::IoError, format!("{shown}: {error}")),
    };
    OperationError::new(code, message)
}

fn deserialize_octal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let digits = Option::<String>::deserialize(deserializer)?;
    digits.map(|digits| u32::from_str_radix(&digits, 8).map_err(de::Error::custom)).transpose()
}
