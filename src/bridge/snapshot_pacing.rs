//! Limits how often a snapshot is sent: at most once per interval, and always once after the last change. A value without
//! a clock.

use std::time::Duration;
use tokio::time::Instant;

/// Decides when the next snapshot is sent.
#[derive(Debug)]
pub(super) struct SnapshotPacing {
    interval: Duration,
    sent: Option<Instant>,
    /// Reason of the last change that no snapshot shows yet; a timer is running for it.
    pending: Option<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChangeDecision {
    SendNow,
    StartTimer(Duration),
    /// Do nothing: a timer is running.
    AlreadyScheduled,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum TimerDecision {
    /// Send a snapshot now, with this reason.
    Send(&'static str),
    RestartTimer(Duration),
    /// Do nothing: no change is pending.
    Nothing,
}

impl SnapshotPacing {
    pub(super) fn new(interval: Duration) -> Self {
        SnapshotPacing { interval, sent: None, pending: None }
    }

    pub(super) fn on_change(&mut self, reason: &'static str, now: Instant) -> ChangeDecision {
        if self.pending.replace(reason).is_some() {
            return ChangeDecision::AlreadyScheduled;
        }
        self.wait(now).map_or(ChangeDecision::SendNow, ChangeDecision::StartTimer)
    }

    /// Returns what to do when a timer fires. The timer may belong to an earlier change than the pending one, which then
    /// waits on.
    pub(super) fn on_timer(&mut self, now: Instant) -> TimerDecision {
        let Some(reason) = self.pending else { return TimerDecision::Nothing };
        self.wait(now).map_or(TimerDecision::Send(reason), TimerDecision::RestartTimer)
    }

    /// Returns how long to wait for the next snapshot; if it may be sent now, counts it as sent.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        let wait = self.sent.map(|sent| (sent + self.interval).saturating_duration_since(now));
        let wait = wait.filter(|wait| !wait.is_zero());
        if wait.is_none() {
            self.record_sent(now);
        }
        wait
    }

    /// Notes that a snapshot was sent for another reason; it covers every pending change.
    pub(super) fn record_sent(&mut self, now: Instant) {
        self.pending = None;
        self.sent = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_changes_sends_one_snapshot_now_and_one_later_with_the_last_reason() {
        let start = Instant::now();
        let mut snapshots = SnapshotPacing::new(Duration::from_millis(50));
        assert_eq!(snapshots.on_change("a", start), ChangeDecision::SendNow);
        let write_behind = start + Duration::from_millis(20);
        assert_eq!(snapshots.on_change("b", write_behind), ChangeDecision::StartTimer(Duration::from_millis(30)));
        assert_eq!(snapshots.on_change("c", write_behind), ChangeDecision::AlreadyScheduled);
        assert_eq!(snapshots.on_timer(start + Duration::from_millis(50)), TimerDecision::Send("c"));
        assert_eq!(snapshots.on_timer(start + Duration::from_millis(50)), TimerDecision::Nothing);
        assert_eq!(snapshots.on_change("d", start + Duration::from_millis(100)), ChangeDecision::SendNow);
    }

    #[test]
    fn a_snapshot_sent_for_another_reason_counts() {
        let start = Instant::now();
        let mut snapshots = SnapshotPacing::new(Duration::from_millis(50));
        snapshots.record_sent(start);
        assert!(matches!(snapshots.on_change("a", start), ChangeDecision::StartTimer(_)));
        snapshots.record_sent(start);
        assert_eq!(snapshots.on_timer(start + Duration::from_millis(50)), TimerDecision::Nothing);
        assert_eq!(
            snapshots.on_change("b", start + Duration::from_millis(40)),
            ChangeDecision::StartTimer(Duration::from_millis(10))
        );
        snapshots.record_sent(start + Duration::from_millis(45));
        assert!(matches!(snapshots.on_change("c", start + Duration::from_millis(46)), ChangeDecision::StartTimer(_)));
        let early = snapshots.on_timer(start + Duration::from_millis(50));
        assert_eq!(early, TimerDecision::RestartTimer(Duration::from_millis(45)), "the timer of the earlier change");
    }
}
