//! The daemon's side of a command: starts its supervisor, sends the plan, collects output and report.

use super::{
    ExecInput, ExecResult, KILL_AFTER, SUPERVISOR_OVERHEAD,
    limits::{CommandLimits, LimitKind},
    plan::{self, CommandPlan, REPORT_BYTES_MAX, StartError, SupervisorOrder, SupervisorReport},
    starter::{SupervisorStarter, read_capped},
    supervisor::signal_name,
    sweeps::SweepScheduler,
};
use crate::host::{
    outcome::{OperationError, OperationErrorCode, OperationFailure, OperationRefusal},
    sandbox::Confinement,
};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::{collections::BTreeMap, future::pending, path::PathBuf, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::unix::OwnedWriteHalf, time::sleep};
use tokio_util::sync::CancellationToken;

/// This program, also when its file was replaced since it started.
#[cfg(target_os = "linux")]
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Interval at which a supervisor is checked for having been stopped by a signal.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// A command, ready to run.
#[derive(Debug)]
pub(in crate::host) struct CommandJob {
    /// The input.
    pub(in crate::host) exec: ExecInput,
    /// Absolute.
    pub(in crate::host) cwd: PathBuf,
    /// All environment variables.
    pub(in crate::host) env: BTreeMap<String, String>,
    /// The sandbox.
    pub(in crate::host) confinement: Confinement,
    /// The resource limits.
    pub(in crate::host) limits: CommandLimits,
    /// The command's private folder, removed after it.
    pub(in crate::host) command_folder: Option<PathBuf>,
}

/// The tokens that stop a command: of its caller and of the shutdown.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct StopSignals<'a>(pub(in crate::host) [&'a CancellationToken; 2]);

impl StopSignals<'_> {
    async fn cancelled(&self) {
        tokio::select! {
            () = self.0[0].cancelled() => {}
            () = self.0[1].cancelled() => {}
        }
    }
}

/// Runs commands.
#[derive(Debug)]
pub(in crate::host) struct CommandRunner {
    starter: Arc<SupervisorStarter>,
    sweeps: Arc<SweepScheduler>,
}

impl CommandRunner {
    /// Creates a runner whose supervisors are this program.
    pub(in crate::host) fn new() -> Self {
        #[cfg(target_os = "linux")]
        let program = PathBuf::from(OWN_PROGRAM);
        #[cfg(not(target_os = "linux"))]
        let program = std::env::current_exe().unwrap_or_default();
        let starter = Arc::new(SupervisorStarter::new(program));
        CommandRunner { sweeps: Arc::new(SweepScheduler::new(Arc::clone(&starter))), starter }
    }

    /// Starts a background process that removes what commands left in a folder.
    pub(in crate::host) fn sweep(&self, within: PathBuf) {
        self.sweeps.request(within);
    }

    /// Runs a command until all of its processes have ended. Cancelling one token of `stop` ends it early.
    pub(in crate::host) async fn run(
        &self,
        work: CommandJob,
        stop: &StopSignals<'_>,
    ) -> Result<ExecResult, OperationFailure> {
        let timeout = Duration::from_millis(work.exec.timeout_ms);
        let cap = work.exec.max_output_bytes;
        let frame = plan::encode_frame(&SupervisorOrder::Run(Box::new(CommandPlan {
            command: work.exec.command,
            cwd: work.cwd,
            env: work.env,
            stdin: work.exec.stdin,
            timeout_ms: work.exec.timeout_ms,
            max_output_bytes: cap,
            limits: work.limits,
            command_folder: work.command_folder,
            confinement: work.confinement,
        })))
        .ok_or_else(|| OperationError::new(OperationErrorCode::SpawnFailed, "the command is too large"))?;
        let mut running = self.starter.start().map_err(|error| {
            OperationError::new(OperationErrorCode::SpawnFailed, format!("its supervisor cannot be started: {error}"))
        })?;
        let output = async {
            tokio::join!(
                read_capped(running.stdout, cap),
                read_capped(running.stderr, cap),
                read_capped(Some(running.from), REPORT_BYTES_MAX)
            )
        };
        let output = tokio::select! {
            output = output => Some(output),
            () = send_plan(running.to, &frame, stop) => None,
            () = supervisor_timeout(timeout, stop) => None,
            () = supervisor_stopped(running.pid) => None,
        };
        if output.is_none() {
            // The supervisor is stopped by a signal, or stuck in the kernel.
            let _ = running.child.start_kill();
        }
        let exit = running.child.wait().await;
        self.starter.forget(running.pid);
        let report = output.as_ref().and_then(|(_, _, report)| serde_json::from_slice(report).ok());
        let (Some((stdout, stderr, _)), Some(report)) = (output, report) else {
            let starter = Arc::clone(&self.starter);
            let _ = tokio::task::spawn_blocking(move || starter.end_orphans()).await;
            tracing::warn!(?exit, "a command's supervisor ended without a report");
            let message = "the command was killed because its supervisor process ended without a report";
            return Err(OperationError::new(OperationErrorCode::IoError, message).into());
        };
        result_from_report(report, &stdout, &stderr)
    }
}

