//! Group 7: closing. A close frame is answered by a close frame, then the connection ends; an invalid one is a protocol
//! error.

use super::{Row, Then, closing, message_of, run, text};
use crate::support::{Daemon, Peer, no_client_left, raw_frame, raw_head, text_frame};

#[actix_rt::test]
async fn a_close_is_answered_and_nothing_after_it_counts() {
    let rows: Vec<Row> = vec![
        ("7.1.1 a text, then a close", vec![text("m"), closing(1000, "")], Then::Closes(1000)),
        ("7.1.2 two closes", vec![closing(1000, ""), closing(1000, "")], Then::Closes(1000)),
        ("7.1.3 a close, then a ping", vec![closing(1000, ""), raw_frame(0x89, b"late")], Then::Closes(1000)),
        ("7.1.4 a close, then a text", vec![closing(1000, ""), text("late")], Then::Closes(1000)),
        (
            "7.1.5 a fragment, then a close, then the rest",
            vec![raw_frame(0x01, b"{"), closing(1000, ""), raw_frame(0x80, b"}")],
            Then::Closes(1000),
        ),
        (
            "7.1.6 a long text, a close, a ping",
            vec![text_frame(&message_of("m", 256 << 10)), closing(1000, ""), raw_frame(0x89, b"")],
            Then::Closes(1000),
        ),
        (
            "7.1.7 a close and nonsense in one piece",
            vec![[closing(1000, ""), vec![0xff; 99]].concat()],
            Then::Closes(1000),
        ),
        ("7.3.1 a close without payload", vec![raw_frame(0x88, b"")], Then::ClosesBare),
        ("7.3.2 a close of 1 byte", vec![raw_frame(0x88, b"a")], Then::Closes(1002)),
        ("7.3.3 a close of 2 bytes", vec![closing(1000, "")], Then::Closes(1000)),
        ("7.3.4 a close with a reason", vec![closing(1000, "Hello World!")], Then::Closes(1000)),
        ("7.3.5 a close with the longest reason", vec![closing(1000, &"*".repeat(123))], Then::Closes(1000)),
        ("7.3.6 a close of 126 bytes", vec![raw_head(0x88, 126)], Then::Closes(1002)),
        ("7.3.7 a close in parts", vec![raw_frame(0x08, &[3, 232])], Then::Closes(1002)),
        (
            "7.5.1 a reason that is no text",
            vec![raw_frame(0x88, b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80")],
            Then::Closes(1002),
        ),
        ("7.5.2 a reason that is cut off", vec![raw_frame(0x88, b"\x03\xe8\xce")], Then::Closes(1002)),
    ];
    run(rows).await;
}

#[actix_rt::test]
async fn only_codes_that_may_be_sent_are_taken() {
    let fine: &[(&str, u16)] = &[
        ("7.7.1", 1000),
        ("7.7.2", 1001),
        ("7.7.3", 1002),
        ("7.7.4", 1003),
        ("7.7.5", 1007),
        ("7.7.6", 1008),
        ("7.7.7", 1009),
        ("7.7.8", 1010),
        ("7.7.9", 1011),
        ("7.7.10", 3000),
        ("7.7.11", 3999),
        ("7.7.12", 4000),
        ("7.7.13", 4999),
    ];
    let wrong: &[(&str, u16)] = &[
        ("7.9.1", 0),
        ("7.9.2", 999),
        ("7.9.3", 1004),
        ("7.9.4", 1005),
        ("7.9.5", 1006),
        ("7.9.6", 1016),
        ("7.9.7", 1100),
        ("7.9.8", 2000),
        ("7.9.9", 2999),
        ("7.13.1", 5000),
        ("7.13.2", 65_535),
        ("7.13.3", 1015),
    ];
    let rows = fine.iter().map(|&(name, code)| (name, vec![closing(code, "")], Then::Closes(code)));
    let wrong = wrong.iter().map(|&(name, code)| (name, vec![closing(code, "")], Then::Closes(1002)));
    run(rows.chain(wrong).collect()).await;
}

#[actix_rt::test]
async fn a_line_that_ends_without_a_close_ends_the_client() {
    let daemon = Daemon::start("").await;
    for rest in [&b""[..], b"\x81", b"\x81\xfe\x01", b"\x01\x85\0\0\0\0{"] {
        let mut peer = Peer::greeted(&daemon, "ff").await;
        peer.connection.write(rest).await;
        drop(peer);
        no_client_left(&daemon.caller()).await;
    }
}
