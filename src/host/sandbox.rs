//! Sandboxes of commands. A confined command can read the system, and write to the roots and to a private folder. It
//! reaches neither the daemon's folder and process, nor any network or other process, and cannot change modes, owners, times
//! and attributes of files elsewhere.
//!
//! ```text
//! landlock    Landlock + seccomp filter + namespaces; without namespaces, a stricter filter
//! bubblewrap  namespaces made by Bubblewrap + seccomp filter
//! ```
//!
//! Invariant: a configured sandbox that is not available is an error; a weaker one never takes its place.

#[cfg(target_os = "linux")]
mod bubblewrap;
mod command_folder;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod launcher;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(target_os = "linux")]
mod privileges;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod syscalls;

#[cfg(target_os = "linux")]
pub(super) use bubblewrap::{BubblewrapStatus, bubblewrap_command};
pub(super) use command_folder::{CommandFolder, HeldFolder, SweepResult, sweep};
#[cfg(target_os = "linux")]
pub(super) use launcher::{CommandExit, LaunchOrder, LaunchedCommand, launch};
#[cfg(target_os = "linux")]
pub use launcher::{LauncherStage, launch_command};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{BubblewrapStatus, CommandExit, LaunchOrder, LaunchedCommand, bubblewrap_command, launch};
#[cfg(not(target_os = "linux"))]
pub use other::{LauncherStage, launch_command};

use super::{
    outcome::OperationRefusal,
    roots::{FolderIdentity, OpenRoots},
    settings::SandboxLevel,
};
use serde::{Deserialize, Serialize};
use std::{
    env,
    path::{Path, PathBuf},
};

/// System folders that commands can read. Home folders, `/var`, `/run` and `/tmp` are missing, since they contain secrets
/// and sockets of other programs.
pub(super) const SYSTEM_FOLDERS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
    "/proc",
];

/// Where the folder for temporary files is mounted for a command with its own file system.
const TEMPORARY_FOLDERS: &[&str] = &["/tmp", "/dev/shm"];

/// Files of a namespace's own `/proc` that reveal something outside of it: the user's keys.
const REVEALING_PROC_FILES: &[&str] = &["/proc/keys", "/proc/key-users"];

/// The sandbox of one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Confinement {
    /// No sandbox.
    None,
    /// Landlock with a seccomp filter.
    Landlock(SandboxPaths),
    /// Namespaces made by Bubblewrap.
    Bubblewrap {
        /// The path of Bubblewrap.
        program: PathBuf,
        /// The paths of the sandbox.
        paths: SandboxPaths,
    },
}

/// The paths of a confined command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SandboxPaths {
    /// The private folder around `home` and `temporary`. Other users cannot enter it, whatever modes the command sets on
    /// these two.
    pub(super) own: PathBuf,
    /// The home folder.
    pub(super) home: PathBuf,
    /// The folder for temporary files.
    pub(super) temporary: PathBuf,
    /// The writable roots.
    pub(super) roots: Vec<PathBuf>,
    /// The identities of the roots, `home` and `temporary`.
    pub(super) known: Vec<FolderIdentity>,
    /// Files and folders that must be hidden.
    pub(super) hidden: Vec<PathBuf>,
}

#[cfg(target_os = "linux")]
impl SandboxPaths {
    /// Fails when the folder found at a known path, or mounted from it, is another one.
    fn check(&self, path: &Path, found: &rustix::fs::Stat) -> Result<(), String> {
        self.known.iter().find(|folder| folder.path == path).map_or(Ok(()), |folder| folder.check(found))
    }
}

/// Builds the sandboxes of commands for one configured level.
#[derive(Clone, Debug)]
pub(super) struct SandboxBuilder {
    level: SandboxLevel,
    roots: OpenRoots,
    hidden: Vec<PathBuf>,
    /// The path of Bubblewrap as found at start, or why it was not found.
    program: Result<PathBuf, String>,
}

impl SandboxBuilder {
    /// `path` is the `PATH` in which Bubblewrap is looked up.
    pub(super) fn new(level: SandboxLevel, roots: OpenRoots, hidden: Vec<PathBuf>, path: &str) -> Self {
        let program = bubblewrap_in(path, &roots);
        SandboxBuilder { level, roots, hidden, program }
    }

    pub(super) fn level(&self) -> SandboxLevel {
        self.level
    }

    /// Checks whether the sandbox is available, as far as that is known without running a command.
    pub(super) fn check(&self) -> Result<(), OperationRefusal> {
        match self.level {
            SandboxLevel::Off => Ok(()),
            SandboxLevel::Landlock => self.landlock(),
            SandboxLevel::Bubblewrap => self.bubblewrap(),
        }
    }

