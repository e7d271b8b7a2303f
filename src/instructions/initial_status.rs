//! Initial status of a batch, given its screened instructions and the keys already known. Pure.

use super::{screen::ScreenVerdict, stored_plan::PlannedInstruction};
use crate::store::batches::BatchStatus;

#[derive(Clone, Copy, Debug)]
pub(super) struct BatchContext {
    /// Whether the caller only asks what would happen.
    pub(super) dry_run: bool,
    /// Whether the rate limit of live batches is exceeded.
    pub(super) too_many: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialStatus {
    pub(super) status: BatchStatus,
    pub(super) reason: Option<&'static str>,
}

/// Returns the initial status of a batch.
///
/// Instructions of earlier batches are ignored: they do not run and need no approval.
pub(super) fn initial_status(instructions: &[PlannedInstruction<'_>], circumstances: BatchContext) -> InitialStatus {
    let new = || instructions.iter().filter(|shown| shown.duplicate_of.is_none());
    let needs_approval = new().any(|shown| shown.verdict == ScreenVerdict::NeedsApproval);
    let (status, reason) = match circumstances {
        _ if instructions.is_empty() => (BatchStatus::NoInstructions, None),
        BatchContext { dry_run: true, .. } => (BatchStatus::Planned, None),
        _ if new().next().is_none() => (BatchStatus::DuplicateOnly, None),
        _ if needs_approval => (BatchStatus::PendingApproval, Some("an instruction needs approval")),
        BatchContext { too_many: true, .. } => {
            (BatchStatus::PendingApproval, Some("more live batches came within a minute than run without approval"))
        }
        _ => (BatchStatus::Queued, None),
    };
    InitialStatus { status, reason }
}

/// Returns the title of the batch's task. Parameters are left out, because titles are visible without the token.
pub(super) fn title(platform: &str, tools: &[String]) -> String {
    match tools {
        [tool] => format!("{tool} for {platform}"),
        _ => format!("{} instructions for {platform}", tools.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::{self, settings::SandboxLevel},
        instructions::{
            AssistantMessage, InstructionAuthority, PlannedBatch, confinement::BatchConfinement,
            settings::InstructionSettings,
        },
    };

    fn batch(tools: &[&str]) -> PlannedBatch {
        let text: String = tools.iter().map(|tool| format!("```baa\n@system::{tool}\n```\n")).collect();
        let message = AssistantMessage {
            platform: "claude".into(),
            conversation_id: Some("c".into()),
            assistant_message_id: "m".into(),
            text,
        };
        PlannedBatch::plan(&message, &InstructionSettings::default(), InstructionAuthority::Model).unwrap()
    }

    #[test]
    fn every_beginning_has_its_circumstances() {
        let (reads, runs) = ("status", "exec::true");
        let (unknown, known) = (None, Some("batch_0"));
        for (tools, duplicates, dry_run, too_many, status) in [
            (vec![], vec![], false, false, BatchStatus::NoInstructions),
            (vec![], vec![], true, true, BatchStatus::NoInstructions),
            (vec![reads], vec![unknown], false, false, BatchStatus::Queued),
            (vec![reads], vec![unknown], false, true, BatchStatus::PendingApproval),
            (vec![reads], vec![unknown], true, true, BatchStatus::Planned),
            (vec![runs], vec![known], true, false, BatchStatus::Planned),
            (vec![reads], vec![known], false, true, BatchStatus::DuplicateOnly),
            (vec![reads, runs], vec![unknown, unknown], false, false, BatchStatus::PendingApproval),
            (vec![reads, runs], vec![unknown, known], false, false, BatchStatus::Queued),
            (vec![reads, runs], vec![known, unknown], false, false, BatchStatus::PendingApproval),
        ] {
            let batch = batch(&tools);
            let (authority, origin, level) =
                (InstructionAuthority::Model, host::OperationOrigin::Model, SandboxLevel::Landlock);
            let confinement = BatchConfinement { authority, origin, level };
            let shown: Vec<_> = batch
                .instructions()
                .iter()
                .zip(duplicates)
                .map(|(one, known)| PlannedInstruction::new(one, known, confinement))
                .collect();
            let beginning = initial_status(&shown, BatchContext { dry_run, too_many });
            assert_eq!(beginning.status, status, "{tools:?} {dry_run} {too_many}");
            assert_eq!(beginning.reason.is_some(), status == BatchStatus::PendingApproval);
        }
    }

    #[test]
    fn a_title_holds_no_parameters() {
        assert_eq!(title("claude", &["exec".into()]), "exec for claude");
        assert_eq!(title("claude", &["exec".into(), "status".into()]), "2 instructions for claude");
        assert_eq!(title("claude", &[]), "0 instructions for claude");
    }
}
