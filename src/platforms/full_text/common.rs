//! Any app: text deltas in the shapes that many apps share, joined. A whole ChatGPT message replaces the text so far.

use super::{AnswerDrift, AnswerFormat};
use crate::{platforms::json, sse::SseEventEnd};
use std::borrow::Cow;

/// The joined deltas. Events without one are skipped, so no answer is a drift.
#[derive(Debug, Default)]
pub(super) struct CommonAnswer(String);

impl AnswerFormat for CommonAnswer {
    fn event(&mut self, _: Option<&str>, data: &str, _: SseEventEnd) -> Result<(), AnswerDrift> {
        if !["completion", "delta", "text", "parts"].iter().any(|name| data.contains(name)) {
            return Ok(());
        }
        let Some(event) = json::object(data.trim()) else { return Ok(()) };
        let content = json::own(&event, "message").and_then(json::object).and_then(|it| json::own(&it, "content"));
        let parts = content.and_then(json::object).and_then(|it| json::own(&it, "parts"));
        if let Some(parts) = parts.filter(|parts| parts.starts_with('[')) {
            let mut whole = String::new();
            json::each(parts, |part| {
                whole.push_str(&json::string(part).unwrap_or_default());
                Ok::<_, AnswerDrift>(())
            })?;
            if !whole.is_empty() {
                self.0 = whole;
            }
            return Ok(());
        }
        let delta = json::own(&event, "delta");
        let text = delta.and_then(json::object).and_then(|it| json::own(&it, "text"));
        let shapes = [json::own(&event, "completion"), text, delta, json::own(&event, "text")];
        self.0.push_str(&shapes.into_iter().flatten().find_map(json::string).unwrap_or_default());
        Ok(())
    }

    fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        Ok(Cow::Borrowed(&self.0))
    }
}
