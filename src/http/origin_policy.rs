//! The origin policy: decides from the request head alone (host, origin, fetch metadata, content type) whether a
//! request is allowed, and whether a local program can have made it. Pure.

use super::{
    error::{ApiError, Code},
    forwarded,
    listener::{BoundListener, OppositeFamilyPort},
    settings::ServerSettings,
};
use actix_web::{
    dev::RequestHead,
    http::{
        Method, Uri, Version,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use std::net::SocketAddr;
use url::Url;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The hosts and origins that requests are compared with.
#[derive(Clone, Debug)]
pub(super) struct OriginPolicy {
    /// `name:port`, lower case.
    own_hosts: Vec<String>,
    /// Those of them that are loopback names.
    loopback_hosts: Vec<String>,
    /// Further hosts; an entry without a port matches any port.
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
}

/// The class of a route, as far as its origin rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteClass {
    /// The extension's WebSocket, which accepts extension origins.
    Socket,
    /// The status page's document. It contains no data, so a navigation may come from anywhere.
    Document,
    /// Every other route.
    Other,
}

/// The result of a passed check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OriginVerdict {
    /// The origin, if it is one of `server.allowed_origins` and gets CORS headers.
    pub(super) allowed_origin: Option<String>,
    /// Whether a local program can have sent this head, or why not.
    pub(super) local: Result<(), NotLocal>,
}

/// Why a request head gives no local trust, even on a connection of the daemon's own user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotLocal {
    /// The `Host` is a configured name, not a loopback name.
    #[error("its Host is not 127.0.0.1, localhost or [::1] with the daemon's port")]
    ForeignHost,
    /// A page of `server.allowed_origins` makes the request; it does not act as the user.
    #[error("it comes from a page of another origin")]
    ForeignPage,
    /// A header is present that only proxies and tunnels add.
    #[error("one of its headers is added by proxies or tunnels")]
    Forwarded,
    /// The request line is a proxy's: an absolute target, or HTTP/1.0.
    #[error("it has the form of a proxy's request (HTTP/1.0, or an absolute target)")]
    ProxySyntax,
    /// A same-origin script that names no page of this server.
    #[error("a browser sent it without the Referer of a page of this server")]
    UnknownPage,
}

/// The origin of a request, as far as the browser names it.
#[derive(Debug)]
enum RequestOrigin {
    Absent,
    /// A name of this server. Another program may serve pages under one of them (such as `[::1]`), so the fetch
    /// metadata is checked as well.
    Own,
    /// One of `server.allowed_origins`.
    Allowed(String),
    Extension,
}

/// Most characters of an extension's id; Firefox generates a UUID.
const EXTENSION_ID_MAX: usize = 64;

impl OriginPolicy {
    pub(super) fn new(server: &ServerSettings, listening: &BoundListener) -> Self {
        Self::of(
            server,
            listening.address,
            match listening.opposite_port {
                OppositeFamilyPort::Taken(taken) => Some(taken),
                OppositeFamilyPort::Reserved(_) | OppositeFamilyPort::Unavailable => None,
            },
        )
    }

    /// Creates a policy. `taken` is the address of the other family if another program has it; then neither its name
    /// nor `localhost`, which browsers resolve to both, is a name of this server.
    fn of(server: &ServerSettings, listening: SocketAddr, taken: Option<SocketAddr>) -> Self {
        let port = listening.port();
        let mut hosts = vec!["127.0.0.1", "localhost", "[::1]"];
        if let Some(taken) = taken {
            hosts.retain(|host| *host != "localhost" && host.trim_matches(['[', ']']) != taken.ip().to_string());
        }
        let mut own = vec![listening.to_string()];
        own.extend(hosts.iter().map(|host| format!("{host}:{port}")));
        if port == 80 {
            own.extend(hosts.iter().map(|host| (*host).to_owned()));
        }
        let lower = |list: &[String]| list.iter().map(|entry| entry.to_ascii_lowercase()).collect();
        // The listen address is a loopback name only if it is a loopback address.
        let is_loopback = |name: &&String| **name != listening.to_string() || listening.ip().is_loopback();
        let loopback = own.iter().filter(is_loopback).cloned().collect();
        OriginPolicy {
            own_hosts: own,
            loopback_hosts: loopback,
            allowed_hosts: lower(&server.allowed_hosts),
            allowed_origins: lower(&server.allowed_origins),
        }
    }

