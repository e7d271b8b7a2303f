//! Writes a file: into a temporary file beside it, which is synced and then renamed, so that no reader sees a partial file.

use super::{
    FileAccess, FileWriteInput, FileWriteResult, errno_error,
    read::check_kind,
    resolve::{open_path, path_of_handle},
};
use crate::host::outcome::{OperationError, OperationErrorCode, OperationFailure};
use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, fchmod, fsync, mkdirat, openat, readlinkat, renameat,
        renameat_with, statat, unlinkat,
    },
    io::Errno,
};
use std::{
    ffi::OsString,
    fs::File,
    io::Write,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::{Path, PathBuf},
};

/// Links that are followed to a file.
const LINKS_MAX: usize = 16;
/// Modes of new files and folders, before the process's umask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
/// Mode bits that a replaced file keeps: not set-user-ID and set-group-ID.
const PRESERVED_MODE: u32 = 0o1777;

/// A name in an open folder.
struct WriteTarget {
    folder: OwnedFd,
    name: PathBuf,
    /// The metadata of an existing file.
    found: Option<Stat>,
}

impl FileAccess {
    /// Writes a file. Blocks.
    pub(in crate::host) fn write(&self, input: &FileWriteInput) -> Result<FileWriteResult, OperationFailure> {
        let path = self.absolute_path(&input.path, input.cwd.as_deref());
        let bytes = input.encoding.decode(&input.content).ok_or_else(|| {
            OperationError::new(OperationErrorCode::IoError, "the content does not match its encoding")
        })?;
        let target = self.resolve_target(path.clone(), input)?;
        self.protected.check_name(&target.folder, &target.name)?;
        if let Some(found) = &target.found {
            check_kind(FileType::from_raw_mode(found.st_mode), &path)?;
            self.check_target(&target, &path)?;
            if !input.overwrite {
                return Err(errno_error(Errno::EXIST, &path).into());
            }
        }
        let created = replace_file(&target, &bytes, input).map_err(|error| errno_error(error, &path))?;
        let path = path_of_handle(&target.folder).join(&target.name);
        Ok(FileWriteResult { path: path.display().to_string(), created, bytes_written: bytes.len() as u64 })
    }

    /// Follows links, and returns the folder and name to write to.
    fn resolve_target(&self, mut path: PathBuf, input: &FileWriteInput) -> Result<WriteTarget, OperationFailure> {
        for _ in 0..LINKS_MAX {
            let is_folder = [&b"/"[..], b"/."].iter().any(|end| path.as_os_str().as_encoded_bytes().ends_with(end));
            let (Some(parent), Some(name)) = (path.parent(), path.file_name().filter(|_| !is_folder)) else {
                // A path that ends in a slash or dots can only be a folder.
                open_path(&path, OFlags::DIRECTORY, &self.writable)?;
                return Err(errno_error(Errno::ISDIR, &path).into());
            };
            let folder = self.open_folder(parent, input)?;
            let found = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => Some(found),
                Err(Errno::NOENT) => None,
                Err(error) => return Err(errno_error(error, &path).into()),
            };
            if found.as_ref().is_none_or(|found| FileType::from_raw_mode(found.st_mode) != FileType::Symlink) {
                return Ok(WriteTarget { name: name.into(), folder, found });
            }
            let link = readlinkat(&folder, name, Vec::new()).map_err(|error| errno_error(error, &path))?;
            let link = OsString::from_vec(link.into_bytes());
            path = path_of_handle(&folder).join(link);
        }
        Err(errno_error(Errno::LOOP, &path).into())
    }

    fn open_folder(&self, path: &Path, input: &FileWriteInput) -> Result<OwnedFd, OperationFailure> {
        match open_path(path, OFlags::DIRECTORY, &self.writable) {
            Err(OperationFailure::Failed(problem))
                if problem.code == OperationErrorCode::NotFound && input.create_parents => {}
            done => return done,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(errno_error(Errno::NOENT, path).into());
        };
        let above = self.open_folder(parent, input)?;
        self.protected.check(&above)?;
        match mkdirat(&above, name, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => open_path(path, OFlags::DIRECTORY, &self.writable),
            Err(error) => Err(errno_error(error, path).into()),
        }
    }

    fn check_target(&self, target: &WriteTarget, path: &Path) -> Result<(), OperationError> {
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        #[cfg(target_os = "linux")]
        let flags = flags | OFlags::PATH;
        match openat(&target.folder, &target.name, flags, Mode::empty()) {
            Ok(handle) => self.protected.check(&handle),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(errno_error(error, path)),
        }
    }
}

/// Writes and renames the file; returns whether it did not exist before.
fn replace_file(target: &WriteTarget, bytes: &[u8], input: &FileWriteInput) -> rustix::io::Result<bool> {
    let kept = target.found.as_ref().map(|found| Mode::from_raw_mode(found.st_mode & PRESERVED_MODE));
    let mode = input.mode.map(Mode::from_raw_mode).or(kept);
    // Private until its mode is set.
    let first = mode.map_or(FILE_MODE, |_| Mode::RUSR | Mode::WUSR);
    let temporary = TemporaryFile::new(&target.folder, first)?;
    write_temporary(&temporary, bytes, mode)?;
    let created =
        match renameat_with(&target.folder, &temporary.name, &target.folder, &target.name, RenameFlags::NOREPLACE) {
            Ok(()) => true,
            Err(Errno::EXIST) if input.overwrite => {
                renameat(&target.folder, &temporary.name, &target.folder, &target.name)?;
                false
            }
            // Some file systems do not support this flag: check for an existing file instead.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if statat(&target.folder, &target.name, AtFlags::SYMLINK_NOFOLLOW).is_ok() && !input.overwrite {
                    return Err(Errno::EXIST);
                }
                renameat(&target.folder, &temporary.name, &target.folder, &target.name)?;
                target.found.is_none()
            }
            Err(error) => return Err(error),
        };
    temporary.persist();
    // The file is complete either way; syncing the folder makes the rename durable where supported.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(folder) = openat(&target.folder, ".", flags, Mode::empty()) {
        let _ = fsync(folder);
    }
    Ok(created)
}

fn write_temporary(temporary: &TemporaryFile<'_>, bytes: &[u8], mode: Option<Mode>) -> rustix::io::Result<()> {
    let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    (&temporary.file).write_all(bytes).map_err(failed)?;
    if let Some(mode) = mode {
        fchmod(&temporary.file, mode)?;
    }
    temporary.file.sync_all().map_err(failed)
}

/// A temporary file, removed on drop unless it was renamed.
struct TemporaryFile<'a> {
    folder: &'a OwnedFd,
    name: String,
    file: File,
    persisted: bool,
}

impl<'a> TemporaryFile<'a> {
    fn new(folder: &'a OwnedFd, mode: Mode) -> rustix::io::Result<Self> {
        let mut random = [0; 12];
        getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!(".baa-{name}.tmp");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(folder, &name, flags, mode)?);
        Ok(TemporaryFile { folder, name, file, persisted: false })
    }

    fn persist(mut self) {
        self.persisted = true;
    }
}

impl Drop for TemporaryFile<'_> {
    fn drop(&mut self) {
        if !self.persisted {
            // Removal is best effort.
            let _ = unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}
