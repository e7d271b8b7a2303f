//! The connection quota: a pure value that decides whether a new connection is admitted, queued or refused.
//!
//! ```text
//! the daemon's own user    admitted while any slot is free, else queued
//! other peers              admitted while the peer holds less than a quarter of the slots, all other peers together
//!                          leave a quarter free, and the rate limits allow it; else refused
//! ```
//!
//! Invariant: a quarter of all slots is reserved for the own user.

use super::rate_limiter::RateLimiter;
use parking_lot::Mutex;
use std::{
    collections::hash_map,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// The owner of a connection, as far as the kernel names it. Quotas and rate limits are kept per identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PeerIdentity {
    /// The daemon's own user, on loopback.
    OwnUser,
    /// Another user of this machine, by user id.
    OtherUser(u32),
    /// A local program whose owner the kernel does not name.
    UnknownUser,
    /// A remote address; of IPv6 its /64 network, since one machine may have every address of it.
    Address(IpAddr),
}

impl PeerIdentity {
    /// Identifies the peer at `peer`. `owner` looks up the user id of a loopback connection in the kernel; `own` is the
    /// daemon's user id.
    pub(super) fn identify(peer: SocketAddr, own: u32, owner: impl FnOnce() -> Option<u32>) -> Self {
        match peer.ip().to_canonical() {
            ip if ip.is_loopback() => match owner() {
                Some(user) if user == own => PeerIdentity::OwnUser,
                Some(user) => PeerIdentity::OtherUser(user),
                None => PeerIdentity::UnknownUser,
            },
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                PeerIdentity::Address(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            ip => PeerIdentity::Address(ip),
        }
    }
}

#[derive(Debug)]
pub(super) enum QuotaDecision {
    Admitted {
        /// Rate limits of the peer's unauthenticated traffic; `None` for the own user.
        limiter: Option<Arc<UnauthenticatedLimiter>>,
    },
    /// No slot is free; the own user's connection waits for one.
    Queued,
    /// The peer, or all foreign peers together, hold as many connections as they may.
    QuotaExceeded,
    /// The peer, or all foreign peers together, connect too fast.
    RateExceeded,
}

/// Rate limits of one peer's reads and responses on connections that showed no valid credential.
#[derive(Debug)]
pub(super) struct UnauthenticatedLimiter {
    read_limiter: Mutex<RateLimiter>,
    request_limiter: Mutex<RateLimiter>,
}

impl UnauthenticatedLimiter {
    fn new(limits: &ConnectionLimits) -> Self {
        let (per_second, burst) = (limits.requests_per_second, limits.max_per_peer().max(limits.requests_per_second));
        UnauthenticatedLimiter {
            // A long request head arrives in several reads.
            read_limiter: Mutex::new(RateLimiter::new(per_second, burst.saturating_mul(2))),
            request_limiter: Mutex::new(RateLimiter::new(per_second, burst)),
        }
    }

    /// Returns the delay before the next read.
    pub(super) fn read_delay(&self) -> Duration {
        self.read_limiter.lock().reserve(Instant::now())
    }

    /// Returns the delay before a request is answered.
    pub(super) fn response_delay(&self) -> Duration {
        self.request_limiter.lock().reserve(Instant::now())
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    pub(super) connections: usize,
    /// New connections per second and peer; the burst is the peer's share of the connections.
    pub(super) connects_per_second: usize,
    /// Unauthenticated requests per second and peer.
    pub(super) requests_per_second: usize,
}

impl ConnectionLimits {
    fn max_per_peer(&self) -> usize {
        (self.connections / 4).max(1)
    }

