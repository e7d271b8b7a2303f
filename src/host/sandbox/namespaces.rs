//! Namespaces of a command: users, mounts, processes, System V IPC and networks. It cannot reach anything outside of them,
//! so that the seccomp filter can allow more.

use rustix::{
    process::{getegid, geteuid},
    thread::{CapabilitySet, UnshareFlags, capabilities, configure_capability_in_ambient_set, set_capabilities},
};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// The maximum number of user namespaces; 0: none.
const MAX_NAMESPACES_FILE: &str = "/proc/sys/user/max_user_namespaces";
/// Debian's switch; 0: only root may create them.
const UNPRIVILEGED_FILE: &str = "/proc/sys/kernel/unprivileged_userns_clone";
/// Ubuntu's switch; 1: one of a program without AppArmor profile has no capabilities.
const APPARMOR_FILE: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

/// Moves this single-threaded process into new namespaces. The user id stays the same. The first process that it starts
/// is the first one of the pid namespace, and may mount.
pub(super) fn enter() -> Result<(), String> {
    unshare_with(UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWNET)?;
    // Optional: not every kernel has them, and they hide only names.
    let _ = unshare(UnshareFlags::NEWCGROUP);
    let _ = unshare(UnshareFlags::NEWUTS);
    keep_mount_capability().map_err(|error| format!("the right to mount cannot be kept: {error}"))
}

/// Moves this single-threaded process into new user and mount namespaces only. The user id stays the same.
pub(super) fn enter_mounts() -> Result<(), String> {
    unshare_with(UnshareFlags::empty())
}

fn unshare_with(more: UnshareFlags) -> Result<(), String> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS | more)
        .map_err(|error| format!("no namespaces can be created: {error}"))?;
    for (file, line) in
        [("setgroups", "deny".to_owned()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))]
    {
        fs::write(Path::new("/proc/self").join(file), line)
            .map_err(|error| format!("the users of a namespace cannot be set: {file}: {error}"))?;
    }
    Ok(())
}

#[expect(deprecated, reason = "what is unsound in it is leaving the table of files alone, which this never does")]
fn unshare(which: UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(which)
}

/// Keeps CAP_SYS_ADMIN over the next exec, which otherwise drops it for other users than root.
fn keep_mount_capability() -> rustix::io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable = CapabilitySet::SYS_ADMIN;
    set_capabilities(None, sets)?;
    configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)
}

/// Returns why this process cannot create namespaces, as far as that is known without trying.
pub(super) fn obstacle() -> Option<String> {
    let contains = |file: &str, value: &str| fs::read_to_string(file).is_ok_and(|text| text.trim() == value);
    if contains(MAX_NAMESPACES_FILE, "0") {
        return Some("user.max_user_namespaces is 0".to_owned());
    }
    if geteuid().is_root() {
        return None;
    }
    if contains(UNPRIVILEGED_FILE, "0") {
        return Some("kernel.unprivileged_userns_clone is 0".to_owned());
    }
    contains(APPARMOR_FILE, "1").then(|| "kernel.apparmor_restrict_unprivileged_userns is 1".to_owned())
}

/// Returns why `program` cannot create them: it may be set-user-ID root, and may have its own AppArmor profile.
pub(super) fn obstacle_of(program: &Path) -> Option<String> {
    let contains = |file: &str| fs::read_to_string(file).is_ok_and(|text| text.trim() == "0");
    if contains(MAX_NAMESPACES_FILE) {
        return Some("user.max_user_namespaces is 0".to_owned());
    }
    let runs_as_root = fs::metadata(program).is_ok_and(|found| found.uid() == 0 && found.mode() & 0o4000 != 0);
    (contains(UNPRIVILEGED_FILE) && !geteuid().is_root() && !runs_as_root)
        .then(|| "kernel.unprivileged_userns_clone is 0".to_owned())
}
