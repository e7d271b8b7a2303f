//! Sweeps remove folders that commands left behind, in a process of their own, one at a time; they end with the daemon.
//!
//! ```text
//! Idle ── request ──► Running ── request ──► RunningThenAgain
//!  ▲                   │   ▲                        │
//!  └────── ended ──────┘   └───────── ended ────────┘
//! ```

use super::{
    plan::{self, REPORT_BYTES_MAX, SupervisorOrder, SupervisorReport},
    starter::{SupervisorStarter, read_capped},
};
use crate::host::sandbox::SweepResult;
use parking_lot::Mutex;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, time::timeout};

/// Time after which a sweeping process is killed.
const SWEEP_PROCESS_TIMEOUT: Duration = Duration::from_secs(660);

/// Whether a sweep runs, and whether another one follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SweepState {
    Idle,
    Running,
    RunningThenAgain,
}

/// Schedules sweeps.
#[derive(Debug)]
pub(super) struct SweepScheduler {
    starter: Arc<SupervisorStarter>,
    state: Mutex<SweepState>,
}

impl SweepScheduler {
    pub(super) fn new(starter: Arc<SupervisorStarter>) -> Self {
        SweepScheduler { starter, state: Mutex::new(SweepState::Idle) }
    }

    /// Starts a sweep, or schedules one after the running sweep.
    pub(super) fn request(self: &Arc<Self>, folder: PathBuf) {
        if !self.note_request() {
            return;
        }
        let sweeps = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                match sweeps.sweep(&folder).await {
                    Ok(swept) => log_result(&swept),
                    Err(error) => tracing::warn!(%error, "cannot remove folders that commands left behind"),
                }
                if sweeps.note_end() {
                    return;
                }
            }
        });
    }

    fn note_request(&self) -> bool {
        let mut state = self.state.lock();
        let is_first = *state == SweepState::Idle;
        *state = if is_first { SweepState::Running } else { SweepState::RunningThenAgain };
        is_first
    }

    /// Notes the end of a sweep, and returns whether no other one follows.
    fn note_end(&self) -> bool {
        let mut state = self.state.lock();
        let is_last = *state != SweepState::RunningThenAgain;
        *state = if is_last { SweepState::Idle } else { SweepState::Running };
        is_last
    }

    async fn sweep(&self, folder: &Path) -> io::Result<SweepResult> {
        let order = SupervisorOrder::Sweep { within: folder.to_owned() };
        let frame = plan::encode_frame(&order).ok_or(io::ErrorKind::InvalidInput)?;
        let mut running = self.starter.start()?;
        let exchange = async {
            running.to.write_all(&frame).await?;
            Ok::<_, io::Error>(read_capped(Some(running.from), REPORT_BYTES_MAX).await)
        };
        let report = timeout(SWEEP_PROCESS_TIMEOUT, exchange).await.ok().and_then(Result::ok).unwrap_or_default();
        let _ = running.child.start_kill();
        let _ = running.child.wait().await;
        self.starter.forget(running.pid);
        match serde_json::from_slice(&report) {
            Ok(SupervisorReport::Swept(swept)) => Ok(swept),
            _ => Err(io::Error::other("the sweeping process ended without a report")),
        }
    }
}

fn log_result(swept: &SweepResult) {
    if swept.removed > 0 {
        tracing::info!(folders = swept.removed, "removed folders that earlier commands left behind");
    }
    for (folder, why) in &swept.named {
        tracing::warn!(folder, why, "cannot remove a folder that a command left behind; the next start tries again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sweep_runs_at_a_time_and_one_follows_for_all_requests_meanwhile() {
        let runner = SupervisorStarter::new("/no/such/program".into());
        let sweeps = SweepScheduler::new(Arc::new(runner));
        assert!(sweeps.note_request());
        assert!(!sweeps.note_request() && !sweeps.note_request());
        assert!(!sweeps.note_end(), "one more");
        assert!(sweeps.note_end());
        assert!(sweeps.note_request());
    }
}
