//! What a command may reach when it is confined: the system to read, the roots and a folder of its own to write, and
//! neither the daemon's folder and process nor any network.
//!
//! Invariant: a sandbox that was asked for and cannot be had is an error, never a weaker one.

#[cfg(target_os = "linux")]
mod bubblewrap;
mod folder;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(target_os = "linux")]
mod privileges;
#[cfg(target_os = "linux")]
mod seccomp;

#[cfg(target_os = "linux")]
pub(super) use bubblewrap::{Wrapped, wrap};
pub(super) use folder::OwnFolder;
#[cfg(target_os = "linux")]
pub(super) use linux::enter;
#[cfg(not(target_os = "linux"))]
pub(super) use other::{Wrapped, enter, wrap};

use super::{outcome::Refusal, settings::Sandbox};
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
    /// Its own folder.
    pub(super) own: PathBuf,
    /// The roots, which it may write to.
    pub(super) roots: Vec<PathBuf>,
    /// What it must not see, wherever that lies.
    pub(super) hidden: Vec<PathBuf>,
}

/// Makes cages of one level.
#[derive(Clone, Debug)]
pub(super) struct Builder {
    level: Sandbox,
    roots: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
    /// Where programs lie.
    path: String,
}

impl Builder {
    /// `path`: where programs lie, as in `PATH`.
    pub(super) fn new(level: Sandbox, roots: Vec<PathBuf>, hidden: Vec<PathBuf>, path: &str) -> Self {
        Builder { level, roots, hidden, path: path.to_owned() }
    }

    pub(super) fn level(&self) -> Sandbox {
        self.level
    }

    /// Whether a cage can be had, as far as that can be told without a command.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.level {
            Sandbox::Off => Ok(()),
            Sandbox::Landlock => self.landlock(),
            Sandbox::Bubblewrap => self.program().map(drop),
        }
    }

    /// A cage for one command, and the folder that is its own, which goes when it is dropped.
    pub(super) fn build(&self) -> Result<(Cage, Option<OwnFolder>), Refusal> {
        self.check()?;
        if self.level == Sandbox::Off {
            return Ok((Cage::None, None));
        }
        let own = OwnFolder::new(&env::temp_dir())
            .map_err(|error| Refusal::SandboxUnavailable(format!("no folder can be made for it: {error}")))?;
        let (roots, hidden) = (self.real_roots()?, self.hidden.clone());
        let ground = Ground { own: own.path().to_owned(), roots, hidden };
        let cage = match self.level {
            Sandbox::Bubblewrap => Cage::Bubblewrap { program: self.program()?, ground },
            _ => Cage::Landlock(ground),
        };
        Ok((cage, Some(own)))
    }

    /// The roots without links on the way to them.
    fn real_roots(&self) -> Result<Vec<PathBuf>, Refusal> {
        let real = |root: &PathBuf| {
            let why = |error| Refusal::SandboxUnavailable(format!("the root {} is not there: {error}", root.display()));
            root.canonicalize().map_err(why)
        };
        self.roots.iter().map(real).collect()
    }

    fn program(&self) -> Result<PathBuf, Refusal> {
        if !cfg!(target_os = "linux") {
            return Err(Refusal::SandboxUnavailable("bubblewrap is there on Linux alone".to_owned()));
        }
        let found =
            env::split_paths(&self.path).filter(|folder| folder.is_absolute()).map(|folder| folder.join("bwrap"));
        found
            .into_iter()
            .find(|program| rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok())
            .ok_or_else(|| Refusal::SandboxUnavailable("bwrap is not installed".to_owned()))
    }

    #[cfg(target_os = "linux")]
    fn landlock(&self) -> Result<(), Refusal> {
        let contains = |root: &&PathBuf| self.hidden.iter().any(|hidden| hidden.starts_with(root));
        if let Some(root) = self.real_roots()?.iter().find(contains) {
            let why = format!("the root {} holds files of the daemon, which landlock cannot leave out", root.display());
            return Err(Refusal::SandboxUnavailable(why));
        }
        landlock::check().and_then(|()| seccomp::check()).map_err(Refusal::SandboxUnavailable)
    }

    #[cfg(not(target_os = "linux"))]
    fn landlock(&self) -> Result<(), Refusal> {
        Err(Refusal::SandboxUnavailable("landlock is there on Linux alone".to_owned()))
    }
}

/// Whether one path lies beneath another, or is it.
pub(super) fn is_beneath(path: &Path, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Ground, landlock, privileges, seccomp};

    /// Confines this thread, and everything that it starts from here on.
    pub(in crate::host) fn enter(ground: &Ground) -> Result<(), String> {
        let signals = landlock::restrict(ground)?;
        privileges::drop_all()?;
        seccomp::apply(signals)
    }
}
