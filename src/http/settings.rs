//! Sections `server` and `auth`: listeners, limits and authentication.

use crate::{
    config::section::{BYTES_MAX, COUNT, DELAY, DURATION, SettingsSection, ValidationErrors, blank, settings},
    secret::Secret,
};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use url::Url;

settings! {
    /// The listeners, their limits and the accepted host names.
    ServerSettings {
        /// Address and port to listen on; port 0 selects a free one, and `localhost` means 127.0.0.1.
        listen: String = "127.0.0.1:4317".into(),
        /// Address and port of a second, read-only listener for older callers, such as `"127.0.0.1:4318"`; empty =
        /// none.
        #[serde(with = "blank")]
        status_listen: Option<String> = None,
        /// Whether the listeners may have an address that other machines can reach; every caller then needs the token.
        allow_remote: bool = false,
        /// Further accepted `Host` values; one without a port matches any port. Callers then need the token, unless
        /// `auth.local_trust` is set explicitly.
        allowed_hosts: Vec<String> = Vec::new(),
        /// Exact origins of web pages that may call, such as `"https://app.example"`.
        allowed_origins: Vec<String> = Vec::new(),
        /// Bytes of a request body.
        max_body_bytes: usize = 8 << 20 => 1..=BYTES_MAX,
        /// Milliseconds until a request body must be complete.
        #[advanced]
        body_timeout_ms: u64 = 30_000 => DURATION,
        /// Connections in all. A quarter is reserved for the daemon's own user, whose further connections wait; any
        /// other user or remote address may hold a quarter at most, and further ones are refused.
        max_connections: usize = 1_024 => COUNT,
        /// New connections per second of another user or a remote address, beyond a burst of its share of the
        /// connections; more are refused.
        #[advanced]
        max_foreign_connects_per_second: usize = 128 => COUNT,
        /// Unauthenticated requests per second of another user or a remote address; more are delayed.
        #[advanced]
        max_foreign_requests_per_second: usize = 128 => COUNT,
        /// Browser requests in flight and queued, in all.
        max_requests: usize = 1_024 => COUNT,
        /// Milliseconds of silence on an event stream after which a comment is sent.
        sse_keep_alive_ms: u64 = 15_000 => DURATION,
        /// Milliseconds after which a stream whose reader does not read is ended.
        #[advanced]
        sse_stall_timeout_ms: u64 = 30_000 => DURATION,
        /// Events kept for readers of `/v1/events` that lag or reconnect.
        #[advanced]
        events_kept: usize = 1_024 => 1..=65_536,
        /// Milliseconds until a request head must be complete.
        #[advanced]
        head_timeout_ms: u64 = 5_000 => DURATION,
        /// Milliseconds that a connection may wait for another request. An idle connection is closed after this,
        /// `head_timeout_ms` and `sse_stall_timeout_ms` together.
        #[advanced]
        keep_alive_ms: u64 = 5_000 => DURATION,
        /// Milliseconds that work in progress gets to finish when the daemon stops.
        shutdown_timeout_ms: u64 = 10_000 => DELAY,
        /// HTTP worker threads.
        workers: usize = 1 => 1..=256,
        /// Milliseconds that a thread of the daemon may hang before the process ends, to be restarted.
        #[advanced]
        watchdog_timeout_ms: u64 = 30_000 => DURATION,
        /// Milliseconds between checks whether unused memory can be returned to the system.
        #[advanced]
        memory_look_ms: u64 = 5_000 => DURATION,
    }
}

settings! {
    /// Credentials of callers.
    AuthSettings {
        /// The bearer token, of at least 16 visible ASCII characters; empty = that of `token_file`, or of the state
        /// folder.
        #[serde(with = "blank")]
        token: Option<Secret> = None,
        /// A file with the token (absolute path, mode 0600); empty = none.
        #[serde(with = "blank")]
        token_file: Option<PathBuf> = None,
        /// Which loopback callers need no token on routes that do not always require it: `"same_user"`, `"loopback"`
        /// (every local user) or `"none"`. It defaults to `"none"` if `server.allowed_hosts` is set, and is always
        /// `"none"` if remote connections are possible. A raw TCP tunnel (ssh -R, socat) that runs as this user is
        /// taken for this user: set `"none"` if there is one.
        local_trust: LocalTrust = LocalTrust::SameUser,
        /// Milliseconds that a session of the status page lasts.
        session_ttl_ms: u64 = 12 * 60 * 60 * 1_000 => DURATION,
        /// Sessions of the status page; a further one ends the oldest.
        #[advanced]
        max_sessions: usize = 32 => 1..=1_024,
        /// Milliseconds that a code of `baa-conductor open` is valid.
        #[advanced]
        session_code_ttl_ms: u64 = 60_000 => DURATION,
        /// Unused codes of `baa-conductor open`; a further one ends the oldest.
        #[advanced]
        max_session_codes: usize = 16 => 1..=1_024,
    }
}

/// Which callers need no token on routes that do not always require it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LocalTrust {
    /// Loopback connections of the daemon's own user.
    SameUser,
    /// Every loopback connection.
    Loopback,
    /// No caller.
    None,
}

