//! Starting the command in its sandbox, and telling why it could not be started.

use crate::host::{
    exec::{
        Command as Asked,
        plan::{Fault, Plan},
    },
    sandbox::{self, Cage, Wrapped},
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
    thread,
};

/// A command that runs.
pub(super) struct Started {
    pub(super) child: Child,
    wrapped: Option<Wrapped>,
}

impl Started {
    /// Whether the child is a sandbox around the command and not the command itself.
    pub(super) fn is_wrapped(&self) -> bool {
        self.wrapped.is_some()
    }

    /// Why the command was never reached, if it was not. `head`: how its second stream begins.
    pub(super) fn fault(&mut self, status: Option<WaitStatus>, head: &str) -> Option<Fault> {
        let ended_by_itself = status.is_some_and(WaitStatus::exited);
        self.wrapped.take().filter(|_| ended_by_itself)?.fault(head)
    }
}

/// Starts the command of a plan.
pub(super) fn start(plan: &Plan) -> Result<Started, Fault> {
    check_folder(&plan.cwd)?;
    let words = match &plan.command {
        Asked::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        Asked::Argv(words) => words.clone(),
    };
    let name = words.first().cloned().unwrap_or_default();
    let failed = |error: io::Error| not_started(&name, &error);
    match &plan.cage {
        Cage::None => plain(plan, &words).spawn().map(unwrapped).map_err(failed),
        // On a thread of its own: its bounds are inherited by the command, and not by this supervisor.
        Cage::Landlock(ground) => thread::scope(|scope| {
            let caged = scope.spawn(|| {
                sandbox::enter(ground).map_err(Fault::Sandbox)?;
                plain(plan, &words).spawn().map(unwrapped).map_err(failed)
            });
            caged.join().unwrap_or_else(|_| Err(Fault::Sandbox("it failed unexpectedly".to_owned())))
        }),
        Cage::Bubblewrap { program, ground } => {
            let (arguments, wrapped) = sandbox::wrap(ground, &plan.cwd, &words).map_err(Fault::Sandbox)?;
            let mut command = Command::new(program);
            command.args(arguments).current_dir("/");
            let child = usual(&mut command, plan).spawn();
            let child =
                child.map_err(|error| Fault::Sandbox(format!("{} cannot be run: {error}", program.display())))?;
            Ok(Started { child, wrapped: Some(wrapped.reader()) })
        }
    }
}

fn unwrapped(child: Child) -> Started {
    Started { child, wrapped: None }
}

fn plain(plan: &Plan, words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1)).current_dir(&plan.cwd);
    usual(&mut command, plan);
    command
}

fn usual<'a>(command: &'a mut Command, plan: &Plan) -> &'a mut Command {
    let stdin = if plan.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    command.env_clear().envs(&plan.env).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0)
}

fn check_folder(cwd: &Path) -> Result<(), Fault> {
    let shown = cwd.display();
    match fs::metadata(cwd) {
        Ok(found) if !found.is_dir() => return Err(Fault::Cwd(format!("{shown} is not a folder"))),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Fault::Denied(format!("the system does not let {shown} be entered")));
        }
        Err(error) => return Err(Fault::Cwd(format!("{shown} cannot be entered: {error}"))),
    }
    access(cwd, Access::EXEC_OK).map_err(|_| Fault::Denied(format!("the system does not let {shown} be entered")))
}

fn not_started(program: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Fault::Denied(format!("the system does not let {program} be run: {error}")),
        _ => Fault::Spawn(format!("{program} cannot be started: {error}")),
    }
}
