//! What a daemon and a supervisor say to each other, over one socket: first the order, at the end the report. Anything that
//! comes behind the order, and the end of the line too, means: stop the command.

use super::{
    ExecCommand,
    limits::{CommandLimits, LimitKind},
};
use crate::{
    clock::WallMs,
    host::sandbox::{Confinement, SweepResult},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::PathBuf,
};

/// Most bytes of a plan: the largest body of a request, with every byte of it escaped.
const PLAN_BYTES_MAX: u32 = 1 << 30;
/// Most bytes of a report.
pub(super) const REPORT_BYTES_MAX: u64 = 64 << 10;

/// What a supervisor is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SupervisorOrder {
    /// To run a command.
    Run(Box<CommandPlan>),
    /// To remove what commands left behind.
    Sweep {
        /// Where that lies.
        within: PathBuf,
    },
}

/// How a command is run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CommandPlan {
    pub(super) command: ExecCommand,
    /// Absolute.
    pub(super) cwd: PathBuf,
    pub(super) env: BTreeMap<String, String>,
    pub(super) stdin: Option<String>,
    pub(super) timeout_ms: u64,
    pub(super) max_output_bytes: u64,
    pub(super) limits: CommandLimits,
    /// The folder that is the command's own, to be removed with it.
    pub(super) command_folder: Option<PathBuf>,
    pub(super) confinement: Confinement,
}

/// What became of a command.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SupervisorReport {
    /// It ran.
    Ran(CommandReport),
    /// It could not be started.
    NotStarted(StartError),
    /// What was left behind is gone, as far as it could be removed.
    Swept(SweepResult),
}

/// A command that ran.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CommandReport {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) timed_out: bool,
    pub(super) cancelled: bool,
    /// The limit that it ran into, where that is known.
    pub(super) exceeded: Option<LimitKind>,
    pub(super) stdout_bytes: u64,
    pub(super) stderr_bytes: u64,
    pub(super) started_at: WallMs,
    pub(super) finished_at: WallMs,
    pub(super) duration_ms: u64,
    /// Processes that even SIGKILL did not end in time.
    pub(super) left: usize,
    /// Why its sandbox had no namespaces, where it should have had some.
    pub(super) without_namespaces: Option<String>,
}

/// Why a command could not be started.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) enum StartError {
    /// Its folder is not there.
    Cwd(String),
    /// The system does not allow it.
    Denied(String),
    /// It is not there, or is no program.
    Spawn(String),
    /// Its sandbox could not be set up.
    Sandbox(String),
}

impl StartError {
    /// Why a program was not started.
    pub(in crate::host) fn from_spawn_error(words: &[String], error: &io::Error) -> Self {
        let program = words.first().map_or("", String::as_str);
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                StartError::Denied(format!("the system does not let {program} be run: {error}"))
            }
            _ => StartError::Spawn(format!("{program} cannot be started: {error}")),
        }
    }
}

/// A message as it is sent: its length, then its JSON.
pub(in crate::host) fn encode_frame(message: &impl Serialize) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(message).ok()?;
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= PLAN_BYTES_MAX)?;
    Some([&length.to_le_bytes()[..], &text].concat())
}

/// Reads one, and not a byte more.
pub(in crate::host) fn read_frame<T: DeserializeOwned>(mut from: impl Read) -> Option<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let length = u32::from_le_bytes(length);
    if length > PLAN_BYTES_MAX {
        return None;
    }
    let mut text = vec![0; usize::try_from(length).ok()?];
    from.read_exact(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
