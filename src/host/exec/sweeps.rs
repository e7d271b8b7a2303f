//! Sweeps: what commands left behind is removed by a process of its own, one at a time, and never longer than the daemon
//! lives.
//!
//! ```text
//! none ── begin ──► one ── begin ──► one, and one more after it
//!  ▲                 │ ended          │ ended
//!  └─────────────────┘     one ◄──────┘
//! ```

use super::{
    plan::{self, Order, REPORT_BYTES_MAX, Report},
    runner::{Starter, capped},
};
use crate::host::sandbox::Swept;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, time::timeout};

/// When one has not ended by itself, it is ended.
const GIVE_UP_AFTER: Duration = Duration::from_secs(660);

/// How many there are, and are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    None,
    One,
    OneMore,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sweeps {
    starter: Arc<Starter>,
    state: Mutex<State>,
}

impl Sweeps {
    pub(super) fn new(starter: Arc<Starter>) -> Self {
        Sweeps { starter, state: Mutex::new(State::None) }
    }

    /// Begins one, behind the one that is under way.
    pub(super) fn begin(self: &Arc<Self>, within: PathBuf) {
        if !self.begins() {
            return;
        }
        let sweeps = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                match sweeps.sweep(&within).await {
                    Ok(swept) => tell(&swept),
                    Err(error) => tracing::warn!(%error, "what commands left behind cannot be swept"),
                }
                if sweeps.ended() {
                    return;
                }
            }
        });
    }

    fn begins(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = *state == State::None;
        *state = if is_first { State::One } else { State::OneMore };
        is_first
    }

    /// Whether that was the last one.
    fn ended(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = *state != State::OneMore;
        *state = if is_last { State::None } else { State::One };
        is_last
    }

    async fn sweep(&self, within: &Path) -> io::Result<Swept> {
        let order = Order::Sweep { within: within.to_owned() };
        let frame = plan::framed(&order).ok_or(io::ErrorKind::InvalidInput)?;
        let mut running = self.starter.start()?;
        let told = async {
            running.to.write_all(&frame).await?;
            Ok::<_, io::Error>(capped(Some(running.from), REPORT_BYTES_MAX).await)
        };
        let report = timeout(GIVE_UP_AFTER, told).await.ok().and_then(Result::ok).unwrap_or_default();
        let _ = running.child.start_kill();
        let _ = running.child.wait().await;
        self.starter.ended(running.pid);
        match serde_json::from_slice(&report) {
            Ok(Report::Swept(swept)) => Ok(swept),
            _ => Err(io::Error::other("the process that does it ended before it was done")),
        }
    }
}

fn tell(swept: &Swept) {
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
        let runner = Starter::of("/no/such/program".into());
        let sweeps = Sweeps::new(Arc::new(runner));
        assert!(sweeps.begins());
        assert!(!sweeps.begins() && !sweeps.begins());
        assert!(!sweeps.ended(), "one more");
        assert!(sweeps.ended());
        assert!(sweeps.begins());
    }
}
