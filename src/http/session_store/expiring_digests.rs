//! Digests of codes or sessions with a common lifetime. It is measured by two clocks, one that stops and one that goes
//! on while the machine sleeps; the earlier end counts.

use super::{Digest, SessionKey, SessionOwner};
use crate::{clock::uptime::uptime, http::access_grant::AccessGrant};
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Digests with a common lifetime, oldest first.
#[derive(Debug)]
pub(super) struct ExpiringDigests {
    ttl: Duration,
    entries_max: usize,
    entries: VecDeque<DigestEntry>,
    /// Returns the milliseconds since boot, including sleep; `None` where the system does not provide them.
    uptime_ms: fn() -> Option<i64>,
}

#[derive(Debug)]
struct DigestEntry {
    digest: Digest,
    expires: Instant,
    /// The same by the clock that goes on while the machine sleeps.
    expires_at_uptime_ms: Option<i64>,
    owner: Option<SessionOwner>,
    /// The key that a request must carry too.
    key: Option<SessionKey>,
    /// Cancelled when the entry is dropped, which ends the grants made from it.
    revoked: CancellationToken,
    _revokes: DropGuard,
}

impl ExpiringDigests {
    pub(super) fn new(ttl: Duration, entries_max: usize) -> Self {
        ExpiringDigests { ttl, entries_max, entries: VecDeque::new(), uptime_ms: || uptime().map(|uptime| uptime.ms) }
    }

    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn insert(&mut self, digest: Digest, owner: Option<SessionOwner>, key: Option<SessionKey>) {
        self.remove_expired();
        if self.entries.len() >= self.entries_max {
            self.entries.pop_front();
        }
        let (expires, revoked) = (Instant::now() + self.ttl, CancellationToken::new());
        let ttl_ms = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX);
        let expires_at_uptime_ms = (self.uptime_ms)().map(|ms| ms.saturating_add(ttl_ms));
        let revokes = revoked.clone().drop_guard();
        self.entries.push_back(DigestEntry {
            digest,
            expires,
            expires_at_uptime_ms,
            owner,
            key,
            revoked,
            _revokes: revokes,
        });
    }

    pub(super) fn grant(
        &mut self,
        digest: &Digest,
        owner: Option<SessionOwner>,
        key: Option<SessionKey>,
    ) -> Option<AccessGrant> {
        let at = self.position(digest, owner, key)?;
        self.entries.get(at).map(|entry| AccessGrant::revocable(entry.revoked.clone(), Some(entry.expires)))
    }

    pub(super) fn remove(&mut self, digest: &Digest, owner: Option<SessionOwner>, key: Option<SessionKey>) -> bool {
        self.position(digest, owner, key).and_then(|at| self.entries.remove(at)).is_some()
    }

    /// Compares digests without constant time: timing reveals at most a prefix of a digest, which leads to no secret.
    fn position(&mut self, digest: &Digest, owner: Option<SessionOwner>, key: Option<SessionKey>) -> Option<usize> {
        self.remove_expired();
        let owner = owner?;
        self.entries.iter().position(|entry| {
            entry.owner == Some(owner) && entry.digest == *digest && (entry.key.is_none() || entry.key == key)
        })
    }

    pub(super) fn remove_expired(&mut self) {
        let (now, uptime_ms) = (Instant::now(), (self.uptime_ms)());
        let is_over = |entry: &DigestEntry| {
            entry.expires <= now
                || entry.expires_at_uptime_ms.zip(uptime_ms).is_some_and(|(expires, now)| expires <= now)
        };
        while self.entries.front().is_some_and(is_over) {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const OWNER: Option<SessionOwner> = Some(SessionOwner::User(1_000));

    thread_local! {
        static UPTIME_MS: Cell<Option<i64>> = const { Cell::new(Some(0)) };
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn what_the_machine_sleeps_through_counts() {
        let mut digests =
            ExpiringDigests { uptime_ms: || UPTIME_MS.get(), ..ExpiringDigests::new(Duration::from_secs(60), 8) };
        digests.insert([1; 32], OWNER, None);
        UPTIME_MS.set(Some(59_999));
        digests.insert([2; 32], OWNER, None);
        let (first, second) = (digests.grant(&[1; 32], OWNER, None).unwrap(), digests.grant(&[2; 32], OWNER, None));
        UPTIME_MS.set(Some(60_000));
        digests.remove_expired();
        assert!(!first.is_valid() && second.unwrap().is_valid(), "what it opened ends as well");
        assert!(!digests.remove(&[1; 32], OWNER, None) && digests.remove(&[2; 32], OWNER, None));
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn where_no_clock_counts_sleep_the_other_one_does() {
        let mut digests = ExpiringDigests { uptime_ms: || None, ..ExpiringDigests::new(Duration::from_secs(60), 8) };
        digests.insert([1; 32], OWNER, None);
        assert!(digests.grant(&[1; 32], OWNER, None).is_some());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(digests.grant(&[1; 32], OWNER, None).is_none());
    }
}
