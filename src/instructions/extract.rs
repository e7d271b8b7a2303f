//! Stage `extract`: the `baa` blocks of a message.
//!
//! An instruction block is a fenced code block at the top level of the Markdown document whose info string is exactly
//! `baa`. The document is parsed by `pulldown-cmark`; where that deviates from CommonMark, it parses a [`shape`] of the text
//! that both read alike, or the message is refused.
//!
//! Invariant: a [`InstructionBlock`] is closed, is no larger than [`BLOCK_BYTES_MAX`], and there are at most [`BLOCKS_MAX`].

mod html;
mod nesting;
mod quote;
mod shape;

#[cfg(test)]
mod tests;

use super::rejection::{PipelineStage, Rejection, RejectionCode};
use pulldown_cmark::{CodeBlockKind, Event, OffsetIter, Options, Parser, Tag};
use std::ops::Range;

/// Largest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Most blocks in a message.
pub const BLOCKS_MAX: usize = 32;
/// Largest content of a block, in bytes.
pub const BLOCK_BYTES_MAX: usize = 256 << 10;

/// Info string of an instruction.
const INSTRUCTION: &str = "baa";
/// Info string of a delivered result.
const RESULT: &str = "baa-result";
/// Blank characters within a line, as defined by CommonMark.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

/// A `baa` block of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstructionBlock {
    /// Index among the `baa` blocks of the message.
    pub index: usize,
    /// The block as in the message, with its fences; lines end in LF.
    pub raw: String,
    /// The content between the fences, without the last LF.
    pub content: String,
}

/// Extracts the blocks of a message, in order.
pub fn extract(text: &str) -> Result<Vec<InstructionBlock>, Rejection> {
    if text.len() > MESSAGE_BYTES_MAX {
        let message = format!("the message has {} bytes, more than {MESSAGE_BYTES_MAX}", text.len());
        return Err(Rejection::message(PipelineStage::Extract, RejectionCode::TooLarge, message));
    }
    let text = shape::with_line_feeds(text);
    // Most messages contain no instruction and need no parsing.
    if !text.lines().any(could_open) {
        return Ok(Vec::new());
    }
    if nesting::is_too_deep(&text) {
        let message = "quotes and lists of the message nest too deep to be read";
        return Err(Rejection::message(PipelineStage::Extract, RejectionCode::TooDeep, message));
    }
    let shape = shape::of(&text);
    let mut blocks = Vec::new();
    let mut events = Parser::new_ext(&shape, Options::empty()).into_offset_iter();
    let (mut depth, mut quoted) = (0usize, 0usize);
    while let Some((event, range)) = events.next() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_)))
                if depth == 0 && info(&text[range.clone()]) == INSTRUCTION =>
            {
                let content = content(&text, &mut events);
                blocks.push(checked(blocks.len(), &text, range, content)?);
            }
            // A nested quote was checked with the outer one; checking it again would take quadratic time.
            Event::Start(Tag::BlockQuote(_)) if range.start >= quoted => {
                quoted = range.end;
                depth += 1;
                if quote::is_ambiguous(&text[range]) {
                    let message = "a quote of the message goes on behind a tab, which readers read differently";
                    return Err(Rejection::message(PipelineStage::Extract, RejectionCode::AmbiguousQuote, message));
                }
            }
            Event::Start(Tag::HtmlBlock) if html::is_ambiguous(&text[range]) => {
                let message = "an HTML block of the message ends in different places for different readers";
                return Err(Rejection::message(PipelineStage::Extract, RejectionCode::AmbiguousHtml, message));
            }
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ => {}
        }
    }
    Ok(blocks)
}

/// Returns whether a message consists of delivered results only. Such a message is never executed.
pub fn is_result_only(text: &str) -> bool {
    if text.len() > MESSAGE_BYTES_MAX {
        return false;
    }
    let text = shape::with_line_feeds(text);
    if !text.contains(RESULT) || nesting::is_too_deep(&text) {
        return false;
    }
    let shape = shape::of(&text);
    let mut depth = 0usize;
    let mut results = 0usize;
    for (event, range) in Parser::new_ext(&shape, Options::empty()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_)))
                if depth == 0 && info(&text[range.clone()]) == RESULT =>
            {
                results += 1;
                depth += 1;
            }
            Event::Start(_) if depth == 0 => return false,
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ if depth == 0 => return false,
            _ => {}
        }
    }
    results > 0
}

/// Whether a line could be the opening fence of an instruction, in any container.
fn could_open(line: &str) -> bool {
    let fence = line.trim_end_matches(BLANKS).strip_suffix(INSTRUCTION).map(|before| before.trim_end_matches(BLANKS));
    fence.is_some_and(|fence| fence.ends_with("```") || fence.ends_with("~~~"))
}

/// Returns the info string as written: escapes and entities are not resolved, so that an instruction always looks like
/// one.
fn info(block: &str) -> &str {
    let opening = block.lines().next().unwrap_or_default();
    let sign = if opening.starts_with('`') { '`' } else { '~' };
    opening.trim_start_matches(sign).trim_matches(BLANKS)
}

/// Returns the content of a block, without the indentation of its opening fence, and consumes its events.
fn content(text: &str, events: &mut OffsetIter<'_>) -> String {
    let mut content = String::new();
    while let Some((Event::Text(part), range)) = events.next() {
        // An empty range is the rest of a tab in which the indentation ends.
        content.push_str(if range.is_empty() { &part } else { &text[range] });
    }
    content
}

/// Returns the block if it is closed and within the limits.
fn checked(index: usize, text: &str, range: Range<usize>, mut content: String) -> Result<InstructionBlock, Rejection> {
    let refused = |code, message: String| Err(Rejection::block(PipelineStage::Extract, index, code, message));
    if index >= BLOCKS_MAX {
        return refused(RejectionCode::TooLarge, format!("the message has more than {BLOCKS_MAX} baa blocks"));
    }
    if !is_closed(&text[range.clone()]) {
        return refused(RejectionCode::Unterminated, format!("baa block {index} is never closed"));
    }
    content.pop();
    if content.len() > BLOCK_BYTES_MAX {
        let message = format!("baa block {index} has {} bytes, more than {BLOCK_BYTES_MAX}", content.len());
        return refused(RejectionCode::TooLarge, message);
    }
    let line = text[..range.start].rfind('\n').map_or(0, |end| end + 1);
    Ok(InstructionBlock { index, raw: text[line..range.end].to_owned(), content })
}

/// Whether the last line of a fenced block is its closing fence. The parser ends a block at the first line that can be
/// one.
fn is_closed(block: &str) -> bool {
    let Some((opening, rest)) = block.split_once('\n') else { return false };
    let last = rest.strip_suffix('\n').unwrap_or(rest).rsplit('\n').next().unwrap_or_default();
    let sign = if opening.starts_with('`') { '`' } else { '~' };
    let length = |line: &str| line.chars().take_while(|c| *c == sign).count();
    let indent = last.chars().take_while(|c| *c == ' ').count();
    let fence = last[indent..].trim_end_matches(BLANKS);
    indent <= 3 && length(fence) >= length(opening) && fence.len() == length(fence)
}
