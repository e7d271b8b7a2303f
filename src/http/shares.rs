//! Who has how many of the connections, as a value: whether one more enters, waits or is refused.
//!
//! ```text
//! the daemon's own user    enters while there is a place at all; else waits
//! anybody else             enters while that one has fewer than a quarter, all others together leave a quarter free, and
//!                          they come no faster than they may; else refused
//! ```
//!
//! Invariant: of all places one quarter is never anybody's but the own user's.

use super::pace::Pace;
use std::{
    collections::hash_map,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Who has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// The daemon's own user, on loopback.
    Own,
    /// Another user of this machine.
    User(u32),
    /// A program of this machine of which the kernel does not say whose it is.
    Unknown,
    /// An address that is no loopback; of IPv6 its network of 64 bits, of which one machine may have every address.
    Address(IpAddr),
}

impl Holder {
    /// Who is at `peer`. `owner`: asks the kernel, and is asked of loopback alone; `own`: the daemon's user.
    pub(super) fn of(peer: SocketAddr, own: u32, owner: impl FnOnce() -> Option<u32>) -> Self {
        match peer.ip().to_canonical() {
            ip if ip.is_loopback() => match owner() {
                Some(user) if user == own => Holder::Own,
                Some(user) => Holder::User(user),
                None => Holder::Unknown,
            },
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Holder::Address(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            ip => Holder::Address(ip),
        }
    }
}

/// What becomes of a new connection.
#[derive(Debug)]
pub(super) enum Entry {
    /// It has a place.
    Enters {
        /// What its holder may do of what costs time and takes no token; without bound for the own user.
        rein: Option<Arc<Rein>>,
    },
    /// There is none, until another ends.
    Waits,
    /// Its holder has as many as it may.
    Full,
    /// Its holder makes them faster than it may.
    TooFast,
}

/// How fast one holder's connections, all together, are read and answered where no token was shown.
#[derive(Debug)]
pub(super) struct Rein {
    reads: Mutex<Pace>,
    requests: Mutex<Pace>,
}

impl Rein {
    fn new(bounds: &Bounds) -> Self {
        let (pace, burst) = (bounds.requests_per_second, bounds.each().max(bounds.requests_per_second));
        Rein {
            // A long head comes in several.
            reads: Mutex::new(Pace::new(pace, burst.saturating_mul(2))),
            requests: Mutex::new(Pace::new(pace, burst)),
        }
    }

    /// How long to wait before more is read.
    pub(super) fn after_read(&self) -> Duration {
        // Nothing panics while it is held.
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).wait(Instant::now())
    }

    /// How long to wait before a request is answered.
    pub(super) fn before_answer(&self) -> Duration {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).wait(Instant::now())
    }
}

/// The bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections in all.
    pub(super) connections: usize,
    /// New ones of one holder in a second; as many as it may have may come at once.
    pub(super) connects_per_second: usize,
    /// Requests of one holder in a second, where no token is shown.
    pub(super) requests_per_second: usize,
}

impl Bounds {
    /// The most that one holder has.
    fn each(&self) -> usize {
        (self.connections / 4).max(1)
    }

