//! Both parsers read the same events, however the bytes are split.

use super::*;

#[test]
fn a_frame_has_id_event_and_data_and_ends_with_an_empty_line() {
    let mut out = Vec::new();
    frame(&mut out, Some(0), "stream_open", |data| data.extend_from_slice(b"{}"));
    frame(&mut out, None, "stream_end", |data| data.extend_from_slice(b"{\"a\":1}"));
    let text = "id: 0\nevent: stream_open\ndata: {}\n\nevent: stream_end\ndata: {\"a\":1}\n\n";
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

fn read(text: &str) -> Vec<(Option<&str>, Option<String>, SseEventEnd)> {
    events(text).map(|event| (event.name, event.data.map(Cow::into_owned), event.ending)).collect()
}

#[test]
fn fields_line_ends_and_comments_are_read_as_the_standard_says() {
    let some = |text: &str| Some(text.to_owned());
    for (text, found) in [
        ("data: a\n\n", vec![(None, some("a"), SseEventEnd::Line)]),
        (
            "data:a\r\rdata:  b\r\n\r\n",
            vec![(None, some("a"), SseEventEnd::Line), (None, some(" b"), SseEventEnd::Line)],
        ),
        ("event: x\nevent: y\ndata: 1\ndata\ndata:2\n\n", vec![(Some("y"), some("1\n\n2"), SseEventEnd::Line)]),
        ("\u{feff}data: a\n\n\n\n: c\n\nid: 1\n\ndata: b", {
            vec![(None, some("a"), SseEventEnd::Line), (None, some("b"), SseEventEnd::Text)]
        }),
        ("event: bare\n", vec![(Some("bare"), None, SseEventEnd::Text)]),
        ("data", vec![(None, some(""), SseEventEnd::Text)]),
        ("", vec![]),
        ("\n\n: only\n", vec![]),
    ] {
        assert_eq!(read(text), found, "{text:?}");
    }
}

#[test]
fn an_event_knows_where_its_lines_stand() {
    let text = ": c\nevent: e\r\ndata: 1\n\nid: 2\ndata: 3";
    let lines: Vec<_> = events(text).map(|event| &text[event.lines]).collect();
    assert_eq!(lines, [": c\nevent: e\r\ndata: 1", "id: 2\ndata: 3"]);
}

#[test]
fn a_line_that_no_event_stream_has_is_noticed() {
    assert!(!is_foreign("data: 1\nevent: e\nid\nretry: 3\n: c\n\n"));
    assert!(is_foreign("data: 1\n<html>\n"));
    assert!(is_foreign("{\"error\": 1}"));
}

fn parse(pieces: &[&[u8]]) -> Vec<(String, String)> {
    let mut parser = SseParser::new(1 << 10);
    let mut frames = Vec::new();
    for piece in pieces {
        parser.push(piece).unwrap();
        frames.extend(std::iter::from_fn(|| parser.next()).map(|frame| (frame.event, frame.data)));
    }
    frames
}

/// Case name, input, and the names and data of the expected frames.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const TABLE: [Row; 13] = [
    ("a frame", "id: 1\nevent: a\ndata: {}\n\n", &[("a", "{}")]),
    ("no name", "data: x\n\n", &[("message", "x")]),
    ("an empty name", "event:\ndata: x\n\n", &[("message", "x")]),
    ("several lines of data", "data: x\ndata:  y\ndata\n\n", &[("message", "x\n y\n")]),
    ("comments", ": keep-alive\n\n: more\nevent: a\n: between\ndata: x\n\n", &[("a", "x")]),
    ("no blank after the colon", "event:a\ndata:x\n\n", &[("a", "x")]),
    ("unknown fields", "retry: 5\nfoo: bar\nbaz\ndata: x\n\n", &[("message", "x")]),
    ("no data", "event: a\n\ndata: x\n\n", &[("message", "x")]),
    ("empty data", "data:\n\n", &[("message", "")]),
    (
        "other line ends",
        "data: x\r\n\r\ndata: y\r\rdata: z\r\n\n",
        &[("message", "x"), ("message", "y"), ("message", "z")],
    ),
    ("a byte order mark", "\u{feff}data: x\n\n", &[("message", "x")]),
    ("characters of several bytes", "event: ü\ndata: 你好 🦊\n\n", &[("ü", "你好 🦊")]),
    ("an end in the middle", "data: x\n\ndata: y\n", &[("message", "x")]),
];

#[test]
fn frames_are_parsed_as_the_standard_defines() {
    for (name, text, wanted) in TABLE {
        let wanted: Vec<_> = wanted.iter().map(|(e, d)| ((*e).to_owned(), (*d).to_owned())).collect();
        assert_eq!(parse(&[text.as_bytes()]), wanted, "{name}");
    }
}

#[test]
fn chunk_boundaries_do_not_matter() {
    for (name, text, _) in TABLE {
        let whole = parse(&[text.as_bytes()]);
        let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(parse(&single), whole, "{name}, byte by byte");
        for at in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(at);
            assert_eq!(parse(&[a, b"", b]), whole, "{name}, cut at {at}");
        }
    }
}

#[test]
fn invalid_utf_8_is_replaced() {
    assert_eq!(parse(&[b"data: a\xffb\n\n"]), [("message".to_owned(), "a\u{fffd}b".to_owned())]);
}

#[test]
fn an_oversized_frame_is_an_error() {
    let mut parser = SseParser::new(16);
    assert_eq!(parser.push(b"data: 012345678\n\n"), Ok(()), "a frame of exactly that size");
    assert_eq!(parser.push(b"data: 01234\n"), Ok(()));
    let error = parser.push(b"data: 01234\n").unwrap_err();
    assert_eq!(error.to_string(), "an event of the stream is larger than 16 bytes");
    assert!(SseParser::new(16).push(&[b'x'; 17]).is_err());
}