    fn max_foreign(&self) -> usize {
        // With a single slot no quarter can be reserved.
        (self.connections - self.connections.div_ceil(4)).max(1)
    }
}

/// The connections of one listener, counted by peer.
#[derive(Debug)]
pub(super) struct ConnectionQuota {
    limits: ConnectionLimits,
    own: usize,
    foreign: usize,
    peers: foldhash::HashMap<PeerIdentity, PeerUsage>,
    /// Number of remembered peers at which idle ones are evicted.
    evict_at: usize,
    /// Limits the new connections of all foreign peers together.
    connect_limiter: RateLimiter,
}

#[derive(Debug)]
struct PeerUsage {
    connections: usize,
    connect_limiter: RateLimiter,
    limiter: Arc<UnauthenticatedLimiter>,
}

/// Fewest remembered peers before idle ones are evicted.
const PEERS_MIN: usize = 256;

impl ConnectionQuota {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        ConnectionQuota {
            limits,
            own: 0,
            foreign: 0,
            peers: foldhash::HashMap::default(),
            evict_at: PEERS_MIN,
            connect_limiter: RateLimiter::new(limits.connects_per_second.saturating_mul(3), limits.max_foreign()),
        }
    }

    /// Decides about one more connection and counts it if it is admitted.
    pub(super) fn admit(&mut self, identity: PeerIdentity, now: Instant) -> QuotaDecision {
        let has_room = self.own + self.foreign < self.limits.connections;
        if identity == PeerIdentity::OwnUser {
            if !has_room {
                return QuotaDecision::Queued;
            }
            self.own += 1;
            return QuotaDecision::Admitted { limiter: None };
        }
        if !has_room || self.foreign >= self.limits.max_foreign() {
            return QuotaDecision::QuotaExceeded;
        }
        self.evict_idle(now);
        let limits = self.limits;
        let usage = match self.peers.entry(identity) {
            hash_map::Entry::Occupied(usage) => usage.into_mut(),
            hash_map::Entry::Vacant(place) => place.insert(PeerUsage {
                connections: 0,
                connect_limiter: RateLimiter::new(limits.connects_per_second, limits.max_per_peer()),
                limiter: Arc::new(UnauthenticatedLimiter::new(&limits)),
            }),
        };
        if usage.connections >= self.limits.max_per_peer() {
            return QuotaDecision::QuotaExceeded;
        }
        if !usage.connect_limiter.try_acquire(now) || !self.connect_limiter.try_acquire(now) {
            return QuotaDecision::RateExceeded;
        }
        usage.connections += 1;
        self.foreign += 1;
        QuotaDecision::Admitted { limiter: Some(Arc::clone(&usage.limiter)) }
    }

    /// Counts one admitted connection as ended.
    pub(super) fn release(&mut self, identity: PeerIdentity) {
        if identity == PeerIdentity::OwnUser {
            self.own -= 1;
            return;
        }
        self.foreign -= 1;
        if let Some(usage) = self.peers.get_mut(&identity) {
            usage.connections -= 1;
        }
    }

