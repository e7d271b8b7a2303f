//! Claude: `message_start`, blocks of content with their deltas, `message_stop`. An older form has `completion` events,
//! each with a piece of the text.

use super::AnswerDrift;
use crate::{
    platforms::{event_stream::SseEventEnd, joined_text::JoinedText, json},
    wire::JsonObject,
};
use std::{borrow::Cow, collections::HashMap};

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

/// Reasons to stop after which the answer is whole.
const ENDS: [&str; 3] = ["end_turn", "max_tokens", "stop_sequence"];

/// State of the answer after the events so far.
#[derive(Debug, Default)]
pub(super) struct ClaudeAnswer {
    form: ClaudeFormat,
    understood: bool,
    unknown: Option<AnswerDrift>,
}

#[derive(Debug, Default)]
enum ClaudeFormat {
    #[default]
    Open,
    Blocks(ContentBlocks),
    Older(String),
}

/// The blocks of a message, in the order in which they were first named.
#[derive(Debug, Default)]
struct ContentBlocks {
    blocks: Vec<ContentBlock>,
    places: HashMap<u64, usize>,
}

#[derive(Debug)]
enum ContentBlock {
    Text(String),
    Other,
}

impl ClaudeAnswer {
    pub(super) fn event(&mut self, name: Option<&str>, data: &str, ending: SseEventEnd) -> Result<(), AnswerDrift> {
        let Some(event) = json::object(data) else {
            return if ending == SseEventEnd::Line { Err(AnswerDrift("event_not_json")) } else { Ok(()) };
        };
        let kind = json::text(&event, &["type"]);
        let older = json::field(&event, "completion").map(|_| "completion");
        match kind.as_deref().or(name).or(older).unwrap_or_default() {
            "message_start" => self.start(&event)?,
            "content_block_start" => self.block_start(&event)?,
            "content_block_delta" => self.block_delta(&event)?,
            "completion" => self.completion(&event)?,
            "message_delta" => self.message_delta(&event)?,
            "message_stop" => self.stop()?,
            "content_block_stop" | "error" | "ping" => {}
            kind => {
                let unknown = if kind.is_empty() { "event_without_type" } else { "unknown_events" };
                self.unknown.get_or_insert(AnswerDrift(unknown));
                return Ok(());
            }
        }
        self.understood = true;
        Ok(())
    }

