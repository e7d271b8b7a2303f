//! The sessions of the status page, and the one-time codes that begin them. Kept in memory only: a restart ends them
//! all.
//!
//! ```text
//! issue_code ──► code ──redeem_code, once──► session ──end_sessions, revoke_all, expiry──► gone
//! ```
//!
//! A session may be bound to a key, which the page generates, stores under its own origin and sends in a header. Its
//! cookie alone, which browsers also send to other ports of the host, then grants nothing.
//!
//! Invariant: only digests of codes, cookies and keys are kept, and each belongs to the user whom the kernel names at
//! the connection that requested it, whatever `auth.local_trust` says: browsers send cookies to every port of a host,
//! and a code may be seen in transit.

mod expiring_digests;

use self::expiring_digests::ExpiringDigests;
use super::{
    access_grant::AccessGrant, auth_throttle::AuthThrottle, connection_quota::PeerIdentity, settings::AuthSettings,
};
use crate::{secret::Secret, wire::proof::hex};
use actix_web::http::header::{self, HeaderMap, HeaderName};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::{fmt, time::Duration};
use tokio::time::Instant;

type Digest = [u8; 32];

/// The request header with the key of a session.
const SESSION_KEY: HeaderName = HeaderName::from_static("x-baa-session-key");

/// Length of a code and of a session's secret: 256 random bits in hexadecimal.
const SECRET_CHARS: usize = 64;

/// The digest of a session's key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionKey(Digest);

impl SessionKey {
    /// Parses 64 lower-case hexadecimal digits.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let is_key = text.len() == SECRET_CHARS && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_key.then(|| SessionKey(digest(text)))
    }

    /// Reads the key of a request; `None` if there are several.
    fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(SESSION_KEY);
        let key = values.next().and_then(|value| Self::parse(value.as_bytes()));
        if values.next().is_some() { None } else { key }
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// The owner of a code or session. A local connection whose process has closed it already has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionOwner {
    /// A user of this machine, by user id.
    User(u32),
    /// A remote caller, or any caller on a system where the kernel names no owners.
    Unnamed,
}

/// The system provides no random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system provides no random numbers")]
pub(super) struct RandomUnavailable;

/// Why a code begins no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SessionError {
    /// The code was never issued, has expired, was used before, or belongs to another user.
    #[error("the code is not valid")]
    WrongCode,
    /// Too many wrong codes came from this peer.
    #[error("too many wrong codes")]
    Throttled {
        /// Remaining time of the lockout.
        left: Duration,
    },
    /// The code was right, but no secret could be generated.
    #[error(transparent)]
    NoRandom(#[from] RandomUnavailable),
}

#[derive(Debug)]
pub(super) struct SessionStore {
    /// The name of the cookie. It contains the port, since browsers share cookies among all ports of a host.
    cookie: String,
    codes: Mutex<ExpiringDigests>,
    sessions: Mutex<ExpiringDigests>,
    throttle: Mutex<AuthThrottle>,
}

impl SessionStore {
    /// Creates the store of the daemon that listens on `port`.
    pub(super) fn new(auth: &AuthSettings, port: u16) -> Self {
        let digests =
            |ttl_ms, entries_max| Mutex::new(ExpiringDigests::new(Duration::from_millis(ttl_ms), entries_max));
        SessionStore {
            cookie: format!("baa_session_{port}"),
            codes: digests(auth.session_code_ttl_ms, auth.max_session_codes),
            sessions: digests(auth.session_ttl_ms, auth.max_sessions),
            throttle: Mutex::default(),
        }
    }

    /// Issues a one-time code for its owner; a code without an owner cannot be redeemed.
    pub(super) fn issue_code(&self, owner: Option<SessionOwner>) -> Result<Secret, RandomUnavailable> {
        let code = random_secret()?;
        self.codes.lock().insert(digest(code.expose().as_bytes()), owner, None);
        Ok(code)
    }

