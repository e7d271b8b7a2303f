//! Recognizes requests that a proxy or tunnel forwarded, by headers that only those add. A raw TCP tunnel adds none and
//! is not recognized. Pure.
//!
//! Header names are matched word by word, so that names which no list contains yet count as well. A false positive
//! costs its caller a token; a false negative would let strangers in.

use actix_web::http::header::{self, HeaderMap};

/// Words that mark a header as added by a proxy, tunnel or content delivery network: what it does, what it forwards
/// about the client, and product names.
const PROXY_WORDS: &[&str] = &[
    // What the proxy does.
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
    // What it forwards about the client and its connection.
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
    // Products.
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

/// Parts of names in which such words are written together.
const PROXY_SUBSTRINGS: &[&str] = &["forward", "proxy", "tunnel", "realip", "clientip", "remoteip"];

/// Prefixes of further names, which contain none of the words.
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

/// Options of `connection` that a client itself may send; `http2-settings` goes with an offered `upgrade`.
const CONNECTION_OPTIONS: &[&[u8]] = &[b"close", b"keep-alive", b"upgrade", b"http2-settings", b"te"];

/// Returns whether a request head was forwarded; header values do not matter.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| is_proxy_header(name.as_str())) || !has_plain_connection(headers)
}

/// Expects `name` in lower case, as the HTTP library provides it. Names that begin with `sec-` are the browser's own.
fn is_proxy_header(name: &str) -> bool {
    if name.starts_with("sec-") {
        return false;
    }
    let mut words = name.split(['-', '_', '.']);
    words.any(|word| PROXY_WORDS.contains(&word))
        || PROXY_SUBSTRINGS.iter().any(|part| name.contains(part))
        || PROXY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns whether `connection` names no other header: a proxy would have removed such a header.
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
    fn names_are_matched_by_their_words() {
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