    /// Runs all checks, in the documented order.
    pub(super) fn check(&self, head: &RequestHead, class: RouteClass) -> Result<OriginVerdict, ApiError> {
        let headers = &head.headers;
        let host = self.check_host(&head.uri, headers)?;
        if class == RouteClass::Socket && !self.has_listed_port(host) {
            let message = "A name of this machine reaches the extension's socket only with a port that server.allowed_hosts lists.";
            return Err(ApiError::new(Code::HostNotAllowed, message));
        }
        let origin = self.classify_origin(headers, host, class == RouteClass::Socket)?;
        match origin {
            RequestOrigin::Absent if class == RouteClass::Document && is_navigation(head) => {}
            RequestOrigin::Absent | RequestOrigin::Own => check_fetch_site(headers)?,
            RequestOrigin::Allowed(_) | RequestOrigin::Extension => {}
        }
        check_content_type(headers)?;
        let local = self.check_local(head, host, &origin);
        Ok(OriginVerdict {
            allowed_origin: match origin {
                RequestOrigin::Allowed(origin) => Some(origin),
                _ => None,
            },
            local,
        })
    }

    fn check_local(&self, head: &RequestHead, host: &str, origin: &RequestOrigin) -> Result<(), NotLocal> {
        if !self.loopback_hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
            return Err(NotLocal::ForeignHost);
        }
        if !matches!(origin, RequestOrigin::Absent | RequestOrigin::Own) {
            return Err(NotLocal::ForeignPage);
        }
        if forwarded::is_forwarded(&head.headers) {
            return Err(NotLocal::Forwarded);
        }
        // Some proxies add no header but use HTTP/1.0, or pass on an absolute target.
        if head.version != Version::HTTP_11 || head.uri.authority().is_some() {
            return Err(NotLocal::ProxySyntax);
        }
        if lacks_initiating_page(&head.headers) { Err(NotLocal::UnknownPage) } else { Ok(()) }
    }

    fn check_host<'a>(&self, uri: &Uri, headers: &'a HeaderMap) -> Result<&'a str, ApiError> {
        let bad = |message: &str| ApiError::new(Code::InvalidRequest, message).with("field", "host");
        let mut given = headers.get_all(header::HOST);
        let host = given.next().ok_or_else(|| bad("The request has no Host header."))?;
        if given.next().is_some() {
            return Err(bad("The request has more than one Host header."));
        }
        let host = host.to_str().map_err(|_| bad("The Host header is not ASCII."))?;
        if uri.authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
            return Err(bad("The request target and the Host header name different hosts."));
        }
        let own = self.own_hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        if own || self.allowed_hosts.iter().any(|entry| matches_host(entry, host)) {
            return Ok(host);
        }
        Err(ApiError::new(Code::HostNotAllowed, "This host is not listed in server.allowed_hosts."))
    }

    /// Returns whether a `Host` that names this machine is listed with its port. Pairing proofs are bound to the
    /// address that the extension dialled; another local program could listen on a port that only an entry without a
    /// port covers, and relay the proofs.
    fn has_listed_port(&self, host: &str) -> bool {
        let is_named = |named: &String| named.eq_ignore_ascii_case(host);
        !is_loopback_host(host) || self.own_hosts.iter().any(is_named) || self.allowed_hosts.iter().any(is_named)
    }

    fn classify_origin(&self, headers: &HeaderMap, host: &str, socket: bool) -> Result<RequestOrigin, ApiError> {
        let refused = || ApiError::new(Code::OriginNotAllowed, "This origin is not listed in server.allowed_origins.");
        let mut given = headers.get_all(header::ORIGIN);
        let Some(origin) = given.next() else { return Ok(RequestOrigin::Absent) };
        let origin = origin.to_str().map_err(|_| refused())?;
        if given.next().is_some() {
            return Err(refused());
        }
        let (scheme, from) = origin.split_at_checked("http://".len()).unwrap_or_default();
        let is_from = |host: &str| scheme.eq_ignore_ascii_case("http://") && from.eq_ignore_ascii_case(host);
        if is_from(host) || self.own_hosts.iter().any(|own| is_from(own)) {
            return Ok(RequestOrigin::Own);
        }
        if self.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
            return Ok(RequestOrigin::Allowed(origin.to_owned()));
        }
        if socket && is_extension(origin) {
            return Ok(RequestOrigin::Extension);
        }
        Err(refused())
    }
}

