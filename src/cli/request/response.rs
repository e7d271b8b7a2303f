//! Renders responses: the `response` field of a buffered one, or the text in events of common formats.
//!
//! Invariant: any data from the daemon can be rendered, whatever its format. Control characters are escaped on a terminal;
//! a file or a pipe receives the text unchanged.

use super::{
    failure_kind::FailureKind,
    output_buffer::{OutputBuffer, ResponseStyle},
};
use crate::{
    cli::text::{self, JsonLayout},
    sse::SseFrame,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// Renders the `data` of a buffered response, ending with a newline.
pub(super) fn render_buffered(data: &RawValue, style: ResponseStyle) -> String {
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    Completed,
    /// An error: its message in one line and its kind.
    Failed(String, FailureKind),
}

/// Returns how a frame ends the stream, or `None` if it does not.
pub(super) fn stream_end(frame: &SseFrame) -> Option<StreamEnd> {
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
        "stream_end" => Some(StreamEnd::Completed),
        "stream_error" => {
            let Failure { error, http_error, message, suggested_action, status } =
                serde_json::from_str(&frame.data).unwrap_or_default();
            let kind = FailureKind::of(http_error.as_deref().unwrap_or_default(), status.unwrap_or_default());
            let mut line = match (error, message) {
                (Some(error), Some(message)) => format!("{error}: {message}"),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => "the stream ended with an unnamed error".to_owned(),
            };
            line.extend(suggested_action.map(|action| format!(" {action}")));
            Some(StreamEnd::Failed(text::line(&line).into_owned(), kind))
        }
        _ => None,
    }
}

/// Renders the frames of a stream as text.
#[derive(Debug)]
pub(super) struct EventRenderer {
    style: ResponseStyle,
    output: OutputBuffer,
}

impl EventRenderer {
    pub(super) fn new(style: ResponseStyle) -> Self {
        EventRenderer { style, output: OutputBuffer::new(style) }
    }

    pub(super) fn render(&mut self, frame: &SseFrame) -> String {
        if self.style.json {
            return json_line(frame);
        }
        if frame.event == "stream_event" { self.event(&frame.data) } else { String::new() }
    }

    /// Returns the text to print at the end of the stream.
    pub(super) fn finish(&mut self) -> String {
        self.output.end_line()
    }

    /// A warning about the printed text.
    pub(super) fn warning(&self) -> Option<String> {
        self.output.warning(None)
    }

    fn event(&mut self, data: &str) -> String {
        // A frame in an unknown format is printed raw.
        let Ok(event) = serde_json::from_str::<AppEvent>(data) else { return self.output.append_raw(data) };
        let Some(data) = event.data else { return String::new() };
        let value = match serde_json::from_str(data.get()) {
            // Some extensions send JSON as a string.
            Ok(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Ok(value) => value,
            Err(_) => return self.output.append_raw(data.get()),
        };
        match event_content(&value) {
            EventContent::Delta(text) => self.output.append(text),
            EventContent::Whole(text) => self.output.replace(&text),
            EventContent::Framing => String::new(),
            EventContent::Other => match &value {
                Value::String(text) => self.output.append_raw(text),
                _ => self.output.append_raw(&text::json(data.get(), JsonLayout::Compact)),
            },
        }
    }
}

/// The web app's event in a `stream_event`.
#[derive(Deserialize)]
pub(super) struct AppEvent {
    #[serde(default)]
    pub(super) event: Option<String>,
    #[serde(default)]
    pub(super) data: Option<Box<RawValue>>,
}

fn json_line(frame: &SseFrame) -> String {
    let data = match serde_json::from_str::<&RawValue>(&frame.data) {
        Ok(data) => text::json(data.get(), JsonLayout::Compact),
        Err(_) => Value::from(&*frame.data).to_string(),
    };
    let line = format!("{{\"event\":{},\"data\":{data}}}", Value::from(&*frame.event));
    format!("{}\n", text::json(&line, JsonLayout::Compact))
}

/// The text content of a web app's event.
enum EventContent<'a> {
    /// Text to append.
    Delta(&'a str),
    /// The whole message so far.
    Whole(String),
    /// No text: a begin, end or keep-alive event of a known format.
    Framing,
    /// An event in an unknown format.
    Other,
}

fn event_content(data: &Value) -> EventContent<'_> {
    let delta = ["/completion", "/delta/text", "/delta", "/text"]
        .iter()
        .find_map(|place| data.pointer(place).and_then(Value::as_str));
    if let Some(delta) = delta {
        return EventContent::Delta(delta);
    }
    if let Some(parts) = data.pointer("/message/content/parts").and_then(Value::as_array) {
        let whole: String = parts.iter().filter_map(Value::as_str).collect();
        return if whole.is_empty() { EventContent::Framing } else { EventContent::Whole(whole) };
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
        Some(kind) if framing.contains(&kind) => EventContent::Framing,
        _ if data.is_null() || data == "[DONE]" => EventContent::Framing,
        _ => EventContent::Other,
    }
}

#[cfg(test)]
mod tests;
