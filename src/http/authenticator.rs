//! Who calls: the token, a session of the status page, or the kernel's word that the other end of the connection is the
//! daemon's own user.

use super::{
    access_grant::AccessGrant,
    auth_throttle::AuthThrottle,
    connection_quota::PeerIdentity,
    connections::OpenConnection,
    error::{ApiError, Code},
    origin_policy::{self, NotLocal},
    session_store::{SessionOwner, SessionStore},
    settings::LocalTrust,
};
use crate::{host::socket_owner, state_folder::LiveToken};
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
pub enum RouteAccess {
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
pub(super) struct PeerConnection {
    pub(super) connection: OpenConnection,
    pub(super) address: SocketAddr,
    pub(super) local: SocketAddr,
    user: OnceCell<Option<u32>>,
}

impl PeerConnection {
    pub(super) fn new(connection: OpenConnection, address: SocketAddr, local: SocketAddr) -> Self {
        PeerConnection { connection, address, local, user: OnceCell::new() }
    }

    /// The address at the other end.
    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// Returns by whom its wrong tokens and codes are counted.
    pub(super) fn identity(&self) -> PeerIdentity {
        PeerIdentity::identify(self.address, socket_owner::own_user(), || self.user())
    }

    /// The user whom the kernel names at the other end; asked once. What was found when the connection was accepted stands:
    /// later the port may belong to another socket.
    fn user(&self) -> Option<u32> {
        let named = || socket_owner::user_of_peer(self.address, self.local);
        *self.user.get_or_init(|| match self.connection.is_own_user() {
            Some(true) => Some(socket_owner::own_user()),
            Some(false) => named().filter(|user| *user != socket_owner::own_user()),
            None => named(),
        })
    }

    /// Returns whether the kernel says that the daemon's own user is at the other end.
    pub(super) fn is_own_user(&self) -> bool {
        self.user() == Some(socket_owner::own_user())
    }

    /// Whose the codes and sessions of this connection are. `None` for a connection from this machine for which the
    /// kernel names no user, such as one that its process has closed already: it must not pass for another machine's.
    pub(super) fn session_owner(&self) -> Option<SessionOwner> {
        match self.user() {
            Some(user) => Some(SessionOwner::User(user)),
            None => {
                let may_be_unnamed = !socket_owner::is_supported() || !socket_owner::is_local_address(self.address);
                may_be_unnamed.then_some(SessionOwner::Unnamed)
            }
        }
    }
}

/// Decides who may call.
#[derive(Debug)]
pub(super) struct Authenticator {
    token: LiveToken,
    trust: LocalTrust,
    throttle: Mutex<AuthThrottle>,
    sessions: SessionStore,
    current: Mutex<TokenGeneration>,
}

/// One state of the token, and what ends with it.
#[derive(Debug)]
struct TokenGeneration {
    number: u64,
    revoked: CancellationToken,
}

impl Authenticator {
    pub(super) fn new(token: LiveToken, trust: LocalTrust, sessions: SessionStore) -> Self {
        if !socket_owner::is_supported() {
            tracing::warn!(
                "the kernel names no owners of connections here: `same_user` trusts nobody, and a session of the status page serves every user of this machine who has its cookie"
            );
        }
        let current = TokenGeneration { number: token.generation(), revoked: CancellationToken::new() };
        Authenticator { token, trust, throttle: Mutex::default(), sessions, current: Mutex::new(current) }
    }

    /// Those of the status page, without any that an earlier token let in.
    pub(super) fn sessions(&self) -> &SessionStore {
        self.check_token();
        &self.sessions
    }

    /// Looks whether the token has become another one. What an earlier one let in ends then.
    pub(super) fn check_token(&self) {
        drop(self.advance_to(self.token.generation()));
        self.sessions.remove_expired();
    }

