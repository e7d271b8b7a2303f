//! Bubblewrap: builds its command line and interprets its status.

use super::{
    LauncherStage, REVEALING_PROC_FILES, SYSTEM_FOLDERS, SandboxPaths, TEMPORARY_FOLDERS, is_beneath,
    launcher::launcher_process,
    namespaces,
    seccomp::{self, OtherConfinement},
};
use crate::host::exec::StartError;
use rustix::{
    fs::{MemfdFlags, memfd_create, stat},
    pipe::{PipeFlags, pipe_with},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    process::{Command, Stdio},
};

/// The beginning of Bubblewrap's message for a missing program.
const NO_PROGRAM: &str = "bwrap: execvp ";
/// The beginning of its message for a missing working folder.
const NO_FOLDER: &str = "bwrap: Can't chdir to ";
/// The first version with `--disable-userns`.
const DISABLES_NAMESPACES: (u32, u32) = (0, 8);

/// The pipe on which Bubblewrap reports its status.
pub(in crate::host) struct BubblewrapStatus {
    from: OwnedFd,
    /// Descriptors that Bubblewrap inherits by number: the other end, the filter, more arguments.
    inherited: Option<(OwnedFd, [File; 2])>,
}

impl BubblewrapStatus {
    /// Closes the inherited descriptors in this process; call it after Bubblewrap was started.
    pub(in crate::host) fn close_inherited(mut self) -> Self {
        self.inherited = None;
        self
    }

    /// Returns why the command was not started; call it after Bubblewrap has ended. `head` is the beginning of stderr.
    pub(in crate::host) fn start_error(self, head: &str) -> Option<StartError> {
        let mut message = String::new();
        // The writer has ended, so that this does not block.
        File::from(self.from).read_to_string(&mut message).ok();
        if message.contains("\"exit-code\"") {
            return None;
        }
        let line = head.lines().next().unwrap_or_default().trim().to_owned();
        if let Some(why) = line.strip_prefix(NO_PROGRAM) {
            return Some(StartError::Spawn(why.to_owned()));
        }
        Some(match line.strip_prefix(NO_FOLDER) {
            Some(why) => StartError::Cwd(format!("the folder does not exist in its sandbox: {why}")),
            None => StartError::Sandbox(line),
        })
    }
}

/// Returns the command line of Bubblewrap for a command. The command's variables are not set for Bubblewrap itself, since
/// they may name libraries to load.
pub(in crate::host) fn bubblewrap_command(
    program: &Path,
    paths: &SandboxPaths,
    (cwd, env): (&Path, &BTreeMap<String, String>),
    words: &[String],
) -> Result<(Command, BubblewrapStatus), String> {
    // This process starts nothing else that could inherit the descriptors.
    let (from, to) = pipe_with(PipeFlags::empty()).map_err(|error| format!("no pipe can be created: {error}"))?;
    rustix::io::fcntl_setfd(&from, rustix::io::FdFlags::CLOEXEC).map_err(|error| error.to_string())?;
    let seals = namespaces::obstacle().is_none();
    let filter = passed_on(&seccomp::bytes(OtherConfinement::with_namespaces(seals))?)?;
    let variables: String = env.iter().map(|(name, value)| format!("--setenv\0{name}\0{value}\0")).collect();
    let variables = passed_on(variables.as_bytes())?;
    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    add(&["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
    if disables_namespaces(program) {
        add(&["--disable-userns"]);
    }
    for folder in SYSTEM_FOLDERS.iter().filter(|folder| **folder != "/proc") {
        add(&["--ro-bind-try", folder, folder]);
    }
    add(&["--proc", "/proc", "--dev", "/dev"]);
    for usual in TEMPORARY_FOLDERS {
        add(&["--bind", text(&paths.temporary)?, usual]);
    }
    for folder in &paths.known {
        let found = stat(&folder.path).map_err(|error| format!("{}: {error}", folder.path.display()))?;
        folder.check(&found)?;
    }
    let mut roots = paths.roots.clone();
    roots.sort();
    for folder in roots.iter().chain([&paths.home, &paths.temporary]) {
        let folder = text(folder)?;
        add(&["--bind", folder, folder]);
    }
    let visible: Vec<_> = SYSTEM_FOLDERS.iter().map(Into::into).chain(roots.clone()).collect();
    for hidden in paths.hidden.iter().filter(|hidden| is_beneath(hidden, &visible)) {
        let path = text(hidden)?;
        if hidden.is_dir() {
            add(&["--tmpfs", path]);
        } else if hidden.exists() {
            add(&["--ro-bind", "/dev/null", path]);
        }
    }
    for revealing in REVEALING_PROC_FILES.iter().filter(|path| Path::new(path).exists()) {
        add(&["--ro-bind", "/dev/null", revealing]);
    }
    for sealed in ["/dev", "/proc", "/"] {
        add(&["--remount-ro", sealed]);
    }
    add(&["--seccomp", &filter.as_raw_fd().to_string(), "--args", &variables.as_raw_fd().to_string()]);
    add(&["--chdir", text(cwd)?, "--json-status-fd", &to.as_raw_fd().to_string(), "--"]);
    arguments.extend(words.iter().cloned());
    // Devices belong to the machine: with write access a command can change their times, and root their modes. Bubblewrap
    // mounts them as it finds them, so they are made read-only before; otherwise the filter denies changing any times.
    let mut command = if seals { launcher_process(LauncherStage::Wrapper) } else { Command::new(program) };
    if seals {
        command.arg("--").arg(program);
    }
    command.args(arguments).env_clear().current_dir("/");
    Ok((command, BubblewrapStatus { from, inherited: Some((to, [filter, variables])) }))
}

/// Writes bytes into a file that Bubblewrap inherits.
fn passed_on(bytes: &[u8]) -> Result<File, String> {
    let failed = |error: &dyn std::fmt::Display| format!("data cannot be passed to bubblewrap: {error}");
    let file = memfd_create("bubblewrap", MemfdFlags::empty()).map_err(|error| failed(&error))?;
    let mut file = File::from(file);
    let written = file.write_all(bytes).and_then(|()| file.rewind());
    written.map_err(|error| failed(&error))?;
    Ok(file)
}

/// Returns whether this version can deny further namespaces to the command. The filter denies them anyway.
fn disables_namespaces(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").env_clear().stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    version(&text).is_some_and(|version| version >= DISABLES_NAMESPACES)
}

/// Parses major and minor version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().last()?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not valid UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("bubblewrap 0.8.0\n"), Some((0, 8)));
        assert!(version("bubblewrap 0.11.0").unwrap() > DISABLES_NAMESPACES);
        assert_eq!(version(""), None);
    }
}
