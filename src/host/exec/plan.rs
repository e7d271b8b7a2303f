//! The messages between daemon and supervisor over one socket: first the order, at the end the report. Any byte after the
//! order, or the end of the stream, means: stop the command.

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

/// Bytes of a frame: the largest request body with every byte escaped.
const PLAN_BYTES_MAX: u32 = 1 << 30;
/// Bytes of a report.
pub(super) const REPORT_BYTES_MAX: u64 = 64 << 10;

/// The task of a supervisor process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SupervisorOrder {
    /// Run a command.
    Run(Box<CommandPlan>),
    /// Remove folders that commands left behind.
    Sweep {
        /// The parent of the folders.
        within: PathBuf,
    },
}

/// How to run a command.
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
    /// The command's private folder, removed after it.
    pub(super) command_folder: Option<PathBuf>,
    pub(super) confinement: Confinement,
}

/// The result of a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SupervisorReport {
    /// The command ran.
    Ran(CommandReport),
    /// The command could not be started.
    NotStarted(StartError),
    /// The sweep is done.
    Swept(SweepResult),
}

/// How a command ran.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CommandReport {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) timed_out: bool,
    pub(super) cancelled: bool,
    /// The exceeded limit, where known.
    pub(super) exceeded: Option<LimitKind>,
    pub(super) stdout_bytes: u64,
    pub(super) stderr_bytes: u64,
    pub(super) started_at: WallMs,
    pub(super) finished_at: WallMs,
    pub(super) duration_ms: u64,
    /// Processes that did not end in time after SIGKILL.
    pub(super) left: usize,
    /// Why its sandbox has no namespaces, if they were not available.
    pub(super) without_namespaces: Option<String>,
}

/// Why a command could not be started.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) enum StartError {
    /// The working folder does not exist.
    Cwd(String),
    /// The system denies it.
    Denied(String),
    /// The program does not exist or cannot be executed.
    Spawn(String),
    /// The sandbox could not be set up.
    Sandbox(String),
}

impl StartError {
    /// Converts the error of spawning a program.
    pub(in crate::host) fn from_spawn_error(words: &[String], error: &io::Error) -> Self {
        let program = words.first().map_or("", String::as_str);
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                StartError::Denied(format!("the system denies running {program}: {error}"))
            }
            _ => StartError::Spawn(format!("{program} cannot be started: {error}")),
        }
    }
}

/// Encodes a message: its length as four bytes, then its JSON. `None` when it is too long.
pub(in crate::host) fn encode_frame(message: &impl Serialize) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(message).ok()?;
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= PLAN_BYTES_MAX)?;
    Some([&length.to_le_bytes()[..], &text].concat())
}

/// Reads one frame, and no byte beyond it.
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
