//! Group 3, reserved bits, and group 4, reserved opcodes: no extension that uses them is negotiated.

use super::{Pieces, Row, Then, answers, chopped, fragmented, message_of, run, text};
use crate::support::{Case, Connection, Daemon, peer::KEY, raw_frame};

#[actix_rt::test]
async fn no_reserved_bit_is_taken() {
    let small = |bits: u8| raw_frame(0x81 | bits << 4, b"{}");
    let control = |opcode: u8, bits: u8| raw_frame(0x80 | opcode | bits << 4, b"");
    let rows: Vec<Row> = vec![
        ("3.1 bit 3 on a text", vec![small(1)], Then::Closes(1002)),
        ("3.2 bit 2 on a text after one", vec![text("m"), small(2)], Then::Closes(1002)),
        (
            "3.3 bits 2 and 3 on a text after one, in one piece",
            vec![[text("m"), small(3)].concat()],
            Then::Closes(1002),
        ),
        (
            "3.4 bit 1 on a text after one, byte by byte",
            chopped(&[text("m"), small(4)].concat(), 1),
            Then::Closes(1002),
        ),
        ("3.5 bits 1 and 3 on a binary frame", vec![raw_frame(0x82 | 5 << 4, b"x")], Then::Closes(1002)),
        ("3.6 bits 1 and 2 on a ping", vec![control(9, 6)], Then::Closes(1002)),
        ("3.7 all bits on a close", vec![control(8, 7)], Then::Closes(1002)),
        ("3.8 bit 1 on a pong", vec![control(10, 4)], Then::Closes(1002)),
        ("3.9 bit 1 on a continuation", vec![raw_frame(0x01, b"{"), raw_frame(0xc0, b"}")], Then::Closes(1002)),
        ("3.10 bit 3 on a first fragment", vec![raw_frame(0x11, b"{")], Then::Closes(1002)),
        ("3.11 bit 1 on a head alone", vec![vec![0xc1, 0x80]], Then::Closes(1002)),
    ];
    run(rows).await;
}

#[actix_rt::test]
async fn no_reserved_opcode_is_taken() {
    let names = [
        ["4.1.1 opcode 3", "4.1.2 opcode 4", "4.1.3 opcode 5", "4.1.4 opcode 6", "4.1.5 opcode 7"],
        ["4.2.1 opcode 11", "4.2.2 opcode 12", "4.2.3 opcode 13", "4.2.4 opcode 14", "4.2.5 opcode 15"],
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (names, lowest) in names.into_iter().zip([3_u8, 11]) {
        for (name, opcode) in names.into_iter().zip(lowest..) {
            let with = raw_frame(0x80 | opcode, b"payload");
            let pieces: Pieces = match opcode % 4 {
                0 => vec![text("m"), with],
                1 => vec![[text("m"), with].concat()],
                2 => chopped(&[text("m"), with].concat(), 1),
                _ => vec![raw_frame(0x80 | opcode, b"")],
            };
            rows.push((name, pieces, Then::Closes(1002)));
        }
    }
    rows.push(("4.3.1 opcode 3 in parts", vec![raw_frame(0x03, b"x")], Then::Closes(1002)));
    rows.push(("4.3.2 opcode 11 within a text", vec![raw_frame(0x01, b"{"), raw_frame(0x8b, b"")], Then::Closes(1002)));
    run(rows).await;
}

/// Groups 12 and 13 of the suite test compression, which is never negotiated.
#[actix_rt::test]
async fn no_compression_is_agreed_to_and_none_is_taken() {
    let daemon = Daemon::start("").await;
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "x-webkit-deflate-frame",
        "permessage-bzip2, permessage-deflate",
    ] {
        let case = Case::new(offer);
        let mut connection = Connection::open(daemon.address).await;
        let head = format!(
            "GET /ws/firefox HTTP/1.1\r\nhost: {}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-key: {KEY}\r\nsec-websocket-version: 13\r\nsec-websocket-extensions: {offer}\r\n\r\n",
            daemon.address
        );
        connection.write(head.as_bytes()).await;
        let answer = connection.head().await;
        assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None));
        case.passed();
    }
    // A compressed "Hello" from RFC 7692, and the same in fragments.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let rows: Vec<Row> = vec![
        ("12.1 a deflated text", vec![raw_frame(0xc1, &hello)], Then::Closes(1002)),
        ("12.2 one in fragments", vec![raw_frame(0x41, &hello[..3]), raw_frame(0x80, &hello[3..])], Then::Closes(1002)),
        ("12.3 a bomb's head", vec![crate::support::raw_head(0xc1, 10 << 20)], Then::Closes(1002)),
        ("12.4 deflated bytes that are not said to be", vec![raw_frame(0x81, &hello)], Then::Closes(1007)),
        ("12.5 what was never deflated", fragmented(&message_of("m", 300), 99), answers(&["m"])),
    ];
    run(rows).await;
}
