//! Stored form of a batch: its instructions with their operations as JSON, and the digest that an approval is bound to.
//!
//! A person is shown this text and what runs is read from it; there is no other copy that could differ.

use super::{
    confinement::{BatchConfinement, StoredConfinement},
    dedupe::{Instruction, sha256},
    route::{InstructionPlan, InstructionRoute, RoutedInstruction},
    screen::ScreenVerdict,
    settings::ToolClass,
};
use serde::{Deserialize, Serialize};

/// An instruction as stored and shown.
#[derive(Serialize)]
pub(super) struct PlannedInstruction<'a> {
    #[serde(flatten)]
    pub(super) instruction: &'a Instruction,
    pub(super) class: ToolClass,
    /// Decision by the settings.
    pub(super) verdict: ScreenVerdict,
    /// Authority and sandbox of its run.
    #[serde(flatten)]
    pub(super) confined: StoredConfinement,
    /// The route that does the same.
    pub(super) route: InstructionRoute,
    /// The operation that it runs.
    pub(super) plan: &'a InstructionPlan,
    /// The batch that already contains it; it does not run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duplicate_of: Option<&'a str>,
}

impl<'a> PlannedInstruction<'a> {
    pub(super) fn new(
        routed: &'a RoutedInstruction,
        duplicate_of: Option<&'a str>,
        confinement: BatchConfinement,
    ) -> Self {
        let tool = routed.screened.tool;
        PlannedInstruction {
            instruction: &routed.screened.instruction,
            class: tool.class(),
            verdict: routed.screened.verdict,
            confined: confinement.of_tool(tool),
            route: tool.route(),
            plan: &routed.plan,
            duplicate_of,
        }
    }
}

/// Returns the stored JSON of a batch's instructions.
pub(super) fn write(shown: &[PlannedInstruction<'_>]) -> String {
    serde_json::to_string(shown).expect("our own values have string keys")
}

/// The part of a stored instruction that is needed to run it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct StoredInstruction {
    /// Index of its block in the message.
    pub(super) block_index: usize,
    pub(super) instruction_id: String,
    pub(super) dedupe_key: String,
    pub(super) target: String,
    pub(super) tool: String,
    /// Authority and sandbox of its run.
    #[serde(flatten)]
    pub(super) confined: StoredConfinement,
    pub(super) route: InstructionRoute,
    pub(super) plan: InstructionPlan,
    #[serde(default)]
    pub(super) duplicate_of: Option<String>,
}

/// Reads the stored instructions of a batch.
///
/// # Errors
///
/// Describes why the text is invalid: another version wrote it, or it was changed.
pub(super) fn read(plan: &str) -> Result<Vec<StoredInstruction>, String> {
    serde_json::from_str(plan).map_err(|error| error.to_string())
}

/// Returns the digest that an approval is bound to: of this batch, this message and exactly this text.
pub(super) fn digest(batch_id: &str, assistant_message_id: &str, plan: &str) -> String {
    // Length prefixes make the encoding unambiguous.
    let (id, message) = (batch_id.len(), assistant_message_id.len());
    sha256(format!("baa-batch-1\n{id}:{batch_id}\n{message}:{assistant_message_id}\n{plan}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::{OperationOrigin, settings::SandboxLevel},
        instructions::{AssistantMessage, InstructionAuthority, PlannedBatch, settings::InstructionSettings},
    };
    use serde_json::Value;

    const CONFINEMENT: BatchConfinement = BatchConfinement {
        authority: InstructionAuthority::Model,
        origin: OperationOrigin::Model,
        level: SandboxLevel::Landlock,
    };

    fn batch(blocks: &[&str]) -> PlannedBatch {
        let text: Vec<_> = blocks.iter().map(|block| format!("```baa\n{block}\n```\n")).collect();
        let message = AssistantMessage {
            platform: "claude".into(),
            conversation_id: Some("c".into()),
            assistant_message_id: "m".into(),
            text: text.concat(),
        };
        PlannedBatch::plan(&message, &InstructionSettings::default(), InstructionAuthority::Model).unwrap()
    }

    #[test]
    fn every_plan_is_read_back_as_it_was_kept() {
        let batch = batch(&[
            "@system::describe",
            "@system::describe/business",
            "@system::describe/control",
            "@system::status",
            "@system::browser/status::{\"platform\":\"claude\",\"status\":\"fresh\",\"before\":7}",
            "@system::exec\ntrue\nfalse",
            "@system::exec::{\"command\":[\"ls\",\"-l\"],\"env\":{\"A\":\"b\"},\"stdin\":\"x\",\"cwd\":\"/tmp\"}",
            "@system::files/read::{\"path\":\"/a\",\"encoding\":\"base64\",\"offset\":5,\"max_bytes\":6}",
            "@system::files/write::{\"path\":\"/a\",\"content\":\"ü\",\"mode\":\"0640\",\"overwrite\":true}",
        ]);
        let shown: Vec<_> =
            batch.instructions().iter().map(|routed| PlannedInstruction::new(routed, None, CONFINEMENT)).collect();
        let entries = read(&write(&shown)).unwrap();
        assert_eq!(entries.len(), batch.instructions().len());
        for (entry, routed) in entries.iter().zip(batch.instructions()) {
            assert_eq!((&entry.plan, entry.confined), (&routed.plan, CONFINEMENT.of_tool(routed.screened.tool)));
            assert_eq!(entry.dedupe_key, routed.screened.instruction.dedupe_key.as_str());
            assert_eq!(entry.route.key, routed.screened.tool.route().key);
        }
    }

    #[test]
    fn what_is_shown_says_what_runs_and_why_not() {
        let batch = batch(&["@system::exec::true"]);
        let shown = PlannedInstruction::new(&batch.instructions()[0], Some("batch_1"), CONFINEMENT);
        let shown: Value = serde_json::to_value(shown).unwrap();
        for (field, value) in [
            ("class", "exec".into()),
            ("verdict", "needs_approval".into()),
            ("authority", "model".into()),
            ("sandbox", "landlock".into()),
            ("params", "true".into()),
            ("params_kind", "inline_string".into()),
            ("duplicate_of", "batch_1".into()),
        ] as [(&str, Value); 7]
        {
            assert_eq!(shown[field], value, "{field}");
        }
        assert_eq!((&shown["plan"]["operation"], &shown["plan"]["input"]["command"]), (&"exec".into(), &"true".into()));
    }

    #[test]
    fn every_part_of_a_batch_is_in_its_digest() {
        let of = digest("batch_1", "m", "[]");
        assert!(of.starts_with("sha256:") && of.len() == 71);
        for other in [digest("batch_2", "m", "[]"), digest("batch_1", "n", "[]"), digest("batch_1", "m", "[1]")] {
            assert_ne!(of, other);
        }
        assert_ne!(digest("a", "b\n1:c", ""), digest("a\n1:b", "c", ""));
    }

    #[test]
    fn a_text_that_is_no_record_is_refused() {
        for text in ["", "{}", "[{}]", "[{\"plan\":{\"operation\":\"reboot\"}}]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
