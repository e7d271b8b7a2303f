//! Removes a folder with its content, of any depth, width and mode, without following links out of it.
//!
//! Walks over open folders, never by path and never by `..`. The number of open levels is bounded: a deeper folder is first
//! moved up to the top, so that memory, descriptors and path lengths do not grow with the depth. Passes over the content
//! repeat as long as one of them removes anything.

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{
        AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, open, openat, renameat, statat,
        unlinkat,
    },
    io::Errno,
    process::geteuid,
};
use std::{
    ffi::{CStr, CString},
    fmt, io,
    os::unix::ffi::OsStrExt,
    path::Path,
};
use tokio::time::Instant;

/// Open levels; each takes a descriptor and a buffer of entries.
const LEVELS_MAX: usize = 32;
/// Flags for opening a folder.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open folder with its open parent, independent of later changes of its path.
#[derive(Debug)]
pub(in crate::host) struct HeldFolder {
    parent: OwnedFd,
    name: CString,
    folder: OwnedFd,
    device: u64,
    number: u64,
    owner: u32,
}

/// Why a folder was not removed completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum RemovalError {
    /// The time was not sufficient.
    TimedOut,
    /// The system denied removing a part of it.
    Refused(Errno),
}

impl fmt::Display for RemovalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemovalError::TimedOut => f.write_str("it contains more than can be removed in the given time"),
            RemovalError::Refused(error) => write!(f, "the system denied removing a part of it: {error}"),
        }
    }
}

impl HeldFolder {
    /// Opens the folder at a path whose last part is not a link.
    pub(in crate::host) fn open(path: &Path) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let parent = open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let name = CString::new(name.as_bytes())?;
        let folder = enter(&parent, &name, None)?;
        let Stat { st_dev, st_ino, st_uid, .. } = fstat(&folder)?;
        Ok(HeldFolder { parent, name, folder, device: number(st_dev), number: number(st_ino), owner: st_uid })
    }

    /// Returns whether the folder belongs to this user.
    pub(super) fn is_own(&self) -> bool {
        self.owner == geteuid().as_raw()
    }

    /// Locks the folder; returns `false` when that would block.
    pub(in crate::host) fn lock(&self, how: FlockOperation) -> io::Result<bool> {
        match flock(&self.folder, how) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns whether its name still refers to it.
    pub(in crate::host) fn is_there(&self) -> bool {
        let found = statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| number(found.st_dev) == self.device && number(found.st_ino) == self.number)
    }

    /// Removes the folder with its content.
    pub(in crate::host) fn remove(&self, until: Instant) -> Result<(), RemovalError> {
        let mut walk = RemovalWalk { held: self, until, moved_up: 0, removed: false, refused: None };
        loop {
            walk.pass()?;
            if !self.is_there() {
                return walk.refused.map_or(Ok(()), |error| Err(RemovalError::Refused(error)));
            }
            match unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(_) if walk.removed => {}
                Err(error) => return Err(RemovalError::Refused(walk.refused.unwrap_or(error))),
            }
        }
    }
}

/// A folder that is being emptied.
struct OpenLevel {
    entries: Dir,
    /// Its name in the folder above.
    name: CString,
}

struct RemovalWalk<'a> {
    held: &'a HeldFolder,
    until: Instant,
    /// Number of folders that were moved up.
    moved_up: u64,
    /// Whether this pass changed anything.
    removed: bool,
    /// The last error of this pass.
    refused: Option<Errno>,
}

