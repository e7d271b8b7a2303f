//! Ends the processes that a killed supervisor leaves behind; the daemon adopts them (on Linux).
//!
//! Invariants: every child of the daemon is a listed supervisor, a supervisor that is being started, or an orphan. The
//! list is never locked while a process is started, ended or waited for.

use super::process_tree;
use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use std::{collections::HashSet, io, thread, time::Duration};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

/// Time after which ending orphans is given up.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between attempts.
const END_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Tells supervisors from orphans, and ends the latter.
#[derive(Debug, Default)]
pub(in crate::host) struct OrphanReaper {
    list: Mutex<SupervisorList>,
    /// Orphans that did not end in time. Locked by the thread that ends orphans.
    left: Mutex<HashSet<Pid>>,
}

#[derive(Debug, Default)]
struct SupervisorList {
    supervisors: HashSet<Pid>,
    /// Supervisors that are being started and have no process id yet.
    starting: usize,
    /// Number of changes of this list.
    changes: u64,
}

impl OrphanReaper {
    /// Starts a supervisor.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<(Child, Option<Pid>)> {
        self.list_for_change().starting += 1;
        let started = command.spawn();
        let mut list = self.list_for_change();
        list.starting -= 1;
        let child = started?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        list.supervisors.extend(pid);
        Ok((child, pid))
    }

    /// Removes a supervisor that has ended.
    pub(super) fn forget(&self, supervisor: Option<Pid>) {
        if let Some(pid) = supervisor {
            self.list_for_change().supervisors.remove(&pid);
        }
    }

    /// Ends every orphan with its descendants. Blocks until they are gone or [`END_TIMEOUT`] is over; orphans that survived
    /// once are not waited for again.
    pub(super) fn end_all(&self) {
        let mut left = self.left.lock();
        let give_up = Instant::now() + END_TIMEOUT;
        loop {
            let found = self.orphans();
            for orphan in found.iter().flatten() {
                kill_orphan(*orphan);
            }
            // Reaped processes are no children any more.
            let rest = found.map(|found| found.into_iter().filter(|pid| !has_ended(*pid)).collect::<HashSet<_>>());
            if let Some(rest) = &rest {
                left.retain(|pid| rest.contains(pid));
                if rest.is_subset(&left) {
                    return;
                }
            }
            if Instant::now() >= give_up {
                let rest = rest.unwrap_or_default();
                tracing::warn!(processes = rest.len(), "cannot end processes that a killed supervisor left behind");
                left.extend(rest);
                return;
            }
            thread::sleep(END_RETRY_INTERVAL);
        }
    }

    /// Returns the children that are orphans; `None` when the list changed meanwhile, so that a supervisor could be mistaken
    /// for an orphan.
    fn orphans(&self) -> Option<Vec<Pid>> {
        let before = self.list.lock().changes;
        let mut found = process_tree::children_of(getpid());
        let list = self.list.lock();
        let is_certain = list.starting == 0 && list.changes == before;
        found.retain(|pid| !list.supervisors.contains(pid));
        is_certain.then_some(found)
    }

    fn list_for_change(&self) -> MutexGuard<'_, SupervisorList> {
        let mut list = self.list.lock();
        list.changes += 1;
        list
    }
}

/// Kills an orphan with its descendants. Its process id stays valid until it is reaped.
fn kill_orphan(orphan: Pid) {
    process_tree::kill_descendants(orphan, |_| false);
    let _ = kill_process(orphan, Signal::KILL);
}

/// Returns whether an orphan has ended, and reaps it.
fn has_ended(orphan: Pid) -> bool {
    !matches!(waitpid(Some(orphan), WaitOptions::NOHANG), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_is_no_orphan_and_while_one_starts_no_process_is() {
        let orphans = OrphanReaper::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let (mut child, pid) = orphans.spawn(Command::new("sleep").arg("1000")).unwrap();
        assert!(!orphans.orphans().unwrap().contains(&pid.unwrap()));
        orphans.list_for_change().starting += 1;
        assert_eq!(orphans.orphans(), None);
        orphans.list_for_change().starting -= 1;
        assert!(orphans.spawn(&mut Command::new("/no/such/program")).is_err());
        assert!(orphans.orphans().is_some());
        child.start_kill().unwrap();
        runtime.block_on(child.wait()).unwrap();
        orphans.forget(pid);
        assert!(orphans.list.lock().supervisors.is_empty());
    }
}
