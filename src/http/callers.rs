//! Who calls: the token, a session of the status page, or the kernel's word that the other end of the connection is the
//! daemon's own user.

use super::{
    authority::Authority,
    connections::Open,
    error::{ApiError, Code},
    origins::{self, NotLocal},
    sessions::{SessionOwner, Sessions},
    settings::LocalTrust,
    shares::Holder,
    throttle::Throttle,
};
use crate::{host::owner, state_folder::LiveToken};
use actix_web::http::header::{self, HeaderMap};
use std::{
    cell::OnceCell,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
    user: OnceCell<Option<u32>>,
}

impl Peer {
    pub(super) fn new(open: Open, address: SocketAddr, local: SocketAddr) -> Self {
        Peer { open, address, local, user: OnceCell::new() }
    }

    /// The address at the other end.
    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// Returns by whom its wrong tokens and codes are counted.
    pub(super) fn holder(&self) -> Holder {
        Holder::of(self.address, owner::own_user(), || self.user())
    }

    /// The user whom the kernel names at the other end; asked once. What was found when the connection was accepted stands:
    /// later the port may belong to another socket.
    fn user(&self) -> Option<u32> {
        let named = || owner::of_peer(self.address, self.local);
        *self.user.get_or_init(|| match self.open.is_own() {
            Some(true) => Some(owner::own_user()),
            Some(false) => named().filter(|user| *user != owner::own_user()),
            None => named(),
        })
    }

    /// Returns whether the kernel says that the daemon's own user is at the other end.
    pub(super) fn is_own_user(&self) -> bool {
        self.user() == Some(owner::own_user())
    }

    /// Whose the codes and sessions of this connection are. `None` for a connection from this machine for which the
    /// kernel names no user, such as one that its process has closed already: it must not pass for another machine's.
    pub(super) fn session_owner(&self) -> Option<SessionOwner> {
        match self.user() {
            Some(user) => Some(SessionOwner::User(user)),
            None => {
                let may_be_unnamed = !owner::is_named_here() || !owner::is_of_this_machine(self.address);
                may_be_unnamed.then_some(SessionOwner::Unnamed)
            }
        }
    }
}

/// Decides who may call.
#[derive(Debug)]
pub(super) struct Callers {
    token: LiveToken,
    trust: LocalTrust,
    throttle: Mutex<Throttle>,
    sessions: Sessions,
    current: Mutex<Generation>,
}

/// One state of the token, and what ends with it.
#[derive(Debug)]
struct Generation {
    number: u64,
    revoked: CancellationToken,
}

impl Callers {
    pub(super) fn new(token: LiveToken, trust: LocalTrust, sessions: Sessions) -> Self {
        if !owner::is_named_here() {
            tracing::warn!(
                "the kernel names no owners of connections here: `same_user` trusts nobody, and a session of the status page serves every user of this machine who has its cookie"
            );
        }
        let current = Generation { number: token.generation(), revoked: CancellationToken::new() };
        Callers { token, trust, throttle: Mutex::default(), sessions, current: Mutex::new(current) }
    }

    /// Those of the status page, without any that an earlier token let in.
    pub(super) fn sessions(&self) -> &Sessions {
        self.look();
        &self.sessions
    }

    /// Looks whether the token has become another one. What an earlier one let in ends then.
    pub(super) fn look(&self) {
        drop(self.follow(self.token.generation()));
        self.sessions.tidy();
    }