/// Sends the plan, and closes the socket when a stop is requested. Never returns.
async fn send_plan(mut to: OwnedWriteHalf, frame: &[u8], stop: &StopSignals<'_>) {
    // A failure shows in the missing report.
    if to.write_all(frame).await.is_ok() {
        stop.cancelled().await;
        let _ = to.shutdown().await;
    }
    pending().await
}

/// Waits until a supervisor is overdue.
async fn supervisor_timeout(timeout: Duration, stop: &StopSignals<'_>) {
    tokio::select! {
        () = sleep(timeout) => {}
        () = stop.cancelled() => {}
    }
    sleep(KILL_AFTER + SUPERVISOR_OVERHEAD).await;
}

/// Waits until a supervisor is stopped by a signal, possibly sent by its command: it enforces nothing any more.
async fn supervisor_stopped(supervisor: Option<Pid>) {
    let Some(pid) = supervisor else { return pending().await };
    let look = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    while !matches!(waitid(WaitId::Pid(pid), look), Ok(Some(_))) {
        sleep(STOP_CHECK_INTERVAL).await;
    }
}

fn result_from_report(report: SupervisorReport, stdout: &[u8], stderr: &[u8]) -> Result<ExecResult, OperationFailure> {
    let ran = match report {
        SupervisorReport::Ran(ran) => ran,
        SupervisorReport::NotStarted(fault) => return Err(start_failure(fault)),
        SupervisorReport::Swept(_) => {
            let message = "the command's supervisor process returned a report of another kind";
            return Err(OperationError::new(OperationErrorCode::IoError, message).into());
        }
    };
    if ran.left > 0 {
        tracing::warn!(processes = ran.left, "some processes of a command could not be killed");
    }
    if let Some(why) = ran.without_namespaces {
        tracing::info!(why, "a command's sandbox had no namespaces: it could change no mode, owner or times of files");
    }
    Ok(ExecResult {
        stdout_truncated: ran.stdout_bytes > stdout.len() as u64,
        stderr_truncated: ran.stderr_bytes > stderr.len() as u64,
        stdout: output_text(stdout, ran.stdout_bytes),
        stderr: output_text(stderr, ran.stderr_bytes),
        exit_code: ran.exit_code,
        signal: ran.signal.map(signal_name),
        timed_out: ran.timed_out,
        cancelled: ran.cancelled,
        limit_exceeded: ran.exceeded.map(LimitKind::setting_name),
        stdout_bytes: ran.stdout_bytes,
        stderr_bytes: ran.stderr_bytes,
        started_at: ran.started_at,
        finished_at: ran.finished_at,
        duration_ms: ran.duration_ms,
    })
}

/// Converts output to text, without a last character that was cut by the cap.
fn output_text(bytes: &[u8], all: u64) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if all > bytes.len() as u64 && error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    String::from_utf8_lossy(whole).into_owned()
}

fn start_failure(fault: StartError) -> OperationFailure {
    let problem = |code, message: String| OperationFailure::Failed(OperationError::new(code, message));
    match fault {
        StartError::Cwd(message) => problem(OperationErrorCode::CwdNotFound, message),
        StartError::Denied(message) => problem(OperationErrorCode::PermissionDenied, message),
        StartError::Spawn(message) => problem(OperationErrorCode::SpawnFailed, message),
        StartError::Sandbox(message) => OperationFailure::Refused(OperationRefusal::SandboxUnavailable(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_the_cap_cut_is_left_out_and_other_bytes_are_replaced() {
        assert_eq!(output_text("aü".as_bytes(), 3), "aü");
        assert_eq!(output_text(&"aü".as_bytes()[..2], 3), "a");
        assert_eq!(output_text(&"aü".as_bytes()[..2], 2), "a\u{fffd}");
        assert_eq!(output_text(b"a\xffb", 3), "a\u{fffd}b");
        assert_eq!(output_text(b"\xff\xc3", 9), "\u{fffd}\u{fffd}");
    }
}
