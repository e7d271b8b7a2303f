//! Stage `dedupe`: the key by which a repeated instruction is recognized.
//!
//! The key is the SHA-256 of the instruction's identity as RFC 8785 canonical JSON: keys sorted by UTF-16 code units,
//! numbers as in ECMAScript. Stage `parse` accepts no integer that a double cannot represent, so different instructions
//! have different keys.

#[cfg(test)]
mod tests;

use super::{
    normalize::{InstructionSource, NormalizedInstruction},
    parse::InstructionParams,
};
use crate::wire::proof::hex;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt;

/// Version of the envelope and of the key's basis.
pub const ENVELOPE_VERSION: &str = "baa.v1";

/// `sha256:` followed by 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DedupeKey(String);

/// `inst_` followed by the first 16 hexadecimal digits of the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct InstructionId(String);

/// An instruction with its key, as shown to every caller.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Instruction {
    /// [`ENVELOPE_VERSION`].
    pub envelope_version: &'static str,
    /// Platform of the message.
    pub platform: String,
    /// Conversation of the message.
    pub conversation_id: String,
    /// Id of the message.
    pub assistant_message_id: String,
    /// Index among the `baa` blocks of the message.
    pub block_index: usize,
    /// Target of the instruction.
    pub target: String,
    /// Tool to run.
    pub tool: String,
    /// Parameters, as the fields `params` and `params_kind`.
    #[serde(flatten)]
    pub params: InstructionParams,
    /// The block as in the message, with its fences.
    pub raw_block: String,
    /// The content between the fences.
    pub raw_instruction: String,
    /// Values that the key is computed from.
    pub dedupe_basis: Value,
    /// Deduplication key.
    pub dedupe_key: DedupeKey,
    /// Short form of the key.
    pub instruction_id: InstructionId,
}

impl DedupeKey {
    /// Computes the key of a basis.
    pub fn of(basis: &Value) -> Self {
        let canonical = serde_json_canonicalizer::to_vec(basis).expect("a JSON value has only finite numbers");
        DedupeKey(sha256(&canonical))
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the short form.
    pub fn short(&self) -> InstructionId {
        let digits = self.0.trim_start_matches("sha256:").chars().take(16);
        InstructionId("inst_".chars().chain(digits).collect())
    }
}

impl InstructionId {
    /// Returns the id as text.
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

/// Returns `sha256:` followed by 64 lower-case hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Adds the key to an instruction.
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
