//! Stand-ins on systems without sandboxes: commands that must be confined are refused.

use super::SandboxPaths;
use crate::host::exec::StartError;
use rustix::process::WaitStatus;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
};

const NOT_HERE: &str = "there is no sandbox on this system";

/// Not available here.
pub(in crate::host) struct BubblewrapStatus(());

impl BubblewrapStatus {
    pub(in crate::host) fn close_inherited(self) -> Self {
        self
    }

    pub(in crate::host) fn start_error(self, _: &str) -> Option<StartError> {
        None
    }
}

pub(in crate::host) fn bubblewrap_command(
    _: &Path,
    _: &SandboxPaths,
    _: (&Path, &BTreeMap<String, String>),
    _: &[String],
) -> Result<(Command, BubblewrapStatus), String> {
    Err(NOT_HERE.to_owned())
}

/// How to start a command.
pub(in crate::host) struct LaunchOrder {
    pub(in crate::host) words: Vec<String>,
    pub(in crate::host) cwd: PathBuf,
    pub(in crate::host) env: BTreeMap<String, String>,
    pub(in crate::host) stdin: Option<String>,
    pub(in crate::host) paths: SandboxPaths,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::host) struct CommandExit {
    pub(in crate::host) exit_code: Option<i32>,
    pub(in crate::host) signal: Option<i32>,
}

impl From<WaitStatus> for CommandExit {
    fn from(status: WaitStatus) -> Self {
        CommandExit { exit_code: status.exit_status(), signal: status.terminating_signal() }
    }
}

/// Not available here.
pub(in crate::host) struct LaunchedCommand {
    pub(in crate::host) without_namespaces: Option<String>,
}

impl LaunchedCommand {
    pub(in crate::host) fn exit(&self) -> Option<CommandExit> {
        None
    }
}

pub(in crate::host) fn launch(order: &LaunchOrder) -> Result<(Child, LaunchedCommand), StartError> {
    let LaunchOrder { words, cwd, env, stdin, paths } = order;
    tracing::debug!(?words, ?cwd, variables = env.len(), has_input = stdin.is_some(), ?paths, "not started");
    Err(StartError::Sandbox(NOT_HERE.to_owned()))
}

/// The kinds of launcher processes: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LauncherStage {}

/// Never called.
pub fn launch_command(stage: LauncherStage, _: &[String]) -> ExitCode {
    match stage {}
}
