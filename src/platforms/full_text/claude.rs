//! Claude: `message_start`, then content blocks with their deltas. An older format has `completion` events, each with a
//! piece of the text.

use super::{AnswerDrift, AnswerFormat, object};
use crate::{
    platforms::{joined_text::JoinedText, json},
    sse::SseEventEnd,
    wire::JsonObject,
};
use std::{borrow::Cow, collections::BTreeSet};

/// The highest index of a block.
const INDEX_MAX: u64 = 10_000;

/// Deltas that add nothing to the text, whatever block they belong to.
const NOT_TEXT: [&str; 7] = [
    "citation_end_delta",
    "citation_start_delta",
    "citations_delta",
    "input_json_delta",
    "signature_delta",
    "thinking_delta",
    "thinking_summary_delta",
];

#[derive(Debug, Default)]
pub(super) struct ClaudeAnswer {
    text: JoinedText,
    has_blocks: bool,
    /// Index of the block to which the text was last appended.
    text_block: u64,
    /// Indices of the blocks that are not text.
    other_blocks: BTreeSet<u64>,
    understood: bool,
    unknown: Option<AnswerDrift>,
}

impl AnswerFormat for ClaudeAnswer {
    fn event(&mut self, name: Option<&str>, data: &str, ending: SseEventEnd) -> Result<(), AnswerDrift> {
        let Some(event) = object(data, ending)? else { return Ok(()) };
        let kind = json::text(&event, &["type"]);
        let older = json::field(&event, "completion").map(|_| "completion");
        match kind.as_deref().or(name).or(older).unwrap_or_default() {
            "message_start" => self.start(&event)?,
            "content_block_start" => self.block_start(&event)?,
            "content_block_delta" => self.block_delta(&event)?,
            "completion" => self.completion(&event)?,
            "content_block_stop" | "error" | "ping" => {}
            "message_delta" | "message_stop" => return Ok(()),
            kind => {
                let unknown = if kind.is_empty() { "event_without_type" } else { "unknown_events" };
                self.unknown.get_or_insert(AnswerDrift(unknown));
                return Ok(());
            }
        }
        self.understood = true;
        Ok(())
    }

    fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        match self.unknown {
            Some(unknown) if !self.understood => Err(unknown),
            _ => Ok(Cow::Borrowed(self.text.text())),
        }
    }
}

impl ClaudeAnswer {
    fn start(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        let message = json::field(event, "message").and_then(json::object).ok_or(AnswerDrift("message_start_shape"))?;
        if json::field(&message, "role").is_some_and(|role| json::string(role).as_deref() != Some("assistant")) {
            return Err(AnswerDrift("message_role"));
        }
        *self = ClaudeAnswer { has_blocks: true, ..ClaudeAnswer::default() };
        Ok(())
    }

    fn block_start(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        const SHAPE: AnswerDrift = AnswerDrift("content_block_start_shape");
        let block = json::field(event, "content_block").and_then(json::object).filter(|_| self.has_blocks);
        let block = block.ok_or(SHAPE)?;
        match &*json::text(&block, &["type"]).ok_or(SHAPE)? {
            "text" => self.append(index(event)?, &json::text(&block, &["text"]).unwrap_or_default()),
            _ => {
                self.other_blocks.insert(index(event)?);
                Ok(())
            }
        }
    }

    fn block_delta(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        let delta = json::field(event, "delta").and_then(json::object).filter(|_| self.has_blocks);
        let delta = delta.ok_or(AnswerDrift("content_block_delta_shape"))?;
        match &*json::text(&delta, &["type"]).unwrap_or_default() {
            kind if NOT_TEXT.contains(&kind) => Ok(()),
            "text_delta" => {
                let text = json::text(&delta, &["text"]).ok_or(AnswerDrift("text_delta_shape"))?;
                self.append(index(event)?, &text)
            }
            // In a tool's block every delta belongs to the tool.
            _ if self.other_blocks.contains(&index(event)?) => Ok(()),
            _ => Err(AnswerDrift("unknown_delta")),
        }
    }

    fn completion(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        match json::field(event, "completion").map(json::string) {
            Some(Some(piece)) if !self.has_blocks => self.text.push(&piece),
            None if !self.has_blocks && json::text(event, &["stop_reason"]).is_some() => {}
            _ => return Err(AnswerDrift("completion_shape")),
        }
        Ok(())
    }

    fn append(&mut self, block: u64, text: &str) -> Result<(), AnswerDrift> {
        if self.other_blocks.contains(&block) {
            return Err(AnswerDrift("text_in_other_block"));
        }
        if block < self.text_block {
            return Err(AnswerDrift("content_block_order"));
        }
        if self.other_blocks.range(self.text_block..block).next().is_some() {
            self.text.break_paragraph();
        }
        self.text_block = block;
        self.text.push(text);
        Ok(())
    }
}

fn index(event: &JsonObject<'_>) -> Result<u64, AnswerDrift> {
    let Some(index) = json::field(event, "index") else { return Ok(0) };
    serde_json::from_str(index).ok().filter(|index| *index <= INDEX_MAX).ok_or(AnswerDrift("content_block_index"))
}
