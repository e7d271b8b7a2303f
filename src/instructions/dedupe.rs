//! Stage `dedupe`: the key by which an instruction is known again, whatever happened in between.
//!
//! The key is the SHA-256 of what makes the instruction the same, as RFC 8785 canonical JSON: keys sorted by UTF-16 code
//! units, numbers as ECMAScript writes them. Stage `parse` lets no integer through that a double cannot hold, so two
//! that differ have two keys.

#[cfg(test)]
mod tests;

use super::{
    normalize::{InstructionSource, NormalizedInstruction},
    parse::InstructionParams,
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};

/// The version of the envelope and of what the key is made of.
pub const ENVELOPE_VERSION: &str = "baa.v1";

/// `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DedupeKey(String);

/// `inst_` and the first 16 hex digits of the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct InstructionId(String);

/// An instruction with its key, as it is shown to everybody.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Instruction {
    /// [`ENVELOPE_VERSION`].
    pub envelope_version: &'static str,
    /// Whose assistant wrote it.
    pub platform: String,
    /// In which conversation.
    pub conversation_id: String,
    /// In which message.
    pub assistant_message_id: String,
    /// Its place among the `baa` blocks of the message, from 0.
    pub block_index: usize,
    /// Who is asked.
    pub target: String,
    /// For what.
    pub tool: String,
    /// With what: the fields `params` and `params_kind`.
    #[serde(flatten)]
    pub params: InstructionParams,
    /// The block as it stands in the message.
    pub raw_block: String,
    /// What stands between its fences.
    pub raw_instruction: String,
    /// What the key is made of.
    pub dedupe_basis: Value,
    /// The key.
    pub dedupe_key: DedupeKey,
    /// The key's short form.
    pub instruction_id: InstructionId,
}

impl DedupeKey {
    /// The key of a basis.
    pub fn of(basis: &Value) -> Self {
        let canonical = serde_json_canonicalizer::to_vec(basis).expect("a JSON value has only finite numbers");
        DedupeKey(sha256(&canonical))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its short form.
    pub fn short(&self) -> InstructionId {
        let digits = self.0.trim_start_matches("sha256:").chars().take(16);
        InstructionId("inst_".chars().chain(digits).collect())
    }
}

impl InstructionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DedupeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InstructionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `sha256:` and 64 lower-case hex digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Gives an instruction its key.
pub fn dedupe(normalized: NormalizedInstruction) -> Instruction {
    let NormalizedInstruction { source: InstructionSource { platform, conversation_id, assistant_message_id }, parsed } =
        normalized;
    let dedupe_basis = json!({
        "assistant_message_id": assistant_message_id,
        "block_index": parsed.block.index,
        "conversation_id": conversation_id,
        "params": parsed.params.to_value(),
        "platform": platform,
        "target": parsed.target,
        "tool": parsed.tool,
        "version": ENVELOPE_VERSION,
    });
    let dedupe_key = DedupeKey::of(&dedupe_basis);
    Instruction {
        envelope_version: ENVELOPE_VERSION,
        platform,
        conversation_id,
        assistant_message_id,
        block_index: parsed.block.index,
        target: parsed.target,
        tool: parsed.tool,
        params: parsed.params,
        raw_block: parsed.block.raw,
        raw_instruction: parsed.block.content,
        dedupe_basis,
        instruction_id: dedupe_key.short(),
        dedupe_key,
    }
}
