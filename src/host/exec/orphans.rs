//! What a supervisor leaves behind when it is killed itself. The daemon adopts it (on Linux) and ends it.
//!
//! Invariant: every child of the daemon is a supervisor that stands in the list, or an orphan. A child is started while the
//! list is locked, so that none is taken for the other.

use super::family;
use rustix::process::{Pid, Signal, WaitOptions, getpid, waitpid};
use std::{
    collections::HashSet,
    io,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

/// How long is tried to end what does not end.
const END_WITHIN: Duration = Duration::from_secs(5);
/// From one try to the next.
const ROUND: Duration = Duration::from_millis(10);

/// The supervisors that run.
#[derive(Debug, Default)]
pub(in crate::host) struct Orphans {
    supervisors: Mutex<HashSet<Pid>>,
}

impl Orphans {
    /// Starts a supervisor.
    pub(super) fn start(&self, command: &mut Command) -> io::Result<(Child, Option<Pid>)> {
        let mut supervisors = self.supervisors.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        supervisors.extend(pid);
        Ok((child, pid))
    }

    /// A supervisor has ended as it should.
    pub(super) fn ended(&self, supervisor: Option<Pid>) {
        if let Some(pid) = supervisor {
            self.supervisors.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
        }
    }

    /// Ends everything that belongs to no supervisor that runs. Blocks until it is gone, or cannot be ended in time.
    pub(super) fn end(&self) {
        let supervisors = self.supervisors.lock().unwrap_or_else(PoisonError::into_inner);
        let own = getpid();
        let kept: HashSet<_> =
            supervisors.iter().flat_map(|pid| [family::descendants(*pid), vec![*pid]].concat()).collect();
        let is_kept = |pid| kept.contains(&pid);
        let give_up = Instant::now() + END_WITHIN;
        let mut ended = HashSet::new();
        loop {
            ended.extend(family::descendants(own).into_iter().filter(|pid| !is_kept(*pid)));
            family::kill(own, is_kept);
            let left = family::signal(own, Signal::KILL, is_kept);
            for orphan in &ended {
                // Only a child of our own can be waited for; the others become it once their parents are gone.
                let _ = waitpid(Some(*orphan), WaitOptions::NOHANG);
            }
            if left == 0 {
                return;
            }
            if Instant::now() >= give_up {
                tracing::warn!(processes = left, "what a killed supervisor left behind cannot be ended");
                return;
            }
            thread::sleep(ROUND);
        }
    }
}
