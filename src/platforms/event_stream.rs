//! Parses event-stream text into events, as specified by the WHATWG standard. One pass; only data of several lines is
//! copied.

use std::{borrow::Cow, ops::Range};

/// The fields that a line may have.
const FIELDS: [&str; 4] = ["data", "event", "id", "retry"];

/// An event: lines without an empty one between them, at least one of them an `event` or a `data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// Range of the event's lines in the text.
    pub lines: Range<usize>,
    /// Value of the last `event` line.
    pub name: Option<&'a str>,
    /// Values of the `data` lines, joined by line breaks.
    pub data: Option<Cow<'a, str>>,
    /// Whether an empty line ended it, or only the end of the text.
    pub ending: SseEventEnd,
}

/// The end of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SseEventEnd {
    /// An empty line: the event is whole.
    Line,
    /// The text ended; the event may be incomplete.
    Text,
}

/// The events of `text`, in order. A last one that no empty line ended counts too: nothing more can come.
pub fn events(text: &str) -> impl Iterator<Item = SseEvent<'_>> {
    let mut lines = lines(text);
    std::iter::from_fn(move || {
        loop {
            let (mut block, mut ending) = (None::<SseEvent<'_>>, SseEventEnd::Text);
            for line in lines.by_ref() {
                if line.is_empty() {
                    ending = SseEventEnd::Line;
                    break;
                }
                let begins = SseEvent { lines: line.clone(), name: None, data: None, ending };
                block.get_or_insert(begins).add(text, line);
            }
            match block {
                None if ending == SseEventEnd::Text => return None,
                Some(event) if event.name.is_some() || event.data.is_some() => {
                    return Some(SseEvent { ending, ..event });
                }
                _ => {} // comments and ids alone are no event
            }
        }
    })
}

/// Returns whether a line of `text` is not valid in an event stream.
pub fn is_foreign(text: &str) -> bool {
    lines(text).any(|line| {
        let name = text[line].split(':').next().unwrap_or_default();
        !name.is_empty() && !FIELDS.contains(&name)
    })
}

impl<'a> SseEvent<'a> {
    fn add(&mut self, text: &'a str, line: Range<usize>) {
        self.lines.end = line.end;
        let line = &text[line];
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = Some(value),
            "data" => match &mut self.data {
                Some(data) => data.to_mut().extend(["\n", value]),
                none => *none = Some(Cow::Borrowed(value)),
            },
            _ => {}
        }
    }
}

/// Returns the ranges of the lines of `text`, which end with `\r\n`, `\n` or `\r`.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    std::iter::from_fn(move || {
        let rest = text.as_bytes().get(at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = at..at + length;
        at = line.end + if rest[length..].starts_with(b"\r\n") { 2 } else { 1 };
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
