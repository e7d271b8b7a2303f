//! Who has how many of the connections, as a value: whether one more enters, waits or is refused.
//!
//! ```text
//! the daemon's own user    enters while there is a place at all; else waits
//! anybody else             enters while that one has fewer than a quarter, all others together leave a quarter free, and
//!                          they come no faster than they may; else refused
//! ```
//!
//! Invariant: of all places one quarter is never anybody's but the own user's.

use super::rate_limiter::RateLimiter;
use std::{
    collections::hash_map,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Who has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PeerIdentity {
    /// The daemon's own user, on loopback.
    OwnUser,
    /// Another user of this machine.
    OtherUser(u32),
    /// A program of this machine of which the kernel does not say whose it is.
    UnknownUser,
    /// An address that is no loopback; of IPv6 its network of 64 bits, of which one machine may have every address.
    Address(IpAddr),
}

impl PeerIdentity {
    /// Who is at `peer`. `owner`: asks the kernel, and is asked of loopback alone; `own`: the daemon's user.
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

/// What becomes of a new connection.
#[derive(Debug)]
pub(super) enum QuotaDecision {
    /// It has a place.
    Admitted {
        /// What its holder may do of what costs time and takes no token; without bound for the own user.
        limiter: Option<Arc<UnauthenticatedLimiter>>,
    },
    /// There is none, until another ends.
    Queued,
    /// Its holder has as many as it may.
    QuotaExceeded,
    /// Its holder makes them faster than it may.
    RateExceeded,
}

/// How fast one holder's connections, all together, are read and answered where no token was shown.
#[derive(Debug)]
pub(super) struct UnauthenticatedLimiter {
    read_limiter: Mutex<RateLimiter>,
    request_limiter: Mutex<RateLimiter>,
}

impl UnauthenticatedLimiter {
    fn new(limits: &ConnectionLimits) -> Self {
        let (per_second, burst) = (limits.requests_per_second, limits.max_per_peer().max(limits.requests_per_second));
        UnauthenticatedLimiter {
            // A long head comes in several.
            read_limiter: Mutex::new(RateLimiter::new(per_second, burst.saturating_mul(2))),
            request_limiter: Mutex::new(RateLimiter::new(per_second, burst)),
        }
    }

    /// How long to wait before more is read.
    pub(super) fn read_delay(&self) -> Duration {
        // Nothing panics while it is held.
        self.read_limiter.lock().unwrap_or_else(PoisonError::into_inner).reserve(Instant::now())
    }

    /// How long to wait before a request is answered.
    pub(super) fn response_delay(&self) -> Duration {
        self.request_limiter.lock().unwrap_or_else(PoisonError::into_inner).reserve(Instant::now())
    }
}

/// The bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// Connections in all.
    pub(super) connections: usize,
    /// New ones of one holder in a second; as many as it may have may come at once.
    pub(super) connects_per_second: usize,
    /// Requests of one holder in a second, where no token is shown.
    pub(super) requests_per_second: usize,
}

impl ConnectionLimits {
    /// The most that one holder has.
    fn max_per_peer(&self) -> usize {
        (self.connections / 4).max(1)
    }

    /// The most that all but the own user have.
    fn max_foreign(&self) -> usize {
        // A single place has no quarter to keep.
        (self.connections - self.connections.div_ceil(4)).max(1)
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct ConnectionQuota {
    limits: ConnectionLimits,
    own: usize,
    foreign: usize,
    peers: foldhash::HashMap<PeerIdentity, PeerUsage>,
    /// Holders to have before the next look for some to forget.
    evict_at: usize,
    /// New ones of all holders.
    connect_limiter: RateLimiter,
}

#[derive(Debug)]
struct PeerUsage {
    connections: usize,
    connect_limiter: RateLimiter,
    limiter: Arc<UnauthenticatedLimiter>,
}

/// Holders that are remembered without a look for some to forget.
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

    /// One more comes; it counts from now on if it enters.
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

    /// One that entered has ended.
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

    /// Forgets those that have no connection and made none a moment ago: so many as are left have places, or came within
    /// a second at the pace of all.
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

    /// How many of a holder's enter, one after the other, until one does not.
    fn fill(quota: &mut ConnectionQuota, identity: PeerIdentity) -> usize {
        (0..).take_while(|_| matches!(quota.admit(identity, Instant::now()), QuotaDecision::Admitted { .. })).count()
    }

    #[test]
    fn whose_a_connection_is_says_the_kernel_or_the_address() {
        for (peer, owner, identity) in [
            ("127.0.0.1:1", Some(7), PeerIdentity::OwnUser),
            ("127.9.9.9:1", Some(8), PeerIdentity::OtherUser(8)),
            ("[::1]:1", None, PeerIdentity::UnknownUser),
            ("[::ffff:127.0.0.1]:1", Some(7), PeerIdentity::OwnUser),
            // What the kernel says of another machine's port is not asked.
            ("192.0.2.1:1", Some(7), PeerIdentity::Address("192.0.2.1".parse().unwrap())),
            ("[::ffff:192.0.2.1]:1", Some(7), PeerIdentity::Address("192.0.2.1".parse().unwrap())),
            ("[2001:db8:1:2:3:4:5:6]:1", Some(7), PeerIdentity::Address("2001:db8:1:2::".parse().unwrap())),
            ("[2001:db8:1:2::9]:1", None, PeerIdentity::Address("2001:db8:1:2::".parse().unwrap())),
        ] {
            assert_eq!(of(peer, owner), identity, "{peer}");
        }
    }

    #[test]
    fn one_holder_has_a_quarter_and_all_but_the_own_user_three() {
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
    fn the_own_user_may_have_everything() {
        let mut quota = quota(16);
        assert_eq!(fill(&mut quota, PeerIdentity::OwnUser), 16);
        assert!(matches!(quota.admit(PeerIdentity::OtherUser(1), Instant::now()), QuotaDecision::QuotaExceeded));
    }

    #[test]
    fn who_comes_and_goes_too_fast_is_refused_and_the_own_user_never() {
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
    fn holders_are_forgotten_once_they_are_gone() {
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