    /// Evicts peers without connections and without recent ones. Those that remain hold a slot or connected within the
    /// last second, so their number is bounded by the limits.
    fn evict_idle(&mut self, now: Instant) {
        if self.peers.len() >= self.evict_at {
            self.peers.retain(|_, usage| usage.connections > 0 || !usage.connect_limiter.is_idle(now));
            self.evict_at = PEERS_MIN.max(self.peers.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(connections: usize) -> ConnectionQuota {
        ConnectionQuota::new(ConnectionLimits { connections, connects_per_second: 1_000, requests_per_second: 10 })
    }

    fn of(peer: &str, owner: Option<u32>) -> PeerIdentity {
        PeerIdentity::identify(peer.parse().unwrap(), 7, || owner)
    }

    /// Admits connections of a peer until one is refused; returns their number.
    fn fill(quota: &mut ConnectionQuota, identity: PeerIdentity) -> usize {
        (0..).take_while(|_| matches!(quota.admit(identity, Instant::now()), QuotaDecision::Admitted { .. })).count()
    }

    #[test]
    fn a_peer_is_identified_by_the_kernel_or_by_its_address() {
        for (peer, owner, identity) in [
            ("127.0.0.1:1", Some(7), PeerIdentity::OwnUser),
            ("127.9.9.9:1", Some(8), PeerIdentity::OtherUser(8)),
            ("[::1]:1", None, PeerIdentity::UnknownUser),
            ("[::ffff:127.0.0.1]:1", Some(7), PeerIdentity::OwnUser),
            // For a remote peer the kernel is not asked.
            ("192.0.2.1:1", Some(7), PeerIdentity::Address("192.0.2.1".parse().unwrap())),
            ("[::ffff:192.0.2.1]:1", Some(7), PeerIdentity::Address("192.0.2.1".parse().unwrap())),
            ("[2001:db8:1:2:3:4:5:6]:1", Some(7), PeerIdentity::Address("2001:db8:1:2::".parse().unwrap())),
            ("[2001:db8:1:2::9]:1", None, PeerIdentity::Address("2001:db8:1:2::".parse().unwrap())),
        ] {
            assert_eq!(of(peer, owner), identity, "{peer}");
        }
    }

    #[test]
    fn a_peer_has_a_quarter_and_all_foreign_peers_three() {
        for (all, max_per_peer, others) in
            [(1_024, 256, 768), (16, 4, 12), (5, 1, 3), (4, 1, 3), (3, 1, 2), (2, 1, 1), (1, 1, 1)]
        {
            let mut quota = quota(all);
            let peers = [
                PeerIdentity::OtherUser(1),
                PeerIdentity::UnknownUser,
                of("192.0.2.1:1", None),
                PeerIdentity::OtherUser(2),
                PeerIdentity::OtherUser(3),
            ];
            let had: Vec<_> = peers.iter().map(|identity| fill(&mut quota, *identity)).collect();
            assert!(had[0] == max_per_peer && had.iter().max() == Some(&max_per_peer), "{all}: {had:?}");
            assert_eq!(had.iter().sum::<usize>(), others, "{all}");
            assert_eq!(fill(&mut quota, PeerIdentity::OwnUser), all - others, "{all}");
            assert!(matches!(quota.admit(PeerIdentity::OwnUser, Instant::now()), QuotaDecision::Queued));
            assert!(matches!(quota.admit(PeerIdentity::OtherUser(1), Instant::now()), QuotaDecision::QuotaExceeded));
            quota.release(PeerIdentity::OtherUser(1));
            assert!(matches!(
                quota.admit(PeerIdentity::OwnUser, Instant::now()),
                QuotaDecision::Admitted { limiter: None }
            ));
        }
    }

    #[test]
    fn the_own_user_may_take_all_slots() {
        let mut quota = quota(16);
        assert_eq!(fill(&mut quota, PeerIdentity::OwnUser), 16);
        assert!(matches!(quota.admit(PeerIdentity::OtherUser(1), Instant::now()), QuotaDecision::QuotaExceeded));
    }

    #[test]
    fn connections_made_too_fast_are_refused_but_never_the_own_users() {
        let limits = ConnectionLimits { connections: 40, connects_per_second: 10, requests_per_second: 10 };
        let (mut quota, now) = (ConnectionQuota::new(limits), Instant::now());
        let mut passes = |identity, times: usize| {
            let entered = (0..times).filter(|_| {
                let enters = matches!(quota.admit(identity, now), QuotaDecision::Admitted { .. });
                if enters {
                    quota.release(identity);
                }
                enters
            });
            entered.count()
        };
        assert_eq!((passes(PeerIdentity::OtherUser(1), 50), passes(PeerIdentity::OtherUser(2), 50)), (10, 10));
        assert_eq!(
            (passes(PeerIdentity::OtherUser(3), 50), passes(PeerIdentity::OtherUser(4), 50)),
            (10, 0),
            "three times as many of all"
        );
        assert_eq!(passes(PeerIdentity::OwnUser, 50), 50);
    }

    #[test]
    fn idle_peers_are_evicted() {
        let (mut quota, now) = (quota(1_024), Instant::now());
        for n in 0..100_000 {
            let at = now + Duration::from_millis(n * 10);
            let identity = PeerIdentity::OtherUser(u32::try_from(n).unwrap());
            assert!(matches!(quota.admit(identity, at), QuotaDecision::Admitted { .. }), "{n}");
            quota.release(identity);
            assert!(quota.peers.len() <= 4 * PEERS_MIN, "{}", quota.peers.len());
        }
    }
}
