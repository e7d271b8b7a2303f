//! The status page's sessions, and the codes by which it logs in. In memory alone: a restart ends them all.
//!
//! ```text
//! issue ──► code ──begin, once──► session ──end, forget_all, time──► gone
//! ```
//!
//! Invariant: of codes and cookies only digests are kept. What was begun from a connection of the daemon's own user is
//! nobody else's: browsers show a cookie to every port of its host, and other users read a browser's command line.

use super::{settings::Auth, throttle::Throttle};
use crate::secret::Secret;
use actix_web::http::header::{self, HeaderMap};
use sha2::{Digest as _, Sha256};
use std::{
    collections::VecDeque,
    fmt::Write,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

type Digest = [u8; 32];

/// The system has no random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(super) struct NoRandom;

/// Why a code begins no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSession {
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
    NoRandom(#[from] NoRandom),
}

/// Everything that lets a page in.
#[derive(Debug)]
pub(super) struct Sessions {
    /// The name of the cookie. Browsers keep one jar for all ports of a host, so the port is part of it.
    cookie: String,
    codes: Mutex<Shelf>,
    sessions: Mutex<Shelf>,
    throttle: Mutex<Throttle>,
}

impl Sessions {
    /// Those of the daemon that listens on this port.
    pub(super) fn new(auth: &Auth, port: u16) -> Self {
        let shelf = |ttl_ms, entries_max| {
            Mutex::new(Shelf { ttl: Duration::from_millis(ttl_ms), entries_max, entries: VecDeque::new() })
        };
        Sessions {
            cookie: format!("baa_session_{port}"),
            codes: shelf(auth.session_code_ttl_ms, auth.max_session_codes),
            sessions: shelf(auth.session_ttl_ms, auth.max_sessions),
            throttle: Mutex::default(),
        }
    }

    /// A code that can be used once. `own`: whether the daemon's own user asks for it.
    pub(super) fn issue(&self, own: bool) -> Result<Secret, NoRandom> {
        let code = random()?;
        lock(&self.codes).add(digest(code.expose().as_bytes()), own);
        Ok(code)
    }

    /// Uses a code up; answers the session's secret. Wrong ones are counted by `address`, where it is known.
    pub(super) fn begin(&self, code: &str, own: bool, address: Option<IpAddr>) -> Result<Secret, NoSession> {
        if !lock(&self.codes).take(&digest(code.as_bytes()), own) {
            let left = address.and_then(|address| lock(&self.throttle).wrong(address, Instant::now()));
            return Err(left.map_or(NoSession::WrongCode, |left| NoSession::Throttled { left }));
        }
        let secret = random()?;
        lock(&self.sessions).add(digest(secret.expose().as_bytes()), own);
        Ok(secret)
    }

    /// Whether a request shows the cookie of a session. `own` is asked only where there is a cookie.
    pub(super) fn holds(&self, headers: &HeaderMap, own: impl FnOnce() -> bool) -> bool {
        self.shown(headers).is_some_and(|shown| lock(&self.sessions).has(&shown, own()))
    }

    /// Ends the session that a request shows; answers whether there was one.
    pub(super) fn end(&self, headers: &HeaderMap, own: bool) -> bool {
        self.shown(headers).is_some_and(|shown| lock(&self.sessions).take(&shown, own))
    }

    /// Ends all sessions, and the codes that wait: the token is another one.
    pub(super) fn forget_all(&self) {
        lock(&self.codes).entries.clear();
        lock(&self.sessions).entries.clear();
    }

    /// How long a code is good for.
    pub(super) fn code_ttl(&self) -> Duration {
        lock(&self.codes).ttl
    }

    /// How long a session lasts.
    pub(super) fn session_ttl(&self) -> Duration {
        lock(&self.sessions).ttl
    }

    /// The `set-cookie` of a session.
    pub(super) fn cookie(&self, secret: &Secret) -> String {
        self.written(secret.expose(), self.session_ttl().as_secs())
    }

    /// The `set-cookie` that takes it away.
    pub(super) fn no_cookie(&self) -> String {
        self.written("", 0)
    }

    /// Without `Secure`: the daemon speaks plain HTTP, and not every browser takes loopback for safe.
    fn written(&self, value: &str, seconds: u64) -> String {
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict", self.cookie)
    }

    /// The digest of what a request shows.
    fn shown(&self, headers: &HeaderMap) -> Option<Digest> {
        let pairs = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.cookie).map(|(_, value)| digest(value.as_bytes()))
    }
}

/// Digests that last equally long, the oldest first.
#[derive(Debug)]
struct Shelf {
    ttl: Duration,
    entries_max: usize,
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    digest: Digest,
    ends: Instant,
    own: bool,
}

impl Shelf {
    fn add(&mut self, digest: Digest, own: bool) {
        self.tidy();
        if self.entries.len() >= self.entries_max {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { digest, ends: Instant::now() + self.ttl, own });
    }

    fn has(&mut self, digest: &Digest, own: bool) -> bool {
        self.find(digest, own).is_some()
    }

    fn take(&mut self, digest: &Digest, own: bool) -> bool {
        self.find(digest, own).and_then(|at| self.entries.remove(at)).is_some()
    }

    fn find(&mut self, digest: &Digest, own: bool) -> Option<usize> {
        self.tidy();
        self.entries.iter().position(|entry| (own || !entry.own) && bool::from(entry.digest.ct_eq(digest)))
    }

    fn tidy(&mut self) {
        let now = Instant::now();
        while self.entries.front().is_some_and(|entry| entry.ends <= now) {
            self.entries.pop_front();
        }
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
fn random() -> Result<Secret, NoRandom> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|_| NoRandom)?;
    let text = bits.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    });
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests;
