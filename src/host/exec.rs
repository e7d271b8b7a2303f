//! Runs commands.
//!
//! ```text
//! daemon ── plan, stop ──► supervisor ── starts, stops, reaps ──► command and all that it starts
//!        ◄── report ─────            ◄── output, counted and cut ──
//! ```
//!
//! Each command has a supervisor process, which is this program run again. It leads its own session and adopts orphans of
//! its command (on Linux), so that nothing outlives the call, also when the daemon dies first: its socket to the daemon
//! then closes, which means stop.

mod environment;
mod limits;
mod orphans;
mod plan;
mod process_tree;
mod runner;
mod starter;
mod supervisor;
mod sweeps;

pub(super) use environment::CommandEnvironment;
pub(super) use limits::CommandLimits;
pub(super) use orphans::OrphanReaper;
pub(super) use plan::{StartError, encode_frame, read_frame};
pub(super) use runner::{CommandJob, CommandRunner, StopSignals};
pub use supervisor::supervise;

use super::{outcome::OperationRefusal, settings::HostOpsSettings};
pub use crate::api::host::ExecCommand;
use crate::clock::WallMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// Default of `timeout_ms`.
pub const TIMEOUT_MS_DEFAULT: u64 = 30_000;
/// Upper bound of `timeout_ms`.
pub const TIMEOUT_MS_MAX: u64 = 600_000;
/// Default of `max_output_bytes`, per stream.
pub const OUTPUT_BYTES_DEFAULT: u64 = 1 << 20;
/// Upper bound of `max_output_bytes`.
pub const OUTPUT_BYTES_MAX: u64 = 16 << 20;
/// Time from SIGTERM to SIGKILL.
pub(super) const KILL_AFTER: Duration = Duration::from_secs(2);
/// Time that a supervisor may take in addition to its command.
pub(super) const SUPERVISOR_OVERHEAD: Duration = Duration::from_secs(10);

/// The input of `exec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecInput {
    /// The command.
    pub command: ExecCommand,
    /// The working folder; absent: the first root, else the home folder.
    pub cwd: Option<String>,
    /// Environment variables in addition to the inherited ones.
    pub env: BTreeMap<String, String>,
    /// The standard input; absent: none.
    pub stdin: Option<String>,
    /// The timeout in milliseconds.
    pub timeout_ms: u64,
    /// Bytes kept of stdout and of stderr.
    pub max_output_bytes: u64,
}

impl ExecInput {
    /// Returns the input of a command with defaults.
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

    /// Returns the input as JSON, as repeated in the outcome: without the standard input.
    pub fn echo(&self) -> Value {
        serde_json::to_value(EchoedExec::from(self)).unwrap_or_default()
    }

    /// Returns the input as JSON, as stored: without the values of variables, which may be secret.
    pub fn redacted(&self) -> Value {
        let mut echo = self.echo();
        redact_variables(&mut echo);
        echo
    }
}

/// Replaces the values of variables in the echoed input of a command by `null`.
pub fn redact_variables(input: &mut Value) {
    if let Some(Value::Object(variables)) = input.get_mut("env") {
        variables.values_mut().for_each(|value| *value = Value::Null);
    }
}

/// The part of [`ExecInput`] that is repeated in the outcome.
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

/// The result of a command that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExecResult {
    /// The beginning of stdout, with U+FFFD in place of invalid UTF-8.
    pub stdout: String,
    /// The beginning of stderr.
    pub stderr: String,
    /// The exit code; absent when a signal ended the command.
    pub exit_code: Option<i32>,
    /// The signal that ended the command, such as `SIGTERM`.
    pub signal: Option<String>,
    /// Whether the command exceeded its timeout.
    pub timed_out: bool,
    /// Whether the command was cancelled: its caller left, or the daemon stopped.
    pub cancelled: bool,
    /// The setting of `host_ops` whose limit the command exceeded, such as `max_memory_bytes`, where known.
    pub limit_exceeded: Option<&'static str>,
    /// Whether stdout was longer.
    pub stdout_truncated: bool,
    /// Whether stderr was longer.
    pub stderr_truncated: bool,
    /// Bytes of stdout, with those that were dropped.
    pub stdout_bytes: u64,
    /// Bytes of stderr, with those that were dropped.
    pub stderr_bytes: u64,
    /// When the command started.
    pub started_at: WallMs,
    /// When its last process had ended.
    pub finished_at: WallMs,
    /// The duration in milliseconds.
    pub duration_ms: u64,
}

impl ExecResult {
    /// Returns whether the command succeeded: exit code 0, within timeout and limits.
    pub(super) fn is_success(&self) -> bool {
        self.exit_code == Some(0) && !self.timed_out && !self.cancelled && self.limit_exceeded.is_none()
    }
}

/// Fails when the daemon runs as root without `host_ops.allow_root`.
pub(super) fn check_user(settings: &HostOpsSettings) -> Result<(), OperationRefusal> {
    if rustix::process::geteuid().is_root() && !settings.allow_root {
        Err(OperationRefusal::RootRefused)
    } else {
        Ok(())
    }
}
