//! Bodies and events of a given size that carry the request's id, as peers send and callers expect them.

use std::io::Write;

/// A JSON body of about a given size, the same for every request except for the id at its end.
///
/// Keys are sorted and nothing is escaped, so that it stays equal when it is parsed and serialized on the way.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    head: Vec<u8>,
    bytes: usize,
}

const LINE: &str = "A line of a conversation between a user and an assistant .. ";

impl Body {
    /// Returns a small object below 4 KB, or else a conversation of messages of about 1.2 KB each.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut head = String::new();
        if bytes < 4_096 {
            head.push_str(r#"{"completion":""#);
            head.extend(LINE.chars().cycle().take(bytes.saturating_sub(60)));
            head.push_str(r#"","echo":""#);
        } else {
            head.push_str(r#"{"chat_messages":["#);
            let text = LINE.repeat(20);
            for n in 0.. {
                let sender = if n % 2 == 0 { "human" } else { "assistant" };
                head.push_str(&format!(
                    r#"{{"created_at":"2026-01-01T00:00:00Z","index":{n},"sender":"{sender}","text":"{text}"}}"#
                ));
                if head.len() + 1_300 > bytes {
                    break;
                }
                head.push(',');
            }
            head.push_str(r#"],"echo":""#);
        }
        Body { head: head.into_bytes(), bytes }
    }

    /// The requested size.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The parts of the body for a request.
    pub(crate) fn parts<'a>(&'a self, id: &'a str) -> [&'a [u8]; 3] {
        [&self.head, id.as_bytes(), b"\"}"]
    }

    /// Checks that a response starts with the body, and returns the rest.
    pub(crate) fn stands_at_start_of(&self, bytes: &[u8], id: &str) -> bool {
        let mut rest = bytes;
        self.parts(id).iter().all(|part| match rest.strip_prefix(*part) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        })
    }
}

/// Writes an event's `data`, about `bytes` long: a timestamp, its number, padding.
pub(crate) fn event_data(out: &mut Vec<u8>, at_ns: u64, number: u64, pad: &[u8], quote: &str) {
    write!(out, "{{{quote}at{quote}:{at_ns},{quote}n{quote}:{number},{quote}pad{quote}:{quote}")
        .expect("a Vec takes all");
    out.extend_from_slice(pad);
    out.extend_from_slice(quote.as_bytes());
    out.push(b'}');
}

/// The padding that makes an event's data about `bytes` long.
pub(crate) fn padding(bytes: usize) -> Vec<u8> {
    LINE.bytes().cycle().take(bytes.saturating_sub(45)).collect()
}
