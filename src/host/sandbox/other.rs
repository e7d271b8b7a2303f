//! Where there is no sandbox: nothing is confined, and so nothing that must be is run.

use super::Ground;
use crate::host::exec::Fault;
use rustix::process::WaitStatus;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
};

const NOT_HERE: &str = "there is no sandbox on this system";

/// What cannot be had here.
pub(in crate::host) struct Wrapped(());

impl Wrapped {
    pub(in crate::host) fn reader(self) -> Self {
        self
    }

    pub(in crate::host) fn fault(self, _: &str) -> Option<Fault> {
        None
    }
}

pub(in crate::host) fn wrap(
    _: &Path,
    _: &Ground,
    _: (&Path, &BTreeMap<String, String>),
    _: &[String],
) -> Result<(Command, Wrapped), String> {
    Err(NOT_HERE.to_owned())
}

/// What a command would be started with.
pub(in crate::host) struct Order {
    pub(in crate::host) words: Vec<String>,
    pub(in crate::host) cwd: PathBuf,
    pub(in crate::host) env: BTreeMap<String, String>,
    pub(in crate::host) stdin: Option<String>,
    pub(in crate::host) ground: Ground,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::host) struct Ended {
    pub(in crate::host) exit_code: Option<i32>,
    pub(in crate::host) signal: Option<i32>,
}

impl From<WaitStatus> for Ended {
    fn from(status: WaitStatus) -> Self {
        Ended { exit_code: status.exit_status(), signal: status.terminating_signal() }
    }
}

/// What cannot be had here.
pub(in crate::host) struct Launched {
    pub(in crate::host) without_namespaces: Option<String>,
}

impl Launched {
    pub(in crate::host) fn ended(&self) -> Option<Ended> {
        None
    }
}

pub(in crate::host) fn launch(order: &Order) -> Result<(Child, Launched), Fault> {
    let Order { words, cwd, env, stdin, ground } = order;
    tracing::debug!(?words, ?cwd, variables = env.len(), has_input = stdin.is_some(), ?ground, "not started");
    Err(Fault::Sandbox(NOT_HERE.to_owned()))
}

/// A process that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {}

impl Stage {
    /// None.
    pub const ALL: [(&'static str, Stage); 0] = [];
}

/// Never called.
pub fn launch_command(stage: Stage, _: &[String]) -> ExitCode {
    match stage {}
}
