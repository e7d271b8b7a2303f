//! Authentication of callers: by the token, by a session of the status page, or as the daemon's own user, whom the
//! kernel names at the other end of the connection.

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
use parking_lot::{Mutex, MutexGuard};
use std::{
    cell::OnceCell,
    net::{IpAddr, SocketAddr},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a route requires of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteAccess {
    /// No credential.
    Open,
    /// The token, or local trust (`auth.local_trust`).
    Local,
    /// The token.
    Token,
}

/// The kind of a caller that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A caller with the token, or the status page with a session.
    Bearer,
    /// A caller without a credential: a trusted local one, or any on an open route.
    Local,
}

/// A connection and the owner of its other end, looked up once.
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

    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    /// Returns the identity by which failed attempts are counted.
    pub(super) fn identity(&self) -> PeerIdentity {
        PeerIdentity::identify(self.address, socket_owner::own_user(), || self.user())
    }

    /// Returns the user id that the kernel names at the other end; looked up once. What the acceptor found stands:
    /// later the port may belong to another socket.
    fn user(&self) -> Option<u32> {
        let named = || socket_owner::user_of_peer(self.address, self.local);
        *self.user.get_or_init(|| match self.connection.is_own_user() {
            Some(true) => Some(socket_owner::own_user()),
            Some(false) => named().filter(|user| *user != socket_owner::own_user()),
            None => named(),
        })
    }

    pub(super) fn is_own_user(&self) -> bool {
        self.user() == Some(socket_owner::own_user())
    }

    /// Returns the owner of codes and sessions that this connection uses. `None` for a local connection whose user the
    /// kernel does not name, such as one that its process has closed already: it must not pass for a remote one.
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

/// Decides whether a request is let in.
#[derive(Debug)]
pub(super) struct Authenticator {
    token: LiveToken,
    trust: LocalTrust,
    throttle: Mutex<AuthThrottle>,
    sessions: SessionStore,
    current: Mutex<TokenGeneration>,
}

/// One generation of the token, and the signal that ends the grants made from it.
#[derive(Debug)]
struct TokenGeneration {
    number: u64,
    revoked: CancellationToken,
}

impl Authenticator {
    pub(super) fn new(token: LiveToken, trust: LocalTrust, sessions: SessionStore) -> Self {
        if !socket_owner::is_supported() {
            tracing::warn!(
                "this system names no owners of connections: auth.local_trust = \"same_user\" trusts no caller, and a session of the status page works for every user of this machine who has its cookie"
            );
        }
        let current = TokenGeneration { number: token.generation(), revoked: CancellationToken::new() };
        Authenticator { token, trust, throttle: Mutex::default(), sessions, current: Mutex::new(current) }
    }

    /// Returns the sessions, after those of a replaced token were ended.
    pub(super) fn sessions(&self) -> &SessionStore {
        self.check_token();
        &self.sessions
    }

    /// Checks whether the token was replaced, and ends the grants of the former one and the expired sessions.
    pub(super) fn check_token(&self) {
        drop(self.advance_to(self.token.generation()));
        self.sessions.remove_expired();
    }

    /// Advances to generation `number` if it is newer, and returns the current one.
    fn advance_to(&self, number: u64) -> MutexGuard<'_, TokenGeneration> {
        let mut current = self.current.lock();
        if current.number < number {
            self.sessions.revoke_all();
            current.revoked.cancel();
            *current = TokenGeneration { number, revoked: CancellationToken::new() };
        }
        current
    }

    /// Returns the grant of a token, if it is the current one.
    fn grant_for_token(&self, given: &[u8]) -> Option<AccessGrant> {
        let number = self.token.generation_of(given)?;
        let current = self.advance_to(number);
        // The token may have been replaced since the comparison.
        (current.number == number).then(|| AccessGrant::revocable(current.revoked.clone(), None))
    }

    pub(super) fn local_trust(&self) -> LocalTrust {
        self.trust
    }

    /// Authenticates a request. Returns the caller and its grant; no grant for a caller without a credential on an open
    /// route. `local` says whether the request head can be that of a local program, or why not.
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
                // A caller that sends a token is never let in without it, not even on an open route.
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
        // Another scheme is meant for a proxy, which may have added it.
        let local = if authorization == AuthorizationHeader::OtherScheme { Err(NotLocal::Forwarded) } else { local };
        match local {
            Ok(()) if access == RouteAccess::Local && self.trusts_peer(peer) => {
                Ok((Caller::Local, Some(AccessGrant::permanent())))
            }
            Err(why) if access == RouteAccess::Local && self.trusts_peer(peer) => {
                Err(ApiError::new(Code::Unauthorized, format!("A valid token is required, because {why}.")))
            }
            _ => Err(ApiError::new(Code::Unauthorized, "A valid token is required.")),
        }
    }

    fn reject_token(&self, peer: Option<&PeerConnection>) -> ApiError {
        match peer.and_then(|peer| self.throttle.lock().record_failure(peer.identity(), Instant::now())) {
            Some(left) => {
                let message = "Too many wrong tokens. Further ones are refused for up to a minute.";
                ApiError::new(Code::AuthThrottled, message).retry_after((left.as_secs() + 1).min(60))
            }
            None => ApiError::new(Code::Unauthorized, "The token is not valid."),
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthorizationHeader<'a> {
    Absent,
    /// A bearer token; the scheme is case-insensitive.
    Token(&'a [u8]),
    /// The bearer scheme without a token, or several headers, whose meaning is ambiguous.
    Malformed,
    /// Another scheme, which does not concern the daemon.
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
    fn each_access_class_requires_its_credential() {
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
    fn a_head_that_is_not_local_gets_no_trust_and_the_error_says_why() {
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
    fn a_connection_without_a_known_owner_is_not_trusted() {
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
