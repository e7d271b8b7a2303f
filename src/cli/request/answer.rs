//! What is shown of an answer: its `response`, or the text that its events spell.
//!
//! Invariant: whatever the daemon sends becomes text; nothing of it is believed to have a shape. What a terminal is
//! shown cannot steer it; a file or a pipe gets the text as it is.

use crate::cli::{
    event_stream::Frame,
    text::{self, Layout},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// How answers are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// The daemon's JSON in place of what it means.
    pub(super) json: bool,
    /// People read it, on a terminal.
    pub(super) terminal: bool,
}

impl Style {
    fn layout(self) -> Layout {
        if self.terminal { Layout::Pretty } else { Layout::Compact }
    }

    fn text(self, text: &str) -> String {
        if self.terminal { text::block(text).into_owned() } else { text.to_owned() }
    }
}

/// A buffered answer's `data` as it is shown, with a line end.
pub(super) fn buffered(data: &RawValue, style: Style) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Data {
        response: Option<Box<RawValue>>,
    }
    let mut shown = if style.json {
        text::json(data.get(), style.layout())
    } else {
        let Data { response } = serde_json::from_str(data.get()).unwrap_or_default();
        let Some(response) = response.filter(|response| response.get() != "null") else { return String::new() };
        match serde_json::from_str::<String>(response.get()) {
            Ok(plain) => style.text(&plain),
            Err(_) => text::json(response.get(), style.layout()),
        }
    };
    if !shown.is_empty() && !shown.ends_with('\n') {
        shown.push('\n');
    }
    shown
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// As it should.
    End,
    /// With an error, in one line.
    Error(String),
}

/// The meaning of a frame that ends a stream; nothing for others.
pub(super) fn last(frame: &Frame) -> Option<Last> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Failure {
        error: Option<String>,
        message: Option<String>,
    }
    match &*frame.event {
        "stream_end" => Some(Last::End),
        "stream_error" => {
            let Failure { error, message } = serde_json::from_str(&frame.data).unwrap_or_default();
            let line = match (error, message) {
                (Some(error), Some(message)) => format!("{error}: {message}"),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => "the stream ended with an error that the daemon does not name".to_owned(),
            };
            Some(Last::Error(text::line(&line).into_owned()))
        }
        _ => None,
    }
}

/// Turns the frames of one stream into text.
#[derive(Debug)]
pub(super) struct Teller {
    style: Style,
    at_line_start: bool,
    /// The last message that came as a whole, to tell what of the next one is new.
    whole: String,
}

impl Teller {
    pub(super) fn new(style: Style) -> Self {
        Teller { style, at_line_start: true, whole: String::new() }
    }

    /// What is printed for a frame.
    pub(super) fn tell(&mut self, frame: &Frame) -> String {
        if self.style.json {
            return json_line(frame);
        }
        let text = if frame.event == "stream_event" { self.event(&frame.data) } else { String::new() };
        if let Some(end) = text.chars().next_back() {
            self.at_line_start = end == '\n';
        }
        text
    }

    /// What is printed when nothing more comes.
    pub(super) fn end(&mut self) -> &'static str {
        if std::mem::replace(&mut self.at_line_start, true) { "" } else { "\n" }
    }

    fn event(&mut self, data: &str) -> String {
        #[derive(Deserialize)]
        struct Event {
            #[serde(default)]
            data: Option<Box<RawValue>>,
        }
        // A frame of no known shape is shown as it is.
        let Ok(event) = serde_json::from_str::<Event>(data) else { return self.raw(data) };
        let Some(data) = event.data else { return String::new() };
        let value = match serde_json::from_str(data.get()) {
            // Some extensions pass JSON on as text.
            Ok(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Ok(value) => value,
            Err(_) => return self.raw(data.get()),
        };
        match piece(&value) {
            Piece::Delta(text) => self.style.text(text),
            Piece::Whole(text) => self.replaced_by(text),
            Piece::Framing => String::new(),
            Piece::Other => match &value {
                Value::String(text) => self.raw(text),
                _ => self.raw(&text::json(data.get(), Layout::Compact)),
            },
        }
    }

    /// On a line of its own.
    fn raw(&self, text: &str) -> String {
        let before = if self.at_line_start { "" } else { "\n" };
        format!("{before}{}\n", self.style.text(text))
    }

    /// What was printed cannot be taken back: only what is new is shown, or else all of it on a new line.
    fn replaced_by(&mut self, whole: String) -> String {
        let text = match whole.strip_prefix(&*self.whole) {
            Some(new) => self.style.text(new),
            None => format!("{}{}", if self.at_line_start { "" } else { "\n" }, self.style.text(&whole)),
        };
        self.whole = whole;
        text
    }
}

fn json_line(frame: &Frame) -> String {
    let data = match serde_json::from_str::<&RawValue>(&frame.data) {
        Ok(data) => text::json(data.get(), Layout::Compact),
        Err(_) => Value::from(&*frame.data).to_string(),
    };
    let line = format!("{{\"event\":{},\"data\":{data}}}", Value::from(&*frame.event));
    format!("{}\n", text::json(&line, Layout::Compact))
}

/// What an event of the web app contributes.
enum Piece<'a> {
    /// More text.
    Delta(&'a str),
    /// The message so far.
    Whole(String),
    /// Nothing: it marks begin and end in one of the known shapes.
    Framing,
    /// Something else.
    Other,
}

fn piece(data: &Value) -> Piece<'_> {
    let delta = ["/completion", "/delta/text", "/delta", "/text"]
        .iter()
        .find_map(|place| data.pointer(place).and_then(Value::as_str));
    if let Some(delta) = delta {
        return Piece::Delta(delta);
    }
    if let Some(parts) = data.pointer("/message/content/parts").and_then(Value::as_array) {
        let whole: String = parts.iter().filter_map(Value::as_str).collect();
        return if whole.is_empty() { Piece::Framing } else { Piece::Whole(whole) };
    }
    let framing = [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "message_limit",
        "ping",
    ];
    match data.get("type").and_then(Value::as_str) {
        Some(kind) if framing.contains(&kind) => Piece::Framing,
        _ if data.is_null() || data == "[DONE]" => Piece::Framing,
        _ => Piece::Other,
    }
}

#[cfg(test)]
mod tests;