impl RemovalWalk<'_> {
    /// Removes the current content, and moves up what lies deeper than [`LEVELS_MAX`].
    fn pass(&mut self) -> Result<(), RemovalError> {
        (self.removed, self.refused) = (false, None);
        let mut levels = Vec::new();
        // Opened again, so that each pass begins at the first entry; its mode may have changed.
        match openat(&self.held.folder, c".", FOLDER, Mode::empty()).and_then(Dir::new) {
            Ok(entries) => levels.push(OpenLevel { entries, name: CString::default() }),
            Err(error) => self.refused = Some(error),
        }
        while let Some(level) = levels.last_mut() {
            if Instant::now() >= self.until {
                return Err(RemovalError::TimedOut);
            }
            match level.entries.next() {
                Some(Ok(entry)) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Some(Ok(entry)) => {
                    let at_top = levels.len() < LEVELS_MAX;
                    let within = levels.last().and_then(|level| level.entries.fd().ok());
                    let Some(within) = within else { break };
                    if let Some(deeper) = self.remove_entry(within, entry.file_name(), entry.file_type(), at_top) {
                        levels.push(deeper);
                    }
                }
                Some(Err(error)) => {
                    self.refused = Some(error);
                    levels.pop();
                }
                None => {
                    let name = std::mem::take(&mut level.name);
                    levels.pop();
                    if let Some(above) = levels.last().and_then(|above| above.entries.fd().ok()) {
                        self.note(unlinkat(above, &name, AtFlags::REMOVEDIR));
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes an entry; returns it opened if it is a folder that must be emptied first.
    fn remove_entry(&mut self, within: impl AsFd, name: &CStr, kind: FileType, may_enter: bool) -> Option<OpenLevel> {
        let within = within.as_fd();
        if kind != FileType::Directory {
            match unlinkat(within, name, AtFlags::empty()) {
                // The file system need not report the kind, and it may have changed.
                Err(Errno::ISDIR) => {}
                Err(Errno::PERM) if cfg!(not(target_os = "linux")) => {}
                done => {
                    self.note(done);
                    return None;
                }
            }
        }
        if unlinkat(within, name, AtFlags::REMOVEDIR).is_ok() {
            self.removed = true;
            return None;
        }
        // Moving a folder needs write access to it, since its `..` changes.
        let entered = match enter(within, name, Some(self.held.device)) {
            Ok(entered) => entered,
            Err(error) => {
                self.note(Err(error));
                return None;
            }
        };
        if may_enter {
            match Dir::new(entered) {
                Ok(entries) => return Some(OpenLevel { entries, name: name.to_owned() }),
                Err(error) => self.note(Err(error)),
            }
            return None;
        }
        self.moved_up += 1;
        let above = format!("deeper-{}-{}", std::process::id(), self.moved_up);
        self.note(renameat(within, name, &self.held.folder, above.as_str()));
        None
    }

    fn note(&mut self, done: Result<(), Errno>) {
        match done {
            Ok(()) => self.removed = true,
            // Gone already, or left for the next pass.
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => self.refused = Some(error),
        }
    }
}

/// Opens a folder, after granting its owner access if necessary. Does not follow links, and fails for a folder on another
/// device than `device`.
#[cfg(target_os = "linux")]
fn enter(within: impl AsFd, name: &CStr, device: Option<u64>) -> Result<OwnedFd, Errno> {
    use rustix::fs::chmod;
    use std::os::fd::AsRawFd;
    // Opened with `O_PATH` regardless of its mode, so that the same folder is inspected, changed and opened.
    let pinned = openat(within, name, FOLDER.difference(OFlags::RDONLY) | OFlags::PATH, Mode::empty())?;
    let found = fstat(&pinned)?;
    if device.is_some_and(|device| device != number(found.st_dev)) {
        return Err(Errno::XDEV);
    }
    let is_open = Mode::from_raw_mode(found.st_mode).contains(Mode::RWXU);
    if !is_open && found.st_uid == geteuid().as_raw() {
        chmod(format!("/proc/self/fd/{}", pinned.as_raw_fd()), Mode::RWXU)?;
    }
    openat(&pinned, c".", FOLDER, Mode::empty())
}

/// Opens a folder, after granting its owner access if necessary. Does not follow links, and fails for a folder on another
/// device than `device`.
#[cfg(not(target_os = "linux"))]
fn enter(within: impl AsFd, name: &CStr, device: Option<u64>) -> Result<OwnedFd, Errno> {
    let within = within.as_fd();
    let found = statat(within, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if device.is_some_and(|device| device != number(found.st_dev)) {
        return Err(Errno::XDEV);
    }
    let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    let is_open = Mode::from_raw_mode(found.st_mode).contains(Mode::RWXU);
    if is_folder && !is_open && found.st_uid == geteuid().as_raw() {
        rustix::fs::chmodat(within, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    openat(within, name, FOLDER, Mode::empty())
}

/// Converts a device or inode number, whose type differs between systems.
fn number(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
