//! Extracts the assistant's text from an app's answer, as far as the answer arrived, without thoughts and tool calls.
//!
//! Only the text is read here: whether an answer is finished, its ids and its error are read by the extension. None of
//! these formats is documented. Unexpected input that may affect the text is reported as an [`AnswerDrift`] and never
//! yields partial text. Each reader makes one pass and keeps only the text; everything else it keeps is bounded in number.

mod chatgpt;
mod claude;
mod common;
mod gemini;

use super::{json, registry::FinalMessageExtractor};
use crate::{
    sse::{SseEvent, SseEventEnd, events, is_foreign},
    wire::JsonObject,
};
use std::{borrow::Cow, fmt};

/// Largest answer that may be a refusal, in bytes.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// An answer in an unknown format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("not understood: {0}")]
pub struct AnswerDrift(&'static str);

impl AnswerDrift {
    /// Name of the unexpected element, from a fixed set.
    pub fn reason(self) -> &'static str {
        self.0
    }
}

impl From<json::NotAnArray> for AnswerDrift {
    fn from(_: json::NotAnArray) -> Self {
        AnswerDrift("not_an_array")
    }
}

/// A format of event streams, and the text read so far.
trait AnswerFormat: fmt::Debug {
    /// Reads the name and the data of the next event.
    fn event(&mut self, name: Option<&str>, data: &str, ending: SseEventEnd) -> Result<(), AnswerDrift>;

    /// Returns the text so far.
    fn text(&self) -> Result<Cow<'_, str>, AnswerDrift>;
}

/// Reads an event-stream answer event by event.
#[derive(Debug)]
pub struct FullTextReader {
    answer: Result<Box<dyn AnswerFormat>, AnswerDrift>,
}

impl FullTextReader {
    /// Returns a reader for the app's event streams; `None` if the app has none or is unknown.
    pub fn of(app: FinalMessageExtractor) -> Option<Self> {
        let answer: Box<dyn AnswerFormat> = match app {
            FinalMessageExtractor::Claude => Box::<claude::ClaudeAnswer>::default(),
            FinalMessageExtractor::Chatgpt => Box::<chatgpt::ChatgptAnswer>::default(),
            FinalMessageExtractor::Gemini | FinalMessageExtractor::None => return None,
        };
        Some(FullTextReader { answer: Ok(answer) })
    }

    /// Returns a reader that joins the text deltas of any known shape, for event streams of any origin.
    pub fn of_any_app() -> Self {
        FullTextReader { answer: Ok(Box::<common::CommonAnswer>::default()) }
    }

    /// Reads the next event. Nothing is read after a drift.
    pub fn event(&mut self, event: &SseEvent<'_>) {
        let (Ok(answer), Some(data)) = (&mut self.answer, &event.data) else { return };
        if let Err(drift) = answer.event(event.name, data, event.ending) {
            self.answer = Err(drift);
        }
    }

    /// Returns the text so far, which may still be replaced; empty if the answer contains none yet. An answer not
    /// understood so far may become readable.
    pub fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        self.answer.as_ref().map_err(|drift| *drift)?.text()
    }

    /// Returns the text; empty if the answer contains none.
    pub fn finish(self) -> Result<String, AnswerDrift> {
        self.text().map(Cow::into_owned)
    }
}

/// Returns the text of an app's whole answer; `None` for an unknown app. The text is empty if the answer contains none.
pub fn full_text(app: FinalMessageExtractor, answer: &str) -> Option<Result<String, AnswerDrift>> {
    let text = match FullTextReader::of(app) {
        Some(reader) => streamed(reader, answer),
        None if app == FinalMessageExtractor::Gemini => gemini::read(answer),
        None => return None,
    };
    Some(text.or_else(|drift| if is_refusal(answer) { Ok(String::new()) } else { Err(drift) }))
}

fn streamed(mut reader: FullTextReader, answer: &str) -> Result<String, AnswerDrift> {
    let mut has_data = false;
    for event in events(answer) {
        has_data |= event.data.is_some();
        reader.event(&event);
    }
    if !has_data && is_foreign(answer) {
        return Err(AnswerDrift("no_event_stream"));
    }
    reader.finish()
}

/// Returns the data of an event as an object; `None` if the end of the answer cut it.
fn object(data: &str, ending: SseEventEnd) -> Result<Option<JsonObject<'_>>, AnswerDrift> {
    match json::object(data) {
        None if ending == SseEventEnd::Line => Err(AnswerDrift("event_not_json")),
        object => Ok(object),
    }
}

/// Whether this is a short JSON object that reports an error.
fn is_refusal(answer: &str) -> bool {
    answer.len() <= REFUSAL_BYTES_MAX
        && json::object(answer.trim())
            .is_some_and(|object| ["error", "detail"].iter().any(|name| json::own(&object, name).is_some()))
}

#[cfg(test)]
mod tests;
