//! The file system of a command in namespaces: the system read-only, the roots and its private folders writable, its own
//! processes in `/proc`, and nothing else.
//!
//! Invariant: only the roots and the private folders are writable; everything else is mounted read-only, so that its modes,
//! owners, times and attributes cannot change, even for root and through open descriptors.

use super::{REVEALING_PROC_FILES, SYSTEM_FOLDERS, SandboxPaths, TEMPORARY_FOLDERS, is_beneath, landlock::DEVICES};
use rustix::{
    fs::{Mode, mkdir, stat, symlink},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change, mount_remount,
        unmount,
    },
    process::{chdir, pivot_root},
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// Where in the private folder the new root is assembled.
const NEW_ROOT_NAME: &str = "root";
/// Options of the new root's tmpfs, which contains only mount points and links.
const ROOT_OPTIONS: &std::ffi::CStr = c"size=1m,nr_inodes=16k,mode=755";
/// Links that programs expect in `/dev`.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Mounts the file system and makes it the root. Call it in the first process of a pid namespace.
pub(super) fn enter(paths: &SandboxPaths) -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: Errno| format!("{what} cannot be mounted: {error}")
    };
    // Otherwise mounts would propagate to the outside, and from there.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(failed("a tree of its own"))?;
    let root = paths.own.join(NEW_ROOT_NAME);
    make_folder(&root)?;
    let root = NewRoot { path: root };
    mount("tmpfs", &root.path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, ROOT_OPTIONS)
        .map_err(failed("a root"))?;
    root.mount_system(paths)?;
    root.mount_devices()?;
    root.mount_proc()?;
    let places = root.mount_writable(paths)?;
    root.make_read_only(&places)?;
    let moved = chdir(&root.path).and_then(|()| pivot_root(".", ".")).and_then(|()| unmount(".", UnmountFlags::DETACH));
    moved.and_then(|()| chdir("/")).map_err(failed("the new root"))
}

/// Makes devices read-only in the mounts of this process: writing to a device still works, but its times and modes, which
/// belong to the machine, cannot change. Bind mounts of them inherit that.
pub(super) fn seal_devices() -> Result<(), String> {
    let failed = |error: Errno| format!("devices cannot be mounted: {error}");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(failed)?;
    let devices: Vec<_> = DEVICES.iter().chain(&["/dev/tty"]).map(Path::new).filter(|device| device.exists()).collect();
    for device in &devices {
        mount_bind_recursive(*device, *device).map_err(failed)?;
    }
    remount(|place| devices.contains(&place).then_some(MountFlags::RDONLY | MountFlags::NOSUID))
}

/// Adds flags to mounts of this process.
fn remount(added: impl Fn(&Path) -> Option<MountFlags>) -> Result<(), String> {
    let text =
        fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("the mounts cannot be listed: {error}"))?;
    for (place, kept) in text.lines().filter_map(parse_mount) {
        if let Some(added) = added(&place) {
            mount_remount(&place, MountFlags::BIND | kept | added, "")
                .map_err(|error| format!("{} cannot be made read-only: {error}", place.display()))?;
        }
    }
    Ok(())
}

/// The new root while it is assembled.
struct NewRoot {
    path: PathBuf,
}