    pub(super) fn text(&self) -> Result<Cow<'_, str>, AnswerDrift> {
        match (&self.form, self.unknown) {
            (ClaudeFormat::Blocks(blocks), _) => Ok(blocks.text()),
            (ClaudeFormat::Older(text), _) => Ok(Cow::Borrowed(text)),
            (ClaudeFormat::Open, Some(unknown)) if !self.understood => Err(unknown),
            (ClaudeFormat::Open, _) => Ok(Cow::Borrowed("")),
        }
    }

    fn start(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        let message = json::field(event, "message").and_then(json::object).ok_or(AnswerDrift("message_start_shape"))?;
        if json::field(&message, "role").is_some_and(|role| json::string(role).as_deref() != Some("assistant")) {
            return Err(AnswerDrift("message_role"));
        }
        self.form = ClaudeFormat::Blocks(ContentBlocks::default());
        Ok(())
    }

    fn block_start(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        const SHAPE: AnswerDrift = AnswerDrift("content_block_start_shape");
        let ClaudeFormat::Blocks(blocks) = &mut self.form else { return Err(SHAPE) };
        let block = json::field(event, "content_block").and_then(json::object).ok_or(SHAPE)?;
        let kind = json::text(&block, &["type"]).ok_or(SHAPE)?;
        let begun = match &*kind {
            "text" => ContentBlock::Text(json::text(&block, &["text"]).unwrap_or_default().into_owned()),
            _ => ContentBlock::Other,
        };
        blocks.begin(index(event)?, begun)
    }

    fn block_delta(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        const SHAPE: AnswerDrift = AnswerDrift("content_block_delta_shape");
        let ClaudeFormat::Blocks(blocks) = &mut self.form else { return Err(SHAPE) };
        let delta = json::field(event, "delta").and_then(json::object).ok_or(SHAPE)?;
        let kind = json::text(&delta, &["type"]).unwrap_or_default();
        if NOT_TEXT.contains(&&*kind) {
            return Ok(());
        }
        let index = index(event)?;
        if kind == "text_delta" {
            return blocks.append(index, &json::text(&delta, &["text"]).ok_or(AnswerDrift("text_delta_shape"))?);
        }
        // Within a tool's block every delta is the tool's.
        if blocks.is_other(index) { Ok(()) } else { Err(AnswerDrift("unknown_delta")) }
    }

    fn completion(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        const SHAPE: AnswerDrift = AnswerDrift("completion_shape");
        let piece = match json::field(event, "completion") {
            Some(piece) => json::string(piece).ok_or(SHAPE)?,
            None if json::text(event, &["stop_reason"]).is_some() => "".into(),
            None => return Err(SHAPE),
        };
        match &mut self.form {
            ClaudeFormat::Blocks(_) => return Err(SHAPE),
            ClaudeFormat::Older(text) => text.push_str(&piece),
            open @ ClaudeFormat::Open => *open = ClaudeFormat::Older(piece.into_owned()),
        }
        Ok(())
    }

    fn message_delta(&mut self, event: &JsonObject<'_>) -> Result<(), AnswerDrift> {
        let delta = json::field(event, "delta").and_then(json::object);
        let reason = delta.and_then(|delta| json::text(&delta, &["stop_reason"]));
        if reason.is_some_and(|reason| ENDS.contains(&&*reason)) { self.stop() } else { Ok(()) }
    }

    fn stop(&self) -> Result<(), AnswerDrift> {
        if matches!(self.form, ClaudeFormat::Open) { Err(AnswerDrift("stop_without_start")) } else { Ok(()) }
    }
}

impl ContentBlocks {
    fn begin(&mut self, index: u64, block: ContentBlock) -> Result<(), AnswerDrift> {
        if self.places.insert(index, self.blocks.len()).is_some() {
            return Err(AnswerDrift("content_block_twice"));
        }
        self.blocks.push(block);
        Ok(())
    }

    fn append(&mut self, index: u64, text: &str) -> Result<(), AnswerDrift> {
        match self.places.get(&index).and_then(|place| self.blocks.get_mut(*place)) {
            Some(ContentBlock::Text(so_far)) => so_far.push_str(text),
            Some(ContentBlock::Other) => return Err(AnswerDrift("text_in_other_block")),
            None => self.begin(index, ContentBlock::Text(text.to_owned()))?,
        }
        Ok(())
    }

    fn is_other(&self, index: u64) -> bool {
        self.places.get(&index).is_some_and(|place| matches!(self.blocks.get(*place), Some(ContentBlock::Other)))
    }

    fn text(&self) -> Cow<'_, str> {
        let said = |block: &&ContentBlock| matches!(block, ContentBlock::Text(text) if !text.is_empty());
        let mut texts = self.blocks.iter().filter(said);
        if let (Some(ContentBlock::Text(only)), None) = (texts.next(), texts.next()) {
            return Cow::Borrowed(only);
        }
        let mut joined = JoinedText::default();
        for block in &self.blocks {
            match block {
                ContentBlock::Text(text) => joined.push(text),
                ContentBlock::Other => joined.break_paragraph(),
            }
        }
        Cow::Owned(joined.into_text())
    }
}

fn index(event: &JsonObject<'_>) -> Result<u64, AnswerDrift> {
    let Some(index) = json::field(event, "index") else { return Ok(0) };
    serde_json::from_str(index).ok().filter(|index| *index <= INDEX_MAX).ok_or(AnswerDrift("content_block_index"))
}
