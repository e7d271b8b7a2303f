//! Group 1: framing, with every encoding of the length and in several writes. Group 10: a message in many frames.

use super::{Row, Then, answers, chopped, fragmented, message_of, run};
use crate::support::{raw_frame, raw_head, text_frame};

#[actix_rt::test]
async fn texts_of_every_length_arrive() {
    let whole = |bytes| vec![text_frame(&message_of("m", bytes))];
    let rows: Vec<Row> = vec![
        ("1.1.1 an empty text", vec![raw_frame(0x81, b"")], answers(&[""])),
        ("1.1.2 a text of 125 bytes", whole(125), answers(&["m"])),
        ("1.1.3 a text of 126 bytes", whole(126), answers(&["m"])),
        ("1.1.4 a text of 127 bytes", whole(127), answers(&["m"])),
        ("1.1.5 a text of 128 bytes", whole(128), answers(&["m"])),
        ("1.1.6 a text of 65535 bytes", whole(65_535), answers(&["m"])),
        ("1.1.7 a text of 65536 bytes", whole(65_536), answers(&["m"])),
        ("1.1.8 the same in pieces of 997", chopped(&whole(65_536)[0], 997), answers(&["m"])),
        ("1.1.9 a short one byte by byte", chopped(&whole(125)[0], 1), answers(&["m"])),
        ("1.1.10 a text of 1 MiB", whole(1 << 20), answers(&["m"])),
        ("1.1.11 a text of 1 MiB in pieces of 4093", chopped(&whole(1 << 20)[0], 4_093), answers(&["m"])),
        (
            "1.1.12 two in one piece",
            vec![[text_frame(&message_of("a", 200)), text_frame(&message_of("b", 99))].concat()],
            answers(&["a", "b"]),
        ),
        ("1.1.13 a head cut after its first byte", cut(1), answers(&["m"])),
        ("1.1.14 a head cut within its length", cut(3), answers(&["m"])),
        ("1.1.15 a head cut within its mask", cut(6), answers(&["m"])),
    ];
    run(rows).await;
}

fn cut(at: usize) -> Vec<Vec<u8>> {
    let bytes = text_frame(&message_of("m", 300));
    vec![bytes[..at].to_vec(), bytes[at..].to_vec()]
}

#[actix_rt::test]
async fn no_binary_message_of_any_length_is_taken() {
    let binary = |bytes: usize| vec![raw_frame(0x82, &vec![0xfe; bytes])];
    let rows: Vec<Row> = vec![
        ("1.2.1 an empty one", binary(0), Then::Closes(1003)),
        ("1.2.2 of 125 bytes", binary(125), Then::Closes(1003)),
        ("1.2.3 of 126 bytes", binary(126), Then::Closes(1003)),
        ("1.2.4 of 127 bytes", binary(127), Then::Closes(1003)),
        ("1.2.5 of 128 bytes", binary(128), Then::Closes(1003)),
        ("1.2.6 of 65535 bytes", binary(65_535), Then::Closes(1003)),
        ("1.2.7 of 65536 bytes", binary(65_536), Then::Closes(1003)),
        ("1.2.8 the same in pieces of 997", chopped(&binary(65_536)[0], 997), Then::Closes(1003)),
    ];
    run(rows).await;
}

#[actix_rt::test]
async fn a_length_is_written_in_its_shortest_form_and_within_bounds() {
    let long_form = |first: u8, form: u8, length: &[u8]| {
        let mut frame = vec![first, 0x80 | form];
        frame.extend_from_slice(length);
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(b"{}");
        vec![frame]
    };
    let rows: Vec<Row> = vec![
        ("2 bytes in the form of 16 bits", long_form(0x81, 126, &[0, 2]), Then::Closes(1002)),
        ("125 bytes in the form of 16 bits", long_form(0x81, 126, &[0, 125]), Then::Closes(1002)),
        ("2 bytes in the form of 64 bits", long_form(0x81, 127, &[0, 0, 0, 0, 0, 0, 0, 2]), Then::Closes(1002)),
        ("65535 bytes in the form of 64 bits", long_form(0x81, 127, &[0, 0, 0, 0, 0, 0, 255, 255]), Then::Closes(1002)),
        ("a ping in the form of 16 bits", long_form(0x89, 126, &[0, 2]), Then::Closes(1002)),
        ("a close in the form of 64 bits", long_form(0x88, 127, &[0, 0, 0, 0, 0, 0, 0, 2]), Then::Closes(1002)),
        ("the highest bit of a length", vec![raw_head(0x81, 1 << 63)], Then::Closes(1009)),
        ("all bits of a length", vec![raw_head(0x81, u64::MAX)], Then::Closes(1009)),
        ("one byte over the limit", vec![raw_head(0x81, (40 << 20) + 1)], Then::Closes(1009)),
        (
            "fragments one byte over the limit",
            vec![raw_frame(0x01, &[b' '; 1 << 16]), raw_head(0x00, (40 << 20) + 1 - (1 << 16))],
            Then::Closes(1009),
        ),
        ("fragments whose sum overflows", vec![raw_frame(0x01, b" "), raw_head(0x00, u64::MAX)], Then::Closes(1009)),
        ("a binary frame over the limit", vec![raw_head(0x82, 1 << 40)], Then::Closes(1009)),
    ];
    run(rows).await;
}

#[actix_rt::test]
async fn a_client_masks_everything() {
    let bare = |first: u8, payload: &[u8]| vec![[&[first, u8::try_from(payload.len()).unwrap()], payload].concat()];
    let masked = |mask: [u8; 4], text: &str| {
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
        frame.extend_from_slice(&mask);
        frame.extend(text.bytes().enumerate().map(|(n, byte)| byte ^ mask[n % 4]));
        vec![frame]
    };
    let short = super::message("m");
    let rows: Vec<Row> = vec![
        ("a text without mask", bare(0x81, b"{}"), Then::Closes(1002)),
        ("an empty text without mask", bare(0x81, b""), Then::Closes(1002)),
        ("a binary frame without mask", bare(0x82, b"{}"), Then::Closes(1002)),
        ("a ping without mask", bare(0x89, b"x"), Then::Closes(1002)),
        ("a pong without mask", bare(0x8a, b"x"), Then::Closes(1002)),
        ("a close without mask", bare(0x88, &[3, 232]), Then::Closes(1002)),
        ("a fragment without mask", bare(0x01, b"{"), Then::Closes(1002)),
        ("a mask of ones", masked([0xff; 4], &short), answers(&["m"])),
        ("any mask", masked([0x37, 0xfa, 0x21, 0x3d], &short), answers(&["m"])),
        ("a mask that looks like a frame", masked([0x81, 0x82, 0x00, 0x88], &short), answers(&["m"])),
    ];
    run(rows).await;
}

#[actix_rt::test]
async fn one_message_may_be_many_frames() {
    let of = |bytes: usize, size: usize| fragmented(&message_of("m", bytes), size);
    let together = |pieces: Vec<Vec<u8>>| vec![pieces.concat()];
    let rows: Vec<Row> = vec![
        ("10.1.1 65536 bytes in fragments of 1300", of(65_536, 1_300), answers(&["m"])),
        ("10.1.2 the same at once", together(of(65_536, 1_300)), answers(&["m"])),
        ("10.1.3 in fragments of 1 byte", together(of(3_000, 1)), answers(&["m"])),
        ("10.1.4 1 MiB in fragments of 4096", of(1 << 20, 4_096), answers(&["m"])),
        ("10.1.5 in fragments of 126 bytes", of(10_000, 126), answers(&["m"])),
    ];
    run(rows).await;
}
