//! Stage `normalize`: combines a block with the identity of its message.

use super::{
    parse::ParsedBlock,
    rejection::{PipelineStage, Rejection, RejectionCode},
};

/// Longest platform, conversation and message id, in bytes.
pub const NAME_BYTES_MAX: usize = 512;

/// A complete message of an assistant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssistantMessage {
    /// Platform of the message.
    pub platform: String,
    /// Conversation; absent if the platform does not report it.
    pub conversation_id: Option<String>,
    /// Id of the message.
    pub assistant_message_id: String,
    /// The whole text.
    pub text: String,
}

/// Identity of an instruction's message; no field is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstructionSource {
    /// Platform.
    pub platform: String,
    /// Conversation.
    pub conversation_id: String,
    /// Id of the message.
    pub assistant_message_id: String,
}

/// A parsed block with its source.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalizedInstruction {
    /// Source of the block.
    pub source: InstructionSource,
    /// The parsed block.
    pub parsed: ParsedBlock,
}

/// Combines the blocks of a message with its identity.
pub fn normalize(
    message: &AssistantMessage,
    blocks: Vec<ParsedBlock>,
) -> Result<Vec<NormalizedInstruction>, Rejection> {
    let source = InstructionSource {
        platform: checked("platform", &message.platform)?,
        conversation_id: checked("conversation_id", message.conversation_id.as_deref().unwrap_or_default())?,
        assistant_message_id: checked("assistant_message_id", &message.assistant_message_id)?,
    };
    Ok(blocks.into_iter().map(|parsed| NormalizedInstruction { source: source.clone(), parsed }).collect())
}

fn checked(field: &str, text: &str) -> Result<String, Rejection> {
    let refused = |code, message| Err(Rejection::message(PipelineStage::Normalize, code, message));
    if text.trim().is_empty() {
        return refused(RejectionCode::MissingField, format!("the message has no {field}"));
    }
    if text.len() > NAME_BYTES_MAX {
        return refused(
            RejectionCode::TooLarge,
            format!("{field} has {} bytes, more than {NAME_BYTES_MAX}", text.len()),
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> AssistantMessage {
        AssistantMessage {
            platform: "claude".into(),
            conversation_id: Some("c".into()),
            assistant_message_id: "m".into(),
            text: String::new(),
        }
    }

    #[test]
    fn a_message_needs_all_its_names() {
        assert!(normalize(&message(), Vec::new()).is_ok());
        for (field, bad) in [
            ("platform", AssistantMessage { platform: String::new(), ..message() }),
            ("conversation_id", AssistantMessage { conversation_id: None, ..message() }),
            ("conversation_id", AssistantMessage { conversation_id: Some(" \t".into()), ..message() }),
            ("assistant_message_id", AssistantMessage { assistant_message_id: "\u{a0}".into(), ..message() }),
        ] {
            let refused = normalize(&bad, Vec::new()).unwrap_err();
            assert_eq!(
                (refused.stage, refused.code, refused.block_index),
                (PipelineStage::Normalize, RejectionCode::MissingField, None)
            );
            assert!(refused.message.ends_with(field), "{refused}");
        }
    }

    #[test]
    fn a_name_of_512_bytes_is_the_longest() {
        let with =
            |bytes| normalize(&AssistantMessage { assistant_message_id: "m".repeat(bytes), ..message() }, Vec::new());
        assert!(with(512).is_ok());
        assert_eq!(with(513).unwrap_err().code, RejectionCode::TooLarge);
    }
}
