//! Group 5: fragments, and frames between them.

use super::{Pieces, Row, Then, answers, chopped, fragmented, message, run, text};
use crate::support::raw_frame;

fn first(part: &str) -> Vec<u8> {
    raw_frame(0x01, part.as_bytes())
}

fn next(part: &str) -> Vec<u8> {
    raw_frame(0x00, part.as_bytes())
}

fn last(part: &str) -> Vec<u8> {
    raw_frame(0x80, part.as_bytes())
}

fn ping(payload: &str) -> Vec<u8> {
    raw_frame(0x89, payload.as_bytes())
}

fn pong(payload: &str) -> Vec<u8> {
    raw_frame(0x8a, payload.as_bytes())
}

fn at_once(pieces: Pieces) -> Pieces {
    vec![pieces.concat()]
}

fn bytewise(pieces: Pieces) -> Pieces {
    chopped(&pieces.concat(), 1)
}

fn pongs(payloads: &[&str]) -> Then {
    Then::Pongs(payloads.iter().map(|payload| payload.as_bytes().to_vec()).collect())
}

#[actix_rt::test]
async fn fragments_become_one_message_and_control_frames_may_stand_between() {
    let whole = message("m");
    let (a, b) = whole.split_at(7);
    let (b1, b2) = b.split_at(9);
    let with_ping = || vec![first(a), ping("between"), last(b)];
    let two_pings = || vec![first(a), next(b1), ping("one"), next(""), ping("two"), last(b2)];
    let rows: Vec<Row> = vec![
        ("5.1 a ping in two fragments", vec![raw_frame(0x09, b"frag"), last("ment")], Then::Closes(1002)),
        ("5.2 a pong in two fragments", vec![raw_frame(0x0a, b"frag"), last("ment")], Then::Closes(1002)),
        ("5.3 a text in two", vec![first(a), last(b)], answers(&["m"])),
        ("5.4 the same at once", at_once(vec![first(a), last(b)]), answers(&["m"])),
        ("5.5 the same byte by byte", bytewise(vec![first(a), last(b)]), answers(&["m"])),
        ("5.6 a ping between, answered", with_ping(), pongs(&["between"])),
        ("5.6b a ping between, and the text", with_ping(), answers(&["m"])),
        ("5.7 the same at once", at_once(with_ping()), pongs(&["between"])),
        ("5.7b the same at once, and the text", at_once(with_ping()), answers(&["m"])),
        ("5.8 the same byte by byte", bytewise(with_ping()), pongs(&["between"])),
        ("5.8b the same byte by byte, and the text", bytewise(with_ping()), answers(&["m"])),
        ("5.6c a pong between", vec![first(a), pong("between"), last(b)], answers(&["m"])),
        ("5.19 two pings between, answered", two_pings(), pongs(&["one", "two"])),
        ("5.19b two pings between, and the text", two_pings(), answers(&["m"])),
        ("5.20 two pings between, at once", at_once(two_pings()), pongs(&["one", "two"])),
        ("5.20b two pings between, at once, and the text", at_once(two_pings()), answers(&["m"])),
        (
            "5.21 empty fragments around it",
            vec![first(""), next(""), next(&whole), next(""), last("")],
            answers(&["m"]),
        ),
        (
            "5.22 many empty fragments",
            at_once([vec![first(&whole)], vec![next(""); 500], vec![last("")]].concat()),
            answers(&["m"]),
        ),
        (
            "5.23 a message after a fragmented one",
            [fragmented(&whole, 5), vec![text("n")]].concat(),
            answers(&["m", "n"]),
        ),
        (
            "5.24 two fragmented ones",
            [fragmented(&whole, 5), fragmented(&message("n"), 7)].concat(),
            answers(&["m", "n"]),
        ),
        ("5.25 a close between", vec![first(a), super::closing(1000, ""), last(b)], Then::Closes(1000)),
    ];
    run(rows).await;
}

#[actix_rt::test]
async fn fragments_out_of_order_close_with_1002() {
    let (a, b) = ("{\"type\":", "\"x\"}");
    let rows: Vec<Row> = vec![
        ("5.9 a last fragment of nothing, then a text", vec![last("nothing"), text("m")], Then::Closes(1002)),
        ("5.10 the same at once", at_once(vec![last("nothing"), text("m")]), Then::Closes(1002)),
        ("5.11 the same byte by byte", bytewise(vec![last("nothing"), text("m")]), Then::Closes(1002)),
        ("5.12 a middle fragment of nothing, then a text", vec![next("nothing"), text("m")], Then::Closes(1002)),
        ("5.13 the same at once", at_once(vec![next("nothing"), text("m")]), Then::Closes(1002)),
        ("5.14 the same byte by byte", bytewise(vec![next("nothing"), text("m")]), Then::Closes(1002)),
        ("5.15 one whole, then a middle fragment", vec![first(a), last(b), next("x"), text("m")], Then::Closes(1002)),
        (
            "5.16 fragments of nothing, twice",
            [[next("x"), first(a), last(b)], [next("x"), first(a), last(b)]].concat(),
            Then::Closes(1002),
        ),
        (
            "5.17 last fragments of nothing, twice",
            [[last("x"), first(a), last(b)], [last("x"), first(a), last(b)]].concat(),
            Then::Closes(1002),
        ),
        ("5.18 two texts that were both begun", vec![first(a), first(b)], Then::Closes(1002)),
        ("5.18b a whole text within another", vec![first(a), text("m")], Then::Closes(1002)),
        ("5.18c a binary frame within a text", vec![first(a), raw_frame(0x82, b"x")], Then::Closes(1002)),
        ("5.18d a binary fragment within a text", vec![first(a), raw_frame(0x02, b"x")], Then::Closes(1002)),
        ("5.18e a binary message in fragments", vec![raw_frame(0x02, b"x"), last("y")], Then::Closes(1003)),
        ("5.18f an empty last fragment of nothing", vec![last("")], Then::Closes(1002)),
    ];
    run(rows).await;
}
