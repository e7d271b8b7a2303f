//! The text that an app's answer spells: what its assistant says, as far as the answer came, without thoughts and tools.
//!
//! None of these forms is promised by anyone. What is not as it should be is a [`AnswerDrift`], never half a text; the reasons
//! have the names that the extension's readers give them. Each reader takes an answer in one pass and keeps no more of it
//! than the text, with all numbers of what else it keeps bounded.

mod chatgpt;
mod claude;
mod gemini;

use super::{
    event_stream::{SseEvent, events, is_foreign},
    json,
    registry::FinalMessageExtractor,
};
use std::borrow::Cow;

/// An answer longer than this is no short word of refusal.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// An answer is not of a form that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("not understood: {0}")]
pub struct AnswerDrift(&'static str);

impl AnswerDrift {
    /// What was not understood, as a name: one of a fixed set.
    pub fn reason(self) -> &'static str {
        self.0
    }
}

impl From<json::NotAnArray> for AnswerDrift {
    fn from(_: json::NotAnArray) -> Self {
        AnswerDrift("not_an_array")
    }
}

/// Reads an answer that is an event stream, event by event.
#[derive(Debug)]
pub struct FullTextReader {
    answer: Result<AnswerReader, AnswerDrift>,
}

#[derive(Debug)]
enum AnswerReader {
    Claude(claude::ClaudeAnswer),
    Chatgpt(Box<chatgpt::ChatgptAnswer>),
}

impl FullTextReader {
    /// A reader for this app's event streams; nothing for one that has none, or that nobody knows.
    pub fn of(app: FinalMessageExtractor) -> Option<Self> {
        let answer = match app {
            FinalMessageExtractor::Claude => AnswerReader::Claude(claude::ClaudeAnswer::default()),
            FinalMessageExtractor::Chatgpt => AnswerReader::Chatgpt(Box::default()),
            FinalMessageExtractor::Gemini | FinalMessageExtractor::None => return None,
        };
        Some(FullTextReader { answer: Ok(answer) })
    }

    /// The next event. After a drift nothing more is read.
    pub fn event(&mut self, event: &SseEvent<'_>) {
        let (Ok(answer), Some(data)) = (&mut self.answer, &event.data) else { return };
        let read = match answer {
            AnswerReader::Claude(answer) => answer.event(event.name, data, event.ending),
            AnswerReader::Chatgpt(answer) => answer.event(event.name, data, event.ending),
        };
        if let Err(drift) = read {
            self.answer = Err(drift);
        }
    }

    /// The text so far, which may still turn into another; empty when the answer was understood and says nothing yet. One
    /// of which nothing was understood so far may yet be.
    pub fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        match self.answer.as_ref().map_err(|drift| *drift)? {
            AnswerReader::Claude(answer) => answer.text(),
            AnswerReader::Chatgpt(answer) => answer.text(),
        }
    }

    /// The text; empty when the answer was understood and says nothing.
    pub fn finish(self) -> Result<String, AnswerDrift> {
        self.text().map(Cow::into_owned)
    }
}

/// The text that this app's whole answer spells; nothing for an app that nobody knows. Empty when the answer was
/// understood and says nothing.
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

/// Whether this is a short JSON object that tells of an error.
fn is_refusal(answer: &str) -> bool {
    answer.len() <= REFUSAL_BYTES_MAX
        && json::object(answer.trim())
            .is_some_and(|object| ["error", "detail"].iter().any(|name| json::own(&object, name).is_some()))
}

#[cfg(test)]
mod tests;
