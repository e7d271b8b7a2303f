//! Starts the command in its sandbox, or explains why it could not be started.

use crate::host::{
    exec::{
        ExecCommand,
        plan::{CommandPlan, StartError},
    },
    sandbox::{self, BubblewrapStatus, CommandExit, Confinement, LaunchOrder, LaunchedCommand},
};
use rustix::{
    fs::{Access, access},
    process::WaitStatus,
};
use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A started command.
pub(super) struct StartedCommand {
    pub(super) child: Child,
    kind: ChildKind,
}

/// What the child process is.
enum ChildKind {
    /// The command itself.
    Command,
    /// The launcher, which runs the command.
    Launcher(LaunchedCommand),
    /// Bubblewrap, which runs the command.
    Bubblewrap(Option<BubblewrapStatus>),
}

impl StartedCommand {
    /// Returns whether the child is a sandbox that runs the command.
    pub(super) fn is_wrapped(&self) -> bool {
        !matches!(self.kind, ChildKind::Command)
    }

    /// Returns how the command ended, given how the child ended.
    pub(super) fn exit(&self, status: Option<WaitStatus>) -> CommandExit {
        let reported = match &self.kind {
            ChildKind::Launcher(launched) => launched.exit(),
            _ => None,
        };
        reported.or(status.map(CommandExit::from)).unwrap_or_default()
    }

    /// Returns why the command has no namespaces, if they were not available.
    pub(super) fn without_namespaces(&self) -> Option<String> {
        match &self.kind {
            ChildKind::Launcher(launched) => launched.without_namespaces.clone(),
            _ => None,
        }
    }

    /// Returns why Bubblewrap did not start the command, if so. `head` is the beginning of stderr.
    pub(super) fn start_error(&mut self, status: Option<WaitStatus>, head: &str) -> Option<StartError> {
        let ChildKind::Bubblewrap(status_pipe) = &mut self.kind else { return None };
        let ended_by_itself = status.is_some_and(WaitStatus::exited);
        status_pipe.take().filter(|_| ended_by_itself)?.start_error(head)
    }
}

/// Starts the command of a plan.
pub(super) fn start(plan: &CommandPlan) -> Result<StartedCommand, StartError> {
    check_folder(&plan.cwd)?;
    let words = match &plan.command {
        ExecCommand::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        ExecCommand::Argv(words) => words.clone(),
    };
    // In a sandbox, folders have their canonical paths.
    let cwd = || plan.cwd.canonicalize().map_err(|error| StartError::Cwd(format!("{}: {error}", plan.cwd.display())));
    match &plan.confinement {
        Confinement::None => {
            let child = unconfined_command(plan, &words)
                .spawn()
                .map_err(|error| StartError::from_spawn_error(&words, &error))?;
            Ok(StartedCommand { child, kind: ChildKind::Command })
        }
        Confinement::Landlock(paths) => {
            let (env, stdin) = (plan.env.clone(), plan.stdin.clone());
            let order = LaunchOrder { words, cwd: cwd()?, env, stdin, paths: paths.clone() };
            let (child, launched) = sandbox::launch(&order)?;
            Ok(StartedCommand { child, kind: ChildKind::Launcher(launched) })
        }
        Confinement::Bubblewrap { program, paths } => {
            let place = (&*cwd()?, &plan.env);
            let (mut command, status_pipe) =
                sandbox::bubblewrap_command(program, paths, place, &words).map_err(StartError::Sandbox)?;
            let child = set_streams(&mut command, plan).spawn();
            let child =
                child.map_err(|error| StartError::Sandbox(format!("{} cannot be run: {error}", program.display())))?;
            Ok(StartedCommand { child, kind: ChildKind::Bubblewrap(Some(status_pipe.close_inherited())) })
        }
    }
}

fn unconfined_command(plan: &CommandPlan, words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1)).current_dir(&plan.cwd);
    set_streams(command.env_clear().envs(&plan.env), plan);
    command
}

fn set_streams<'a>(command: &'a mut Command, plan: &CommandPlan) -> &'a mut Command {
    let stdin = if plan.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0)
}

fn check_folder(cwd: &Path) -> Result<(), StartError> {
    let shown = cwd.display();
    match fs::metadata(cwd) {
        Ok(found) if !found.is_dir() => return Err(StartError::Cwd(format!("{shown} is not a folder"))),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(StartError::Denied(format!("the system denies entering {shown}")));
        }
        Err(error) => return Err(StartError::Cwd(format!("{shown} cannot be entered: {error}"))),
    }
    access(cwd, Access::EXEC_OK).map_err(|_| StartError::Denied(format!("the system denies entering {shown}")))
}
