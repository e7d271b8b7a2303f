//! Writing a file: beside it under a name of its own, to the disk, and then into its place. Nobody ever sees half of it.

use super::{
    Files, FilesWrite, WriteResult,
    place::{open_place, path_of},
    problem,
    read::check_kind,
};
use crate::host::outcome::{Problem, ProblemCode, Stopped};
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

/// Most links that are followed to a file.
const LINKS_MAX: usize = 16;
/// Permissions of a new file and of a new folder, less what the process's mask takes away.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
/// What a file that is written anew keeps of its mode: as everywhere, not that it runs as its owner or group.
const KEPT_MODE: u32 = 0o1777;

/// A name in a folder that is open.
struct Spot {
    folder: OwnedFd,
    name: PathBuf,
    /// What is there now.
    found: Option<Stat>,
}

impl Files {
    /// Writes a file. Blocks.
    pub(in crate::host) fn write(&self, asked: &FilesWrite) -> Result<WriteResult, Stopped> {
        let path = self.absolute(&asked.path, asked.cwd.as_deref());
        let bytes = asked
            .encoding
            .decode(&asked.content)
            .ok_or_else(|| Problem::new(ProblemCode::IoError, "the content is not written as its encoding says"))?;
        let spot = self.spot(path.clone(), asked)?;
        self.own.check_name(&spot.folder, &spot.name)?;
        if let Some(found) = &spot.found {
            check_kind(FileType::from_raw_mode(found.st_mode), &path)?;
            self.check_target(&spot, &path)?;
            if !asked.overwrite {
                return Err(problem(Errno::EXIST, &path).into());
            }
        }
        let created = put(&spot, &bytes, asked).map_err(|error| problem(error, &path))?;
        let path = path_of(&spot.folder).join(&spot.name);
        Ok(WriteResult { path: path.display().to_string(), created, bytes_written: bytes.len() as u64 })
    }

    /// The folder and name that a path stands for, behind all links.
    fn spot(&self, mut path: PathBuf, asked: &FilesWrite) -> Result<Spot, Stopped> {
        for _ in 0..LINKS_MAX {
            let is_folder = [&b"/"[..], b"/."].iter().any(|end| path.as_os_str().as_encoded_bytes().ends_with(end));
            let (Some(parent), Some(name)) = (path.parent(), path.file_name().filter(|_| !is_folder)) else {
                // It ends in a slash or in dots: at best a folder.
                open_place(&path, OFlags::DIRECTORY, &self.writable)?;
                return Err(problem(Errno::ISDIR, &path).into());
            };
            let folder = self.folder(parent, asked)?;
            let found = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => Some(found),
                Err(Errno::NOENT) => None,
                Err(error) => return Err(problem(error, &path).into()),
            };
            if found.as_ref().is_none_or(|found| FileType::from_raw_mode(found.st_mode) != FileType::Symlink) {
                return Ok(Spot { name: name.into(), folder, found });
            }
            let target = readlinkat(&folder, name, Vec::new()).map_err(|error| problem(error, &path))?;
            let target = OsString::from_vec(target.into_bytes());
            path = path_of(&folder).join(target);
        }
        Err(problem(Errno::LOOP, &path).into())
    }

    fn folder(&self, path: &Path, asked: &FilesWrite) -> Result<OwnedFd, Stopped> {
        match open_place(path, OFlags::DIRECTORY, &self.writable) {
            Err(Stopped::Failed(problem)) if problem.code == ProblemCode::NotFound && asked.create_parents => {}
            done => return done,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(problem(Errno::NOENT, path).into());
        };
        let above = self.folder(parent, asked)?;
        self.own.check(&above)?;
        match mkdirat(&above, name, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => open_place(path, OFlags::DIRECTORY, &self.writable),
            Err(error) => Err(problem(error, path).into()),
        }
    }

    fn check_target(&self, spot: &Spot, path: &Path) -> Result<(), Problem> {
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        #[cfg(target_os = "linux")]
        let flags = flags | OFlags::PATH;
        match openat(&spot.folder, &spot.name, flags, Mode::empty()) {
            Ok(target) => self.own.check(&target),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(problem(error, path)),
        }
    }
}

/// Puts a file into its place; answers whether none was there.
fn put(spot: &Spot, bytes: &[u8], asked: &FilesWrite) -> rustix::io::Result<bool> {
    let kept = spot.found.as_ref().map(|found| Mode::from_raw_mode(found.st_mode & KEPT_MODE));
    let mode = asked.mode.map(Mode::from_raw_mode).or(kept);
    // With permissions to come, nobody reads it before it has them.
    let first = mode.map_or(FILE_MODE, |_| Mode::RUSR | Mode::WUSR);
    let temporary = Temporary::new(&spot.folder, first)?;
    write(&temporary, bytes, mode)?;
    let created = match renameat_with(&spot.folder, &temporary.name, &spot.folder, &spot.name, RenameFlags::NOREPLACE) {
        Ok(()) => true,
        Err(Errno::EXIST) if asked.overwrite => {
            renameat(&spot.folder, &temporary.name, &spot.folder, &spot.name)?;
            false
        }
        // Some file systems cannot: what stands there is then looked for once more.
        Err(Errno::INVAL | Errno::NOSYS) => {
            if statat(&spot.folder, &spot.name, AtFlags::SYMLINK_NOFOLLOW).is_ok() && !asked.overwrite {
                return Err(Errno::EXIST);
            }
            renameat(&spot.folder, &temporary.name, &spot.folder, &spot.name)?;
            spot.found.is_none()
        }
        Err(error) => return Err(error),
    };
    temporary.placed();
    // The file is whole either way; that it has its name is made lasting where the system can.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(folder) = openat(&spot.folder, ".", flags, Mode::empty()) {
        let _ = fsync(folder);
    }
    Ok(created)
}

fn write(temporary: &Temporary<'_>, bytes: &[u8], mode: Option<Mode>) -> rustix::io::Result<()> {
    let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    (&temporary.file).write_all(bytes).map_err(failed)?;
    if let Some(mode) = mode {
        fchmod(&temporary.file, mode)?;
    }
    temporary.file.sync_all().map_err(failed)
}

/// A file under a name that nobody else uses; it goes unless it was put into its place.
struct Temporary<'a> {
    folder: &'a OwnedFd,
    name: String,
    file: File,
    placed: bool,
}

impl<'a> Temporary<'a> {
    fn new(folder: &'a OwnedFd, mode: Mode) -> rustix::io::Result<Self> {
        let mut random = [0; 12];
        getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!(".baa-{name}.tmp");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(folder, &name, flags, mode)?);
        Ok(Temporary { folder, name, file, placed: false })
    }

    fn placed(mut self) {
        self.placed = true;
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.placed {
            // It is only tidied up.
            let _ = unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}