    /// The most that all but the own user have.
    fn others(&self) -> usize {
        // A single place has no quarter to keep.
        (self.connections - self.connections.div_ceil(4)).max(1)
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Shares {
    bounds: Bounds,
    own: usize,
    others: usize,
    holders: foldhash::HashMap<Holder, Held>,
    /// Holders to have before the next look for some to forget.
    tidy_at: usize,
    /// New ones of all holders.
    connects: Pace,
}

#[derive(Debug)]
struct Held {
    connections: usize,
    connects: Pace,
    rein: Arc<Rein>,
}

/// Holders that are remembered without a look for some to forget.
const HOLDERS_MIN: usize = 256;

impl Shares {
    pub(super) fn new(bounds: Bounds) -> Self {
        Shares {
            bounds,
            own: 0,
            others: 0,
            holders: foldhash::HashMap::default(),
            tidy_at: HOLDERS_MIN,
            connects: Pace::new(bounds.connects_per_second.saturating_mul(3), bounds.others()),
        }
    }

    /// One more comes; it counts from now on if it enters.
    pub(super) fn enter(&mut self, holder: Holder, now: Instant) -> Entry {
        let is_room = self.own + self.others < self.bounds.connections;
        if holder == Holder::Own {
            if !is_room {
                return Entry::Waits;
            }
            self.own += 1;
            return Entry::Enters { rein: None };
        }
        if !is_room || self.others >= self.bounds.others() {
            return Entry::Full;
        }
        self.tidy(now);
        let bounds = self.bounds;
        let held = match self.holders.entry(holder) {
            hash_map::Entry::Occupied(held) => held.into_mut(),
            hash_map::Entry::Vacant(place) => place.insert(Held {
                connections: 0,
                connects: Pace::new(bounds.connects_per_second, bounds.each()),
                rein: Arc::new(Rein::new(&bounds)),
            }),
        };
        if held.connections >= self.bounds.each() {
            return Entry::Full;
        }
        if !held.connects.take(now) || !self.connects.take(now) {
            return Entry::TooFast;
        }
        held.connections += 1;
        self.others += 1;
        Entry::Enters { rein: Some(Arc::clone(&held.rein)) }
    }

    /// One that entered has ended.
    pub(super) fn leave(&mut self, holder: Holder) {
        if holder == Holder::Own {
            self.own -= 1;
            return;
        }
        self.others -= 1;
        if let Some(held) = self.holders.get_mut(&holder) {
            held.connections -= 1;
        }
    }

    /// Forgets those that have no connection and made none a moment ago: so many as are left have places, or came within
    /// a second at the pace of all.
    fn tidy(&mut self, now: Instant) {
        if self.holders.len() >= self.tidy_at {
            self.holders.retain(|_, held| held.connections > 0 || !held.connects.is_rested(now));
            self.tidy_at = HOLDERS_MIN.max(self.holders.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(connections: usize) -> Shares {
        Shares::new(Bounds { connections, connects_per_second: 1_000, requests_per_second: 10 })
    }

    fn of(peer: &str, owner: Option<u32>) -> Holder {
        Holder::of(peer.parse().unwrap(), 7, || owner)
    }

    /// How many of a holder's enter, one after the other, until one does not.
    fn fill(shares: &mut Shares, holder: Holder) -> usize {
        (0..).take_while(|_| matches!(shares.enter(holder, Instant::now()), Entry::Enters { .. })).count()
    }

    #[test]
    fn whose_a_connection_is_says_the_kernel_or_the_address() {
        for (peer, owner, holder) in [
            ("127.0.0.1:1", Some(7), Holder::Own),
            ("127.9.9.9:1", Some(8), Holder::User(8)),
            ("[::1]:1", None, Holder::Unknown),
            ("[::ffff:127.0.0.1]:1", Some(7), Holder::Own),
            // What the kernel says of another machine's port is not asked.
            ("192.0.2.1:1", Some(7), Holder::Address("192.0.2.1".parse().unwrap())),
            ("[::ffff:192.0.2.1]:1", Some(7), Holder::Address("192.0.2.1".parse().unwrap())),
            ("[2001:db8:1:2:3:4:5:6]:1", Some(7), Holder::Address("2001:db8:1:2::".parse().unwrap())),
            ("[2001:db8:1:2::9]:1", None, Holder::Address("2001:db8:1:2::".parse().unwrap())),
        ] {
            assert_eq!(of(peer, owner), holder, "{peer}");
        }
    }

    #[test]
    fn one_holder_has_a_quarter_and_all_but_the_own_user_three() {
        for (all, each, others) in
            [(1_024, 256, 768), (16, 4, 12), (5, 1, 3), (4, 1, 3), (3, 1, 2), (2, 1, 1), (1, 1, 1)]
        {
            let mut shares = shares(all);
            let holders = [Holder::User(1), Holder::Unknown, of("192.0.2.1:1", None), Holder::User(2), Holder::User(3)];
            let had: Vec<_> = holders.iter().map(|holder| fill(&mut shares, *holder)).collect();
            assert!(had[0] == each && had.iter().max() == Some(&each), "{all}: {had:?}");
            assert_eq!(had.iter().sum::<usize>(), others, "{all}");
            assert_eq!(fill(&mut shares, Holder::Own), all - others, "{all}");
            assert!(matches!(shares.enter(Holder::Own, Instant::now()), Entry::Waits));
            assert!(matches!(shares.enter(Holder::User(1), Instant::now()), Entry::Full));
            shares.leave(Holder::User(1));
            assert!(matches!(shares.enter(Holder::Own, Instant::now()), Entry::Enters { rein: None }));
        }
    }

    #[test]
    fn the_own_user_may_have_everything() {
        let mut shares = shares(16);
        assert_eq!(fill(&mut shares, Holder::Own), 16);
        assert!(matches!(shares.enter(Holder::User(1), Instant::now()), Entry::Full));
    }

    #[test]
    fn who_comes_and_goes_too_fast_is_refused_and_the_own_user_never() {
        let bounds = Bounds { connections: 40, connects_per_second: 10, requests_per_second: 10 };
        let (mut shares, now) = (Shares::new(bounds), Instant::now());
        let mut passes = |holder, times: usize| {
            let entered = (0..times).filter(|_| {
                let enters = matches!(shares.enter(holder, now), Entry::Enters { .. });
                if enters {
                    shares.leave(holder);
                }
                enters
            });
            entered.count()
        };
        assert_eq!((passes(Holder::User(1), 50), passes(Holder::User(2), 50)), (10, 10));
        assert_eq!((passes(Holder::User(3), 50), passes(Holder::User(4), 50)), (10, 0), "three times as many of all");
        assert_eq!(passes(Holder::Own, 50), 50);
    }

    #[test]
    fn holders_are_forgotten_once_they_are_gone() {
        let (mut shares, now) = (shares(1_024), Instant::now());
        for n in 0..100_000 {
            let at = now + Duration::from_millis(n * 10);
            let holder = Holder::User(u32::try_from(n).unwrap());
            assert!(matches!(shares.enter(holder, at), Entry::Enters { .. }), "{n}");
            shares.leave(holder);
            assert!(shares.holders.len() <= 4 * HOLDERS_MIN, "{}", shares.holders.len());
        }
    }
}
