//! Hosts and origins: DNS rebinding, pages of other sites, other extensions.

use super::{SHORT, raw, statuses, unharmed};
use crate::support::{Case, Daemon, automatic};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};

/// Headers of a request that must be refused, with status and code.
type Row = (&'static str, &'static str, &'static str, u16, &'static str);

const ORIGIN: (u16, &str) = (403, "origin_not_allowed");

/// `P` stands for the port.
const HOSTS: &[(&str, &str, u16)] = &[
    ("another site", "evil.example:P", 403),
    ("without port", "127.0.0.1", 403),
    ("another port", "127.0.0.1:1", 403),
    ("port 80 unsaid", "localhost", 403),
    ("a name that resolves here", "127.0.0.1.nip.io:P", 403),
    ("a name that begins like ours", "localhost.evil.example:P", 403),
    ("a name that ends like ours", "evil-localhost:P", 403),
    ("a subdomain of ours", "a.localhost:P", 403),
    ("a root's dot", "localhost.:P", 403),
    ("an address in short form", "127.1:P", 403),
    ("an address as a number", "2130706433:P", 403),
    ("an address in hex", "0x7f000001:P", 403),
    ("an address in octal", "0177.0.0.1:P", 403),
    ("another address of loopback", "127.0.0.2:P", 403),
    ("any address", "0.0.0.0:P", 403),
    ("an address in IPv6", "[::ffff:127.0.0.1]:P", 403),
    ("any address in IPv6", "[::]:P", 403),
    ("IPv6 in long form", "[0:0:0:0:0:0:0:1]:P", 403),
    ("IPv6 with a zone", "[::1%25lo]:P", 403),
    ("a user before it", "127.0.0.1:P@evil.example", 403),
    ("a user before ours", "evil.example@127.0.0.1:P", 403),
    ("a path behind it", "127.0.0.1:P/evil", 403),
    ("two names", "127.0.0.1:P, evil.example", 403),
    ("two names with a blank", "127.0.0.1:P evil.example", 403),
    ("a port with zeros", "127.0.0.1:0P", 403),
    ("a port with a plus", "127.0.0.1:+P", 403),
    ("an empty port", "127.0.0.1:", 403),
    ("two ports", "127.0.0.1:P:P", 403),
    ("a scheme", "http://127.0.0.1:P", 403),
    ("percent signs", "%31%32%37.0.0.1:P", 403),
    ("letters that look like ours", "loca\u{217c}host:P", 403),
    ("nothing", "", 403),
];

#[actix_rt::test]
async fn no_other_name_reaches_a_handler() {
    let daemon = Daemon::start(SHORT).await;
    let port = daemon.address.port().to_string();
    for (name, host, status) in HOSTS {
        let case = Case::new(name);
        let host = host.replace('P', &port);
        for path in ["/v1/browser", "/health", "/ws/firefox", "/nowhere"] {
            let text =
                raw(&daemon, format!("GET {path} HTTP/1.1\r\nconnection: close\r\nhost: {host}\r\n\r\n").as_bytes())
                    .await;
            let [found] = statuses(&text)[..] else { panic!("one answer: {text}") };
            // A host that is not a valid name is refused as malformed.
            assert!(found == *status || found == 400, "{host}: {text}");
        }
        case.passed();
    }
    unharmed(&daemon).await;
}

