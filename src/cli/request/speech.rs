//! The answer to a prompt as it grows: what the assistant says, without thoughts and tools.
//!
//! ```text
//! nothing understood yet ──► text ──► text … ──► end
//!          │                           │
//!          └── end, or too much held ──┴── another form ──► the rest as it came
//! ```

use super::{
    answer::{Event, Style},
    sheet::Sheet,
};
use crate::{
    cli::{
        event_stream::Frame,
        text::{self, Layout},
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
const GATHERED_BYTES_MAX: usize = 8 << 20;

/// Turns the frames of a stream into the assistant's text.
#[derive(Debug)]
pub(super) struct Speech {
    sheet: Sheet,
    source: Source,
    understood: bool,
    /// What was not understood, while that may still change.
    held: Vec<String>,
    drift: Option<AnswerDrift>,
}

#[derive(Debug)]
enum Source {
    /// Events of their own meaning.
    Events(FullTextReader),
    /// One text in pieces.
    Pieces(FinalMessageExtractor, String),
    /// What has no known form.
    Raw,
}

impl Speech {
    /// The answers of this app; nothing for one that nobody knows.
    pub(super) fn of(app: FinalMessageExtractor, style: Style) -> Option<Self> {
        let source = match (FullTextReader::of(app), app) {
            (Some(reader), _) => Source::Events(reader),
            (None, FinalMessageExtractor::None) => return None,
            (None, app) => Source::Pieces(app, String::new()),
        };
        Some(Speech { sheet: Sheet::new(style), source, understood: false, held: Vec::new(), drift: None })
    }

    /// What is printed for a frame.
    pub(super) fn tell(&mut self, frame: &Frame) -> String {
        if frame.event != "stream_event" {
            return String::new();
        }
        let Ok(event) = serde_json::from_str::<Event>(&frame.data) else { return self.sheet.raw(&frame.data) };
        let Some(data) = event.data.filter(|data| data.get() != "null") else { return String::new() };
        if let Some(whole) = whole(data.get()) {
            self.understood = true;
            return self.sheet.replaced_by(&whole);
        }
        // Our extension passes data on as text.
        let data = serde_json::from_str(data.get()).unwrap_or_else(|_| text::json(data.get(), Layout::Compact));
        let read = match &mut self.source {
            Source::Events(reader) => {
                // The name of an event that has none.
                let name = event.event.as_deref().filter(|name| *name != "message");
                let data = Some(Cow::Borrowed(&*data));
                reader.event(&event_stream::SseEvent { lines: 0..0, name, data, ending: SseEventEnd::Line });
                reader.text()
            }
            Source::Pieces(app, so_far) => {
                so_far.push_str(&data);
                match full_text::full_text(*app, so_far) {
                    Some(read) if so_far.len() <= GATHERED_BYTES_MAX => read.map(Cow::Owned),
                    _ => return self.give_up(data),
                }
            }
            Source::Raw => return self.sheet.raw(&data),
        };
        match read {
            Ok(said) => {
                self.understood = true;
                self.held.clear();
                self.sheet.replaced_by(&said)
            }
            Err(drift) => {
                self.drift = Some(drift);
                let held: usize = self.held.iter().map(String::len).sum();
                if self.understood || held + data.len() > HELD_BYTES_MAX {
                    return self.give_up(data);
                }
                self.held.push(data);
                String::new()
            }
        }
    }

    /// What is printed when nothing more comes.
    pub(super) fn end(&mut self) -> String {
        let mut rest = self.release();
        rest.push_str(&self.sheet.end());
        rest
    }

    /// What has to be said beside the text.
    pub(super) fn remark(&self) -> Option<String> {
        self.sheet.remark(self.drift.map(AnswerDrift::reason))
    }

    fn give_up(&mut self, data: String) -> String {
        self.source = Source::Raw;
        let mut rest = self.release();
        rest.push_str(&self.sheet.raw(&data));
        rest
    }

    fn release(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        held.iter().map(|data| self.sheet.raw(data)).collect()
    }
}

/// The text of an answer that the daemon got whole and has read already.
fn whole(data: &str) -> Option<String> {
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
