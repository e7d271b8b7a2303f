//! Many changes, few snapshots: at most one per interval, always one after the last change. A value without a clock.

use std::time::Duration;
use tokio::time::Instant;

/// Decides when the next snapshot goes out.
#[derive(Debug)]
pub(super) struct Coalescer {
    interval: Duration,
    sent: Option<Instant>,
    /// The reason of the last change that no snapshot has shown yet; a timer is armed for it.
    pending: Option<&'static str>,
}

/// What follows from a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send one now.
    Send,
    /// Ask again after that time.
    Wait(Duration),
    /// Nothing: it was asked to wait before.
    Waiting,
}

/// What follows when a timer rings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send one now.
    Send(&'static str),
    /// Ask again after that time.
    Wait(Duration),
    /// Nothing is left to show.
    Nothing,
}

impl Coalescer {
    pub(super) fn new(interval: Duration) -> Self {
        Coalescer { interval, sent: None, pending: None }
    }

    /// Something changed.
    pub(super) fn changed(&mut self, reason: &'static str, now: Instant) -> Next {
        if self.pending.replace(reason).is_some() {
            return Next::Waiting;
        }
        match self.sent.map(|sent| sent + self.interval) {
            Some(due) if due > now => Next::Wait(due - now),
            _ => {
                self.pending = None;
                self.sent = Some(now);
                Next::Send
            }
        }
    }

    /// The time is over: the reason to send now, if there is still one. An earlier timer may ring for a later change,
    /// which then waits on.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        let Some(reason) = self.pending else { return Due::Nothing };
        match self.sent.map(|sent| sent + self.interval) {
            Some(due) if due > now => Due::Wait(due - now),
            _ => {
                self.pending = None;
                self.sent = Some(now);
                Due::Send(reason)
            }
        }
    }

    /// One was sent for another reason; it showed everything.
    pub(super) fn sent(&mut self, now: Instant) {
        self.pending = None;
        self.sent = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_snapshot_now_and_one_after_it_with_the_last_reason() {
        let start = Instant::now();
        let mut snapshots = Coalescer::new(Duration::from_millis(50));
        assert_eq!(snapshots.changed("a", start), Next::Send);
        let later = start + Duration::from_millis(20);
        assert_eq!(snapshots.changed("b", later), Next::Wait(Duration::from_millis(30)));
        assert_eq!(snapshots.changed("c", later), Next::Waiting);
        assert_eq!(snapshots.due(start + Duration::from_millis(50)), Due::Send("c"));
        assert_eq!(snapshots.due(start + Duration::from_millis(50)), Due::Nothing);
        assert_eq!(snapshots.changed("d", start + Duration::from_millis(100)), Next::Send);
    }

    #[test]
    fn a_snapshot_sent_for_another_reason_counts() {
        let start = Instant::now();
        let mut snapshots = Coalescer::new(Duration::from_millis(50));
        snapshots.sent(start);
        assert!(matches!(snapshots.changed("a", start), Next::Wait(_)));
        snapshots.sent(start);
        assert_eq!(snapshots.due(start + Duration::from_millis(50)), Due::Nothing);
        assert_eq!(snapshots.changed("b", start + Duration::from_millis(40)), Next::Wait(Duration::from_millis(10)));
        snapshots.sent(start + Duration::from_millis(45));
        assert!(matches!(snapshots.changed("c", start + Duration::from_millis(46)), Next::Wait(_)));
        let early = snapshots.due(start + Duration::from_millis(50));
        assert_eq!(early, Due::Wait(Duration::from_millis(45)), "the timer of the change before");
    }
}