    /// Redeems a code of `owner` and returns the session's secret. With a `key`, the session requires it. Wrong codes,
    /// and codes of other owners, which stay valid for them, count as failed attempts of `peer`.
    pub(super) fn redeem_code(
        &self,
        code: &str,
        key: Option<SessionKey>,
        owner: Option<SessionOwner>,
        peer: Option<PeerIdentity>,
    ) -> Result<Secret, SessionError> {
        if !self.codes.lock().remove(&digest(code.as_bytes()), owner, None) {
            let left = peer.and_then(|peer| self.throttle.lock().record_failure(peer, Instant::now()));
            return Err(left.map_or(SessionError::WrongCode, |left| SessionError::Throttled { left }));
        }
        let secret = random_secret()?;
        self.sessions.lock().insert(digest(secret.expose().as_bytes()), owner, key);
        Ok(secret)
    }

    /// Returns whether a request carries the cookie of a session of this owner.
    #[cfg(test)]
    pub(super) fn has_session(&self, headers: &HeaderMap, owner: impl FnOnce() -> Option<SessionOwner>) -> bool {
        self.grant(headers, owner).is_some()
    }

    /// Returns the grant of a session of this owner whose cookie, and key if it has one, the request carries; it ends
    /// with the session. `owner` is called only if there is such a cookie.
    pub(super) fn grant(
        &self,
        headers: &HeaderMap,
        owner: impl FnOnce() -> Option<SessionOwner>,
    ) -> Option<AccessGrant> {
        let mut shown = self.cookie_digests(headers).peekable();
        shown.peek()?;
        let (owner, key) = (owner(), SessionKey::from_headers(headers));
        let mut sessions = self.sessions.lock();
        shown.find_map(|shown| sessions.grant(&shown, owner, key))
    }

    /// Ends each session of this owner whose cookie a request carries; returns whether there was one.
    pub(super) fn end_sessions(&self, headers: &HeaderMap, owner: Option<SessionOwner>) -> bool {
        let (mut sessions, key) = (self.sessions.lock(), SessionKey::from_headers(headers));
        self.cookie_digests(headers).filter(|shown| sessions.remove(shown, owner, key)).count() > 0
    }

    /// Ends all sessions and codes, because the token was replaced.
    pub(super) fn revoke_all(&self) {
        self.codes.lock().clear();
        self.sessions.lock().clear();
    }

    /// Ends expired sessions and with them their grants, also after the machine slept.
    pub(super) fn remove_expired(&self) {
        self.sessions.lock().remove_expired();
    }

    pub(super) fn code_ttl(&self) -> Duration {
        self.codes.lock().ttl()
    }

    pub(super) fn session_ttl(&self) -> Duration {
        self.sessions.lock().ttl()
    }

    /// Returns the `set-cookie` value of a session.
    pub(super) fn set_cookie(&self, secret: &Secret) -> String {
        self.format_cookie(secret.expose(), self.session_ttl().as_secs())
    }

    /// Returns the `set-cookie` value that removes the cookie.
    pub(super) fn clear_cookie(&self) -> String {
        self.format_cookie("", 0)
    }

    /// Sets no `Secure`: the daemon speaks plain HTTP, and not every browser treats loopback as secure.
    fn format_cookie(&self, value: &str, seconds: u64) -> String {
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict", self.cookie)
    }

    /// Returns the digests of all cookies of the session's name. Other programs of the host may set some too, even with
    /// longer paths, which browsers send first. Their number is bounded by the size of a request head.
    fn cookie_digests(&self, headers: &HeaderMap) -> impl Iterator<Item = Digest> {
        let pairs = headers.get_all(header::COOKIE).flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
        pairs.filter_map(|pair| {
            let value = pair.trim_ascii().strip_prefix(self.cookie.as_bytes())?.strip_prefix(b"=")?;
            (value.len() == SECRET_CHARS).then(|| digest(value))
        })
    }
}

fn digest(text: &[u8]) -> Digest {
    Sha256::digest(text).into()
}

/// Returns 256 random bits in hexadecimal.
fn random_secret() -> Result<Secret, RandomUnavailable> {
    let mut bits = [0_u8; SECRET_CHARS / 2];
    getrandom::fill(&mut bits).map_err(|_| RandomUnavailable)?;
    Ok(Secret::new(hex(&bits)))
}

#[cfg(test)]
mod tests;
