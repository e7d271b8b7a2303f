//! Group 6: UTF-8, also across fragments and writes.

use super::{Row, Then, answers, chopped, run};
use crate::support::{raw_frame, text_frame};
use serde_json::json;

/// Returns a message with these bytes in its name.
fn named(bytes: &[u8]) -> Vec<u8> {
    [b"{\"type\":\"no_such_type\",\"id\":\"", bytes, b"\"}"].concat()
}

#[actix_rt::test]
async fn valid_text_arrives_as_it_is() {
    let texts: &[(&str, &str)] = &[
        ("6.2.1 two bytes a character", "Hello-\u{b5}@\u{df}\u{f6}\u{e4}\u{fc}\u{e0}\u{e1}-UTF-8!!"),
        ("6.5.1 Greek", "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}"),
        ("6.7.1 the first of one byte after the controls", " "),
        ("6.7.2 the first of two bytes", "\u{80}"),
        ("6.7.3 the first of three bytes", "\u{800}"),
        ("6.7.4 the first of four bytes", "\u{10000}"),
        ("6.9.1 the last of one byte", "\u{7f}"),
        ("6.9.2 the last of two bytes", "\u{7ff}"),
        ("6.9.3 the last of three bytes", "\u{ffff}"),
        ("6.9.4 the last of four bytes", "\u{10ffff}"),
        ("6.11.1 before the surrogates", "\u{d7ff}"),
        ("6.11.2 after the surrogates", "\u{e000}"),
        ("6.11.3 the replacement character", "\u{fffd}"),
        ("6.22.1 a noncharacter", "\u{fffe}"),
        ("6.22.2 another one", "\u{1fffe}"),
        ("6.22.3 one of the last plane", "\u{10fffe}"),
        ("6.23.1 a byte order mark", "\u{feff}x"),
        ("6.23.2 from right to left", "\u{5d0}\u{5d1}\u{202e}"),
        ("6.23.3 of many parts", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for &(name, text) in texts {
        let text = format!("<{text}>"); // spaces at the ends are trimmed
        let text = text.as_str();
        let message = json!({"type": "no_such_type", "id": text}).to_string();
        rows.push((name, vec![text_frame(&message)], answers(&[text])));
        // One fragment per byte: every character is split at every position.
        rows.push((name, super::fragmented(&message, 1), answers(&[text])));
        rows.push((name, chopped(&text_frame(&message), 1), answers(&[text])));
    }
    rows.push((
        "6.1.1 empty fragments",
        vec![raw_frame(0x01, b""), raw_frame(0x00, b""), raw_frame(0x80, b"")],
        answers(&[""]),
    ));
    run(rows).await;
}

#[actix_rt::test]
async fn invalid_text_closes_with_1007_wherever_it_is_cut() {
    let texts: &[(&str, &[u8])] = &[
        ("6.3.1 a surrogate within Greek", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"),
        ("6.4.1 beyond the last character", b"\xf4\x90\x80\x80"),
        ("6.6.1 a character that is cut off", b"\xce"),
        ("6.6.3 three bytes without the last", b"\xe1\xbd"),
        ("6.6.5 four bytes without the last", b"\xf0\x90\x8d"),
        ("6.8.1 the first of five bytes", b"\xf8\x88\x80\x80\x80"),
        ("6.8.2 the first of six bytes", b"\xfc\x84\x80\x80\x80\x80"),
        ("6.10.1 the last of four bytes that could be", b"\xf7\xbf\xbf\xbf"),
        ("6.10.2 the last of five bytes", b"\xfb\xbf\xbf\xbf\xbf"),
        ("6.10.3 the last of six bytes", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
        ("6.12.1 a continuation alone", b"\x80"),
        ("6.12.2 the last continuation alone", b"\xbf"),
        ("6.12.3 two continuations", b"\x80\xbf"),
        ("6.12.8 all continuations", b"\x80\x81\x82\x83\x84\x85\x86\x87"),
        ("6.13.1 beginnings of two bytes", b"\xc0 \xc1 \xc2 \xdf "),
        ("6.13.2 beginnings of three bytes", b"\xe0 \xe8 \xef "),
        ("6.13.3 beginnings of four bytes", b"\xf0 \xf4 \xf7 "),
        ("6.14.1 two bytes without the second", b"\xdf!"),
        ("6.14.3 four bytes without the last", b"\xf0\x80\x80!"),
        ("6.15.1 all that are cut off", b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80"),
        ("6.16.1 fe", b"\xfe"),
        ("6.16.2 ff", b"\xff"),
        ("6.16.3 both twice", b"\xfe\xfe\xff\xff"),
        ("6.17.1 a slash in two bytes", b"\xc0\xaf"),
        ("6.17.2 a slash in three bytes", b"\xe0\x80\xaf"),
        ("6.17.3 a slash in four bytes", b"\xf0\x80\x80\xaf"),
        ("6.18.1 the last that is too long in two bytes", b"\xc1\xbf"),
        ("6.18.2 in three bytes", b"\xe0\x9f\xbf"),
        ("6.18.3 in four bytes", b"\xf0\x8f\xbf\xbf"),
        ("6.19.1 a null in two bytes", b"\xc0\x80"),
        ("6.19.2 a null in three bytes", b"\xe0\x80\x80"),
        ("6.20.1 the first surrogate", b"\xed\xa0\x80"),
        ("6.20.2 the last high surrogate", b"\xed\xaf\xbf"),
        ("6.20.5 the last low surrogate", b"\xed\xbf\xbf"),
        ("6.21.1 a pair of surrogates", b"\xed\xa0\x80\xed\xb0\x80"),
        ("6.21.8 the last pair", b"\xed\xaf\xbf\xed\xbf\xbf"),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for &(name, bytes) in texts {
        let message = named(bytes);
        rows.push((name, vec![raw_frame(0x81, &message)], Then::Closes(1007)));
        let (a, b) = message.split_at(31);
        rows.push((name, vec![raw_frame(0x01, a), raw_frame(0x89, b"p"), raw_frame(0x80, b)], Then::Closes(1007)));
    }
    run(rows).await;
}
