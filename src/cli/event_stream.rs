//! An incremental parser of server-sent events, as the WHATWG standard defines them.
//!
//! Invariant: the frames depend on the bytes alone, not on how they are split into chunks. A line is decoded when it is
//! complete, so a chunk may end inside a character.

use std::{collections::VecDeque, mem};

/// One event with data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SseFrame {
    /// Event name; `message` if the stream gives none.
    pub(crate) event: String,
    /// The data lines, joined with `\n`.
    pub(crate) data: String,
}

/// A frame exceeds the size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {bytes_max} bytes")]
pub(crate) struct SseFrameTooLarge {
    bytes_max: usize,
}

/// An incremental parser, with the bytes of the incomplete frame.
#[derive(Debug)]
pub(crate) struct SseParser {
    bytes_max: usize,
    line: Vec<u8>,
    event: String,
    /// The data lines, each ending with `\n`.
    data: String,
    /// The last line ended with `\r`; an immediately following `\n` belongs to it.
    after_cr: bool,
    /// Nothing was read yet, so a byte order mark may follow.
    at_start: bool,
    frames: VecDeque<SseFrame>,
}

impl SseParser {
    /// Returns a parser that buffers at most `bytes_max` bytes of one frame.
    pub(crate) fn new(bytes_max: usize) -> Self {
        assert!(bytes_max > 0, "a frame needs room");
        SseParser {
            bytes_max,
            line: Vec::new(),
            event: String::new(),
            data: String::new(),
            after_cr: false,
            at_start: true,
            frames: VecDeque::new(),
        }
    }

    /// Parses more bytes; [`SseParser::next`] returns the completed frames.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), SseFrameTooLarge> {
        if mem::take(&mut self.after_cr) && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        } else if bytes.is_empty() {
            return Ok(());
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            self.keep(&bytes[..end])?;
            self.end_line();
            let rest = &bytes[end + 1..];
            bytes = match bytes[end] {
                b'\r' if rest.is_empty() => {
                    self.after_cr = true;
                    rest
                }
                b'\r' => rest.strip_prefix(b"\n").unwrap_or(rest),
                _ => rest,
            };
        }
        self.keep(bytes)
    }

    /// Returns the next completed frame.
    pub(crate) fn next(&mut self) -> Option<SseFrame> {
        self.frames.pop_front()
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), SseFrameTooLarge> {
        if self.line.len() + self.data.len() + self.event.len() + part.len() > self.bytes_max {
            return Err(SseFrameTooLarge { bytes_max: self.bytes_max });
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self) {
        let mut line = mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let mut text: &str = &text;
        if mem::take(&mut self.at_start) {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        if text.is_empty() {
            self.end_frame();
        } else {
            let (field, value) = text.split_once(':').unwrap_or((text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event),
                "data" => {
                    self.data.push_str(value);
                    self.data.push('\n');
                }
                // Ids, retry times and comments (an empty field name) are ignored.
                _ => {}
            }
        }
        // Reuses the allocation for the next line.
        line.clear();
        self.line = line;
    }

    fn end_frame(&mut self) {
        let (event, mut data) = (mem::take(&mut self.event), mem::take(&mut self.data));
        // The standard drops events without data.
        if data.pop().is_some() {
            let event = if event.is_empty() { "message".to_owned() } else { event };
            self.frames.push_back(SseFrame { event, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(parser.push(b"data: 0123456789\n"), Ok(()));
        let error = parser.push(b"data: 0123456789\n").unwrap_err();
        assert_eq!(error.to_string(), "an event of the stream is larger than 16 bytes");
        assert!(SseParser::new(16).push(&[b'x'; 17]).is_err());
    }
}
