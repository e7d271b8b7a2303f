//! Browsers: minimal WebSocket peers that respond as the path of a request requires.
//!
//! | path | response |
//! | --- | --- |
//! | `/b/{bytes}` | a JSON body of that size |
//! | `/g/{bytes}/{group}` | the same, for so many requests at once, when all of them are there |
//! | `/s/{events}/{bytes}/{pause_ms}` | an event stream; without a pause as fast as the socket takes it, all streams of a peer in turn |
//! | `/t/{events}/{bytes}/0` | the same, in step with its reader ([`in_step`]) |
//! | `/f/{events}/{bytes}/{pause_ms}` | the same, deaf to `request_cancel` |
//! | `/hold` | nothing until it is cancelled |

mod book;
mod events;
mod in_step;
mod past;
mod wire;

pub(crate) use book::PeerLog;
pub(crate) use past::remember;

use crate::{body, frames};
use anyhow::{Context, bail, ensure};
use events::Events;
use serde::Deserialize;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinHandle};
use wire::Wire;

/// Bytes that may wait to be written before more events are created.
const AHEAD_BYTES: usize = 64 << 10;
/// Consecutive events of one stream.
const TURN_EVENTS: u64 = 4;
const OPEN_WITHIN: Duration = Duration::from_secs(20);

/// Connected peers, disconnected when dropped.
pub(crate) struct Peers(Vec<JoinHandle<()>>);

impl Peers {
    /// Connects peers named `peer-0` and so on concurrently, and waits until each is registered with its credentials.
    pub(crate) async fn connect(address: SocketAddr, count: usize, book: &Rc<PeerLog>) -> anyhow::Result<Self> {
        let opening: Vec<_> = (0..count)
            .map(|n| tokio::task::spawn_local(Peer::join(address, format!("peer-{n}"), Rc::clone(book))))
            .collect();
        let mut peers = Vec::with_capacity(count);
        for open in opening {
            peers.push(open.await??);
        }
        let serve = |peer: Peer| async move {
            if let Err(error) = peer.serve().await {
                eprintln!("relay bench: a peer has disconnected: {error:#}");
            }
        };
        Ok(Peers(peers.into_iter().map(|peer| tokio::task::spawn_local(serve(peer))).collect()))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for peer in &self.0 {
            peer.abort();
        }
    }
}

struct Peer {
    wire: Wire,
    book: Rc<PeerLog>,
    fast: VecDeque<Events>,
    paced: Vec<Events>,
    in_step: Option<Events>,
    /// Requests that are answered together, as far as they are there.
    group: Vec<String>,
    scratch: Vec<u8>,
}

#[derive(Deserialize)]
struct Message<'a> {
    r#type: &'a str,
    id: Option<&'a str>,
    path: Option<&'a str>,
    response_mode: Option<&'a str>,
}

impl Peer {
    async fn join(address: SocketAddr, name: String, book: Rc<PeerLog>) -> anyhow::Result<Self> {
        tokio::time::timeout(OPEN_WITHIN, Peer::introduce(address, &name, book))
            .await
            .unwrap_or_else(|_| bail!("{name} was not welcomed in time"))
            .with_context(|| format!("{name} cannot connect"))
    }

