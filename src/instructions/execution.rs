//! Results of executed instructions, and the interface for executing them.

use super::{route::InstructionPlan, screen::InstructionAuthority, stored_plan::StoredInstruction};
pub use crate::api::instructions::{InstructionExecution, InstructionOutcome};
use crate::{
    clock::WallMs,
    host::OperationOrigin,
    store::{batches::BatchMessage, tasks::runs::RunRow},
};
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

/// The authority of an instruction's run.
#[derive(Clone, Copy, Debug)]
pub struct Mandate<'a> {
    /// The operator's or a model's authority.
    pub authority: InstructionAuthority,
    /// Origin of the operation, which selects the sandbox.
    pub origin: OperationOrigin,
    /// The message that contains the instruction.
    pub message: &'a BatchMessage,
}

/// Executes plans as their routes do. Implemented by the HTTP layer, which knows what a route answers.
pub trait InstructionExecutor: Send + Sync {
    /// Executes a plan; ends early when `stop` is cancelled.
    fn execute<'a>(
        &'a self,
        plan: InstructionPlan,
        mandate: Mandate<'a>,
        stop: &'a CancellationToken,
    ) -> LocalBoxFuture<'a, InstructionOutcome>;
}

impl InstructionExecution {
    /// Creates the result of a stored instruction.
    pub(super) fn of(
        entry: &StoredInstruction,
        request_id: &str,
        done: InstructionOutcome,
        started_at: WallMs,
        finished_at: WallMs,
    ) -> Self {
        InstructionExecution {
            instruction_id: entry.instruction_id.clone(),
            dedupe_key: entry.dedupe_key.clone(),
            block_index: entry.block_index,
            target: entry.target.clone(),
            tool: entry.tool.clone(),
            done,
            request_id: request_id.to_owned(),
            route: entry.route.clone(),
            started_at,
            finished_at,
        }
    }

    /// Returns the result of an instruction that was running when the daemon ended.
    pub(super) fn interrupted(entry: &StoredInstruction, run: &RunRow) -> Self {
        let done = InstructionOutcome {
            error: Some("interrupted".to_owned()),
            message: Some(
                "It had begun when the service ended: it may have had effects, and is not run again.".to_owned(),
            ),
            ..InstructionOutcome::default()
        };
        let (started_at, finished_at) = (run.started_at.unwrap_or_default(), run.finished_at.unwrap_or_default());
        InstructionExecution::of(entry, "", done, started_at, finished_at)
    }
}
