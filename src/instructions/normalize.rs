//! Stage `normalize`: a block together with the message that it stands in.

use super::{
    parse::Parsed,
    rejection::{Code, Rejection, Stage},
};

/// Most bytes of a message's platform, conversation and id.
pub const NAME_BYTES_MAX: usize = 512;

/// A complete message of an assistant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whose assistant wrote it.
    pub platform: String,
    /// In which conversation; some platforms do not tell.
    pub conversation_id: Option<String>,
    /// Which message it is.
    pub assistant_message_id: String,
    /// The whole text.
    pub text: String,
}

/// Where an instruction comes from; nothing of it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whose assistant wrote it.
    pub platform: String,
    /// In which conversation.
    pub conversation_id: String,
    /// In which message.
    pub assistant_message_id: String,
}

/// An instruction of a known source.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalized {
    /// Where it comes from.
    pub source: Source,
    /// What it says.
    pub parsed: Parsed,
}

/// Joins the blocks of a message with where it comes from.
pub fn normalize(message: &Message, blocks: Vec<Parsed>) -> Result<Vec<Normalized>, Rejection> {
    let source = Source {
        platform: checked("platform", &message.platform)?,
        conversation_id: checked("conversation_id", message.conversation_id.as_deref().unwrap_or_default())?,
        assistant_message_id: checked("assistant_message_id", &message.assistant_message_id)?,
    };
    Ok(blocks.into_iter().map(|parsed| Normalized { source: source.clone(), parsed }).collect())
}

fn checked(field: &str, text: &str) -> Result<String, Rejection> {
    let refused = |code, message| Err(Rejection::message(Stage::Normalize, code, message));
    if text.trim().is_empty() {
        return refused(Code::MissingField, format!("the message has no {field}"));
    }
    if text.len() > NAME_BYTES_MAX {
        return refused(Code::TooLarge, format!("{field} has {} bytes, more than {NAME_BYTES_MAX}", text.len()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
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
            ("platform", Message { platform: String::new(), ..message() }),
            ("conversation_id", Message { conversation_id: None, ..message() }),
            ("conversation_id", Message { conversation_id: Some(" \t".into()), ..message() }),
            ("assistant_message_id", Message { assistant_message_id: "\u{a0}".into(), ..message() }),
        ] {
            let refused = normalize(&bad, Vec::new()).unwrap_err();
            assert_eq!(
                (refused.stage, refused.code, refused.block_index),
                (Stage::Normalize, Code::MissingField, None)
            );
            assert!(refused.message.ends_with(field), "{refused}");
        }
    }

    #[test]
    fn a_name_of_512_bytes_is_the_longest() {
        let with = |bytes| normalize(&Message { assistant_message_id: "m".repeat(bytes), ..message() }, Vec::new());
        assert!(with(512).is_ok());
        assert_eq!(with(513).unwrap_err().code, Code::TooLarge);
    }
}