    /// The current generation, at least `number`.
    fn advance_to(&self, number: u64) -> MutexGuard<'_, TokenGeneration> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number < number {
            self.sessions.revoke_all();
            current.revoked.cancel();
            *current = TokenGeneration { number, revoked: CancellationToken::new() };
        }
        current
    }

    /// What lets in who shows this token.
    fn grant_for_token(&self, given: &[u8]) -> Option<AccessGrant> {
        let number = self.token.generation_of(given)?;
        let current = self.advance_to(number);
        // It may have become another one since it was compared.
        (current.number == number).then(|| AccessGrant::revocable(current.revoked.clone(), None))
    }

    /// What callers without the token may do.
    pub(super) fn local_trust(&self) -> LocalTrust {
        self.trust
    }

    /// Who calls, if that may, and what lets it in. Nothing lets in who calls what is open to anybody. `local`: whether the
    /// head is one that a program of this machine sends by itself.
    pub(super) fn authenticate(
        &self,
        access: RouteAccess,
        headers: &HeaderMap,
        local: Result<(), NotLocal>,
        peer: Option<&PeerConnection>,
    ) -> Result<(Caller, Option<AccessGrant>), ApiError> {
        let authorization = AuthorizationHeader::parse(headers);
        match authorization {
            AuthorizationHeader::Token(token) => match self.grant_for_token(token) {
                Some(grant) => return Ok((Caller::Bearer, Some(grant))),
                // Whoever calls and whatever for: who shows a token does not mean to be let in without it.
                None => return Err(self.reject_token(peer)),
            },
            AuthorizationHeader::Malformed => return Err(self.reject_token(peer)),
            AuthorizationHeader::Absent | AuthorizationHeader::OtherScheme => {}
        }
        if origin_policy::is_own_page(headers)
            && let Some(grant) = self.sessions().grant(headers, || peer.and_then(PeerConnection::session_owner))
        {
            return Ok((Caller::Bearer, Some(grant)));
        }
        if access == RouteAccess::Open {
            return Ok((Caller::Local, None));
        }
        // A proxy may ask for a name and password of its own.
        let local = if authorization == AuthorizationHeader::OtherScheme { Err(NotLocal::Forwarded) } else { local };
        match local {
            Ok(()) if access == RouteAccess::Local && self.trusts_peer(peer) => {
                Ok((Caller::Local, Some(AccessGrant::permanent())))
            }
            Err(why) if access == RouteAccess::Local && self.trusts_peer(peer) => {
                Err(ApiError::new(Code::Unauthorized, format!("A valid token is required, since {why}.")))
            }
            _ => Err(ApiError::new(Code::Unauthorized, "A valid token is required.")),
        }
    }

    fn reject_token(&self, peer: Option<&PeerConnection>) -> ApiError {
        match peer.and_then(|peer| self.throttle().record_failure(peer.identity(), Instant::now())) {
            Some(left) => {
                let message = "Too many wrong tokens; further ones are not looked at for a while.";
                ApiError::new(Code::AuthThrottled, message).retry_after((left.as_secs() + 1).min(60))
            }
            None => ApiError::new(Code::Unauthorized, "The token that was shown is not valid."),
        }
    }

    fn trusts_peer(&self, peer: Option<&PeerConnection>) -> bool {
        let Some(peer) = peer.filter(|peer| peer.ip().is_loopback()) else { return false };
        match self.trust {
            LocalTrust::Loopback => true,
            LocalTrust::SameUser => peer.is_own_user(),
            LocalTrust::None => false,
        }
    }

    fn throttle(&self) -> MutexGuard<'_, AuthThrottle> {
        // Nothing panics between two changes of it, so what a panicking thread left is whole.
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `Authorization` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthorizationHeader<'a> {
    /// Nothing.
    Absent,
    /// A token, behind the scheme `Bearer`, which is read in any case.
    Token(&'a [u8]),
    /// That scheme and no token, or several values, of which each could be meant for somebody else.
    Malformed,
    /// Another scheme, which is not ours.
    OtherScheme,
}

