//! The status page's sessions, and the codes by which it logs in. In memory alone: a restart ends them all.
//!
//! ```text
//! issue ──► code ──begin, once──► session ──end, forget_all, time──► gone
//! ```
//!
//! A session may be bound to a key, which the page draws, keeps for its own origin and sends in a header: its cookie alone
//! is shown to whatever listens on the host, and counts for nothing then.
//!
//! Invariant: of codes, cookies and keys only digests are kept, and each belongs to the user whom the kernel names at the other
//! end of the connection that asked for it, whatever callers are trusted for: browsers show a cookie to every port of its
//! host, and a code may be seen on its way.

mod expiring_digests;

use self::expiring_digests::ExpiringDigests;
use super::{
    access_grant::AccessGrant, auth_throttle::AuthThrottle, connection_quota::PeerIdentity, settings::AuthSettings,
};
use crate::secret::Secret;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

type Digest = [u8; 32];

/// Where a request shows the key of its session.
const SESSION_KEY: HeaderName = HeaderName::from_static("x-baa-session-key");

/// Characters of a code and of a session's secret: 256 random bits, in hexadecimal.
const SECRET_CHARS: usize = 64;

/// The second half of a session, of which the page keeps the key; its digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionKey(Digest);

impl SessionKey {
    /// Reads 64 hexadecimal digits in lower case.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let is_key = text.len() == SECRET_CHARS && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_key.then(|| SessionKey(digest(text)))
    }

    /// Returns the one that a request shows; none where there are several.
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

/// Who holds a code or a session. A connection whose process on this machine has closed it already has no such owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionOwner {
    /// A user of this machine, by the number that the kernel names.
    User(u32),
    /// Whoever calls from another machine, or anybody where the kernel names no owners at all.
    Unnamed,
}

/// The system has no random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(super) struct RandomUnavailable;

/// Why a code begins no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SessionError {
    /// It was never issued, is too old, was used before, or is somebody else's.
    #[error("the code is not one that can still be used")]
    WrongCode,
    /// There were too many of those.
    #[error("too many wrong codes")]
    Throttled {
        /// How long further ones are not looked at.
        left: Duration,
    },
    /// Nothing is wrong with the code.
    #[error(transparent)]
    NoRandom(#[from] RandomUnavailable),
}

/// Everything that lets a page in.
#[derive(Debug)]
pub(super) struct SessionStore {
    /// The name of the cookie. Browsers keep one jar for all ports of a host, so the port is part of it.
    cookie: String,
    codes: Mutex<ExpiringDigests>,
    sessions: Mutex<ExpiringDigests>,
    throttle: Mutex<AuthThrottle>,
}

impl SessionStore {
    /// Those of the daemon that listens on this port.
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

    /// Returns a code that its owner can use once; one without an owner can be used by no connection.
    pub(super) fn issue_code(&self, owner: Option<SessionOwner>) -> Result<Secret, RandomUnavailable> {
        let code = random_secret()?;
        lock(&self.codes).insert(digest(code.expose().as_bytes()), owner, None);
        Ok(code)
    }

    /// Uses a code of this owner up and returns the session's secret; with a `key` the session counts only together with
    /// it. Wrong codes are counted by `peer`, where it is
    /// known; a code of another owner is a wrong one, and stays what it was.
    pub(super) fn redeem_code(
        &self,
        code: &str,
        key: Option<SessionKey>,
        owner: Option<SessionOwner>,
        peer: Option<PeerIdentity>,
    ) -> Result<Secret, SessionError> {
        if !lock(&self.codes).remove(&digest(code.as_bytes()), owner, None) {
            let left = peer.and_then(|peer| lock(&self.throttle).record_failure(peer, Instant::now()));
            return Err(left.map_or(SessionError::WrongCode, |left| SessionError::Throttled { left }));
        }
        let secret = random_secret()?;
        lock(&self.sessions).insert(digest(secret.expose().as_bytes()), owner, key);
        Ok(secret)
    }

    /// Returns whether a request shows the cookie of a session of this owner.
    #[cfg(test)]
    pub(super) fn has_session(&self, headers: &HeaderMap, owner: impl FnOnce() -> Option<SessionOwner>) -> bool {
        self.grant(headers, owner).is_some()
    }

    /// Returns what lets a request in that shows the cookie of a session of this owner, and its key if it has one, among whatever other cookies of
    /// the name; it ends with the session. `owner` is asked only where there is such a cookie.
    pub(super) fn grant(
        &self,
        headers: &HeaderMap,
        owner: impl FnOnce() -> Option<SessionOwner>,
    ) -> Option<AccessGrant> {
        let mut shown = self.cookie_digests(headers).peekable();
        shown.peek()?;
        let (owner, key) = (owner(), SessionKey::from_headers(headers));
        let mut sessions = lock(&self.sessions);
        shown.find_map(|shown| sessions.grant(&shown, owner, key))
    }

    /// Ends each session of this owner that a request shows; returns whether there was one.
    pub(super) fn end_sessions(&self, headers: &HeaderMap, owner: Option<SessionOwner>) -> bool {
        let (mut sessions, key) = (lock(&self.sessions), SessionKey::from_headers(headers));
        self.cookie_digests(headers).filter(|shown| sessions.remove(shown, owner, key)).count() > 0
    }

    /// Ends all sessions, and the codes that wait: the token is another one.
    pub(super) fn revoke_all(&self) {
        lock(&self.codes).clear();
        lock(&self.sessions).clear();
    }

    /// Ends what is over: what a session opened ends with it then, also where the machine slept meanwhile.
    pub(super) fn remove_expired(&self) {
        lock(&self.sessions).remove_expired();
    }

    /// How long a code is good for.
    pub(super) fn code_ttl(&self) -> Duration {
        lock(&self.codes).ttl()
    }

    /// How long a session lasts.
    pub(super) fn session_ttl(&self) -> Duration {
        lock(&self.sessions).ttl()
    }

    /// The `set-cookie` of a session.
    pub(super) fn set_cookie(&self, secret: &Secret) -> String {
        self.format_cookie(secret.expose(), self.session_ttl().as_secs())
    }

    /// The `set-cookie` that takes it away.
    pub(super) fn clear_cookie(&self) -> String {
        self.format_cookie("", 0)
    }

    /// Without `Secure`: the daemon speaks plain HTTP, and not every browser takes loopback for safe.
    fn format_cookie(&self, value: &str, seconds: u64) -> String {
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict", self.cookie)
    }

    /// Returns the digests of all cookies of the name that a request shows. Every program on the host may set some, for
    /// longer paths too, which stand before ours; bytes that are no text are passed over. Their number is bounded by the
    /// size of a head.
    fn cookie_digests(&self, headers: &HeaderMap) -> impl Iterator<Item = Digest> {
        let pairs = headers.get_all(header::COOKIE).flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
        pairs.filter_map(|pair| {
            let value = pair.trim_ascii().strip_prefix(self.cookie.as_bytes())?.strip_prefix(b"=")?;
            (value.len() == SECRET_CHARS).then(|| digest(value))
        })
    }
}

/// Nothing panics between two changes of what is locked here, so that it is always whole.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(text: &[u8]) -> Digest {
    Sha256::digest(text).into()
}

/// 256 random bits, in hexadecimal.
fn random_secret() -> Result<Secret, RandomUnavailable> {
    let mut bits = [0_u8; SECRET_CHARS / 2];
    getrandom::fill(&mut bits).map_err(|_| RandomUnavailable)?;
    let text = bits.iter().fold(String::with_capacity(SECRET_CHARS), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    });
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests;
