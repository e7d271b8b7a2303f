//! Server-sent events, as the WHATWG standard defines them: frames with one line of data and keep-alive comments are
//! written; whole texts and streams are parsed.

use std::{borrow::Cow, collections::VecDeque, mem, ops::Range};

#[cfg(test)]
mod tests;

/// A comment that keeps an idle stream alive.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends a frame; `data` writes its data, one line of JSON.
pub fn frame(out: &mut Vec<u8>, id: Option<u64>, event: &str, data: impl FnOnce(&mut Vec<u8>)) {
    if let Some(id) = id {
        for part in ["id: ", itoa::Buffer::new().format(id), "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let began = out.len();
    data(out);
    debug_assert!(!out[began..].contains(&b'\n') && !out[began..].contains(&b'\r'), "data is one line");
    out.extend_from_slice(b"\n\n");
}

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
    events_from(text, start(text))
}

fn events_from(text: &str, start: usize) -> impl Iterator<Item = SseEvent<'_>> {
    let mut lines = lines(text, start);
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
    lines(text, start(text)).any(|line| {
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

/// Returns where the first line begins: after a byte order mark.
fn start(text: &str) -> usize {
    if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

/// Returns the ranges of the lines of `text` from `at` on, which end with `\r\n`, `\n` or `\r`.
fn lines(text: &str, mut at: usize) -> impl Iterator<Item = Range<usize>> {
    std::iter::from_fn(move || {
        let rest = text.as_bytes().get(at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = at..at + length;
        at = line.end + if rest[length..].starts_with(b"\r\n") { 2 } else { 1 };
        Some(line)
    })
}

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

/// An incremental parser, with the bytes of the incomplete frame. The frames depend on the bytes alone, not on how they
/// are split into chunks.
#[derive(Debug)]
pub(crate) struct SseParser {
    bytes_max: usize,
    /// The incomplete frame; its complete lines end with `\n`.
    pending: Vec<u8>,
    /// The last line ended with `\r`; an immediately following `\n` belongs to it.
    after_cr: bool,
    /// No frame has ended yet, so `pending` may begin with a byte order mark.
    at_start: bool,
    frames: VecDeque<SseFrame>,
}

impl SseParser {
    /// Returns a parser that buffers at most `bytes_max` bytes of one frame.
    pub(crate) fn new(bytes_max: usize) -> Self {
        assert!(bytes_max > 0, "a frame needs room");
        SseParser { bytes_max, pending: Vec::new(), after_cr: false, at_start: true, frames: VecDeque::new() }
    }

    /// Parses more bytes; [`SseParser::next`] returns the completed frames.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), SseFrameTooLarge> {
        if bytes.is_empty() {
            return Ok(());
        }
        if mem::take(&mut self.after_cr) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (is_cr, rest) = (bytes[end] == b'\r', &bytes[end + 1..]);
            self.keep(&bytes[..end])?;
            if self.pending.last().is_none_or(|last| *last == b'\n') {
                self.end_frame();
            } else {
                self.pending.push(b'\n');
            }
            self.after_cr = is_cr && rest.is_empty();
            bytes = if is_cr { rest.strip_prefix(b"\n").unwrap_or(rest) } else { rest };
        }
        self.keep(bytes)
    }

    /// Returns the next completed frame.
    pub(crate) fn next(&mut self) -> Option<SseFrame> {
        self.frames.pop_front()
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), SseFrameTooLarge> {
        if self.pending.len() + part.len() > self.bytes_max {
            return Err(SseFrameTooLarge { bytes_max: self.bytes_max });
        }
        self.pending.extend_from_slice(part);
        Ok(())
    }

    fn end_frame(&mut self) {
        let text = String::from_utf8_lossy(&self.pending);
        let start = if mem::take(&mut self.at_start) { start(&text) } else { 0 };
        // The standard drops events without data.
        self.frames.extend(events_from(&text, start).filter_map(|event| {
            let name = event.name.filter(|name| !name.is_empty()).unwrap_or("message");
            Some(SseFrame { event: name.to_owned(), data: event.data?.into_owned() })
        }));
        self.pending.clear();
    }
}
