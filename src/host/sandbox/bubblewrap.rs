//! Bubblewrap: a file system, processes and a network that hold nothing but what is put there.

use super::{Ground, SYSTEM, is_beneath};
use crate::host::exec::Fault;
use rustix::pipe::{PipeFlags, pipe_with};
use std::{
    fs::File,
    io::Read,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

/// What bubblewrap writes when the program it was to run is not there.
const NO_PROGRAM: &str = "bwrap: execvp ";

/// The two ends of the line on which bubblewrap tells what it did.
pub(in crate::host) struct Wrapped {
    from: OwnedFd,
    /// Inherited by bubblewrap under this very number.
    to: Option<OwnedFd>,
}

impl Wrapped {
    /// Bubblewrap has been started and has its end.
    pub(in crate::host) fn reader(mut self) -> Self {
        self.to = None;
        self
    }

    /// Why the command was not reached, once bubblewrap has ended by itself. `head`: how its second stream begins.
    pub(in crate::host) fn fault(self, head: &str) -> Option<Fault> {
        let mut told = String::new();
        // Its writer has ended; what cannot be read was not told.
        File::from(self.from).read_to_string(&mut told).ok();
        if told.contains("\"exit-code\"") {
            return None;
        }
        let line = head.lines().next().unwrap_or_default().trim().to_owned();
        Some(match line.strip_prefix(NO_PROGRAM) {
            Some(why) => Fault::Spawn(why.to_owned()),
            None => Fault::Sandbox(line),
        })
    }
}

/// The arguments that put a command into a sandbox.
pub(in crate::host) fn wrap(ground: &Ground, cwd: &Path, words: &[String]) -> Result<(Vec<String>, Wrapped), String> {
    // This process starts nothing else, so that nobody else inherits it.
    let (from, to) = pipe_with(PipeFlags::empty()).map_err(|error| format!("no pipe can be made: {error}"))?;
    rustix::io::fcntl_setfd(&from, rustix::io::FdFlags::CLOEXEC).map_err(|error| error.to_string())?;
    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    add(&["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
    for folder in SYSTEM.iter().filter(|folder| **folder != "/proc") {
        add(&["--ro-bind-try", folder, folder]);
    }
    add(&["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    for folder in ground.roots.iter().chain([&ground.own]) {
        let folder = text(folder)?;
        add(&["--bind", folder, folder]);
    }
    let visible: Vec<_> = SYSTEM.iter().map(Into::into).chain(ground.roots.clone()).collect();
    for hidden in ground.hidden.iter().filter(|hidden| is_beneath(hidden, &visible)) {
        let path = text(hidden)?;
        if hidden.is_dir() {
            add(&["--tmpfs", path]);
        } else if hidden.exists() {
            add(&["--ro-bind", "/dev/null", path]);
        }
    }
    add(&["--remount-ro", "/", "--chdir", text(cwd)?, "--json-status-fd", &to.as_raw_fd().to_string(), "--"]);
    arguments.extend(words.iter().cloned());
    Ok((arguments, Wrapped { from, to: Some(to) }))
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is no text", path.display()))
}