impl NewRoot {
    /// Returns where an absolute path lies in the new root.
    fn at(&self, path: &Path) -> PathBuf {
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Bind-mounts a folder or file of the machine at the same path.
    fn bind(&self, path: &Path) -> Result<(), String> {
        self.bind_at(path, path)
    }

    fn bind_at(&self, what: &Path, place: &Path) -> Result<(), String> {
        let place = self.at(place);
        if what.is_dir() {
            make_folder(&place)?;
        } else if !place.exists() {
            make_file(&place)?;
        }
        mount_bind_recursive(what, &place).map_err(|error| format!("{} cannot be mounted: {error}", what.display()))
    }

    /// Fails when another folder took the name of a mounted one before it was mounted.
    fn check(&self, paths: &SandboxPaths, what: &Path, place: &Path) -> Result<(), String> {
        let found = stat(self.at(place)).map_err(|error| format!("{} cannot be mounted: {error}", what.display()))?;
        paths.check(what, &found)
    }

    /// Mounts the system folders without hidden files.
    fn mount_system(&self, paths: &SandboxPaths) -> Result<(), String> {
        let there: Vec<_> = SYSTEM_FOLDERS
            .iter()
            .map(PathBuf::from)
            .filter(|path| path != Path::new("/proc") && path.exists())
            .collect();
        for path in &there {
            self.bind(path)?;
        }
        for hidden in paths.hidden.iter().filter(|hidden| is_beneath(hidden, &there) && hidden.exists()) {
            self.hide(hidden)?;
        }
        Ok(())
    }

    /// Hides a file or folder behind an empty mount.
    fn hide(&self, path: &Path) -> Result<(), String> {
        let place = self.at(path);
        let done = if place.is_dir() {
            mount("tmpfs", &place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"size=0,mode=000")
        } else {
            mount_bind_recursive("/dev/null", &place)
        };
        done.map_err(|error| format!("{} cannot be hidden: {error}", path.display()))
    }

    fn mount_devices(&self) -> Result<(), String> {
        for device in DEVICES.iter().map(Path::new).filter(|device| device.exists()) {
            self.bind(device)?;
        }
        for (name, target) in LINKS {
            let place = self.at(Path::new("/dev")).join(name);
            symlink(target, &place).map_err(|error| format!("{} cannot be created: {error}", place.display()))?;
        }
        Ok(())
    }

    /// Mounts `/proc` of this pid namespace.
    fn mount_proc(&self) -> Result<(), String> {
        let place = self.at(Path::new("/proc"));
        make_folder(&place)?;
        mount("proc", &place, "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
            .map_err(|error| format!("/proc cannot be mounted: {error}"))?;
        for revealing in REVEALING_PROC_FILES.iter().map(Path::new) {
            if self.at(revealing).exists() {
                self.hide(revealing)?;
            }
        }
        Ok(())
    }

    /// Mounts the writable folders, the one for temporary files also at its usual paths. Returns their paths.
    fn mount_writable(&self, paths: &SandboxPaths) -> Result<Vec<PathBuf>, String> {
        let mut places = Vec::new();
        for usual in TEMPORARY_FOLDERS.iter().map(Path::new) {
            self.bind_at(&paths.temporary, usual)?;
            self.check(paths, &paths.temporary, usual)?;
            places.push(usual.to_owned());
        }
        // Outer folders first.
        let mut roots = paths.roots.clone();
        roots.sort();
        for place in roots.into_iter().chain([paths.home.clone(), paths.temporary.clone()]) {
            self.bind(&place)?;
            self.check(paths, &place, &place)?;
            places.push(place);
        }
        Ok(places)
    }

    /// Makes all mounts except `places` read-only.
    fn make_read_only(&self, places: &[PathBuf]) -> Result<(), String> {
        let writable: Vec<_> = places.iter().map(|place| self.at(place)).collect();
        let devices: Vec<_> = DEVICES.iter().map(|device| self.at(Path::new(device))).collect();
        remount(|place| {
            if !place.starts_with(&self.path) {
                return None;
            }
            let is_device = devices.iter().any(|device| device == place);
            let data = if is_device { MountFlags::empty() } else { MountFlags::NODEV };
            let fixed = if is_beneath(place, &writable) { MountFlags::empty() } else { MountFlags::RDONLY };
            Some(MountFlags::NOSUID | data | fixed)
        })
    }
}

/// Parses a line of `/proc/self/mountinfo` into the mount point and the flags to keep, which only root may clear.
fn parse_mount(line: &str) -> Option<(PathBuf, MountFlags)> {
    let mut fields = line.split(' ').skip(4);
    let place = PathBuf::from(OsString::from_vec(unescaped(fields.next()?)));
    let flag = |name: &str| match name {
        "ro" => MountFlags::RDONLY,
        "nosuid" => MountFlags::NOSUID,
        "nodev" => MountFlags::NODEV,
        "noexec" => MountFlags::NOEXEC,
        "noatime" => MountFlags::NOATIME,
        "nodiratime" => MountFlags::NODIRATIME,
        "relatime" => MountFlags::RELATIME,
        _ => MountFlags::empty(),
    };
    Some((place, fields.next()?.split(',').map(flag).collect()))
}

/// Decodes a path of `mountinfo`, with octal escapes such as `\040`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = code.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[3..] } else { others };
    }
    bytes
}

fn make_folder(path: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{} cannot be created: {error}", path.display());
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        make_folder(parent)?;
    }
    match mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

fn make_file(path: &Path) -> Result<(), String> {
    path.parent().map_or(Ok(()), make_folder)?;
    let made: io::Result<_> = File::create(path);
    made.map(drop).map_err(|error| format!("{} cannot be created: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_place_and_the_flags_that_stay() {
        let line = r"36 35 98:0 /mnt1 /mnt\0402/a\134b rw,nosuid,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let (place, flags) = parse_mount(line).unwrap();
        assert_eq!(place, Path::new(r"/mnt 2/a\b"));
        assert_eq!(flags, MountFlags::NOSUID | MountFlags::NOATIME);
        assert!(parse_mount("36 35 98:0 /").is_none());
        assert_eq!(unescaped(r"a\04"), br"a\04");
    }
}