const EXTENSION_WITHOUT_END: &str =
    "origin: moz-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const REFUSED: &[Row] = &[
    ("a page's fetch", "GET /v1/browser", "origin: https://evil.example", ORIGIN.0, ORIGIN.1),
    ("a page on this machine", "GET /v1/browser", "origin: http://localhost:3000", ORIGIN.0, ORIGIN.1),
    ("a sandboxed frame", "GET /v1/browser", "origin: null", ORIGIN.0, ORIGIN.1),
    ("a file", "GET /v1/browser", "origin: file://", ORIGIN.0, ORIGIN.1),
    (
        "another extension",
        "GET /v1/browser",
        "origin: moz-extension://0b6e1f4c-6d1f-4f6e-9d4e-aaaaaaaaaaaa",
        ORIGIN.0,
        ORIGIN.1,
    ),
    ("an extension of another browser", "GET /ws/firefox", "origin: chrome-extension://abcdefgh", ORIGIN.0, ORIGIN.1),
    ("a page at the socket", "GET /ws/firefox", "origin: https://evil.example", ORIGIN.0, ORIGIN.1),
    ("no origin at the socket", "GET /ws/firefox", "origin: null", ORIGIN.0, ORIGIN.1),
    ("an origin with a user", "GET /v1/browser", "origin: http://127.0.0.1@evil.example", ORIGIN.0, ORIGIN.1),
    ("an origin with a path", "GET /v1/browser", "origin: http://127.0.0.1:P/", ORIGIN.0, ORIGIN.1),
    ("ours with https", "GET /v1/browser", "origin: https://127.0.0.1:P", ORIGIN.0, ORIGIN.1),
    ("ours with another port", "GET /v1/browser", "origin: http://127.0.0.1:1", ORIGIN.0, ORIGIN.1),
    ("ours under another name", "GET /v1/browser", "origin: http://127.0.0.1.nip.io:P", ORIGIN.0, ORIGIN.1),
    ("ours and another", "GET /v1/browser", "origin: http://127.0.0.1:P https://evil.example", ORIGIN.0, ORIGIN.1),
    (
        "two origins, ours first",
        "GET /v1/browser",
        "origin: http://127.0.0.1:P\r\norigin: https://evil.example",
        ORIGIN.0,
        ORIGIN.1,
    ),
    (
        "two origins, ours last",
        "GET /v1/browser",
        "origin: https://evil.example\r\norigin: http://127.0.0.1:P",
        ORIGIN.0,
        ORIGIN.1,
    ),
    ("an empty origin", "GET /v1/browser", "origin:", ORIGIN.0, ORIGIN.1),
    (
        "an image of another site",
        "GET /v1/browser",
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\nsec-fetch-dest: image",
        ORIGIN.0,
        ORIGIN.1,
    ),
    (
        "a frame of another site",
        "GET /v1/browser",
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: iframe",
        ORIGIN.0,
        ORIGIN.1,
    ),
    (
        "a link of another site",
        "GET /v1/browser",
        "sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-user: ?1",
        ORIGIN.0,
        ORIGIN.1,
    ),
    (
        "a page under our other name, where another may listen",
        "POST /v1/system/drain",
        "origin: http://[::1]:P\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors",
        ORIGIN.0,
        ORIGIN.1,
    ),
    (
        "such a page at the socket",
        "GET /ws/firefox",
        "origin: http://localhost:P\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: websocket",
        ORIGIN.0,
        ORIGIN.1,
    ),
    ("an extension without end", "GET /ws/firefox", EXTENSION_WITHOUT_END, ORIGIN.0, ORIGIN.1),
    ("a page of the same site", "GET /v1/browser", "sec-fetch-site: same-site", ORIGIN.0, ORIGIN.1),
    ("fetch metadata of no kind", "GET /v1/browser", "sec-fetch-site: anything", ORIGIN.0, ORIGIN.1),
    (
        "two kinds, ours first",
        "GET /v1/browser",
        "sec-fetch-site: same-origin\r\nsec-fetch-site: cross-site",
        ORIGIN.0,
        ORIGIN.1,
    ),
    (
        "a preflight",
        "OPTIONS /v1/browser/request",
        "origin: https://evil.example\r\naccess-control-request-method: POST",
        ORIGIN.0,
        ORIGIN.1,
    ),
    (
        "a preflight of a private network",
        "OPTIONS /v1/exec",
        "origin: https://evil.example\r\naccess-control-request-method: POST\r\naccess-control-request-private-network: true",
        ORIGIN.0,
        ORIGIN.1,
    ),
    ("a preflight without origin", "OPTIONS /v1/exec", "access-control-request-method: POST", ORIGIN.0, ORIGIN.1),
];

