//! Removes a folder with everything in it: however deep, wide or closed it is, and without being led out of it.
//!
//! A walk over open folders, never by path and never by `..`. Only so many levels are open at once: a folder that lies
//! deeper is moved up to the top first, so that neither memory, nor descriptors, nor the length of a path grow with the
//! depth. A pass goes over what is there; passes follow each other for as long as one removes anything.

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

/// Levels of folders that are open at once; each takes a descriptor and a buffer of the kernel's entries.
const LEVELS_MAX: usize = 32;
/// How a folder is opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder that is held, with the folder it lies in: who is named by a path may change, what is held does not.
#[derive(Debug)]
pub(in crate::host) struct HeldFolder {
    parent: OwnedFd,
    name: CString,
    folder: OwnedFd,
    device: u64,
    number: u64,
    owner: u32,
}

/// Why a folder is not wholly removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum RemovalError {
    /// It takes longer than it may.
    TimedOut,
    /// The system does not let all of it go.
    Refused(Errno),
}

impl fmt::Display for RemovalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemovalError::TimedOut => f.write_str("it holds more than can be removed in the time"),
            RemovalError::Refused(error) => write!(f, "the system does not let all of it go: {error}"),
        }
    }
}

impl HeldFolder {
    /// Holds the folder at a path that has no link in its last part.
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

    /// Whether it is this user's.
    pub(super) fn is_own(&self) -> bool {
        self.owner == geteuid().as_raw()
    }

    /// Locks it; whether that could be had without waiting.
    pub(in crate::host) fn lock(&self, how: FlockOperation) -> io::Result<bool> {
        match flock(&self.folder, how) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether its name still stands for it.
    pub(in crate::host) fn is_there(&self) -> bool {
        let found = statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| number(found.st_dev) == self.device && number(found.st_ino) == self.number)
    }

    /// Removes it with everything in it.
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
    /// Folders that were moved up.
    moved_up: u64,
    /// Whether this pass changed anything.
    removed: bool,
    /// Why something of this pass could not be removed.
    refused: Option<Errno>,
}

impl RemovalWalk<'_> {
    /// Removes what is there, as far as it can be reached without opening more than so many levels.
    fn pass(&mut self) -> Result<(), RemovalError> {
        (self.removed, self.refused) = (false, None);
        let mut levels = Vec::new();
        // Opened anew: each pass begins at the first entry, and at a folder whose mode may have changed meanwhile.
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

    /// Removes an entry; answers the folder that it is when it must be emptied first.
    fn remove_entry(&mut self, within: impl AsFd, name: &CStr, kind: FileType, may_enter: bool) -> Option<OpenLevel> {
        let within = within.as_fd();
        if kind != FileType::Directory {
            match unlinkat(within, name, AtFlags::empty()) {
                // Of what kind it is the file system need not say; and it may be another one by now.
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
        // What is moved must be open to its owner as well: its `..` changes.
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
            // It is gone already, or has to wait for the next pass.
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => self.refused = Some(error),
        }
    }
}

/// Opens a folder, and opens it to its owner first where it is closed. Follows no link, and leaves what lies on another
/// device than `device` alone.
#[cfg(target_os = "linux")]
fn enter(within: impl AsFd, name: &CStr, device: Option<u64>) -> Result<OwnedFd, Errno> {
    use rustix::fs::chmod;
    use std::os::fd::AsRawFd;
    // Held whatever its mode is: so what is looked at, changed and opened is the same.
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

/// Opens a folder, and opens it to its owner first where it is closed. Follows no link, and leaves what lies on another
/// device than `device` alone.
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

/// Numbers of devices and files are of different types on different systems.
fn number(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
