//! Commands.
//!
//! ```text
//! daemon ── plan, stop ──► supervisor ── starts, stops, reaps ──► command and all that it starts
//!        ◄── report ─────            ◄── output, counted and cut ──
//! ```
//!
//! Each command has a supervisor, which is this very program run again. It leads a session of its own and adopts whatever
//! its command leaves behind (on Linux), so that nothing it started outlives the call, also when the daemon dies first: its
//! line to the daemon then ends, which means stop.

mod environment;
mod limits;
mod orphans;
mod plan;
mod process_tree;
mod runner;
mod supervisor;
mod sweeps;

pub(super) use environment::CommandEnvironment;
pub(super) use limits::CommandLimits;
pub(super) use orphans::OrphanReaper;
pub(super) use plan::{StartError, encode_frame, read_frame};
pub(super) use runner::{CommandJob, CommandRunner, StopSignals};
pub use supervisor::supervise;

use super::{outcome::OperationRefusal, settings::HostOpsSettings};
use crate::clock::WallMs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// Milliseconds that a command gets unless it asks for others.
pub const TIMEOUT_MS_DEFAULT: u64 = 30_000;
/// Most milliseconds that a command may ask for.
pub const TIMEOUT_MS_MAX: u64 = 600_000;
/// Bytes kept of each stream of the output unless others are asked for.
pub const OUTPUT_BYTES_DEFAULT: u64 = 1 << 20;
/// Most bytes of each stream that may be asked for.
pub const OUTPUT_BYTES_MAX: u64 = 16 << 20;
/// From SIGTERM to SIGKILL.
pub(super) const KILL_AFTER: Duration = Duration::from_secs(2);
/// How long a supervisor may take for everything but its command.
pub(super) const SUPERVISOR_OVERHEAD: Duration = Duration::from_secs(10);

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecInput {
    /// What is run.
    pub command: ExecCommand,
    /// In which folder; absent = the first root, else the home folder.
    pub cwd: Option<String>,
    /// With which variables besides the usual ones.
    pub env: BTreeMap<String, String>,
    /// With which input.
    pub stdin: Option<String>,
    /// For how many milliseconds at most.
    pub timeout_ms: u64,
    /// Bytes kept of each stream of its output.
    pub max_output_bytes: u64,
}

/// How a command is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExecCommand {
    /// For `/bin/sh -c`; may have several lines.
    Shell(String),
    /// A program and its arguments, run directly.
    Argv(Vec<String>),
}

impl ExecInput {
    /// This command with everything else as usual.
    pub fn plain(command: ExecCommand) -> Self {
        ExecInput {
            command,
            cwd: None,
            env: BTreeMap::new(),
            stdin: None,
            timeout_ms: TIMEOUT_MS_DEFAULT,
            max_output_bytes: OUTPUT_BYTES_DEFAULT,
        }
    }

    /// What is repeated of it to whoever asks what was done.
    pub fn echo(&self) -> Value {
        serde_json::to_value(EchoedExec::from(self)).unwrap_or_default()
    }

    /// What is kept of it: of its variables the names alone, since their values may be secret.
    pub fn redacted(&self) -> Value {
        let mut echo = self.echo();
        redact_variables(&mut echo);
        echo
    }
}

/// Leaves of the variables in the input of a command their names alone, each with `null` for its value.
pub fn redact_variables(input: &mut Value) {
    if let Some(Value::Object(variables)) = input.get_mut("env") {
        variables.values_mut().for_each(|value| *value = Value::Null);
    }
}

/// What is repeated of a command that was asked for.
#[derive(Debug, Serialize)]
struct EchoedExec<'a> {
    command: &'a ExecCommand,
    cwd: Option<&'a str>,
    env: &'a BTreeMap<String, String>,
    stdin_bytes: Option<usize>,
    timeout_ms: u64,
    max_output_bytes: u64,
}

impl<'a> From<&'a ExecInput> for EchoedExec<'a> {
    fn from(exec: &'a ExecInput) -> Self {
        EchoedExec {
            command: &exec.command,
            cwd: exec.cwd.as_deref(),
            env: &exec.env,
            stdin_bytes: exec.stdin.as_ref().map(String::len),
            timeout_ms: exec.timeout_ms,
            max_output_bytes: exec.max_output_bytes,
        }
    }
}

/// A command that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExecResult {
    /// The beginning of its output, with U+FFFD for what is no UTF-8.
    pub stdout: String,
    /// The same of its second stream.
    pub stderr: String,
    /// What it ended with; absent when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it, such as `SIGTERM`.
    pub signal: Option<String>,
    /// Whether it took longer than it might.
    pub timed_out: bool,
    /// Whether it was called off: its caller left, or the daemon stopped.
    pub cancelled: bool,
    /// The setting of `host_ops` whose bound it ran into, such as `max_memory_bytes`, where that is known.
    pub limit_exceeded: Option<&'static str>,
    /// Whether there was more output.
    pub stdout_truncated: bool,
    /// Whether there was more on the second stream.
    pub stderr_truncated: bool,
    /// Bytes of output, with those that were dropped.
    pub stdout_bytes: u64,
    /// The same of the second stream.
    pub stderr_bytes: u64,
    /// When it started.
    pub started_at: WallMs,
    /// When the last process of it had ended.
    pub finished_at: WallMs,
    /// How long that took.
    pub duration_ms: u64,
}

impl ExecResult {
    /// Whether it did what it was for.
    pub(super) fn is_success(&self) -> bool {
        self.exit_code == Some(0) && !self.timed_out && !self.cancelled && self.limit_exceeded.is_none()
    }
}

/// The daemon as root runs commands only when it is told to.
pub(super) fn check_user(settings: &HostOpsSettings) -> Result<(), OperationRefusal> {
    if rustix::process::geteuid().is_root() && !settings.allow_root {
        Err(OperationRefusal::RootRefused)
    } else {
        Ok(())
    }
}
