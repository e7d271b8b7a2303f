//! Starting the command in its sandbox, and telling why it could not be started.

use crate::host::{
    exec::{
        Command as Asked,
        plan::{Fault, Plan},
    },
    sandbox::{self, Cage, Ended, Launched, Order, Wrapped},
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

/// A command that runs.
pub(super) struct Started {
    pub(super) child: Child,
    within: Within,
}

/// What the child is.
enum Within {
    /// The command itself.
    Nothing,
    /// This program, around the command.
    Launcher(Launched),
    /// Bubblewrap, around the command.
    Bubblewrap(Option<Wrapped>),
}

impl Started {
    /// Whether the child is a sandbox around the command and not the command itself.
    pub(super) fn is_wrapped(&self) -> bool {
        !matches!(self.within, Within::Nothing)
    }

    /// How the command ended, whose end the child's may only stand for.
    pub(super) fn ended(&self, status: Option<WaitStatus>) -> Ended {
        let told = match &self.within {
            Within::Launcher(launched) => launched.ended(),
            _ => None,
        };
        told.or(status.map(Ended::from)).unwrap_or_default()
    }

    /// Why it has no namespaces of its own, where it should have had some.
    pub(super) fn without_namespaces(&self) -> Option<String> {
        match &self.within {
            Within::Launcher(launched) => launched.without_namespaces.clone(),
            _ => None,
        }
    }

    /// Why the command was never reached, if it was not. `head`: how its second stream begins.
    pub(super) fn fault(&mut self, status: Option<WaitStatus>, head: &str) -> Option<Fault> {
        let Within::Bubblewrap(wrapped) = &mut self.within else { return None };
        let ended_by_itself = status.is_some_and(WaitStatus::exited);
        wrapped.take().filter(|_| ended_by_itself)?.fault(head)
    }
}

/// Starts the command of a plan.
pub(super) fn start(plan: &Plan) -> Result<Started, Fault> {
    check_folder(&plan.cwd)?;
    let words = match &plan.command {
        Asked::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        Asked::Argv(words) => words.clone(),
    };
    // A sandbox shows folders where they really are.
    let cwd = || plan.cwd.canonicalize().map_err(|error| Fault::Cwd(format!("{}: {error}", plan.cwd.display())));
    match &plan.cage {
        Cage::None => {
            let child = plain(plan, &words).spawn().map_err(|error| Fault::of_start(&words, &error))?;
            Ok(Started { child, within: Within::Nothing })
        }
        Cage::Landlock(ground) => {
            let (env, stdin) = (plan.env.clone(), plan.stdin.clone());
            let order = Order { words, cwd: cwd()?, env, stdin, ground: ground.clone() };
            let (child, launched) = sandbox::launch(&order)?;
            Ok(Started { child, within: Within::Launcher(launched) })
        }
        Cage::Bubblewrap { program, ground } => {
            let place = (&*cwd()?, &plan.env);
            let (mut command, wrapped) = sandbox::wrap(program, ground, place, &words).map_err(Fault::Sandbox)?;
            let child = streams(&mut command, plan).spawn();
            let child =
                child.map_err(|error| Fault::Sandbox(format!("{} cannot be run: {error}", program.display())))?;
            Ok(Started { child, within: Within::Bubblewrap(Some(wrapped.reader())) })
        }
    }
}

fn plain(plan: &Plan, words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1)).current_dir(&plan.cwd);
    streams(command.env_clear().envs(&plan.env), plan);
    command
}

fn streams<'a>(command: &'a mut Command, plan: &Plan) -> &'a mut Command {
    let stdin = if plan.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0)
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
