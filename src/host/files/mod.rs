//! Files: read and written by path, beneath the roots where there are any, and never the daemon's own.
//!
//! ```text
//! path ──► place (the kernel resolves it, beneath a root) ──► handle ──► what is it? ours? ──► read, or write beside and rename
//! ```
//!
//! Invariant: what is decided about a file is decided about an open handle, and what is done is done to that handle. A path
//! that changes its meaning in between changes nothing.

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
use crate::clock::WallMs;
use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::io::Errno;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Bytes that are read unless others are asked for.
pub const READ_BYTES_DEFAULT: u64 = 1 << 20;
/// Most bytes that may be asked for.
pub const READ_BYTES_MAX: u64 = 16 << 20;

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReadInput {
    /// Which file.
    pub path: String,
    /// Where a relative path begins; absent = the first root, else the home folder.
    pub cwd: Option<String>,
    /// How its bytes become text.
    pub encoding: FileEncoding,
    /// From which byte on.
    pub offset: u64,
    /// How many bytes at most.
    pub max_bytes: u64,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWriteInput {
    /// Which file.
    pub path: String,
    /// Where a relative path begins; absent = the first root, else the home folder.
    pub cwd: Option<String>,
    /// What to write.
    pub content: String,
    /// How that becomes bytes.
    pub encoding: FileEncoding,
    /// What becomes of a file that is there.
    pub overwrite: bool,
    /// Whether missing folders are made.
    pub create_parents: bool,
    /// The file's permissions.
    #[serde(serialize_with = "serialize_octal", deserialize_with = "deserialize_octal")]
    pub mode: Option<u32>,
}

impl FileReadInput {
    /// What is repeated of it to whoever asks what was done.
    pub fn echo(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl FileWriteInput {
    /// What is repeated of it to whoever asks what was done: everything but its content.
    pub fn echo(&self) -> Value {
        serde_json::to_value(EchoedFileWrite::from(self)).unwrap_or_default()
    }
}

/// How bytes stand in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileEncoding {
    /// As UTF-8.
    #[default]
    Utf8,
    /// As base64.
    Base64,
}

impl FileEncoding {
    /// The bytes of a text; nothing when it is not written so.
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            FileEncoding::Utf8 => Some(text.as_bytes().to_vec()),
            FileEncoding::Base64 => BASE64_STANDARD.decode(text).ok(),
        }
    }

    /// The text of bytes; nothing when they cannot be written so.
    fn encode(self, bytes: Vec<u8>) -> Option<String> {
        match self {
            FileEncoding::Utf8 => String::from_utf8(bytes).ok(),
            FileEncoding::Base64 => Some(BASE64_STANDARD.encode(bytes)),
        }
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReadResult {
    /// Where it is, without links on the way.
    pub path: String,
    /// What was read of it.
    pub content: String,
    /// How that is written.
    pub encoding: FileEncoding,
    /// How large the whole file is.
    pub size_bytes: u64,
    /// Whether more follows.
    pub truncated: bool,
    /// When it was changed last.
    pub modified_at: WallMs,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileWriteResult {
    /// Where it is, without links on the way.
    pub path: String,
    /// Whether it was not there before.
    pub created: bool,
    /// How many bytes it has.
    pub bytes_written: u64,
}

/// What is repeated of a file that was to be written.
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

/// What file operations work within.
#[derive(Clone, Debug)]
pub(super) struct FileAccess {
    /// Where may be read.
    pub(super) readable: PathBounds,
    /// Where may be written.
    pub(super) writable: PathBounds,
    /// The daemon's own, which may be neither.
    pub(super) protected: ProtectedFiles,
    /// Where a relative path begins that says nothing else. Absolute.
    pub(super) base: PathBuf,
}

impl FileAccess {
    /// A path as one from the root of the file system, links and dots left as they are.
    fn absolute_path(&self, path: &str, cwd: Option<&str>) -> PathBuf {
        self.base.join(cwd.unwrap_or_default()).join(path)
    }
}

/// What the system said, as callers are told.
fn errno_error(error: Errno, path: &Path) -> OperationError {
    let shown = path.display();
    let (code, message) = match error {
        Errno::NOENT | Errno::NOTDIR => (OperationErrorCode::NotFound, format!("{shown} is not there")),
        Errno::ISDIR => (OperationErrorCode::IsDirectory, format!("{shown} is a folder")),
        Errno::EXIST => (OperationErrorCode::AlreadyExists, format!("{shown} is there already")),
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