fn is_extension(origin: &str) -> bool {
    let id = origin.strip_prefix("moz-extension://");
    id.is_some_and(|id| {
        (1..=EXTENSION_ID_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

/// Returns whether a `Host`, with or without a port, is a loopback address or a name that always resolves to one.
fn is_loopback_host(host: &str) -> bool {
    // Parsed as a URL, as browsers do it: 127.1 is an address too.
    match Url::parse(&format!("ws://{host}/")).ok().as_ref().and_then(Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    }
}

fn matches_host(entry: &str, host: &str) -> bool {
    if entry.eq_ignore_ascii_case(host) {
        return true;
    }
    // A colon after the last bracket begins a port.
    let name_of = |text: &str| match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => text[..colon].to_ascii_lowercase(),
        _ => text.to_ascii_lowercase(),
    };
    entry == name_of(entry) && entry == name_of(host)
}

/// Refuses requests that the browser marks as made by another site.
fn check_fetch_site(headers: &HeaderMap) -> Result<(), ApiError> {
    // If there are several values, none may name another site.
    if headers.get_all(SEC_FETCH_SITE).all(|site| matches!(site.as_bytes(), b"same-origin" | b"none")) {
        return Ok(());
    }
    Err(ApiError::new(Code::OriginNotAllowed, "Requests from other sites are not allowed."))
}

/// Returns whether a browser navigates to the page from another site, in a tab or window of its own (no frame, no
/// script). Expects a request without an `origin` header.
fn is_navigation(head: &RequestHead) -> bool {
    let says = |name: &HeaderName, wanted: &[u8]| {
        let mut given = head.headers.get_all(name);
        given.next().is_some_and(|header_value| header_value.as_bytes() == wanted) && given.next().is_none()
    };
    head.method == Method::GET
        && says(&SEC_FETCH_SITE, b"cross-site")
        && says(&SEC_FETCH_MODE, b"navigate")
        && says(&SEC_FETCH_DEST, b"document")
}

/// Returns whether a script of a page of this very origin makes the request, according to the browser: no navigation,
/// no image, no other port or name. Expects a request that passed the checks; a program may claim this, another page
/// cannot.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    match header_value(headers, &SEC_FETCH_SITE) {
        Some(site) => {
            let mode = header_value(headers, &SEC_FETCH_MODE);
            site == b"same-origin"
                && mode.is_none_or(|mode| matches!(mode, b"cors" | b"same-origin"))
                && !lacks_initiating_page(headers)
        }
        // A browser without fetch metadata still sends an `origin` header with requests that can change something.
        None => header_value(headers, &header::ORIGIN)
            .and_then(|origin| origin.strip_prefix(b"http://"))
            .is_some_and(|from| is_own_host(from, headers)),
    }
}

/// Returns whether a request is marked as same-origin although no page of the origin makes it. Firefox marks those of
/// extensions with access to all addresses like that. The status page's own requests carry a `Referer`, by its referrer
/// policy.
fn lacks_initiating_page(headers: &HeaderMap) -> bool {
    header_value(headers, &SEC_FETCH_SITE) == Some(b"same-origin")
        && headers.contains_key(SEC_FETCH_MODE)
        && !headers.contains_key(header::ORIGIN)
        && !header_value(headers, &header::REFERER).is_some_and(|from| {
            // A proxy in front, on an allowed host, may use TLS.
            let rest = from.strip_prefix(b"http://").or_else(|| from.strip_prefix(b"https://"));
            rest.and_then(|rest| rest.split(|&b| b == b'/').next()).is_some_and(|from| is_own_host(from, headers))
        })
}

/// Returns whether `from` is the host of the request.
fn is_own_host(from: &[u8], headers: &HeaderMap) -> bool {
    header_value(headers, &header::HOST).is_some_and(|host| from.eq_ignore_ascii_case(host))
}

fn header_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    headers.get(name).map(HeaderValue::as_bytes)
}

/// Returns whether the head announces a body.
pub(super) fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    if !has_body(headers) {
        return Ok(());
    }
    let is_json = |kind: &HeaderValue| {
        let kind = kind.to_str().ok().and_then(|kind| kind.split(';').next()).unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/json")
    };
    let mut kinds = headers.get_all(header::CONTENT_TYPE).peekable();
    if kinds.peek().is_some() && kinds.all(is_json) {
        return Ok(());
    }
    Err(ApiError::new(Code::UnsupportedMediaType, "The content type of a body must be application/json."))
}

#[cfg(test)]
mod tests;