    /// The current generation, at least `number`.
    fn follow(&self, number: u64) -> MutexGuard<'_, Generation> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number < number {
            self.sessions.forget_all();
            current.revoked.cancel();
            *current = Generation { number, revoked: CancellationToken::new() };
        }
        current
    }

    /// What lets in who shows this token.
    fn of_token(&self, given: &[u8]) -> Option<Authority> {
        let number = self.token.generation_of(given)?;
        let current = self.follow(number);
        // It may have become another one since it was compared.
        (current.number == number).then(|| Authority::until(current.revoked.clone(), None))
    }

    /// What callers without the token may do.
    pub(super) fn trust(&self) -> LocalTrust {
        self.trust
    }

    /// Who calls, if that may, and what lets it in. Nothing lets in who calls what is open to anybody. `local`: whether the
    /// head is one that a program of this machine sends by itself.
    pub(super) fn admit(
        &self,
        access: Access,
        headers: &HeaderMap,
        local: Result<(), NotLocal>,
        peer: Option<&Peer>,
    ) -> Result<(Caller, Option<Authority>), ApiError> {
        let credentials = Credentials::of(headers);
        match credentials {
            Credentials::Token(token) => match self.of_token(token) {
                Some(authority) => return Ok((Caller::Bearer, Some(authority))),
                // Whoever calls and whatever for: who shows a token does not mean to be let in without it.
                None => return Err(self.wrong_token(peer)),
            },
            Credentials::NoToken => return Err(self.wrong_token(peer)),
            Credentials::None | Credentials::Other => {}
        }
        if origins::is_own_page(headers)
            && let Some(authority) = self.sessions().authority(headers, || peer.and_then(Peer::session_owner))
        {
            return Ok((Caller::Bearer, Some(authority)));
        }
        if access == Access::Open {
            return Ok((Caller::Local, None));
        }
        // A proxy may ask for a name and password of its own.
        let local = if credentials == Credentials::Other { Err(NotLocal::Forwarded) } else { local };
        match local {
            Ok(()) if access == Access::Local && self.trusts(peer) => Ok((Caller::Local, Some(Authority::lasting()))),
            Err(why) if access == Access::Local && self.trusts(peer) => {
                Err(ApiError::new(Code::Unauthorized, format!("A valid token is required, since {why}.")))
            }
            _ => Err(ApiError::new(Code::Unauthorized, "A valid token is required.")),
        }
    }

    fn wrong_token(&self, peer: Option<&Peer>) -> ApiError {
        match peer.and_then(|peer| self.throttle().wrong(peer.holder(), Instant::now())) {
            Some(left) => {
                let message = "Too many wrong tokens; further ones are not looked at for a while.";
                ApiError::new(Code::AuthThrottled, message).retry_after((left.as_secs() + 1).min(60))
            }
            None => ApiError::new(Code::Unauthorized, "The token that was shown is not valid."),
        }
    }

    fn trusts(&self, peer: Option<&Peer>) -> bool {
        let Some(peer) = peer.filter(|peer| peer.ip().is_loopback()) else { return false };
        match self.trust {
            LocalTrust::Loopback => true,
            LocalTrust::SameUser => peer.is_own_user(),
            LocalTrust::None => false,
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `Authorization` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credentials<'a> {
    /// Nothing.
    None,
    /// A token, behind the scheme `Bearer`, which is read in any case.
    Token(&'a [u8]),
    /// That scheme and no token, or several values, of which each could be meant for somebody else.
    NoToken,
    /// Another scheme, which is not ours.
    Other,
}

impl<'a> Credentials<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).map(|value| value.as_bytes().trim_ascii());
        let Some(value) = values.next() else { return Credentials::None };
        if values.next().is_some() {
            return Credentials::NoToken;
        }
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        let (scheme, token) = value.split_at(end);
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Credentials::Other;
        }
        match token.strip_prefix(b" ").map(<[u8]>::trim_ascii) {
            Some(token) if !token.is_empty() => Credentials::Token(token),
            _ => Credentials::NoToken,
        }
    }
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
        let admitted = callers.admit(access, &headers, Ok(()), Some(&peer));
        admitted.map(|(caller, _)| caller).map_err(|error| error.code().name())
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
        for wrong in ["Bearer rightx", "Token right", "right", "Bearer", "Bearer ", "Bearer\tright"] {
            assert_eq!(admit(&none, Access::Local, Some(wrong)), Err("unauthorized"), "{wrong}");
            assert_eq!(admit(&loopback, Access::Local, Some(wrong)), Err("unauthorized"), "{wrong}");
        }
        assert_eq!(admit(&loopback, Access::Open, Some("Bearer wrong")), Err("unauthorized"), "given and not valid");
        assert_eq!(admit(&loopback, Access::Open, Some("Basic eA==")), Ok(Caller::Local), "not ours");
    }

    #[test]
    fn a_head_that_is_not_local_gives_no_trust_and_its_refusal_says_why() {
        let address: SocketAddr = ADDRESS.parse().unwrap();
        let peer = Peer::new(Arc::<Connections>::default().enter(None), address, address);
        let callers = callers(LocalTrust::Loopback);
        let admit = |access, why| {
            let admitted = callers.admit(access, &HeaderMap::new(), Err(why), Some(&peer));
            admitted.map(|(caller, _)| caller).map_err(|error| format!("{error:?}"))
        };
        for why in [NotLocal::Name, NotLocal::Page, NotLocal::Forwarded, NotLocal::Written, NotLocal::NoPage] {
            let said = admit(Access::Local, why).unwrap_err();
            assert!(said.contains(&why.to_string()), "{said}");
            assert_eq!(admit(Access::Open, why), Ok(Caller::Local));
        }
    }

    #[test]
    fn a_connection_of_this_machine_that_no_user_holds_begins_no_session() {
        let of = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            Peer::new(Arc::<Connections>::default().enter(None), address, "127.0.0.1:9".parse().unwrap())
                .session_owner()
        };
        if owner::is_named_here() {
            assert_eq!((of("127.0.0.1:1"), of("[::1]:1"), of("[::ffff:127.0.0.1]:1")), (None, None, None));
        }
        assert_eq!(of("192.0.2.1:1"), Some(SessionOwner::Unnamed));
    }

    #[test]
    fn a_connection_that_the_kernel_does_not_know_is_nobodys() {
        assert_eq!(admit(&callers(LocalTrust::SameUser), Access::Local, None), Err("unauthorized"));
    }

    #[test]
    fn another_machine_is_never_local() {
        let address: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let peer = Peer::new(Arc::<Connections>::default().enter(None), address, address);
        let refused = callers(LocalTrust::Loopback).admit(Access::Local, &HeaderMap::new(), Ok(()), Some(&peer));
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
