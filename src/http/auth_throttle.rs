//! Throttles failed authentication: after ten wrong tokens or codes of one peer within a minute, further ones are
//! answered with `auth_throttled` for a minute. A user of this machine is one peer, whichever loopback address it uses.

use super::connection_quota::PeerIdentity;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Failed attempts within the window that lock a peer out.
const FAILURES_MAX: usize = 10;
/// The window, and the length of a lockout.
const WINDOW: Duration = Duration::from_secs(60);
/// Peers that are remembered; beyond it all are forgotten.
const PEERS_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct AuthThrottle {
    peers: foldhash::HashMap<PeerIdentity, FailedAttempts>,
}

#[derive(Debug, Default)]
struct FailedAttempts {
    /// Times within the window, oldest first.
    at: VecDeque<Instant>,
    locked_until: Option<Instant>,
}

impl AuthThrottle {
    /// Counts a wrong token or code. Returns the remaining lockout, if the peer was locked out before.
    pub(super) fn record_failure(&mut self, peer: PeerIdentity, now: Instant) -> Option<Duration> {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            self.peers.clear();
        }
        let attempts = self.peers.entry(peer).or_default();
        if let Some(remaining) = attempts.locked_until.and_then(|until| until.checked_duration_since(now))
            && !remaining.is_zero()
        {
            return Some(remaining);
        }
        attempts.locked_until = None;
        while attempts.at.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            attempts.at.pop_front();
        }
        attempts.at.push_back(now);
        if attempts.at.len() == FAILURES_MAX {
            attempts.at.clear();
            attempts.locked_until = Some(now + WINDOW);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerIdentity = PeerIdentity::OwnUser;

    /// Returns for each failed attempt, at these seconds, whether it met a lockout.
    fn locked_out(at: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let (mut throttle, begin) = (AuthThrottle::default(), Instant::now());
        at.into_iter().map(|s| throttle.record_failure(PEER, begin + Duration::from_secs(s)).is_some()).collect()
    }

    #[test]
    fn ten_within_a_minute_lock_a_peer_out_for_a_minute() {
        let mut expected = vec![false; 10];
        expected.extend([true, true, false]);
        assert_eq!(locked_out((0..10).chain([10, 68, 69])), expected, "the tenth came after nine seconds");
    }

    #[test]
    fn the_window_slides_and_does_not_begin_with_the_first() {
        let late = [0, 50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 66];
        assert_eq!(locked_out(late).iter().position(|locked| *locked), Some(11), "ten from 50 to 65");
        assert!(!locked_out((0..100).map(|n| n * 7)).contains(&true), "one in seven seconds is never too many");
    }

    #[test]
    fn attempts_during_a_lockout_do_not_prolong_it_and_counting_restarts_after_it() {
        let at = (0..10).map(|_| 0).chain((1..60).step_by(10)).chain([60; 11]);
        let locked = locked_out(at);
        assert_eq!(locked[10..16], [true; 6]);
        assert_eq!(locked[16..], [vec![false; 10], vec![true]].concat());
    }

    #[test]
    fn each_peer_is_counted_by_itself_and_their_number_is_bounded() {
        let (mut throttle, now) = (AuthThrottle::default(), Instant::now());
        for _ in 0..10 {
            throttle.record_failure(PEER, now);
        }
        assert_eq!(throttle.record_failure(PEER, now + Duration::from_secs(1)), Some(Duration::from_secs(59)));
        for n in 0..2 * PEERS_MAX {
            let other = PeerIdentity::OtherUser(u32::try_from(n).unwrap());
            assert_eq!(throttle.record_failure(other, now), None);
            assert!(throttle.peers.len() <= PEERS_MAX);
        }
    }
}
