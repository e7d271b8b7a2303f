//! What tells a request that a program made by itself from one that a proxy or tunnel passed on: headers that only those
//! add. A raw TCP tunnel adds none, and is not known by this. Pure.
//!
//! The names are taken by their words, so that those that no list has yet count as well. To take one too many costs its
//! caller a token; to take one too few lets strangers in.

use actix_web::http::header::{self, HeaderMap};

/// Words of which each makes a header one that a proxy, a tunnel or a content network adds: what it is, what was asked of
/// it, who asked it, and the names of those that are in use.
const PROXY_WORDS: &[&str] = &[
    // What it does.
    "via",
    "proxied",
    "cdn",
    "edge",
    "gateway",
    "surrogate",
    "balancer",
    "rewrite",
    "rewritten",
    "original",
    "originating",
    // Who asked it, and how.
    "ip",
    "ipaddress",
    "socketip",
    "peer",
    "remote",
    "addr",
    "viewer",
    "cert",
    "ssl",
    "tls",
    "scheme",
    "proto",
    "https",
    "webauth",
    // Whose it is.
    "akamai",
    "amz",
    "amzn",
    "appengine",
    "arr",
    "authentik",
    "azure",
    "bluecoat",
    "cf",
    "cloudflare",
    "cloudfront",
    "envoy",
    "fastly",
    "fly",
    "incap",
    "iap",
    "nf",
    "nginx",
    "ngrok",
    "pagekite",
    "pinggy",
    "pomerium",
    "rndr",
    "serveo",
    "squid",
    "sucuri",
    "tailscale",
    "traefik",
    "varnish",
    "vercel",
    "zrok",
];

/// Parts of names in which such words are written as one.
const PROXY_SUBSTRINGS: &[&str] = &["forward", "proxy", "tunnel", "realip", "clientip", "remoteip"];

/// Names that none of the words is in, by their beginning.
const PROXY_PREFIXES: &[&str] = &[
    "x-real-",
    "x-auth-request-",
    "x-authenticated-",
    "x-client-dn",
    "x-client-verify",
    "x-cloud-trace",
    "x-goog-authenticated",
    "x-host",
    "early-data",
];

/// What a program that asks by itself may say of its connection; `http2-settings` goes with an `upgrade` that it offers.
const CONNECTION_OPTIONS: &[&[u8]] = &[b"close", b"keep-alive", b"upgrade", b"http2-settings", b"te"];

/// Returns whether a head says that its request was passed on, whatever the values are.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| is_proxy_header(name.as_str())) || !has_plain_connection(headers)
}

/// `name` is in lower case, as the HTTP library has it. What begins with `sec-` is a browser's own.
fn is_proxy_header(name: &str) -> bool {
    if name.starts_with("sec-") {
        return false;
    }
    let mut words = name.split(['-', '_', '.']);
    words.any(|word| PROXY_WORDS.contains(&word))
        || PROXY_SUBSTRINGS.iter().any(|part| name.contains(part))
        || PROXY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A header that is named in `connection` is one that the next proxy would have taken out.
fn has_plain_connection(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let plain = |option: &[u8]| CONNECTION_OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(option));
    values.map(<[u8]>::trim_ascii).all(|option| option.is_empty() || plain(option))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn head(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn names_are_taken_by_their_words() {
        for name in [
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-new-thing",
            "x-real-ip",
            "cf-new-thing",
            "true-client-ip",
            "client-ip",
            "new-thing-connecting-ip",
            "x_forwarded_for",
            "xforwardedfor",
            "x-forwardedfor",
            "xrealip",
            "tailscale-user-name",
            "proxy-connection",
            "x-original-uri",
        ] {
            assert!(is_forwarded(&head(&[("accept", "*/*"), (name, "")])), "{name}");
        }
        for name in [
            "host",
            "user-agent",
            "accept",
            "origin",
            "referer",
            "cookie",
            "authorization",
            "content-type",
            "x-request-id",
            "x-client-request-id",
            "x-baa-client",
            "last-event-id",
            "idempotency-key",
            "mcp-session-id",
            "mcp-protocol-version",
            "openai-organization",
            "x-stainless-os",
            "traceparent",
            "sec-fetch-site",
            "sec-websocket-key",
            "upgrade-insecure-requests",
            "x-api-key",
            "x-requested-with",
            "access-control-request-method",
            "sec-ch-prefers-color-scheme",
        ] {
            assert!(!is_forwarded(&head(&[(name, "x")])), "{name}");
        }
    }

    #[test]
    fn a_connection_names_nothing_that_would_have_been_taken_out() {
        for fine in ["close", "Keep-Alive", "keep-alive, Upgrade", "upgrade, HTTP2-Settings", "", "TE, close"] {
            assert!(!is_forwarded(&head(&[("connection", fine)])), "{fine}");
        }
        for odd in ["x-forwarded-for", "close, x-real-ip", "cookie", "keep-alive;x"] {
            assert!(is_forwarded(&head(&[("connection", "close"), ("connection", odd)])), "{odd}");
        }
    }
}
