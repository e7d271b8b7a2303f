//! Rejections: the stage, the block, a code for programs and a message for people.

use serde::Serialize;

/// A stage that can reject a batch, as named in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineStage {
    /// Extracts the blocks of a message.
    Extract,
    /// Parses a block.
    Parse,
    /// Combines a block with its message.
    Normalize,
    /// Checks target and tool and decides whether approval is needed; implemented in `screen`.
    Policy,
    /// Reads the parameters of a tool.
    Route,
}

/// Rejection code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCode {
    /// Too many bytes or blocks.
    TooLarge,
    /// A `baa` fence is not closed.
    Unterminated,
    /// Markdown parsers disagree about the end of an HTML block, and so about which fences count.
    AmbiguousHtml,
    /// Markdown parsers disagree about the end of a quote, and so about which fences count.
    AmbiguousQuote,
    /// A block is empty.
    EmptyBlock,
    /// The first line is not a header.
    InvalidHeader,
    /// `@target::tool::` is followed by blanks only.
    EmptyInline,
    /// Inline parameters and a body are both present.
    InlineAndBody,
    /// Inline JSON is invalid or has a duplicate key.
    InvalidJson,
    /// JSON, or quotes and lists, are nested too deeply.
    TooDeep,
    /// A double cannot represent a number.
    NumberOutOfRange,
    /// A field of the message is missing or empty.
    MissingField,
    /// The target does not exist.
    UnsupportedTarget,
    /// The tool does not exist.
    UnsupportedTool,
    /// The tool does not accept the parameters.
    InvalidParams,
    /// A stage failed.
    Internal,
}

/// Why nothing of a batch runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The stage that rejected it.
    pub stage: PipelineStage,
    /// Index of the rejected block; absent if the message as a whole is rejected.
    pub block_index: Option<usize>,
    /// Code for programs.
    pub code: RejectionCode,
    /// Message for people.
    #[serde(skip)]
    pub message: String,
}

impl Rejection {
    /// Rejects a block.
    pub(super) fn block(stage: PipelineStage, index: usize, code: RejectionCode, message: impl Into<String>) -> Self {
        Rejection { stage, block_index: Some(index), code, message: message.into() }
    }

    /// Rejects a message whose processing failed.
    pub(super) fn failed() -> Self {
        Rejection::message(PipelineStage::Extract, RejectionCode::Internal, "the message could not be read")
    }

    /// Rejects a message as a whole.
    pub(super) fn message(stage: PipelineStage, code: RejectionCode, message: impl Into<String>) -> Self {
        Rejection { stage, block_index: None, code, message: message.into() }
    }
}
