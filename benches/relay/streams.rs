//! Reads an event stream and checks the order and content of every frame.

use crate::{
    body,
    callers::{Caller, ask, bounded, excerpt},
    measure::Latencies,
    peers::PeerLog,
};
use anyhow::{Context, bail, ensure};
use memchr::memmem;
use std::time::{Duration, Instant};

/// The timings of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamTimings {
    /// Time from the request to the first event.
    pub(crate) first: Option<Duration>,
    /// Time from each event's creation to its receipt.
    pub(crate) delays: Latencies,
}

/// The expected stream.
pub(crate) struct ExpectedStream<'a> {
    pub(crate) id: &'a str,
    pub(crate) client: usize,
    pub(crate) path: &'a str,
    pub(crate) events: u64,
    pub(crate) bytes: usize,
    /// The epoch of the events' timestamps.
    pub(crate) epoch: Instant,
    /// Notes each event that was read, for a stream in step with its reader.
    pub(crate) in_step: Option<&'a PeerLog>,
}

/// Reads and checks a whole stream: the opening, every event in order, one terminal frame, and nothing after it.
pub(crate) async fn streamed(caller: &mut Caller, wanted: &ExpectedStream<'_>) -> anyhow::Result<StreamTimings> {
    let asked = Instant::now();
    caller.post("/v1/browser/request", &ask(wanted.id, wanted.client, wanted.path, "sse")).await?;
    bounded(read(caller, wanted, asked)).await.with_context(|| format!("stream {}", wanted.id))
}

async fn read(caller: &mut Caller, wanted: &ExpectedStream<'_>, asked: Instant) -> anyhow::Result<StreamTimings> {
    let head = caller.head().await?;
    ensure!(head.status == 200 && head.content.is_none(), "not a stream: {}", excerpt(caller.input()));
    caller.consume(head.length);
    let mut check = StreamCheck::new(wanted);
    let mut text: Vec<u8> = Vec::with_capacity(16 << 10);
    loop {
        let ended = take_chunks(caller, &mut text)?;
        if !text.is_empty() {
            let now = Instant::now();
            let mut at = 0;
            while let Some(end) = memmem::find(&text[at..], b"\n\n") {
                let frame = &text[at..at + end];
                check.frame(frame, now, asked).with_context(|| format!("at {}", excerpt(frame)))?;
                at += end + 2;
            }
            text.drain(..at);
        }
        if ended {
            ensure!(text.is_empty() && check.ended, "cut short at event {}", check.next);
            return Ok(check.seen);
        }
        caller.fill().await?;
    }
}

/// Moves the content of complete chunks to `text`; returns whether the last one was among them.
fn take_chunks(caller: &mut Caller, text: &mut Vec<u8>) -> anyhow::Result<bool> {
    let (input, mut at) = (caller.input(), 0);
    let ended = loop {
        let Some(line) = memmem::find(&input[at..input.len().min(at + 20)], b"\r\n") else { break false };
        let size = std::str::from_utf8(&input[at..at + line]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let (size, start) = (size.context("a bad chunk")?, at + line + 2);
        if input.len() < start + size + 2 {
            break false;
        }
        text.extend_from_slice(&input[start..start + size]);
        at = start + size + 2;
        if size == 0 {
            ensure!(at == input.len(), "bytes after the end");
            break true;
        }
    };
    caller.consume(at);
    Ok(ended)
}

struct StreamCheck<'a> {
    wanted: &'a ExpectedStream<'a>,
    pad: Vec<u8>,
    /// Number of the next frame; 0 is the opening.
    next: u64,
    ended: bool,
    seen: StreamTimings,
}

impl<'a> StreamCheck<'a> {
    fn new(wanted: &'a ExpectedStream<'a>) -> Self {
        StreamCheck { wanted, pad: body::padding(wanted.bytes), next: 0, ended: false, seen: StreamTimings::default() }
    }

    fn frame(&mut self, frame: &[u8], now: Instant, asked: Instant) -> anyhow::Result<()> {
        if frame.starts_with(b":") {
            return Ok(());
        }
        ensure!(!self.ended, "a frame after the terminal one");
        let (id, rest) = match frame.strip_prefix(b"id: ") {
            Some(rest) => number(rest).map(|(id, rest)| (Some(id), rest)).context("a bad id")?,
            None => (None, frame),
        };
        let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        match (id, memmem::find(rest, b"\ndata: ").map(|at| &rest[..at])) {
            (Some(0), Some(b"event: stream_open")) if self.next == 0 => {}
            (Some(id), Some(b"event: stream_event")) if id == self.next && id <= self.wanted.events => {
                self.event(rest, now, asked)?
            }
            (None, Some(b"event: stream_end")) if self.next == self.wanted.events + 1 => {
                self.ended = true;
                return Ok(());
            }
            _ => bail!("not the frame that comes next ({})", self.next),
        }
        self.next += 1;
        Ok(())
    }

    fn event(&mut self, frame: &[u8], now: Instant, asked: Instant) -> anyhow::Result<()> {
        let at = memmem::find(frame, br#"{"at":"#).context("no timestamp")? + br#"{"at":"#.len();
        let (sent, rest) = number(&frame[at..]).context("a bad timestamp")?;
        let rest = rest.strip_prefix(br#","n":"#).context("another shape")?;
        let (n, rest) = number(rest).context("no number")?;
        let rest = rest.strip_prefix(br#","pad":""#).context("no padding")?;
        ensure!(n == self.next && rest.starts_with(&self.pad), "another event");
        if self.next == 1 {
            self.seen.first = Some(now - asked);
        }
        if let Some(book) = self.wanted.in_step {
            book.steps.advance();
        }
        self.seen.delays.push(now.saturating_duration_since(self.wanted.epoch + Duration::from_nanos(sent)));
        Ok(())
    }
}

/// Parses the decimal number at the start, and returns it with the rest.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    Some((value, &bytes[digits..]))
}