/// Most file descriptors reserved for other uses than connections.
const RESERVED_FILES_MAX: usize = 256;

impl ServerSettings {
    /// Returns the address to listen on; `None` if the setting is invalid.
    pub fn address(&self) -> Option<SocketAddr> {
        address(&self.listen).ok()
    }

    /// Returns the address of the read-only listener, if there is one.
    pub fn status_address(&self) -> Option<SocketAddr> {
        self.status_listen.as_deref().and_then(|listen| address(listen).ok())
    }

    /// Returns how many of the own user's connections may wait for a slot, for a listener with `connections` slots.
    pub(super) fn queue_max_for(connections: usize) -> usize {
        (connections / 4).clamp(1, 256)
    }

    /// Returns `max_connections`, lowered to what `open_files` descriptors allow. A connection takes two; some are
    /// reserved for the database, commands and relayed streams.
    pub(super) fn connections_within(&self, open_files: u64) -> usize {
        let files = usize::try_from(open_files).unwrap_or(usize::MAX);
        let kept = (files / 4).min(RESERVED_FILES_MAX);
        // A waiting connection takes one.
        self.max_connections.min((files - kept) / 9 * 4).max(2)
    }

    /// Returns the connections of the read-only listener: one sixteenth, or 0 without that listener.
    pub(super) fn status_connections(&self) -> usize {
        self.status_listen.as_ref().map_or(0, |_| (self.max_connections / 16).max(1))
    }

    /// Returns how long a connection may be idle: keep-alive, then the time of a request head, and before that a slow
    /// reader may still be receiving the last response.
    pub(super) fn idle_max(&self) -> Duration {
        Duration::from_millis(self.keep_alive_ms + self.head_timeout_ms + self.sse_stall_timeout_ms)
    }

    /// Returns whether any listener can be reached from another machine.
    pub fn is_remote(&self) -> bool {
        [self.address(), self.status_address()].into_iter().flatten().any(|address| !address.ip().is_loopback())
    }

    /// Returns whether further host names are configured, that is, whether the daemon is meant to be reached through a
    /// proxy or tunnel.
    pub fn has_foreign_hosts(&self) -> bool {
        !self.allowed_hosts.is_empty()
    }

    /// Reports every invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        self.check_bounds(errors);
        let mut listeners = vec![("listen", self.listen.as_str())];
        listeners.extend(self.status_listen.as_deref().map(|listen| ("status_listen", listen)));
        for (key, listen) in listeners {
            match address(listen) {
                Err(reason) => errors.add(key, reason),
                Ok(address) if !address.ip().is_loopback() && !self.allow_remote => errors.add(
                    key,
                    format!("{address} can be reached from other machines, which needs server.allow_remote = true"),
                ),
                Ok(_) => {}
            }
        }
        match (self.address(), self.status_address()) {
            (Some(a), Some(b)) if a == b && a.port() != 0 => {
                errors.add_conflict("status_listen", "listen", "must not be the same address as server.listen");
            }
            _ => {}
        }
        for host in &self.allowed_hosts {
            if let Err(reason) = check_host(host) {
                errors.add("allowed_hosts", format!("{host:?}: {reason}"));
            }
        }
        for origin in &self.allowed_origins {
            if let Err(reason) = check_origin(origin) {
                errors.add("allowed_origins", format!("{origin:?}: {reason}"));
            }
        }
        if self.status_listen.is_some() && self.max_connections == 1 {
            errors.add_conflict(
                "max_connections",
                "status_listen",
                "must be at least 2 where server.status_listen is set",
            );
        }
    }
}

impl AuthSettings {
    /// Reports every invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        self.check_bounds(errors);
        if let Some(Err(reason)) = self.token.as_ref().map(Secret::check) {
            errors.add("token", reason.to_string());
        }
        if let (Some(_), Some(_)) = (&self.token, &self.token_file) {
            errors.add_conflict("token_file", "token", "auth.token is set as well; choose one");
        }
        if self.token_file.as_deref().is_some_and(|path| !path.is_absolute()) {
            errors.add("token_file", "must be an absolute path; the working directory does not matter to the daemon");
        }
    }
}

/// Parses `ADDRESS:PORT`. The only accepted name is `localhost`, since DNS could move the listener elsewhere.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").filter(|port| port.bytes().all(|b| b.is_ascii_digit())) {
        let port = port.parse().map_err(|_| format!("{text:?} has no port between 0 and 65535"))?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| format!("{text:?} is not an IP address with a port, such as 127.0.0.1:4317"))
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let plain = !host.is_empty()
        && host
            .chars()
            .all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '/' | '\\' | '@' | '?' | '#' | '*' | '%'));
    // Parsed as a URL only to check the form of host and port.
    let named = plain && Url::parse(&format!("https://{host}/")).is_ok_and(|url| url.has_host());
    if named { Ok(()) } else { Err("must be a host name or address, with or without a port, such as box.lan:4317") }
}

