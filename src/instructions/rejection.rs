//! Why a batch is refused: the stage that refused it, the block, a code for programs and a sentence for people.

use serde::Serialize;

/// A stage that may refuse a batch, as it is named to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineStage {
    /// Finds the blocks of a message.
    Extract,
    /// Reads a block.
    Parse,
    /// Joins a block with the message that it stands in.
    Normalize,
    /// Knows targets, tools and what runs without a person: the module `screen`.
    Policy,
    /// Reads the parameters of a tool.
    Route,
}

/// What is wrong, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCode {
    /// More bytes or blocks than are taken.
    TooLarge,
    /// A `baa` fence that nothing closes.
    Unterminated,
    /// Readers of Markdown differ about where an HTML block of the message ends, and so about which fences count.
    AmbiguousHtml,
    /// Readers of Markdown differ about where a quote of the message ends, and so about which fences count.
    AmbiguousQuote,
    /// A block without anything in it.
    EmptyBlock,
    /// A first line that is no header.
    InvalidHeader,
    /// `@target::tool::` with nothing but blanks after it.
    EmptyInline,
    /// Inline parameters and a body together.
    InlineAndBody,
    /// Inline JSON that is not JSON, or names a key twice.
    InvalidJson,
    /// JSON that nests too deep, or quotes and lists that do.
    TooDeep,
    /// A number that a double cannot hold exactly, or at all.
    NumberOutOfRange,
    /// A field of the message that is missing or empty.
    MissingField,
    /// A target that there is not.
    UnsupportedTarget,
    /// A tool that there is not.
    UnsupportedTool,
    /// Parameters that the tool does not take.
    InvalidParams,
    /// The stages themselves failed.
    Internal,
}

/// Why nothing of a batch runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// Which stage refused it.
    pub stage: PipelineStage,
    /// The block that was refused, counted from 0; nothing when it is the message.
    pub block_index: Option<usize>,
    /// What is wrong, for programs.
    pub code: RejectionCode,
    /// What is wrong, for people.
    #[serde(skip)]
    pub message: String,
}

impl Rejection {
    /// Refuses a block.
    pub(super) fn block(stage: PipelineStage, index: usize, code: RejectionCode, message: impl Into<String>) -> Self {
        Rejection { stage, block_index: Some(index), code, message: message.into() }
    }

    /// Refuses what could not be read through to the end.
    pub(super) fn failed() -> Self {
        Rejection::message(PipelineStage::Extract, RejectionCode::Internal, "the message could not be read")
    }

    /// Refuses the message as a whole.
    pub(super) fn message(stage: PipelineStage, code: RejectionCode, message: impl Into<String>) -> Self {
        Rejection { stage, block_index: None, code, message: message.into() }
    }
}
