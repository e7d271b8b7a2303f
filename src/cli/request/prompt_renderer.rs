//! The answer to a prompt as it grows: what the assistant says, without thoughts and tools.
//!
//! ```text
//! nothing understood yet ──► text ──► text … ──► end
//!          │                           │
//!          └── end, or too much held ──┴── another form ──► the rest as it came
//! ```

use super::{
    output_buffer::OutputBuffer,
    response::{AppEvent, ResponseStyle},
};
use crate::{
    cli::{
        event_stream::SseFrame,
        text::{self, JsonLayout},
    },
    platforms::{
        event_stream::{self, SseEventEnd},
        full_text::{self, AnswerDrift, FullTextReader},
        registry::FinalMessageExtractor,
    },
};
use serde::Deserialize;
use std::borrow::Cow;

/// Most bytes of events that are held back because what follows may explain them.
const HELD_BYTES_MAX: usize = 16 << 10;
/// Most bytes of an answer that is read anew each time more of it comes.
const REREAD_BYTES_MAX: usize = 8 << 20;

/// Turns the frames of a stream into the assistant's text.
#[derive(Debug)]
pub(super) struct PromptRenderer {
    output: OutputBuffer,
    source: AnswerSource,
    understood: bool,
    /// What was not understood, while that may still change.
    held: Vec<String>,
    drift: Option<AnswerDrift>,
}

#[derive(Debug)]
enum AnswerSource {
    /// Events of their own meaning.
    Events(FullTextReader),
    /// One text in pieces.
    Pieces(FinalMessageExtractor, String),
    /// What has no known form.
    Raw,
}

impl PromptRenderer {
    /// The answers of this app; nothing for one that nobody knows.
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

    /// What is printed for a frame.
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
        // Our extension passes data on as text.
        let data = serde_json::from_str(data.get()).unwrap_or_else(|_| text::json(data.get(), JsonLayout::Compact));
        let read = match &mut self.source {
            AnswerSource::Events(reader) => {
                // The name of an event that has none.
                let name = event.event.as_deref().filter(|name| *name != "message");
                let data = Some(Cow::Borrowed(&*data));
                reader.event(&event_stream::SseEvent { lines: 0..0, name, data, ending: SseEventEnd::Line });
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
            Ok(said) => {
                self.understood = true;
                self.held.clear();
                self.output.replace(&said)
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

    /// What is printed when nothing more comes.
    pub(super) fn finish(&mut self) -> String {
        let mut rest = self.flush_held();
        rest.push_str(&self.output.end_line());
        rest
    }

    /// What has to be said beside the text.
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

/// The text of an answer that the daemon got whole and has read already.
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
