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
#[cfg(target_os = "linux")]
mod calls;
mod folder;
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
pub(super) use bubblewrap::{Wrapped, wrap};
pub(super) use folder::{Held, OwnFolder, Swept, sweep};
#[cfg(target_os = "linux")]
pub(super) use launcher::{Ended, Launched, Order, launch};
#[cfg(target_os = "linux")]
pub use launcher::{Stage, launch_command};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{Ended, Launched, Order, Wrapped, launch, wrap};
#[cfg(not(target_os = "linux"))]
pub use other::{Stage, launch_command};

use super::{
    outcome::Refusal,
    roots::{Folder, Roots},
    settings::Sandbox,
};
use serde::{Deserialize, Serialize};
use std::{
    env,
    path::{Path, PathBuf},
};

/// What of the system can be read, where it is there. Neither homes nor `/var`, `/run`, `/tmp` are among it: other programs'
/// secrets and sockets lie there.
pub(super) const SYSTEM: &[&str] = &[
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
const TEMPORARY: &[&str] = &["/tmp", "/dev/shm"];

/// What of a namespace's own `/proc` tells of what is outside: the keys of the user.
const TELLING: &[&str] = &["/proc/keys", "/proc/key-users"];

/// What confines a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cage {
    /// Nothing.
    None,
    /// Landlock and a filter of system calls.
    Landlock(Ground),
    /// Namespaces.
    Bubblewrap {
        /// The program that makes them.
        program: PathBuf,
        /// What is in them.
        ground: Ground,
    },
}

/// What a confined command has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ground {
    /// Its own folder, of which it has but two folders: others cannot enter it, whatever modes it gives to those.
    pub(super) own: PathBuf,
    /// Its home.
    pub(super) home: PathBuf,
    /// Its place for temporary files.
    pub(super) temporary: PathBuf,
    /// The roots, which it may write to.
    pub(super) roots: Vec<PathBuf>,
    /// Which folders those are, with its home and its place for temporary files.
    pub(super) known: Vec<Folder>,
    /// What it must not see, wherever that lies.
    pub(super) hidden: Vec<PathBuf>,
}

#[cfg(target_os = "linux")]
impl Ground {
    /// Refuses what was found at a path, or what is shown of it elsewhere, when it is not the folder that is meant.
    fn check(&self, path: &Path, found: &rustix::fs::Stat) -> Result<(), String> {
        self.known.iter().find(|folder| folder.path == path).map_or(Ok(()), |folder| folder.check(found))
    }
}

/// Makes cages of one level.
#[derive(Clone, Debug)]
pub(super) struct Builder {
    level: Sandbox,
    roots: Roots,
    hidden: Vec<PathBuf>,
    /// Bubblewrap as it was found at the start; else why it was not.
    program: Result<PathBuf, String>,
}

impl Builder {
    /// `path`: where programs lie, as in `PATH`.
    pub(super) fn new(level: Sandbox, roots: Roots, hidden: Vec<PathBuf>, path: &str) -> Self {
        let program = bubblewrap_in(path, &roots);
        Builder { level, roots, hidden, program }
    }

    pub(super) fn level(&self) -> Sandbox {
        self.level
    }

