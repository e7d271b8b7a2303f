//! Landlock: restricts the file system, and denies TCP, signals and abstract sockets to the outside.
//!
//! Rules can only allow. When something hidden lies in a readable folder, its siblings are allowed one by one.

use super::{SYSTEM_FOLDERS, SandboxPaths, TEMPORARY_FOLDERS};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::fstat;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The required version: the first one that controls truncation.
const REQUIRED_ABI: ABI = ABI::V3;
/// The version that is used where available.
const PREFERRED_ABI: ABI = ABI::V9;
/// The first version that confines signals.
const SIGNAL_SCOPE_ABI: ABI = ABI::V6;
/// Devices that commands may use.
pub(super) const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// Files of `/proc` about no particular process: without a pid namespace, nothing else of `/proc` is allowed.
const GENERAL_PROC_FILES: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys",
    "/proc/uptime",
    "/proc/version",
];
/// Depth of folders that are allowed entry by entry.
const DEPTH_MAX: usize = 32;

/// Whether Landlock confines signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalScope {
    /// It does.
    Confined,
    /// It does not; the seccomp filter has to.
    Unconfined,
}

/// Checks whether this kernel supports the required version.
pub(super) fn check() -> Result<(), String> {
    ruleset().map(drop).map_err(|_| "this kernel has no Landlock, or one older than its third version".to_owned())
}

/// Confines this thread and its future descendants. `namespaces` tells whether it has its own file system and pid
/// namespace.
pub(super) fn restrict(paths: &SandboxPaths, namespaces: bool) -> Result<SignalScope, String> {
    let rules = rules(paths, namespaces)?;
    let failed = |error: RulesetError| format!("landlock: {error}");
    let mut ruleset = ruleset().map_err(failed)?;
    for (path, access) in rules {
        // A path that is gone needs no rule.
        let Ok(place) = PathFd::new(&path) else { continue };
        if !namespaces {
            // With namespaces, the mounts were checked.
            let found = fstat(&place).map_err(|error| format!("{}: {error}", path.display()))?;
            paths.check(&path, &found)?;
        }
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(PREFERRED_ABI) };
        ruleset = ruleset.add_rule(PathBeneath::new(place, access)).map_err(failed)?;
    }
    let status = ruleset.restrict_self().map_err(failed)?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err("landlock: this kernel does not enforce it".to_owned());
    }
    let keeps =
        matches!(status.landlock, LandlockStatus::Available { effective_abi, .. } if effective_abi >= SIGNAL_SCOPE_ABI);
    Ok(if keeps { SignalScope::Confined } else { SignalScope::Unconfined })
}

fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(REQUIRED_ABI))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(PREFERRED_ABI))?
        .handle_access(AccessNet::from_all(PREFERRED_ABI))?
        .scope(Scope::from_all(PREFERRED_ABI))?
        .create()
}

/// Lists the allowed paths with their access rights.
fn rules(paths: &SandboxPaths, namespaces: bool) -> Result<Vec<(PathBuf, BitFlags<AccessFs>)>, String> {
    let read = AccessFs::from_read(PREFERRED_ABI);
    // A new device node would bypass all rules.
    let write = AccessFs::from_all(PREFERRED_ABI) & !(AccessFs::MakeBlock | AccessFs::MakeChar);
    let mut found = Vec::new();
    let (of_processes, beside): (&[&str], &[&str]) =
        if namespaces { (&["/proc", "/dev"], TEMPORARY_FOLDERS) } else { (GENERAL_PROC_FILES, &[]) };
    for folder in SYSTEM_FOLDERS.iter().filter(|folder| **folder != "/proc").chain(of_processes) {
        // The target of a link is allowed.
        if let Ok(folder) = Path::new(folder).canonicalize() {
            allow_except_hidden(&folder, &paths.hidden, 0, &mut |path| found.push((path, read)));
        }
    }
    for device in DEVICES {
        found.push((PathBuf::from(device), AccessFs::ReadFile | AccessFs::WriteFile));
    }
    let beside = beside.iter().map(PathBuf::from);
    for place in paths.roots.iter().cloned().chain([paths.home.clone(), paths.temporary.clone()]).chain(beside) {
        if !place.is_dir() {
            return Err(format!("{} is not a folder", place.display()));
        }
        found.push((place, write));
    }
    Ok(found)
}

/// Allows a folder, or everything in it except what is hidden.
fn allow_except_hidden(path: &Path, hidden: &[PathBuf], depth: usize, allow: &mut dyn FnMut(PathBuf)) {
    if hidden.iter().any(|hidden| path.starts_with(hidden)) || depth > DEPTH_MAX {
        return;
    }
    if !hidden.iter().any(|hidden| hidden.starts_with(path)) {
        return allow(path.to_owned());
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        // Links need no rule: their target has its own, or none.
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            allow_except_hidden(&entry.path(), hidden, depth + 1, allow);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_paths_are_excluded_and_their_siblings_are_not() {
        let own = super::super::CommandFolder::new(&std::env::temp_dir()).unwrap();
        let base = own.path().join("base");
        for folder in ["a/secret/deep", "a/other", "b"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(base.join("a/secret"), base.join("link")).unwrap();
        let mut found = Vec::new();
        allow_except_hidden(&base, &[base.join("a/secret")], 0, &mut |path| found.push(path));
        found.sort();
        assert_eq!(found, [base.join("a/other"), base.join("b")]);
        let mut all = Vec::new();
        allow_except_hidden(&base, &[], 0, &mut |path| all.push(path));
        assert_eq!(all, [base]);
    }
}
