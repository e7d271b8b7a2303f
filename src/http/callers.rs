//! Who calls: the token, a session of the status page, or the kernel's word that the other end of the connection is the
//! daemon's own user.

use super::{
    connections::Open,
    error::{ApiError, Code},
    origins,
    sessions::Sessions,
    settings::LocalTrust,
    throttle::Throttle,
};
use crate::{host::owner, state_folder::LiveToken};
use actix_web::http::header::{self, HeaderMap};
use std::{
    cell::OnceCell,
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::time::Instant;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// The token, or the trust in local callers.
    Local,
    /// The token.
    Token,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who showed the token, or the status page with a session.
    Bearer,
    /// Somebody else who may.
    Local,
}

/// What is known about a connection; found out once.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) open: Open,
    pub(super) address: SocketAddr,
    pub(super) local: SocketAddr,
    same_user: OnceCell<bool>,
}

impl Peer {
    pub(super) fn new(open: Open, address: SocketAddr, local: SocketAddr) -> Self {
        Peer { open, address, local, same_user: OnceCell::new() }
    }

    /// The address at the other end.
    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    fn is_same_user(&self) -> bool {
        *self.same_user.get_or_init(|| owner::is_own_user(self.address, self.local))
    }
}

/// Decides who may call.
#[derive(Debug)]
pub(super) struct Callers {
    token: LiveToken,
    trust: LocalTrust,
    throttle: Mutex<Throttle>,
    sessions: Sessions,
    /// Of the token that let the sessions in.
    generation: AtomicU64,
}

impl Callers {
    pub(super) fn new(token: LiveToken, trust: LocalTrust, sessions: Sessions) -> Self {
        let generation = AtomicU64::new(token.generation());
        Callers { token, trust, throttle: Mutex::default(), sessions, generation }
    }

    /// Those of the status page, without any that an earlier token let in.
    pub(super) fn sessions(&self) -> &Sessions {
        let generation = self.token.generation();
        if self.generation.swap(generation, Relaxed) != generation {
            self.sessions.forget_all();
        }
        &self.sessions
    }

    /// What callers without the token may do.
    pub(super) fn trust(&self) -> LocalTrust {
        self.trust
    }

    /// Who calls, if that may.
    pub(super) fn admit(&self, access: Access, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Caller, ApiError> {
        let given = headers.get(header::AUTHORIZATION).map(|value| bearer(value.as_bytes()));
        if given.flatten().is_some_and(|token| self.token.matches(token)) {
            return Ok(Caller::Bearer);
        }
        if origins::is_own_page(headers) && self.sessions().holds(headers, || self.is_users(peer)) {
            return Ok(Caller::Bearer);
        }
        if access == Access::Open
            || (access == Access::Local && !origins::is_from_nowhere(headers) && self.trusts(peer))
        {
            return Ok(Caller::Local);
        }
        if given.is_none() && origins::is_from_nowhere(headers) {
            let message = "A browser asks, but does not say which page of this server asks (by a Referer); then it takes the token.";
            return Err(ApiError::new(Code::Unauthorized, message));
        }
        let address = peer.filter(|_| given.is_some()).map(Peer::ip);
        if let Some(left) = address.and_then(|address| self.throttle().wrong(address, Instant::now())) {
            let seconds = left.as_secs() + 1;
            let message = "Too many wrong tokens; further ones are not looked at for a while.";
            return Err(ApiError::new(Code::AuthThrottled, message).retry_after(seconds.min(60)));
        }
        Err(ApiError::new(Code::Unauthorized, "A valid token is required."))
    }

    fn trusts(&self, peer: Option<&Peer>) -> bool {
        let Some(peer) = peer.filter(|peer| peer.ip().is_loopback()) else { return false };
        match self.trust {
            LocalTrust::Loopback => true,
            LocalTrust::SameUser => peer.is_same_user(),
            LocalTrust::None => false,
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the kernel says that the daemon's own user calls, where that is what callers are trusted for. What was
    /// begun by such a caller then goes on with such callers alone: cookies and command lines are seen by others.
    pub(super) fn is_users(&self, peer: Option<&Peer>) -> bool {
        self.trust == LocalTrust::SameUser && self.trusts(peer)
    }
}

/// The token in an `Authorization` value; the scheme is read in any case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{connections::Connections, settings::Auth};
    use crate::secret::Secret;
    use actix_web::http::header::HeaderValue;
    use std::sync::Arc;

    const ADDRESS: &str = "127.0.0.1:9";

    fn admit(callers: &Callers, access: Access, authorization: Option<&str>) -> Result<Caller, &'static str> {
        let address: SocketAddr = ADDRESS.parse().unwrap();
        let peer = Peer::new(Arc::<Connections>::default().enter(None), address, address);
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        callers.admit(access, &headers, Some(&peer)).map_err(|error| error.code().name())
    }

    fn callers(trust: LocalTrust) -> Callers {
        Callers::new(LiveToken::fixed(Secret::new("right")), trust, Sessions::new(&Auth::default(), 9))
    }

    #[test]
    fn each_kind_of_route_asks_what_it_says() {
        let (loopback, none) = (callers(LocalTrust::Loopback), callers(LocalTrust::None));
        for (callers, access, expected) in [
            (&loopback, Access::Open, Ok(Caller::Local)),
            (&loopback, Access::Local, Ok(Caller::Local)),
            (&loopback, Access::Token, Err("unauthorized")),
            (&none, Access::Open, Ok(Caller::Local)),
            (&none, Access::Local, Err("unauthorized")),
            (&none, Access::Token, Err("unauthorized")),
        ] {
            assert_eq!(admit(callers, access, None), expected, "{access:?}");
            assert_eq!(admit(callers, access, Some("Bearer right")), Ok(Caller::Bearer));
            assert_eq!(admit(callers, access, Some("bEARER  right ")), Ok(Caller::Bearer));
        }
        for wrong in ["Bearer rightx", "Token right", "right", "Bearer", "Bearer "] {
            assert_eq!(admit(&none, Access::Local, Some(wrong)), Err("unauthorized"), "{wrong}");
        }
    }

    #[test]
    fn a_connection_that_the_kernel_does_not_know_is_nobodys() {
        assert_eq!(admit(&callers(LocalTrust::SameUser), Access::Local, None), Err("unauthorized"));
    }

    #[test]
    fn another_machine_is_never_local() {
        let address: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let peer = Peer::new(Arc::<Connections>::default().enter(None), address, address);
        let refused = callers(LocalTrust::Loopback).admit(Access::Local, &HeaderMap::new(), Some(&peer));
        assert!(refused.is_err());
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn wrong_tokens_are_throttled_for_a_minute_and_right_ones_never() {
        let callers = callers(LocalTrust::None);
        let wrong = || admit(&callers, Access::Token, Some("Bearer wrong"));
        for _ in 0..10 {
            assert_eq!(wrong(), Err("unauthorized"));
        }
        assert_eq!(wrong(), Err("auth_throttled"));
        assert_eq!(admit(&callers, Access::Token, Some("Bearer right")), Ok(Caller::Bearer));
        assert_eq!(wrong(), Err("auth_throttled"), "a right one forgives nothing");
        assert_eq!(admit(&callers, Access::Token, None), Err("unauthorized"), "no token is no wrong one");
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(wrong(), Err("unauthorized"));
    }
}
