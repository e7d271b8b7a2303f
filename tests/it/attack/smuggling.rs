//! Request smuggling: the end of a request is never ambiguous, and bytes after an ambiguous one are never read as
//! another.

use super::{SHORT, raw, statuses, unharmed};
use crate::support::{Case, Daemon, automatic};

/// The request to be smuggled in; the journal and the browser would show it.
const HIDDEN: &str = "{\"platform\":\"claude\",\"path\":\"/echo\",\"request_id\":\"hidden-N\"}";

/// Framing headers and a body; `HIDDEN` stands for a complete further request.
const FRAMINGS: &[(&str, &str, &str)] = &[
    ("length, then chunks", "content-length: 4\r\ntransfer-encoding: chunked", "0\r\n\r\nHIDDEN"),
    ("chunks, then length", "transfer-encoding: chunked\r\ncontent-length: 4", "0\r\n\r\nHIDDEN"),
    ("two lengths", "content-length: 2\r\ncontent-length: 0", "{}HIDDEN"),
    ("two lengths the other way", "content-length: 0\r\ncontent-length: 2", "{}HIDDEN"),
    ("two lengths in one", "content-length: 2, 0", "{}HIDDEN"),
    ("a length with a plus", "content-length: +2", "{}HIDDEN"),
    ("a length with a minus", "content-length: -1", "HIDDEN"),
    ("a length in hex", "content-length: 0x2", "{}HIDDEN"),
    ("a length with a fraction", "content-length: 2.0", "{}HIDDEN"),
    ("a length with letters", "content-length: 2x", "{}HIDDEN"),
    ("a length with a blank within", "content-length: 1 1", "{}HIDDEN"),
    ("a length that overflows", "content-length: 18446744073709551618", "{}HIDDEN"),
    ("no length", "content-length:", "HIDDEN"),
    ("a length with a blank before the colon", "content-length : 2", "{}HIDDEN"),
    ("a length on a folded line", "x: y\r\n content-length: 2", "{}HIDDEN"),
    ("chunks that are not", "transfer-encoding: identity", "HIDDEN"),
    ("chunks by another name", "transfer-encoding: xchunked", "0\r\n\r\nHIDDEN"),
    ("chunks twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\nHIDDEN"),
    ("chunks twice in one", "transfer-encoding: chunked, chunked", "0\r\n\r\nHIDDEN"),
    ("chunks before another coding", "transfer-encoding: chunked, gzip", "0\r\n\r\nHIDDEN"),
    ("chunks and identity", "transfer-encoding: chunked\r\ntransfer-encoding: identity", "0\r\n\r\nHIDDEN"),
    ("chunks with a vertical tab", "transfer-encoding: \u{b}chunked", "0\r\n\r\nHIDDEN"),
    ("chunks with a blank before the colon", "transfer-encoding : chunked", "0\r\n\r\nHIDDEN"),
    ("chunks in quotes", "transfer-encoding: \"chunked\"", "0\r\n\r\nHIDDEN"),
    ("chunks behind a bare line end", "x: y\ntransfer-encoding: chunked", "0\r\n\r\nHIDDEN"),
    ("a chunk of a negative size", "transfer-encoding: chunked", "-1\r\n\r\nHIDDEN"),
    ("a chunk in 0x", "transfer-encoding: chunked", "0x2\r\n{}\r\n0\r\n\r\nHIDDEN"),
    ("a chunk whose size overflows", "transfer-encoding: chunked", "10000000000000000\r\n{}\r\n0\r\n\r\nHIDDEN"),
    ("a chunk of no size", "transfer-encoding: chunked", "\r\n{}\r\n0\r\n\r\nHIDDEN"),
    ("a chunk of letters", "transfer-encoding: chunked", "zz\r\n{}\r\n0\r\n\r\nHIDDEN"),
    ("a chunk longer than its size", "transfer-encoding: chunked", "1\r\n{}HIDDEN\r\n0\r\n\r\n"),
    ("a chunk with bare line ends", "transfer-encoding: chunked", "2\n{}\n0\n\nHIDDEN"),
    ("a bare line end in an extension", "transfer-encoding: chunked", "2;\nxx\r\n{}\r\n0\r\n\r\nHIDDEN"),
    ("chunks of HTTP/1.0", "transfer-encoding: chunked\r\nVERSION10", "0\r\n\r\nHIDDEN"),
    ("a body where none is", "VERSIONGET", "HIDDEN"),
    (
        "an upgrade that is none",
        "upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\nconnection: Upgrade, HTTP2-Settings\r\ncontent-length: 2",
        "{}HIDDEN",
    ),
    ("an expectation", "expect: 100-continue\r\ncontent-length: 2\r\ntransfer-encoding: chunked", "{}HIDDEN"),
];

#[actix_rt::test]
async fn no_request_hides_in_another() {
    let daemon = Daemon::start(SHORT).await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    for (n, (name, framing, body)) in FRAMINGS.iter().enumerate() {
        let case = Case::new(name);
        // Followed by a request with a valid head, which counts only if nothing before it was ambiguous.
        let hidden = String::from_utf8(caller.head(
            "POST",
            "/v1/browser/request",
            Some(HIDDEN.replace('N', &n.to_string()).as_bytes()),
        ))
        .unwrap();
        let version = if framing.contains("VERSION10") { "1.0" } else { "1.1" };
        let method = if framing.contains("VERSIONGET") { "GET" } else { "POST" };
        let framing = framing.replace("VERSION10", "x: y").replace("VERSIONGET", "x: y");
        let text = format!(
            "{method} /v1/system/resume HTTP/{version}\r\nhost: {}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n{}",
            daemon.address,
            body.replace("HIDDEN", &hidden)
        );
        let answers = raw(&daemon, text.as_bytes()).await;
        let found = statuses(&answers);
        // Either the first is refused and nothing follows, or it ends as declared and the next is a request of its own,
        // which the sender of both may well send.
        let honest = matches!(
            *name,
            "a body where none is"
                | "chunks that are not"
                | "chunks behind a bare line end"
                | "an upgrade that is none"
        );
        assert!(honest || found.first().is_none_or(|status| *status >= 400), "{answers}");
        assert!(honest || found.len() <= 1, "{answers}");
        if !honest {
            assert_eq!(caller.get(&format!("/v1/browser/requests/hidden-{n}")).await.status, 404, "{answers}");
        }
        case.passed();
    }
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn what_follows_a_refusal_on_the_same_connection_is_a_request_of_its_own_or_nothing() {
    let daemon = Daemon::start(SHORT).await;
    let caller = daemon.caller();
    let next = String::from_utf8(caller.clone().with("connection", "close").head("GET", "/version", None)).unwrap();
    let inner = format!("{next}{next}");
    for (name, headers, status) in [
        ("a foreign origin", "origin: https://evil.example\r\ncontent-type: application/json", 403),
        ("a wrong kind of body", "content-type: text/plain", 415),
        ("a wrong token", "content-type: application/json\r\nauthorization: Bearer x", 401),
    ] {
        let case = Case::new(name);
        let path = if status == 401 { "/v1/exec" } else { "/v1/browser/request" };
        // The refused body looks like requests.
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{headers}\r\ncontent-length: {}\r\n\r\n{inner}{next}",
            daemon.address,
            inner.len()
        );
        let answers = raw(&daemon, text.as_bytes()).await;
        let found = statuses(&answers);
        assert_eq!(found[0], status, "{answers}");
        assert!(found.len() <= 2, "the body is no request: {answers}");
        case.passed();
    }
    unharmed(&daemon).await;
}
