//! The launcher processes between a supervisor and a command in the `landlock` sandbox: this program run again.
//!
//! ```text
//! supervisor ── order ──► outer: makes namespaces ──► inner: mounts the file system, confines a thread ──► command
//!            ◄── started or failed; exit ──────────────┘   (the first process of its namespace)
//! ```
//!
//! Without namespaces, a single launcher confines the command by Landlock and a stricter filter: the guarantees are the
//! same, but commands can do less. It is a new process, since one that made only some of its namespaces cannot undo that.

use super::{
    SandboxPaths, landlock, mounts, namespaces, privileges,
    seccomp::{self, OtherConfinement},
};
use crate::host::exec::{StartError, encode_frame, read_frame};
use rustix::{
    fs::{FileType, fstat},
    process::{DumpableBehavior, Pid, WaitOptions, WaitStatus, set_dumpable_behavior, setsid, wait},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    thread,
};

/// The subcommand that runs a launcher.
const COMMAND: &str = "launch-command";
/// This program, also when its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// How to start a command.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::host) struct LaunchOrder {
    /// The program and its arguments.
    pub(in crate::host) words: Vec<String>,
    /// Absolute.
    pub(in crate::host) cwd: PathBuf,
    pub(in crate::host) env: BTreeMap<String, String>,
    pub(in crate::host) stdin: Option<String>,
    pub(in crate::host) paths: SandboxPaths,
}

/// The kinds of launcher processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LauncherStage {
    /// Makes namespaces and starts the inner launcher.
    Outer,
    /// Runs in the namespaces and starts the command.
    Inner,
    /// Starts the command without namespaces.
    Alone,
    /// Makes devices read-only, and executes Bubblewrap.
    Wrapper,
}

impl LauncherStage {
    fn name(self) -> &'static str {
        self.into()
    }
}

/// A message to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
enum LauncherMessage {
    /// The command was started.
    Begun,
    /// The command cannot be started.
    Failed(StartError),
    /// Namespaces are not available, with the reason.
    NoNamespaces(String),
    /// The command has ended.
    Ended(CommandExit),
}

/// How a command ended: by exit or signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) struct CommandExit {
    pub(in crate::host) exit_code: Option<i32>,
    pub(in crate::host) signal: Option<i32>,
}

impl From<WaitStatus> for CommandExit {
    fn from(status: WaitStatus) -> Self {
        CommandExit { exit_code: status.exit_status(), signal: status.terminating_signal() }
    }
}

/// A started command.
#[derive(Debug)]
pub(in crate::host) struct LaunchedCommand {
    socket: UnixStream,
    /// Why it has no namespaces, if so.
    pub(in crate::host) without_namespaces: Option<String>,
}

impl LaunchedCommand {
    /// Returns how the command ended; call it after all of its processes have. `None` when the launcher did not report it.
    pub(in crate::host) fn exit(&self) -> Option<CommandExit> {
        self.socket.set_nonblocking(true).ok()?;
        match read_frame(&self.socket)? {
            LauncherMessage::Ended(ended) => Some(ended),
            _ => None,
        }
    }
}

/// Starts a command in the sandbox, without namespaces if these are not available.
pub(in crate::host) fn launch(order: &LaunchOrder) -> Result<(Child, LaunchedCommand), StartError> {
    match try_launch(order, LauncherStage::Outer)? {
        Ok((child, socket)) => Ok((child, LaunchedCommand { socket, without_namespaces: None })),
        Err(why) => {
            let (child, socket) = try_launch(order, LauncherStage::Alone)?.map_err(StartError::Sandbox)?;
            Ok((child, LaunchedCommand { socket, without_namespaces: Some(why) }))
        }
    }
}

/// Starts a command with one kind of launcher. The inner error is the reason why namespaces are not available.
fn try_launch(order: &LaunchOrder, stage: LauncherStage) -> Result<Result<(Child, UnixStream), String>, StartError> {
    let failed = |error: io::Error| StartError::Sandbox(format!("its launcher cannot be started: {error}"));
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut child = launcher_process(stage)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let frame = encode_frame(order).ok_or_else(|| StartError::Sandbox("the command is too large".to_owned()))?;
    // A failure shows in the missing answer.
    let _ = (&ours).write_all(&frame);
    let why = match read_frame(&ours) {
        Some(LauncherMessage::Begun) => return Ok(Ok((child, ours))),
        Some(LauncherMessage::NoNamespaces(why)) => Ok(Err(why)),
        Some(LauncherMessage::Failed(fault)) => Err(fault),
        Some(LauncherMessage::Ended(_)) | None => {
            Err(StartError::Sandbox("its launcher ended before the command began".to_owned()))
        }
    };
    // The launcher ends by itself unless it hangs.
    let _ = child.kill();
    let _ = child.wait();
    why
}

/// Returns the command of a launcher process.
pub(super) fn launcher_process(stage: LauncherStage) -> Command {
    let mut command = Command::new(OWN_PROGRAM);
    command.arg0("baa-conductor").args([COMMAND, stage.name()]).env_clear().current_dir("/");
    command
}

