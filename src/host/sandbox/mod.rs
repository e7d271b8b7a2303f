//! What a command may reach when it is confined: the system to read, the roots and a folder of its own to write, and
//! neither the daemon's folder and process nor any network, other process, or file's mode, owner, times and attributes
//! elsewhere.
//!
//! ```text
//! landlock    Landlock + filter of system calls + namespaces; where there are none, a narrower filter in their place
//! bubblewrap  namespaces made by Bubblewrap + filter of system calls
//! ```
//!
//! Invariant: a sandbox that was asked for and cannot be had is an error, never a weaker one.

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

/// What of the system can be read, where it is there. Neither homes nor `/var`, `/run`, `/tmp` are among it: other programs'
/// secrets and sockets lie there.
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

/// Where a command that has a file system of its own finds its folder for temporary files, beside its own place.
const TEMPORARY_FOLDERS: &[&str] = &["/tmp", "/dev/shm"];

/// What of a namespace's own `/proc` tells of what is outside: the keys of the user.
const REVEALING_PROC_FILES: &[&str] = &["/proc/keys", "/proc/key-users"];

/// What confines a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Confinement {
    /// Nothing.
    None,
    /// Landlock and a filter of system calls.
    Landlock(SandboxPaths),
    /// Namespaces.
    Bubblewrap {
        /// The program that makes them.
        program: PathBuf,
        /// What is in them.
        paths: SandboxPaths,
    },
}

/// What a confined command has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SandboxPaths {
    /// Its own folder, of which it has but two folders: others cannot enter it, whatever modes it gives to those.
    pub(super) own: PathBuf,
    /// Its home.
    pub(super) home: PathBuf,
    /// Its place for temporary files.
    pub(super) temporary: PathBuf,
    /// The roots, which it may write to.
    pub(super) roots: Vec<PathBuf>,
    /// Which folders those are, with its home and its place for temporary files.
    pub(super) known: Vec<FolderIdentity>,
    /// What it must not see, wherever that lies.
    pub(super) hidden: Vec<PathBuf>,
}

#[cfg(target_os = "linux")]
impl SandboxPaths {
    /// Refuses what was found at a path, or what is shown of it elsewhere, when it is not the folder that is meant.
    fn check(&self, path: &Path, found: &rustix::fs::Stat) -> Result<(), String> {
        self.known.iter().find(|folder| folder.path == path).map_or(Ok(()), |folder| folder.check(found))
    }
}

/// Makes cages of one level.
#[derive(Clone, Debug)]
pub(super) struct SandboxBuilder {
    level: SandboxLevel,
    roots: OpenRoots,
    hidden: Vec<PathBuf>,
    /// Bubblewrap as it was found at the start; else why it was not.
    program: Result<PathBuf, String>,
}

impl SandboxBuilder {
    /// `path`: where programs lie, as in `PATH`.
    pub(super) fn new(level: SandboxLevel, roots: OpenRoots, hidden: Vec<PathBuf>, path: &str) -> Self {
        let program = bubblewrap_in(path, &roots);
        SandboxBuilder { level, roots, hidden, program }
    }

    pub(super) fn level(&self) -> SandboxLevel {
        self.level
    }

    /// Whether a cage can be had, as far as that can be told without a command.
    pub(super) fn check(&self) -> Result<(), OperationRefusal> {
        match self.level {
            SandboxLevel::Off => Ok(()),
            SandboxLevel::Landlock => self.landlock(),
            SandboxLevel::Bubblewrap => self.bubblewrap(),
        }
    }

    /// What commands in it cannot do here that they could where namespaces are to be had, and why, as far as that can be
    /// told without a command. What is promised about them holds all the same.
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

    /// A cage for one command, and the folder that is its own, which goes when it is dropped.
    pub(super) fn build(&self) -> Result<(Confinement, Option<CommandFolder>), OperationRefusal> {
        self.check()?;
        if self.level == SandboxLevel::Off {
            return Ok((Confinement::None, None));
        }
        let folder = CommandFolder::new(&env::temp_dir())
            .map_err(|error| OperationRefusal::SandboxUnavailable(format!("no folder can be made for it: {error}")))?;
        let (mut known, hidden) = (self.roots.folders()?, self.hidden.clone());
        let roots = known.iter().map(|root| root.path.clone()).collect();
        let (home, temporary) = (folder.home(), folder.temporary());
        for folder in [&home, &temporary] {
            let found = FolderIdentity::at(folder).map_err(|error| {
                OperationRefusal::SandboxUnavailable(format!("its folder {} is not there: {error}", folder.display()))
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

    /// Whether Bubblewrap can be had, whatever the level.
    pub(super) fn has_bubblewrap(&self) -> bool {
        self.bubblewrap().is_ok()
    }

    #[cfg(target_os = "linux")]
    fn bubblewrap(&self) -> Result<(), OperationRefusal> {
        let program = self.program()?;
        seccomp::check().map_err(OperationRefusal::SandboxUnavailable)?;
        let why = namespaces::obstacle_of(&program);
        why.map_or(Ok(()), |why| {
            Err(OperationRefusal::SandboxUnavailable(format!("bubblewrap can make no namespaces: {why}")))
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn bubblewrap(&self) -> Result<(), OperationRefusal> {
        self.program().map(drop)
    }

    fn program(&self) -> Result<PathBuf, OperationRefusal> {
        if !cfg!(target_os = "linux") {
            return Err(OperationRefusal::SandboxUnavailable("bubblewrap is there on Linux alone".to_owned()));
        }
        self.program.clone().map_err(OperationRefusal::SandboxUnavailable)
    }

    #[cfg(target_os = "linux")]
    fn landlock(&self) -> Result<(), OperationRefusal> {
        let contains = |root: &&FolderIdentity| self.hidden.iter().any(|hidden| hidden.starts_with(&root.path));
        if let Some(root) = self.roots.folders()?.iter().find(contains) {
            let root = root.path.display();
            let why = format!("the root {root} holds files of the daemon, which landlock cannot leave out");
            return Err(OperationRefusal::SandboxUnavailable(why));
        }
        landlock::check().and_then(|()| seccomp::check()).map_err(OperationRefusal::SandboxUnavailable)
    }

    #[cfg(not(target_os = "linux"))]
    fn landlock(&self) -> Result<(), OperationRefusal> {
        Err(OperationRefusal::SandboxUnavailable("landlock is there on Linux alone".to_owned()))
    }
}

/// The program that is found first, but for what lies beneath a root, where a command could have put it.
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

/// Whether one path lies beneath another, or is it.
pub(super) fn is_beneath(path: &Path, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}
