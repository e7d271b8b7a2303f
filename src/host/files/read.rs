//! Reads a range of a file.

use super::{
    FileAccess, FileEncoding, FileReadInput, FileReadResult, errno_error,
    resolve::{is_on_procfs, open_path, path_of_handle, reopen_for_reading},
};
use crate::{
    clock::WallMs,
    host::outcome::{OperationError, OperationErrorCode, OperationFailure},
};
use rustix::{
    fs::{FileType, OFlags, fstat},
    io::Errno,
};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::fd::OwnedFd,
    path::Path,
};

impl FileAccess {
    /// Reads a file. Blocks.
    pub(in crate::host) fn read(&self, input: &FileReadInput) -> Result<FileReadResult, OperationFailure> {
        let path = self.absolute_path(&input.path, input.cwd.as_deref());
        let handle = open_path(&path, OFlags::empty(), &self.readable)?;
        let found = fstat(&handle).map_err(|error| errno_error(error, &path))?;
        check_kind(FileType::from_raw_mode(found.st_mode), &path)?;
        self.protected.check(&handle)?;
        if is_on_procfs(&handle) {
            return Err(not_regular(&path).into());
        }
        let file = File::from(reopen_for_reading(&handle).map_err(|error| errno_error(error, &path))?);
        let failed = |error: io::Error| errno_error(Errno::from_io_error(&error).unwrap_or(Errno::IO), &path);
        let (bytes, truncated) = read_range(file, input.offset, input.max_bytes).map_err(failed)?;
        let content = encode_range(bytes, input.encoding, truncated).ok_or_else(|| {
            OperationError::new(
                OperationErrorCode::NotUtf8,
                format!("the requested bytes of {} are not UTF-8; read them with encoding base64", path.display()),
            )
        })?;
        Ok(FileReadResult {
            path: display_path(&handle, &path),
            content,
            encoding: input.encoding,
            size_bytes: u64::try_from(found.st_size).unwrap_or_default(),
            truncated,
            modified_at: modified_at(found.st_mtime, found.st_mtime_nsec),
        })
    }
}

/// Returns the canonical path for the result, or the requested one where the system does not report it.
pub(super) fn display_path(handle: &OwnedFd, requested: &Path) -> String {
    let real = path_of_handle(handle);
    if real.as_os_str().is_empty() { requested.display().to_string() } else { real.display().to_string() }
}

/// Fails for anything but a regular file.
pub(super) fn check_kind(kind: FileType, path: &Path) -> Result<(), OperationError> {
    match kind {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(errno_error(Errno::ISDIR, path)),
        _ => Err(not_regular(path)),
    }
}

fn not_regular(path: &Path) -> OperationError {
    OperationError::new(OperationErrorCode::NotRegularFile, format!("{} is not a regular file", path.display()))
}

/// Reads up to `max_bytes` from `offset` on, and returns them with whether more follow.
fn read_range(mut file: File, offset: u64, max_bytes: u64) -> io::Result<(Vec<u8>, bool)> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let truncated = bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    Ok((bytes, truncated))
}

/// Encodes a range as text. A character that is cut at the end of the range is left for the next range.
fn encode_range(mut bytes: Vec<u8>, encoding: FileEncoding, truncated: bool) -> Option<String> {
    if encoding == FileEncoding::Utf8
        && truncated
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
        && error.valid_up_to() > 0
    {
        bytes.truncate(error.valid_up_to());
    }
    encoding.encode(bytes)
}

fn modified_at(seconds: i64, nanoseconds: impl TryInto<i64>) -> WallMs {
    seconds.saturating_mul(1_000).saturating_add(nanoseconds.try_into().unwrap_or_default() / 1_000_000)
}
