//! Reading a file.

use super::{
    Encoding, Files, FilesRead, ReadResult,
    place::{is_view, open_place, path_of, reopen},
    problem,
};
use crate::{
    clock::WallMs,
    host::outcome::{Problem, ProblemCode, Stopped},
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

impl Files {
    /// Reads a file. Blocks.
    pub(in crate::host) fn read(&self, asked: &FilesRead) -> Result<ReadResult, Stopped> {
        let path = self.absolute(&asked.path, asked.cwd.as_deref());
        let place = open_place(&path, OFlags::empty(), &self.readable)?;
        let found = fstat(&place).map_err(|error| problem(error, &path))?;
        check_kind(FileType::from_raw_mode(found.st_mode), &path)?;
        self.own.check(&place)?;
        if is_view(&place) {
            return Err(not_regular(&path).into());
        }
        let file = File::from(reopen(&place).map_err(|error| problem(error, &path))?);
        let failed = |error: io::Error| problem(Errno::from_io_error(&error).unwrap_or(Errno::IO), &path);
        let (bytes, truncated) = part(file, asked.offset, asked.max_bytes).map_err(failed)?;
        let content = text(bytes, asked.encoding, truncated).ok_or_else(|| {
            Problem::new(ProblemCode::NotUtf8, format!("{} is not UTF-8 there; read it as base64", path.display()))
        })?;
        Ok(ReadResult {
            path: shown(&place, &path),
            content,
            encoding: asked.encoding,
            size_bytes: u64::try_from(found.st_size).unwrap_or_default(),
            truncated,
            modified_at: modified_at(found.st_mtime, found.st_mtime_nsec),
        })
    }
}

/// Where it is, for callers.
pub(super) fn shown(place: &OwnedFd, asked: &Path) -> String {
    let real = path_of(place);
    if real.as_os_str().is_empty() { asked.display().to_string() } else { real.display().to_string() }
}

/// Refuses what is no regular file.
pub(super) fn check_kind(kind: FileType, path: &Path) -> Result<(), Problem> {
    match kind {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(problem(Errno::ISDIR, path)),
        _ => Err(not_regular(path)),
    }
}

fn not_regular(path: &Path) -> Problem {
    Problem::new(ProblemCode::NotRegularFile, format!("{} is not a regular file", path.display()))
}

/// Some bytes of a file, and whether more follow.
fn part(mut file: File, offset: u64, most: u64) -> io::Result<(Vec<u8>, bool)> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let truncated = bytes.len() > most;
    bytes.truncate(most);
    Ok((bytes, truncated))
}

/// A part of a file as text. A character that the end of the part cuts through belongs to the next one.
fn text(mut bytes: Vec<u8>, encoding: Encoding, truncated: bool) -> Option<String> {
    if encoding == Encoding::Utf8
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