impl<'a> AuthorizationHeader<'a> {
    fn parse(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).map(|value| value.as_bytes().trim_ascii());
        let Some(value) = values.next() else { return AuthorizationHeader::Absent };
        if values.next().is_some() {
            return AuthorizationHeader::Malformed;
        }
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        let (scheme, token) = value.split_at(end);
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return AuthorizationHeader::OtherScheme;
        }
        match token.strip_prefix(b" ").map(<[u8]>::trim_ascii) {
            Some(token) if !token.is_empty() => AuthorizationHeader::Token(token),
            _ => AuthorizationHeader::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{connections::ConnectionTable, settings::AuthSettings};
    use crate::secret::Secret;
    use actix_web::http::header::HeaderValue;
    use std::sync::Arc;

    const ADDRESS: &str = "127.0.0.1:9";

    fn authenticate(
        authenticator: &Authenticator,
        access: RouteAccess,
        authorization: Option<&str>,
    ) -> Result<Caller, &'static str> {
        let address: SocketAddr = ADDRESS.parse().unwrap();
        let peer = PeerConnection::new(Arc::<ConnectionTable>::default().register(None), address, address);
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let authenticated = authenticator.authenticate(access, &headers, Ok(()), Some(&peer));
        authenticated.map(|(caller, _)| caller).map_err(|error| error.code().name())
    }

    fn authenticator(trust: LocalTrust) -> Authenticator {
        Authenticator::new(
            LiveToken::fixed(Secret::new("right")),
            trust,
            SessionStore::new(&AuthSettings::default(), 9),
        )
    }

    #[test]
    fn each_kind_of_route_asks_what_it_says() {
        let (loopback, none) = (authenticator(LocalTrust::Loopback), authenticator(LocalTrust::None));
        for (authenticator, access, expected) in [
            (&loopback, RouteAccess::Open, Ok(Caller::Local)),
            (&loopback, RouteAccess::Local, Ok(Caller::Local)),
            (&loopback, RouteAccess::Token, Err("unauthorized")),
            (&none, RouteAccess::Open, Ok(Caller::Local)),
            (&none, RouteAccess::Local, Err("unauthorized")),
            (&none, RouteAccess::Token, Err("unauthorized")),
        ] {
            assert_eq!(authenticate(authenticator, access, None), expected, "{access:?}");
            assert_eq!(authenticate(authenticator, access, Some("Bearer right")), Ok(Caller::Bearer));
            assert_eq!(authenticate(authenticator, access, Some("bEARER  right ")), Ok(Caller::Bearer));
        }
        for wrong in ["Bearer rightx", "Token right", "right", "Bearer", "Bearer ", "Bearer\tright"] {
            assert_eq!(authenticate(&none, RouteAccess::Local, Some(wrong)), Err("unauthorized"), "{wrong}");
            assert_eq!(authenticate(&loopback, RouteAccess::Local, Some(wrong)), Err("unauthorized"), "{wrong}");
        }
        assert_eq!(
            authenticate(&loopback, RouteAccess::Open, Some("Bearer wrong")),
            Err("unauthorized"),
            "given and not valid"
        );
        assert_eq!(authenticate(&loopback, RouteAccess::Open, Some("Basic eA==")), Ok(Caller::Local), "not ours");
    }

    #[test]
    fn a_head_that_is_not_local_gives_no_trust_and_its_refusal_says_why() {
        let address: SocketAddr = ADDRESS.parse().unwrap();
        let peer = PeerConnection::new(Arc::<ConnectionTable>::default().register(None), address, address);
        let authenticator = authenticator(LocalTrust::Loopback);
        let authenticate = |access, why| {
            let authenticated = authenticator.authenticate(access, &HeaderMap::new(), Err(why), Some(&peer));
            authenticated.map(|(caller, _)| caller).map_err(|error| format!("{error:?}"))
        };
        for why in [
            NotLocal::ForeignHost,
            NotLocal::ForeignPage,
            NotLocal::Forwarded,
            NotLocal::ProxySyntax,
            NotLocal::UnknownPage,
        ] {
            let said = authenticate(RouteAccess::Local, why).unwrap_err();
            assert!(said.contains(&why.to_string()), "{said}");
            assert_eq!(authenticate(RouteAccess::Open, why), Ok(Caller::Local));
        }
    }

    #[test]
    fn a_connection_of_this_machine_that_no_user_holds_begins_no_session() {
        let of = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            PeerConnection::new(
                Arc::<ConnectionTable>::default().register(None),
                address,
                "127.0.0.1:9".parse().unwrap(),
            )
            .session_owner()
        };
        if socket_owner::is_supported() {
            assert_eq!((of("127.0.0.1:1"), of("[::1]:1"), of("[::ffff:127.0.0.1]:1")), (None, None, None));
        }
        assert_eq!(of("192.0.2.1:1"), Some(SessionOwner::Unnamed));
    }

    #[test]
    fn a_connection_that_the_kernel_does_not_know_is_nobodys() {
        assert_eq!(authenticate(&authenticator(LocalTrust::SameUser), RouteAccess::Local, None), Err("unauthorized"));
    }

    #[test]
    fn another_machine_is_never_local() {
        let address: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let peer = PeerConnection::new(Arc::<ConnectionTable>::default().register(None), address, address);
        let refused = authenticator(LocalTrust::Loopback).authenticate(
            RouteAccess::Local,
            &HeaderMap::new(),
            Ok(()),
            Some(&peer),
        );
        assert!(refused.is_err());
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn wrong_tokens_are_throttled_for_a_minute_and_right_ones_never() {
        let authenticator = authenticator(LocalTrust::None);
        let wrong = || authenticate(&authenticator, RouteAccess::Token, Some("Bearer wrong"));
        for _ in 0..10 {
            assert_eq!(wrong(), Err("unauthorized"));
        }
        assert_eq!(wrong(), Err("auth_throttled"));
        assert_eq!(authenticate(&authenticator, RouteAccess::Token, Some("Bearer right")), Ok(Caller::Bearer));
        assert_eq!(wrong(), Err("auth_throttled"), "a right one forgives nothing");
        assert_eq!(
            authenticate(&authenticator, RouteAccess::Token, None),
            Err("unauthorized"),
            "no token is no wrong one"
        );
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!(wrong(), Err("unauthorized"));
    }
}