/// Runs a launcher: reads the order from stdin, which is a socket, and reports to it. `words` is the command line that
/// [`LauncherStage::Wrapper`] executes.
pub fn launch_command(stage: LauncherStage, words: &[String]) -> ExitCode {
    if stage == LauncherStage::Wrapper {
        let why = become_bubblewrap(words);
        // The supervisor reads the first line of stderr.
        let _ = writeln!(io::stderr(), "{why}");
        return ExitCode::FAILURE;
    }
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let socket = File::from(socket);
    let done = match stage {
        LauncherStage::Outer => run_outer(),
        LauncherStage::Inner => run_inner(&socket, true),
        LauncherStage::Alone | LauncherStage::Wrapper => run_inner(&socket, false),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            send_message(&socket, &message);
            ExitCode::FAILURE
        }
    }
}

fn send_message(mut socket: &File, message: &LauncherMessage) {
    // The supervisor may be gone.
    let _ = encode_frame(message).map(|frame| socket.write_all(&frame));
}

/// Makes namespaces, starts the inner launcher, which reads the order, and waits for its end.
fn run_outer() -> Result<(), LauncherMessage> {
    namespaces::enter().map_err(LauncherMessage::NoNamespaces)?;
    let failed = |error: io::Error| {
        LauncherMessage::NoNamespaces(format!("no process can be started in its namespaces: {error}"))
    };
    let mut inner = launcher_process(LauncherStage::Inner).spawn().map_err(failed)?;
    inner.wait().map(drop).map_err(failed)
}

/// Executes Bubblewrap in a mount namespace with read-only devices; returns the error if that fails.
fn become_bubblewrap(words: &[String]) -> String {
    let Some((program, arguments)) = words.split_first() else { return "no program was given".to_owned() };
    if let Err(why) = namespaces::enter_mounts().and_then(|()| mounts::seal_devices()) {
        return why;
    }
    let mut command = Command::new(program);
    // An inherited device would be writable.
    if fstat(io::stdin()).is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice) {
        command.stdin(Stdio::null());
    }
    let error = command.args(arguments).exec();
    format!("{program} cannot be run: {error}")
}

/// Confines and starts the command, and waits for its end. As the first process of its namespace, its end also ends the
/// rest.
fn run_inner(socket: &File, namespaces: bool) -> Result<(), LauncherMessage> {
    let fault = |why: String| LauncherMessage::Failed(StartError::Sandbox(why));
    let order: LaunchOrder = read_frame(socket).ok_or_else(|| fault("its order cannot be read".to_owned()))?;
    if namespaces {
        // Otherwise a signal to its process group would reach processes outside.
        setsid().map_err(|error| LauncherMessage::NoNamespaces(format!("no session can be started: {error}")))?;
        mounts::enter(&order.paths).map_err(LauncherMessage::NoNamespaces)?;
    }
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    hidden.map_err(|error| fault(format!("its launcher cannot be protected from inspection: {error}")))?;
    if !order.cwd.is_dir() {
        let why = format!("{} does not exist in its sandbox", order.cwd.display());
        return Err(LauncherMessage::Failed(StartError::Cwd(why)));
    }
    privileges::drop_all().map_err(fault)?;
    // Confine a separate thread: the command inherits that, this process does not.
    let mut child = thread::scope(|scope| {
        let caged = scope.spawn(|| {
            confine(&order.paths, namespaces).map_err(StartError::Sandbox)?;
            command(&order).spawn().map_err(|error| StartError::from_spawn_error(&order.words, &error))
        });
        caged.join().unwrap_or_else(|_| Err(StartError::Sandbox("it failed unexpectedly".to_owned())))
    })
    .map_err(LauncherMessage::Failed)?;
    send_message(socket, &LauncherMessage::Begun);
    if let Some((mut to, text)) = child.stdin.take().zip(order.stdin) {
        // A command may ignore its input.
        thread::spawn(move || to.write_all(text.as_bytes()));
    }
    let pid = Pid::from_raw(child.id().cast_signed());
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if Some(ended) == pid => {
                send_message(socket, &LauncherMessage::Ended(status.into()));
                return Ok(());
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Ok(()),
        }
    }
}

/// Confines this thread and its future descendants.
fn confine(paths: &SandboxPaths, namespaces: bool) -> Result<(), String> {
    let signals = landlock::restrict(paths, namespaces)?;
    let without = || OtherConfinement::without_namespaces(signals == landlock::SignalScope::Confined);
    seccomp::apply(if namespaces { OtherConfinement::with_namespaces(true) } else { without() })
}

fn command(order: &LaunchOrder) -> Command {
    let mut command = Command::new(order.words.first().map_or("", String::as_str));
    // An empty input is the sandbox's own /dev/null, opened here.
    let stdin = if order.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    command.args(order.words.iter().skip(1)).current_dir(&order.cwd).env_clear().envs(&order.env);
    command.stdin(stdin).process_group(0);
    command
}
