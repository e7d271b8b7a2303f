//! A streamed response, frame by frame.

use super::{super::within, Answer, Connection};
use serde_json::Value;
use std::net::SocketAddr;

/// A streamed response as it arrives.
#[derive(Debug)]
pub(crate) struct Stream {
    connection: Connection,
    pub(crate) head: Answer,
    text: String,
    over: bool,
}

/// A server-sent event, or a comment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: Option<u64>,
    /// The event's name; `:` for a comment.
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Stream {
    pub(super) fn new(connection: Connection, head: Answer) -> Self {
        Stream { connection, head, text: String::new(), over: false }
    }

    /// Returns the next frame or comment; `None` when the body has ended properly.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (Frame::read(frame), rest.to_owned());
                self.text = rest;
                return Some(frame);
            }
            if self.over {
                assert_eq!(self.text, "", "half a frame at the end");
                return None;
            }
            match self.connection.chunk().await {
                Some(chunk) => self.text.push_str(&String::from_utf8(chunk).unwrap()),
                None => self.over = true,
            }
        }
    }

    /// Returns the next frame without comments; there must be one.
    pub(crate) async fn event(&mut self) -> Frame {
        self.awaited("event").await
    }

    async fn awaited(&mut self, event: &str) -> Frame {
        // Comments keep coming, so the whole wait is bounded, not only the wait for the next byte.
        let frame = within(event, async {
            loop {
                let frame = self.next().await.unwrap_or_else(|| panic!("the stream ended before {event}"));
                if !frame.is_comment() {
                    return frame;
                }
            }
        });
        frame.await
    }

    /// Returns the next frame without comments, which must have that name.
    pub(crate) async fn expect(&mut self, event: &str) -> Frame {
        let frame = self.awaited(event).await;
        assert_eq!(frame.event, event, "{frame:?}");
        frame
    }

    /// Returns all further frames without comments; exactly one terminal frame stands at the end.
    pub(crate) async fn rest(&mut self) -> (Vec<Frame>, Frame) {
        let mut frames = Vec::new();
        let read = async {
            while let Some(frame) = self.next().await {
                frames.extend(Some(frame).filter(|frame| !frame.is_comment()));
            }
        };
        within("end of the stream", read).await;
        let last = frames.pop().expect("a terminal frame");
        assert!(last.is_terminal(), "{last:?}");
        assert!(!frames.iter().any(Frame::is_terminal), "one terminal frame: {frames:?}");
        (frames, last)
    }

    /// Returns the terminal frame.
    pub(crate) async fn end(&mut self) -> Frame {
        self.rest().await.1
    }

    /// Returns the caller's address.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.connection.stream.local_addr().unwrap()
    }

    /// Disconnects.
    pub(crate) fn leave(self) {}

    /// Stops reading; the connection stays open until the returned value is dropped.
    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }
}

impl Frame {
    fn read(text: &str) -> Self {
        if text.starts_with(':') {
            return Frame { id: None, event: ":".to_owned(), data: Value::from(text) };
        }
        let mut frame = Frame { id: None, event: String::new(), data: Value::Null };
        for line in text.split('\n') {
            match line.split_once(": ") {
                Some(("id", id)) => frame.id = Some(id.parse().unwrap()),
                Some(("event", event)) => frame.event = event.to_owned(),
                Some(("data", data)) => frame.data = serde_json::from_str(data).unwrap(),
                _ => panic!("not a line of a frame: {line:?} in {text:?}"),
            }
        }
        frame
    }

    pub(crate) fn is_comment(&self) -> bool {
        self.event == ":"
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.event.as_str(), "stream_end" | "stream_error")
    }

    /// Returns name, code and status of a terminal frame.
    pub(crate) fn outcome(&self) -> (&str, &str, u64) {
        let code = self.data["error"].as_str().unwrap_or_default();
        (&self.event, code, self.data["status"].as_u64().unwrap())
    }
}
