//! What came of an instruction that ran, and who runs it.

use super::{route::InstructionPlan, screen::InstructionAuthority, stored_plan::StoredInstruction};
use crate::{clock::WallMs, host::Origin, store::batches::BatchMessage};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// What a plan's operation answered, as its route would have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstructionOutcome {
    /// Whether the operation did what it was for.
    pub ok: bool,
    /// The status that its route answers with.
    pub http_status: u16,
    /// The code of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// What is known of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// On whose word an instruction runs.
#[derive(Clone, Copy, Debug)]
pub struct Mandate<'a> {
    /// The operator's or a model's.
    pub authority: InstructionAuthority,
    /// Whose sandbox that means.
    pub origin: Origin,
    /// The message that it stands in.
    pub message: &'a BatchMessage,
}

/// Carries out plans by what the routes call. The edge does this: it alone knows what a route answers.
pub trait InstructionExecutor: Send + Sync {
    /// Carries one out; ended early when `stop` is cancelled.
    fn execute<'a>(
        &'a self,
        plan: InstructionPlan,
        mandate: Mandate<'a>,
        stop: &'a CancellationToken,
    ) -> LocalBoxFuture<'a, InstructionOutcome>;
}

/// Which route an instruction stands for, as it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoute {
    /// Its name.
    pub key: String,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
}

/// An instruction that ran. Times in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstructionExecution {
    /// Its name.
    pub instruction_id: String,
    /// Its key.
    pub dedupe_key: String,
    /// Its place in the message.
    pub block_index: usize,
    /// Who was asked.
    pub target: String,
    /// For what.
    pub tool: String,
    /// What came of it.
    #[serde(flatten)]
    pub done: InstructionOutcome,
    /// Of this execution alone.
    pub request_id: String,
    /// The route that does the same.
    pub route: StoredRoute,
    /// When it began.
    pub started_at: WallMs,
    /// When it ended.
    pub finished_at: WallMs,
}

impl InstructionExecution {
    /// What came of `entry`.
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

    /// Of one that had begun when the daemon ended, or stopped waiting for it.
    pub(super) fn interrupted(
        entry: &StoredInstruction,
        started_at: Option<WallMs>,
        finished_at: Option<WallMs>,
    ) -> Value {
        serde_json::json!({
            "instruction_id": entry.instruction_id,
            "dedupe_key": entry.dedupe_key,
            "block_index": entry.block_index,
            "target": entry.target,
            "tool": entry.tool,
            "ok": false,
            "error": "interrupted",
            "message": "It had begun when the service ended: it may have had effects, and is not run again.",
            "route": entry.route,
            "started_at": started_at,
            "finished_at": finished_at,
        })
    }
}
