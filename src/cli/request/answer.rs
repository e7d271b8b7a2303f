//! What is shown of an answer: its `response`, or the text that its events spell in shapes that many apps share.
//!
//! Invariant: whatever the daemon sends becomes text; nothing of it is believed to have a shape. What a terminal is
//! shown cannot steer it; a file or a pipe gets the text as it is.

use super::{meaning::Meaning, sheet::Sheet};
use crate::cli::{
    event_stream::Frame,
    text::{self, Layout, Prose},
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

    pub(super) fn text(self, text: &str) -> String {
        if self.terminal { Prose::of(text) } else { text.to_owned() }
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
    /// With an error, in one line, and what it means for the exit code.
    Error(String, Meaning),
}

/// The meaning of a frame that ends a stream; nothing for others.
pub(super) fn last(frame: &Frame) -> Option<Last> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Failure {
        error: Option<String>,
        http_error: Option<String>,
        message: Option<String>,
        suggested_action: Option<String>,
        status: Option<u16>,
    }
    match &*frame.event {
        "stream_end" => Some(Last::End),
        "stream_error" => {
            let Failure { error, http_error, message, suggested_action, status } =
                serde_json::from_str(&frame.data).unwrap_or_default();
            let meaning = Meaning::of(http_error.as_deref().unwrap_or_default(), status.unwrap_or_default());
            let mut line = match (error, message) {
                (Some(error), Some(message)) => format!("{error}: {message}"),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => "the stream ended with an error that the daemon does not name".to_owned(),
            };
            // What helps is what a person wants to read.
            line.extend(suggested_action.map(|action| format!(" {action}")));
            Some(Last::Error(text::line(&line).into_owned(), meaning))
        }
        _ => None,
    }
}

/// Turns the frames of one stream into text.
#[derive(Debug)]
pub(super) struct Teller {
    style: Style,
    sheet: Sheet,
}

impl Teller {
    pub(super) fn new(style: Style) -> Self {
        Teller { style, sheet: Sheet::new(style) }
    }

    /// What is printed for a frame.
    pub(super) fn tell(&mut self, frame: &Frame) -> String {
        if self.style.json {
            return json_line(frame);
        }
        if frame.event == "stream_event" { self.event(&frame.data) } else { String::new() }
    }

    /// What is printed when nothing more comes.
    pub(super) fn end(&mut self) -> String {
        self.sheet.end()
    }

    /// What has to be said beside the text.
    pub(super) fn remark(&self) -> Option<String> {
        self.sheet.remark(None)
    }

    fn event(&mut self, data: &str) -> String {
        // A frame of no known shape is shown as it is.
        let Ok(event) = serde_json::from_str::<Event>(data) else { return self.sheet.raw(data) };
        let Some(data) = event.data else { return String::new() };
        let value = match serde_json::from_str(data.get()) {
            // Some extensions pass JSON on as text.
            Ok(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Ok(value) => value,
            Err(_) => return self.sheet.raw(data.get()),
        };
        match piece(&value) {
            Piece::Delta(text) => self.sheet.add(text),
            Piece::Whole(text) => self.sheet.replaced_by(&text),
            Piece::Framing => String::new(),
            Piece::Other => match &value {
                Value::String(text) => self.sheet.raw(text),
                _ => self.sheet.raw(&text::json(data.get(), Layout::Compact)),
            },
        }
    }
}

/// What a `stream_event` says of the app's event.
#[derive(Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) event: Option<String>,
    #[serde(default)]
    pub(super) data: Option<Box<RawValue>>,
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