    /// Whether a cage can be had, as far as that can be told without a command.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.level {
            Sandbox::Off => Ok(()),
            Sandbox::Landlock => self.landlock(),
            Sandbox::Bubblewrap => self.bubblewrap(),
        }
    }

    /// What commands in it cannot do here that they could where namespaces are to be had, and why, as far as that can be
    /// told without a command. What is promised about them holds all the same.
    #[cfg(target_os = "linux")]
    pub(super) fn limit(&self) -> Option<String> {
        let lost = match self.level {
            Sandbox::Off => return None,
            Sandbox::Landlock => "the mode, owner, times or attributes of any file, and use nothing of /proc/self",
            Sandbox::Bubblewrap => "the times of any file",
        };
        namespaces::obstacle().map(|why| format!("without namespaces ({why}) commands cannot change {lost}"))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn limit(&self) -> Option<String> {
        None
    }

    /// A cage for one command, and the folder that is its own, which goes when it is dropped.
    pub(super) fn build(&self) -> Result<(Cage, Option<OwnFolder>), Refusal> {
        self.check()?;
        if self.level == Sandbox::Off {
            return Ok((Cage::None, None));
        }
        let own = OwnFolder::new(&env::temp_dir())
            .map_err(|error| Refusal::SandboxUnavailable(format!("no folder can be made for it: {error}")))?;
        let (mut known, hidden) = (self.roots.folders()?, self.hidden.clone());
        let roots = known.iter().map(|root| root.path.clone()).collect();
        let (home, temporary) = (own.home(), own.temporary());
        for folder in [&home, &temporary] {
            let found = Folder::at(folder).map_err(|error| {
                Refusal::SandboxUnavailable(format!("its folder {} is not there: {error}", folder.display()))
            })?;
            known.push(found);
        }
        let ground = Ground { own: own.path().to_owned(), home, temporary, roots, known, hidden };
        let cage = match self.level {
            Sandbox::Bubblewrap => Cage::Bubblewrap { program: self.program()?, ground },
            _ => Cage::Landlock(ground),
        };
        Ok((cage, Some(own)))
    }

    /// Whether Bubblewrap can be had, whatever the level.
    pub(super) fn has_bubblewrap(&self) -> bool {
        self.bubblewrap().is_ok()
    }

    #[cfg(target_os = "linux")]
    fn bubblewrap(&self) -> Result<(), Refusal> {
        let program = self.program()?;
        seccomp::check().map_err(Refusal::SandboxUnavailable)?;
        let why = namespaces::obstacle_of(&program);
        why.map_or(Ok(()), |why| Err(Refusal::SandboxUnavailable(format!("bubblewrap can make no namespaces: {why}"))))
    }

    #[cfg(not(target_os = "linux"))]
    fn bubblewrap(&self) -> Result<(), Refusal> {
        self.program().map(drop)
    }

    fn program(&self) -> Result<PathBuf, Refusal> {
        if !cfg!(target_os = "linux") {
            return Err(Refusal::SandboxUnavailable("bubblewrap is there on Linux alone".to_owned()));
        }
        self.program.clone().map_err(Refusal::SandboxUnavailable)
    }

    #[cfg(target_os = "linux")]
    fn landlock(&self) -> Result<(), Refusal> {
        let contains = |root: &&Folder| self.hidden.iter().any(|hidden| hidden.starts_with(&root.path));
        if let Some(root) = self.roots.folders()?.iter().find(contains) {
            let root = root.path.display();
            let why = format!("the root {root} holds files of the daemon, which landlock cannot leave out");
            return Err(Refusal::SandboxUnavailable(why));
        }
        landlock::check().and_then(|()| seccomp::check()).map_err(Refusal::SandboxUnavailable)
    }

    #[cfg(not(target_os = "linux"))]
    fn landlock(&self) -> Result<(), Refusal> {
        Err(Refusal::SandboxUnavailable("landlock is there on Linux alone".to_owned()))
    }
}

/// The program that is found first, but for what lies beneath a root, where a command could have put it.
fn bubblewrap_in(path: &str, roots: &Roots) -> Result<PathBuf, String> {
    let mut why = "bwrap was not installed when the daemon started";
    for folder in env::split_paths(path).filter(|folder| folder.is_absolute()) {
        let Ok(program) = folder.join("bwrap").canonicalize() else { continue };
        if rustix::fs::access(&program, rustix::fs::Access::EXEC_OK).is_err() {
            continue;
        }
        if !roots.hold(&program) && !folder.canonicalize().is_ok_and(|folder| roots.hold(&folder)) {
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
