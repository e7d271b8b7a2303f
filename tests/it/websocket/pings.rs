//! Group 2: pings and pongs.

use super::{Row, Then, answers, chopped, run, text};
use crate::support::{raw_frame, raw_head};

fn ping(payload: &[u8]) -> Vec<u8> {
    raw_frame(0x89, payload)
}

fn pong(payload: &[u8]) -> Vec<u8> {
    raw_frame(0x8a, payload)
}

fn pongs(payloads: &[&[u8]]) -> Then {
    Then::Pongs(payloads.iter().map(|payload| payload.to_vec()).collect())
}

#[actix_rt::test]
async fn every_ping_is_answered_and_no_pong_is() {
    let binary: &[u8] = &[0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    let longest = vec![0xfe; 125];
    let ten: Vec<Vec<u8>> = (0..10).map(|n| format!("payload-{n}").into_bytes()).collect();
    let of_ten: Vec<&[u8]> = ten.iter().map(Vec::as_slice).collect();
    let all_ten: Vec<u8> = ten.iter().flat_map(|payload| ping(payload)).collect();
    let rows: Vec<Row> = vec![
        ("2.1 a ping without payload", vec![ping(b"")], pongs(&[b""])),
        ("2.2 a ping with a text", vec![ping(b"Hello, world!")], pongs(&[b"Hello, world!"])),
        ("2.3 a ping with bytes that are no text", vec![ping(binary)], pongs(&[binary])),
        ("2.4 a ping of 125 bytes", vec![ping(&longest)], pongs(&[&longest])),
        ("2.5 a ping of 126 bytes", vec![raw_head(0x89, 126)], Then::Closes(1002)),
        ("2.6 a ping of 125 bytes byte by byte", chopped(&ping(&longest), 1), pongs(&[&longest])),
        ("2.7 an unrequested pong", vec![pong(b"")], answers(&[])),
        ("2.8 the same with a payload", vec![pong(b"unsolicited")], answers(&[])),
        ("2.9 the same and a ping", vec![pong(b"unsolicited"), ping(b"ping")], pongs(&[b"ping"])),
        ("2.10 ten pings", ten.iter().map(|payload| ping(payload)).collect(), pongs(&of_ten)),
        ("2.11 ten pings byte by byte", chopped(&all_ten, 1), pongs(&of_ten)),
        ("2.12 ten pings in one piece", vec![all_ten.clone()], pongs(&of_ten)),
        ("2.13 a pong of 125 bytes", vec![pong(&longest)], answers(&[])),
        ("2.14 a pong of 126 bytes", vec![raw_head(0x8a, 126)], Then::Closes(1002)),
        ("2.15 a ping that declares a gigabyte", vec![raw_head(0x89, 1 << 30)], Then::Closes(1002)),
        ("2.16 a ping and a text in one piece", vec![[ping(b"p"), text("t")].concat()], answers(&["t"])),
        ("2.17 a pong in parts", vec![raw_frame(0x0a, b"")], Then::Closes(1002)),
        ("2.18 a ping in parts", vec![raw_frame(0x09, b"x")], Then::Closes(1002)),
    ];
    run(rows).await;
}