    /// Returns what commands cannot do here because namespaces are not available, with the reason, as far as that is known
    /// without running a command. The guarantees of the sandbox hold nevertheless.
    #[cfg(target_os = "linux")]
    pub(super) fn limit(&self) -> Option<String> {
        let lost = match self.level {
            SandboxLevel::Off => return None,
            SandboxLevel::Landlock => "the mode, owner, times or attributes of any file, and use nothing of /proc/self",
            SandboxLevel::Bubblewrap => "the times of any file",
        };
        namespaces::obstacle().map(|why| format!("without namespaces ({why}) commands cannot change {lost}"))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn limit(&self) -> Option<String> {
        None
    }

    /// Builds the sandbox of one command, and its private folder, which is removed on drop.
    pub(super) fn build(&self) -> Result<(Confinement, Option<CommandFolder>), OperationRefusal> {
        self.check()?;
        if self.level == SandboxLevel::Off {
            return Ok((Confinement::None, None));
        }
        let folder = CommandFolder::new(&env::temp_dir()).map_err(|error| {
            OperationRefusal::SandboxUnavailable(format!("its private folder cannot be created: {error}"))
        })?;
        let (mut known, hidden) = (self.roots.folders()?, self.hidden.clone());
        let roots = known.iter().map(|root| root.path.clone()).collect();
        let (home, temporary) = (folder.home(), folder.temporary());
        for folder in [&home, &temporary] {
            let found = FolderIdentity::at(folder).map_err(|error| {
                OperationRefusal::SandboxUnavailable(format!("its folder {} cannot be read: {error}", folder.display()))
            })?;
            known.push(found);
        }
        let paths = SandboxPaths { own: folder.path().to_owned(), home, temporary, roots, known, hidden };
        let confinement = match self.level {
            SandboxLevel::Bubblewrap => Confinement::Bubblewrap { program: self.program()?, paths },
            _ => Confinement::Landlock(paths),
        };
        Ok((confinement, Some(folder)))
    }

    /// Returns whether Bubblewrap is usable, at any configured level.
    pub(super) fn has_bubblewrap(&self) -> bool {
        self.bubblewrap().is_ok()
    }

    #[cfg(target_os = "linux")]
    fn bubblewrap(&self) -> Result<(), OperationRefusal> {
        let program = self.program()?;
        seccomp::check().map_err(OperationRefusal::SandboxUnavailable)?;
        let why = namespaces::obstacle_of(&program);
        why.map_or(Ok(()), |why| {
            Err(OperationRefusal::SandboxUnavailable(format!("bubblewrap cannot create namespaces: {why}")))
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn bubblewrap(&self) -> Result<(), OperationRefusal> {
        self.program().map(drop)
    }

    fn program(&self) -> Result<PathBuf, OperationRefusal> {
        if !cfg!(target_os = "linux") {
            return Err(OperationRefusal::SandboxUnavailable("bubblewrap is available only on Linux".to_owned()));
        }
        self.program.clone().map_err(OperationRefusal::SandboxUnavailable)
    }

    #[cfg(target_os = "linux")]
    fn landlock(&self) -> Result<(), OperationRefusal> {
        let contains = |root: &&FolderIdentity| self.hidden.iter().any(|hidden| hidden.starts_with(&root.path));
        if let Some(root) = self.roots.folders()?.iter().find(contains) {
            let root = root.path.display();
            let why = format!(
                "the root {root} contains files of the daemon, which landlock cannot exclude: choose another root"
            );
            return Err(OperationRefusal::SandboxUnavailable(why));
        }
        landlock::check().and_then(|()| seccomp::check()).map_err(OperationRefusal::SandboxUnavailable)
    }

    #[cfg(not(target_os = "linux"))]
    fn landlock(&self) -> Result<(), OperationRefusal> {
        Err(OperationRefusal::SandboxUnavailable("landlock is available only on Linux".to_owned()))
    }
}

/// Finds Bubblewrap in a `PATH`, except beneath roots, where a command could have put it.
fn bubblewrap_in(path: &str, roots: &OpenRoots) -> Result<PathBuf, String> {
    let mut why = "bwrap was not installed when the daemon started";
    for folder in env::split_paths(path).filter(|folder| folder.is_absolute()) {
        let Ok(program) = folder.join("bwrap").canonicalize() else { continue };
        if rustix::fs::access(&program, rustix::fs::Access::EXEC_OK).is_err() {
            continue;
        }
        if !roots.contain(&program) && !folder.canonicalize().is_ok_and(|folder| roots.contain(&folder)) {
            return Ok(program);
        }
        why = "bwrap lies beneath a root, where a command could replace it";
    }
    Err(why.to_owned())
}

/// Returns whether `path` is one of `folders` or lies beneath one.
pub(super) fn is_beneath(path: &Path, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}
