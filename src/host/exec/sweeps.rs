//! Sweeps: what commands left behind is removed by a process of its own, one at a time, and never longer than the daemon
//! lives.
//!
//! ```text
//! none ── begin ──► one ── begin ──► one, and one more after it
//!  ▲                 │ ended          │ ended
//!  └─────────────────┘     one ◄──────┘
//! ```

use super::{
    plan::{self, REPORT_BYTES_MAX, SupervisorOrder, SupervisorReport},
    runner::{SupervisorStarter, read_capped},
};
use crate::host::sandbox::SweepResult;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, time::timeout};

/// When one has not ended by itself, it is ended.
const SWEEP_PROCESS_TIMEOUT: Duration = Duration::from_secs(660);

/// How many there are, and are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SweepState {
    Idle,
    Running,
    RunningThenAgain,
}

/// See the module.
#[derive(Debug)]
pub(super) struct SweepScheduler {
    starter: Arc<SupervisorStarter>,
    state: Mutex<SweepState>,
}

impl SweepScheduler {
    pub(super) fn new(starter: Arc<SupervisorStarter>) -> Self {
        SweepScheduler { starter, state: Mutex::new(SweepState::Idle) }
    }

    /// Begins one, behind the one that is under way.
    pub(super) fn request(self: &Arc<Self>, folder: PathBuf) {
        if !self.note_request() {
            return;
        }
        let sweeps = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                match sweeps.sweep(&folder).await {
                    Ok(swept) => log_result(&swept),
                    Err(error) => tracing::warn!(%error, "what commands left behind cannot be swept"),
                }
                if sweeps.note_end() {
                    return;
                }
            }
        });
    }

    fn note_request(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = *state == SweepState::Idle;
        *state = if is_first { SweepState::Running } else { SweepState::RunningThenAgain };
        is_first
    }

    /// Whether that was the last one.
    fn note_end(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
            _ => Err(io::Error::other("the process that does it ended before it was done")),
        }
    }
}

fn log_result(swept: &SweepResult) {
    if swept.removed > 0 {
        tracing::info!(folders = swept.removed, "removed what earlier commands left behind");
    }
    for (folder, why) in &swept.named {
        tracing::warn!(folder, why, "a folder that a command left behind stays until the next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_a_time_and_one_more_for_all_that_came_meanwhile() {
        let runner = SupervisorStarter::new("/no/such/program".into());
        let sweeps = SweepScheduler::new(Arc::new(runner));
        assert!(sweeps.note_request());
        assert!(!sweeps.note_request() && !sweeps.note_request());
        assert!(!sweeps.note_end(), "one more");
        assert!(sweeps.note_end());
        assert!(sweeps.note_request());
    }
}