#[actix_rt::test]
async fn no_other_origin_reaches_a_handler() {
    let daemon = Daemon::start(SHORT).await;
    let port = daemon.address.port().to_string();
    for (name, line, headers, status, code) in REFUSED {
        let case = Case::new(name);
        let headers = headers.replace(":P", &format!(":{port}"));
        let upgrade = if line.ends_with("/ws/firefox") {
            "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
        } else {
            ""
        };
        let text = raw(
            &daemon,
            format!("{line} HTTP/1.1\r\nconnection: close\r\nhost: {}\r\n{upgrade}{headers}\r\n\r\n", daemon.address)
                .as_bytes(),
        )
        .await;
        assert_eq!(statuses(&text), [*status], "{text}");
        assert!(text.contains(&format!("\"{code}\"")), "{text}");
        assert!(!text.to_ascii_lowercase().contains("access-control"), "{text}");
        case.passed();
    }
    unharmed(&daemon).await;
}

/// Requests that a page may send without a preflight.
const SIMPLE: &[(&str, &str, &str)] = &[
    ("a form", "application/x-www-form-urlencoded", "{\"platform\":\"claude\",\"path\":\"/echo\"}"),
    (
        "a form with a file",
        "multipart/form-data; boundary=x",
        "--x\r\n\r\n{\"platform\":\"claude\",\"path\":\"/echo\"}\r\n--x--",
    ),
    ("a form of text", "text/plain", "{\"platform\":\"claude\",\"path\":\"/echo\",\"x\":\"=\"}"),
    ("a text that says it is JSON", "text/plain; application/json", "{\"platform\":\"claude\",\"path\":\"/echo\"}"),
    (
        "a text with JSON as a parameter",
        "text/plain; x=application/json",
        "{\"platform\":\"claude\",\"path\":\"/echo\"}",
    ),
    ("JSON that is none", "application/jsonp", "{\"platform\":\"claude\",\"path\":\"/echo\"}"),
    ("JSON in another form", "text/json", "{\"platform\":\"claude\",\"path\":\"/echo\"}"),
    (
        "two kinds, ours last",
        "text/plain\r\ncontent-type: application/json",
        "{\"platform\":\"claude\",\"path\":\"/echo\"}",
    ),
    (
        "two kinds, ours first",
        "application/json\r\ncontent-type: text/plain",
        "{\"platform\":\"claude\",\"path\":\"/echo\"}",
    ),
    ("two kinds", "application/json, text/plain", "{\"platform\":\"claude\",\"path\":\"/echo\"}"),
    ("nothing", "", "{\"platform\":\"claude\",\"path\":\"/echo\"}"),
    ("a beacon", "text/plain;charset=UTF-8", "{\"platform\":\"claude\",\"path\":\"/echo\"}"),
];

#[actix_rt::test]
async fn no_body_that_a_page_may_send_unasked_has_an_effect() {
    let daemon = Daemon::start(SHORT).await;
    let firefox = automatic(&daemon, "ff").await;
    for (name, kind, body) in SIMPLE {
        let case = Case::new(name);
        // As an old browser would, without fetch metadata.
        let text = raw(&daemon, format!("POST /v1/browser/request HTTP/1.1\r\nconnection: close\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", daemon.address, body.len()).as_bytes()).await;
        assert_eq!(statuses(&text), [415], "{text}");
        case.passed();
    }
    assert_eq!(firefox.received_of("api_request").len(), 0, "nothing reached the browser");
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn a_name_that_another_program_may_answer_to_is_not_ours() {
    let Ok(another) = TcpListener::bind("[::1]:0") else {
        crate::support::skipped("this machine has no IPv6");
        return;
    };
    let port = another.local_addr().unwrap().port();
    let daemon = Daemon::start(&format!("server.listen = \"127.0.0.1:{port}\"")).await;
    let caller = daemon.caller();
    for (host, status) in [("127.0.0.1", 200), ("localhost", 403), ("[::1]", 403)] {
        assert_eq!(
            caller.clone().with("host", &format!("{host}:{port}")).get("/health").await.status,
            status,
            "{host}"
        );
    }
    assert!(daemon.stderr().contains("another program has this address"), "{}", daemon.stderr());
    // The daemon reserves that address, so this cannot happen while it runs.
    let daemon = Daemon::start("").await;
    let twin = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), daemon.address.port());
    assert!(TcpListener::bind(twin).is_err());
}
