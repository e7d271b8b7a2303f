//! Request heads that are malformed, too large, or deceptive.

use super::{SHORT, raw, statuses, unharmed};
use crate::support::{Case, Daemon};

#[actix_rt::test]
async fn no_head_harms() {
    let daemon = Daemon::start(SHORT).await;
    let host = format!("connection: close\r\nhost: {}\r\n", daemon.address);
    let long = "x".repeat(200_000);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("a line end", b"\r\n".to_vec()),
        ("line ends", b"\r\n".repeat(10_000)),
        ("nulls", vec![0; 10_000]),
        ("all ones", vec![0xff; 10_000]),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("HTTP/0.9", b"GET /health\r\n".to_vec()),
        ("HTTP/2.0", format!("GET /health HTTP/2.0\r\n{host}\r\n").into_bytes()),
        ("HTTP/1.2", format!("GET /health HTTP/1.2\r\n{host}\r\n").into_bytes()),
        ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("a SOCKS greeting", b"\x05\x01\x00".to_vec()),
        ("a method without end", [vec![b'A'; 200_000], b" / HTTP/1.1\r\n\r\n".to_vec()].concat()),
        ("a path without end", format!("GET /{long} HTTP/1.1\r\n{host}\r\n").into_bytes()),
        ("a query without end", format!("GET /health?{long} HTTP/1.1\r\n{host}\r\n").into_bytes()),
        ("a header name without end", format!("GET /health HTTP/1.1\r\n{host}{long}: y\r\n\r\n").into_bytes()),
        ("a header without end", format!("GET /health HTTP/1.1\r\n{host}x: {long}\r\n\r\n").into_bytes()),
        ("a thousand headers", format!("GET /health HTTP/1.1\r\n{host}{}\r\n", "x: y\r\n".repeat(1_000)).into_bytes()),
        ("97 headers", format!("GET /health HTTP/1.1\r\n{host}{}\r\n", "x: y\r\n".repeat(96)).into_bytes()),
        ("a header without colon", format!("GET /health HTTP/1.1\r\n{host}x\r\n\r\n").into_bytes()),
        ("a header without name", format!("GET /health HTTP/1.1\r\n{host}: y\r\n\r\n").into_bytes()),
        ("a header with a null", format!("GET /health HTTP/1.1\r\n{host}x: a\0b\r\n\r\n").into_bytes()),
        ("a header with a bare return", format!("GET /health HTTP/1.1\r\n{host}x: a\rb\r\n\r\n").into_bytes()),
        ("a folded header", format!("GET /health HTTP/1.1\r\n{host}x: a\r\n b\r\n\r\n").into_bytes()),
        ("a blank first line", format!("\r\n\r\nGET /health HTTP/1.1\r\n{host}\r\n").into_bytes()),
        ("a blank before the method", format!(" GET /health HTTP/1.1\r\n{host}\r\n").into_bytes()),
        ("two blanks", format!("GET  /health HTTP/1.1\r\n{host}\r\n").into_bytes()),
        ("tabs for blanks", format!("GET\t/health\tHTTP/1.1\r\n{host}\r\n").into_bytes()),
        ("a path with a null", format!("GET /hea\0lth HTTP/1.1\r\n{host}\r\n").into_bytes()),
        ("a path with a return", format!("GET /hea\rlth HTTP/1.1\r\n{host}\r\n").into_bytes()),
        ("no version", format!("GET /health\r\n{host}\r\n").into_bytes()),
        ("a version that is none", format!("GET /health HTTP/x.y\r\n{host}\r\n").into_bytes()),
        (
            "a request id without end",
            format!("GET /health HTTP/1.1\r\n{host}x-request-id: {}\r\n\r\n", "i".repeat(129)).into_bytes(),
        ),
        (
            "a request id that splits",
            format!("GET /health HTTP/1.1\r\n{host}x-request-id: a%0d%0ax: y\r\n\r\n").into_bytes(),
        ),
        ("a last event that is none", format!("GET /health HTTP/1.1\r\n{host}last-event-id: -1\r\n\r\n").into_bytes()),
        ("ten thousand pipelined", format!("GET /health HTTP/1.1\r\n{host}\r\n").repeat(10_000).into_bytes()),
    ];
    for (name, bytes) in rows {
        let case = Case::new(name);
        let text = raw(&daemon, &bytes).await;
        let found = statuses(&text);
        assert!(
            found.iter().all(|status| *status == 200 || (400..500).contains(status)),
            "{}",
            &text[..text.len().min(2_000)]
        );
        assert!(!text.contains("x: y\r\n"), "nothing of it becomes a header: {}", &text[..text.len().min(2_000)]);
        case.passed();
    }
    unharmed(&daemon).await;
    // Any peer that can connect could fill a log with them, before authentication.
    assert!(!daemon.stderr().contains("ERROR"), "{}", daemon.stderr());
}

#[actix_rt::test]
async fn a_head_up_to_its_bounds_is_served() {
    let daemon = Daemon::start(SHORT).await;
    let host = format!("host: {}\r\nconnection: close\r\n", daemon.address);
    let of = |headers: String| format!("GET /health HTTP/1.1\r\n{host}{headers}\r\n").into_bytes();
    for (name, bytes) in [
        ("96 headers", of("x: y\r\n".repeat(94))),
        ("a header of 100 KiB", of(format!("x: {}\r\n", "x".repeat(100 << 10)))),
    ] {
        let case = Case::new(name);
        assert_eq!(statuses(&raw(&daemon, &bytes).await), [200]);
        case.passed();
    }
}