fn check_origin(origin: &str) -> Result<(), String> {
    let example = "must be an exact origin such as https://app.example";
    if matches!(origin, "*" | "null") {
        return Err(format!("{example}; wildcards and null would let any page in"));
    }
    let url = Url::parse(origin).map_err(|_| example.to_owned())?;
    let host = url.host_str().ok_or(example)?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let exact = format!("{}://{host}{port}", url.scheme());
    if exact == origin && !origin.contains('*') { Ok(()) } else { Err(format!("{example}; is {exact} meant?")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    fn server(change: impl FnOnce(&mut ServerSettings)) -> Vec<String> {
        let mut server = ServerSettings::default();
        change(&mut server);
        validation_errors(|errors| server.validate(errors))
    }

    #[test]
    fn the_defaults_are_fine() {
        assert_eq!(server(|_| ()), [""; 0]);
        assert_eq!(validation_errors(|errors| AuthSettings::default().validate(errors)), [""; 0]);
    }

    #[test]
    fn listen_is_an_address_on_loopback_unless_remote_is_allowed() {
        for fine in ["127.0.0.1:0", "127.8.8.8:1", "[::1]:4317", "localhost:4317"] {
            assert_eq!(server(|s| s.listen = fine.into()), [""; 0], "{fine}");
        }
        for remote in ["0.0.0.0:0", "[::]:4317", "192.168.1.2:4317"] {
            let errors = server(|s| s.listen = remote.into());
            assert!(errors.len() == 1 && errors[0].contains("server.allow_remote"), "{errors:?}");
            let errors = server(|s| (s.listen, s.allow_remote) = (remote.into(), true));
            assert_eq!(errors, [""; 0]);
        }
        for bad in ["", "4317", "box.lan:4317", "127.0.0.1", "127.0.0.1:99999", "localhost:+1", "localhost:"] {
            assert_eq!(server(|s| s.listen = bad.into()).len(), 1, "{bad}");
        }
        assert_eq!(server(|s| s.status_listen = Some("127.0.0.1:4317".into())).len(), 1, "twice the same");
        assert_eq!(server(|s| s.status_listen = Some("0.0.0.0:4318".into())).len(), 1);
    }

    #[test]
    fn allowed_hosts_are_hosts() {
        for fine in ["box.lan", "other.lan:99", "[::1]:80", "BOX", "10.0.0.1:443"] {
            assert_eq!(server(|s| s.allowed_hosts = vec![fine.into()]), [""; 0], "{fine}");
        }
        for bad in ["", "*", "*.lan", "http://box", "box/x", "a b", "user@box", "box:99999", "bo%78"] {
            assert_eq!(server(|s| s.allowed_hosts = vec![bad.into()]).len(), 1, "{bad}");
        }
    }

    #[test]
    fn allowed_origins_are_exact() {
        for fine in
            ["https://app.example", "http://localhost:3000", "moz-extension://0b6e1f4c-6d1f-4f6e-9d4e-aaaaaaaaaaaa"]
        {
            assert_eq!(server(|s| s.allowed_origins = vec![fine.into()]), [""; 0], "{fine}");
        }
        for bad in [
            "",
            "null",
            "*",
            "https://*.example",
            "https://app.example/",
            "https://app.example:443",
            "https://App.example",
            "https://u@app.example",
            "app.example",
            "moz-extension://*",
            "file:///x",
            "data:x",
        ] {
            assert_eq!(server(|s| s.allowed_origins = vec![bad.into()]).len(), 1, "{bad}");
        }
    }

    #[test]
    fn zeros_and_absurd_values_are_faults() {
        let found = server(|s| {
            (s.max_body_bytes, s.max_connections, s.max_requests, s.workers) = (0, 0, 0, 0);
            (s.sse_keep_alive_ms, s.head_timeout_ms, s.body_timeout_ms, s.events_kept) = (0, 0, u64::MAX, 0);
        });
        assert_eq!(found.len(), 8, "{found:?}");
        let both = |most| server(|s| (s.max_connections, s.status_listen) = (most, Some("127.0.0.1:4318".into())));
        assert_eq!((both(1).len(), both(2).len()), (1, 0), "each listener takes at least one connection");
        assert_eq!(server(|s| s.events_kept = 65_536), [""; 0]);
        assert_eq!(server(|s| s.events_kept = 65_537).len(), 1);
    }

    #[test]
    fn a_token_is_sendable_and_comes_from_one_place() {
        let auth =
            AuthSettings { token: Some(Secret::new("a b")), token_file: Some("t".into()), ..AuthSettings::default() };
        let found = validation_errors(|errors| auth.validate(errors));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(!format!("{auth:?}").contains("a b"));
    }

    #[test]
    fn session_settings_are_positive_and_bounded() {
        let auth = AuthSettings {
            session_ttl_ms: 0,
            max_sessions: 0,
            session_code_ttl_ms: u64::MAX,
            max_session_codes: 1_025,
            ..AuthSettings::default()
        };
        let found = validation_errors(|errors| auth.validate(errors));
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
