//! Renders the response to a prompt as it arrives: only the assistant's text, without thoughts and tools.
//!
//! ```text
//! no text yet ──► text ──► text … ──► end
//!      │                      │
//!      └── end, or too much held ──┴── unknown format ──► the rest is printed raw
//! ```

use super::{
    output_buffer::{OutputBuffer, ResponseStyle},
    response::AppEvent,
};
use crate::{
    cli::text::{self, JsonLayout},
    platforms::{
        full_text::{self, AnswerDrift, FullTextReader},
        registry::FinalMessageExtractor,
    },
    sse::{SseEvent, SseEventEnd, SseFrame},
};
use serde::Deserialize;
use std::borrow::Cow;

/// Maximum bytes of unknown events that are held back, since later events may explain them.
const HELD_BYTES_MAX: usize = 16 << 10;
/// Maximum size of a response that is reread whole with each new piece.
const REREAD_BYTES_MAX: usize = 8 << 20;

/// Extracts and renders the assistant's text of a stream.
#[derive(Debug)]
pub(super) struct PromptRenderer {
    output: OutputBuffer,
    source: AnswerSource,
    understood: bool,
    /// Unknown events, while later ones may still explain them.
    held: Vec<String>,
    drift: Option<AnswerDrift>,
}

#[derive(Debug)]
enum AnswerSource {
    Events(FullTextReader),
    /// One text in pieces, and the pieces so far.
    Pieces(FinalMessageExtractor, String),
    Raw,
}

impl PromptRenderer {
    /// Returns a renderer for the app, or `None` if it has no extractor.
    pub(super) fn of(app: FinalMessageExtractor, style: ResponseStyle) -> Option<Self> {
        let source = match (FullTextReader::of(app), app) {
            (Some(reader), _) => AnswerSource::Events(reader),
            (None, FinalMessageExtractor::None) => return None,
            (None, app) => AnswerSource::Pieces(app, String::new()),
        };
        Some(PromptRenderer {
            output: OutputBuffer::new(style),
            source,
            understood: false,
            held: Vec::new(),
            drift: None,
        })
    }

    pub(super) fn render(&mut self, frame: &SseFrame) -> String {
        if frame.event != "stream_event" {
            return String::new();
        }
        let Ok(event) = serde_json::from_str::<AppEvent>(&frame.data) else {
            return self.output.append_raw(&frame.data);
        };
        let Some(data) = event.data.filter(|data| data.get() != "null") else { return String::new() };
        if let Some(whole) = buffered_text(data.get()) {
            self.understood = true;
            return self.output.replace(&whole);
        }
        // The extension sends the data as a string.
        let data = serde_json::from_str(data.get()).unwrap_or_else(|_| text::json(data.get(), JsonLayout::Compact));
        let read = match &mut self.source {
            AnswerSource::Events(reader) => {
                // `message` is the name of an event without a name.
                let name = event.event.as_deref().filter(|name| *name != "message");
                let data = Some(Cow::Borrowed(&*data));
                reader.event(&SseEvent { lines: 0..0, name, data, ending: SseEventEnd::Line });
                reader.text()
            }
            AnswerSource::Pieces(app, so_far) => {
                so_far.push_str(&data);
                match full_text::full_text(*app, so_far) {
                    Some(read) if so_far.len() <= REREAD_BYTES_MAX => read.map(Cow::Owned),
                    _ => return self.switch_to_raw(data),
                }
            }
            AnswerSource::Raw => return self.output.append_raw(&data),
        };
        match read {
            Ok(text) => {
                self.understood = true;
                self.held.clear();
                self.output.replace(&text)
            }
            Err(drift) => {
                self.drift = Some(drift);
                let held: usize = self.held.iter().map(String::len).sum();
                if self.understood || held + data.len() > HELD_BYTES_MAX {
                    return self.switch_to_raw(data);
                }
                self.held.push(data);
                String::new()
            }
        }
    }

    /// Returns the text to print at the end of the stream.
    pub(super) fn finish(&mut self) -> String {
        let mut rest = self.flush_held();
        rest.push_str(&self.output.end_line());
        rest
    }

    /// A warning about the printed text.
    pub(super) fn warning(&self) -> Option<String> {
        self.output.warning(self.drift.map(AnswerDrift::reason))
    }

    fn switch_to_raw(&mut self, data: String) -> String {
        self.source = AnswerSource::Raw;
        let mut rest = self.flush_held();
        rest.push_str(&self.output.append_raw(&data));
        rest
    }

    fn flush_held(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        held.iter().map(|data| self.output.append_raw(data)).collect()
    }
}

/// Returns the text of a buffered event stream that the daemon has already extracted.
fn buffered_text(data: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Whole {
        content_type: String,
        full_text: String,
    }
    let whole: Whole = data.starts_with('{').then(|| serde_json::from_str(data).ok()).flatten()?;
    (whole.content_type == "text/event-stream").then_some(whole.full_text)
}

#[cfg(test)]
mod tests;