    async fn introduce(address: SocketAddr, name: &str, book: Rc<PeerLog>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let upgrade = format!(
            "GET /ws/firefox HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        );
        let mut peer = Peer {
            wire: Wire::new(stream),
            book,
            fast: VecDeque::new(),
            paced: Vec::new(),
            in_step: None,
            group: Vec::new(),
            scratch: Vec::new(),
        };
        peer.wire.out.extend_from_slice(upgrade.as_bytes());
        peer.wire.flush().await?;
        let end = loop {
            peer.wire.fill().await?;
            if let Some(end) = memchr::memmem::find(peer.wire.input(), b"\r\n\r\n") {
                break end + 4;
            }
        };
        ensure!(
            peer.wire.input().starts_with(b"HTTP/1.1 101 "),
            "no upgrade: {}",
            String::from_utf8_lossy(&peer.wire.input()[..end])
        );
        peer.wire.consume(end);
        let hello = format!(
            r#"{{"type":"hello","client_id":"{name}","node_type":"browser","node_category":"proxy","node_platform":"firefox","protocol":"baa.firefox/1","extension_version":"bench","nonce":"{name}"}}"#
        );
        frames::text(&mut peer.wire.out, &[hello.as_bytes()]);
        peer.wire.flush().await?;
        peer.await_text(&[br#""hello_ack""#]).await?;
        let credentials = r#"{"type":"credentials","platform":"claude","credential_fingerprint":"fp-bench","freshness":"fresh","captured_at":1767225600000,"last_seen_at":1767225600000,"timestamp":1767225600000,"headers":{"cookie":"","x-csrf":""}}"#;
        frames::text(&mut peer.wire.out, &[credentials.as_bytes()]);
        peer.wire.flush().await?;
        peer.await_text(&[br#""reason":"credentials""#, br#""header_count":2"#]).await?;
        Ok(peer)
    }

    /// Reads messages until one contains one of these texts.
    async fn await_text(&mut self, wanted: &[&[u8]]) -> anyhow::Result<()> {
        loop {
            while let Some(frame) = frames::first(self.wire.input()) {
                let found = wanted.iter().any(|text| memchr::memmem::find(frame.payload, text).is_some());
                let (opcode, length) = (frame.opcode, frame.length);
                self.wire.consume(length);
                ensure!(opcode != 8, "closed during the introduction");
                if found {
                    return Ok(());
                }
            }
            self.wire.fill().await?;
        }
    }

    async fn serve(mut self) -> anyhow::Result<()> {
        loop {
            let progress = self.take_input()? | self.make_events();
            let pushed = self.wire.push()?;
            if progress && self.wire.is_flushed() && !self.fast.is_empty() {
                // Yields to the callers on this thread.
                tokio::task::yield_now().await;
                continue;
            }
            if progress || pushed {
                continue;
            }
            let due = self.paced.iter().map(|events| events.due).min();
            let (waits_to_write, waits_for_step) = (!self.wire.is_flushed(), self.in_step.is_some());
            let ready = async {
                if waits_to_write {
                    self.wire
                        .stream
                        .ready(tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE)
                        .await
                        .map(drop)
                } else {
                    self.wire.stream.readable().await
                }
            };
            match due {
                None if waits_for_step => tokio::select! {
                    done = ready => done?,
                    () = self.book.steps.advanced() => {}
                },
                None => ready.await?,
                // The timeout is the event to wait for.
                Some(due) => tokio::time::timeout_at(due.into(), ready).await.unwrap_or(Ok(()))?,
            }
        }
    }

    /// Reads and handles the available input; returns whether there was any.
    fn take_input(&mut self) -> anyhow::Result<bool> {
        if !self.wire.try_fill()? {
            return Ok(false);
        }
        let (input, filled) = self.wire.take_input();
        let mut at = 0;
        while let Some(frame) = frames::first(&input[at..filled]) {
            match frame.opcode {
                1 => self.receive(frame.payload)?,
                8 => bail!("the service closed the connection"),
                9 => frames::pong(&mut self.wire.out, frame.payload),
                _ => {}
            }
            at += frame.length;
        }
        self.wire.give_back(input);
        self.wire.consume(at);
        Ok(true)
    }

    fn receive(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        // Snapshots are frequent and ignored; their type is at the start of the message or not in the checked part.
        if payload.len() > 32 << 10 {
            return Ok(());
        }
        let Ok(message) = serde_json::from_slice::<Message<'_>>(payload) else { return Ok(()) };
        let id = message.id.unwrap_or_default();
        match message.r#type {
            "api_request" => {
                self.book.requests.set(self.book.requests.get() + 1);
                self.begin(id, message.path.unwrap_or_default(), message.response_mode == Some("sse"))?;
            }
            "request_cancel" => {
                self.book.note("cancelled", id);
                let streams = self.fast.iter().chain(&self.paced);
                if streams.into_iter().any(|events| events.id == id && events.deaf) {
                    return Ok(());
                }
                self.fast.retain(|events| events.id != id);
                self.paced.retain(|events| events.id != id);
                // The daemon treats this as a failure of a stream too.
                let tail = br#"","ok":false,"status":499,"error":"request_cancelled","body":null}"#;
                frames::text(&mut self.wire.out, &[br#"{"type":"api_response","id":""#, id.as_bytes(), tail]);
            }
            "error" => bail!("error message of the service: {}", String::from_utf8_lossy(payload)),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, id: &str, path: &str, sse: bool) -> anyhow::Result<()> {
        let mut segments = path.trim_start_matches('/').split('/');
        let kind = segments.next().unwrap_or_default();
        let mut number =
            || segments.next().and_then(|text| text.parse::<usize>().ok()).context("a path without its numbers");
        match kind {
            "b" => {
                let bytes = number()?;
                self.answer(id, bytes)?;
            }
            "g" => {
                let (bytes, group) = (number()?, number()?);
                self.group.push(id.to_owned());
                if self.group.len() >= group {
                    for id in std::mem::take(&mut self.group) {
                        self.answer(&id, bytes)?;
                    }
                }
            }
            "hold" => {
                if sse {
                    self.open(id);
                }
                self.book.note("held", id);
            }
            _ => {
                let (count, bytes, pause) = (number()? as u64, number()?, Duration::from_millis(number()? as u64));
                self.open(id);
                let pad = body::padding(bytes).into();
                let deaf = kind == "f";
                let events =
                    Events { id: id.to_owned(), next: 1, count, pad, pause, due: Instant::now() + pause, deaf };
                if kind == "t" {
                    self.begin_in_step(events);
                } else if pause.is_zero() {
                    self.fast.push_back(events)
                } else {
                    self.paced.push(events)
                }
            }
        }
        Ok(())
    }

    /// Writes a whole answer with a body of this size.
    fn answer(&mut self, id: &str, bytes: usize) -> anyhow::Result<()> {
        let body = self.book.bodies.iter().find(|body| body.bytes() == bytes).context("no such body")?;
        let head = br#"","ok":true,"status":200,"headers":{"content-type":"application/json"},"body":"#;
        let [first, echo, last] = body.parts(id);
        let parts = [br#"{"type":"api_response","id":""#, id.as_bytes(), head, first, echo, last, b"}"];
        frames::text(&mut self.wire.out, &parts);
        Ok(())
    }

    fn open(&mut self, id: &str) {
        let tail = br#"","status":200,"meta":{"method":"GET","platform":"claude","url":"/s"}}"#;
        let middle = br#"","stream_id":""#;
        frames::text(
            &mut self.wire.out,
            &[br#"{"type":"stream_open","id":""#, id.as_bytes(), middle, id.as_bytes(), tail],
        );
    }

    /// Creates the due events that fit; returns whether there were any.
    fn make_events(&mut self) -> bool {
        let mut made = self.step();
        if !self.paced.is_empty() {
            let now = Instant::now();
            for events in self.paced.iter_mut().filter(|events| events.due <= now) {
                events.write(&self.book, &mut self.scratch, &mut self.wire.out);
                events.due += events.pause;
                made = true;
            }
            self.paced.retain(|events| events.next <= events.count);
        }
        while self.wire.waiting() < AHEAD_BYTES {
            let Some(mut events) = self.fast.pop_front() else { break };
            for _ in 0..TURN_EVENTS.min(events.count + 1 - events.next) {
                events.write(&self.book, &mut self.scratch, &mut self.wire.out);
            }
            if events.next <= events.count {
                self.fast.push_back(events);
            }
            made = true;
        }
        made
    }
}
