//! Instructions of messages: their batches, what they run, and the results.

use super::{fields::request_fields, paging::PageInfo};
use crate::clock::WallMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A batch without its instructions. Times are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BatchSummary {
    /// Number, ascending in order of arrival.
    #[serde(skip)]
    pub id: i64,
    /// Id of the batch.
    pub batch_id: String,
    /// Id of its task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// `no_instructions`, `duplicate_only`, `not_allowed`, `pending_approval`, `queued`, `running`, `executed`, `rejected`,
    /// `expired` or `interrupted`.
    pub status: String,
    /// `live`: a client observed the message; `http`: a caller submitted it.
    pub origin: String,
    /// The message.
    #[serde(flatten)]
    pub message: BatchMessage,
    /// Time of arrival.
    pub created_at: WallMs,
    /// Time of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<WallMs>,
    /// Approval state.
    #[serde(flatten)]
    pub approval: BatchApproval,
    /// Delivery of the results: `off`, `delivered`, `failed` or `not_supported`.
    pub delivery: String,
    /// Digest of the batch and its plan, which an approval is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Identity of a batch's message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BatchMessage {
    /// Platform.
    pub platform: String,
    /// Conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Id of the message.
    pub assistant_message_id: String,
    /// Client that observed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// Approval state of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchApproval {
    /// End of the time for a decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<WallMs>,
    /// Time of the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<WallMs>,
    /// Origin of the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Reason of the current status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Batches, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"batches":[{"batch_id":"batch_01J","task_id":"task_01J",
    "status":"pending_approval","origin":"live","platform":"claude","conversation_id":"c-1","assistant_message_id":"m-1",
    "client_id":"firefox-1","created_at":1795184470407,"expires_at":1795188070407,"reason":"exec needs approval",
    "delivery":"off","digest":"sha256:9f86d081"}],"count":1}"#))]
pub struct BatchList {
    /// The batches.
    pub batches: Vec<BatchSummary>,
    /// The part of the list.
    #[serde(flatten)]
    pub page_info: PageInfo,
}

/// A batch with what it runs exactly, and the results. The daemon passes on the instructions `I` and results `E` as stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "InstructionBatch")]
pub struct InstructionBatch<I: Default = Vec<BatchInstruction>, E: Default = InstructionExecution> {
    /// The batch.
    #[serde(flatten)]
    pub summary: BatchSummary,
    /// Its instructions.
    #[serde(flatten)]
    pub parts: PlanParts<I>,
    /// Runs, in order.
    pub runs: Vec<InstructionRun>,
    /// Results of the runs that have one.
    pub executions: Vec<E>,
    /// Why the batch was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Value>,
}

/// Result of a submitted message.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "InstructionSubmission")]
pub struct InstructionSubmission<I: Default = Vec<BatchInstruction>> {
    /// Id of the batch; `null` after a dry run, which is not stored.
    pub batch_id: Option<String>,
    /// `executed`, `pending_approval`, `no_instructions`, `duplicate_only` (an earlier batch contains all of it), `planned`
    /// (dry run); `interrupted` or `queued` if the service stopped meanwhile.
    pub status: String,
    /// Its instructions.
    #[serde(flatten)]
    pub parts: PlanParts<I>,
    /// Results, in order.
    pub executions: Vec<InstructionExecution>,
}

/// The parts of a plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PlanParts<I: Default> {
    /// Blocks of the message.
    pub blocks: Vec<MessageBlock>,
    /// All instructions, each with the operation it runs.
    pub instructions: I,
    /// Instructions that do not run because an earlier batch contains them.
    pub duplicates: Vec<DuplicateInstruction>,
}

/// A `baa` block of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageBlock {
    /// Index among the `baa` blocks.
    pub block_index: usize,
    /// The block as in the message, with its fences.
    pub raw_block: String,
}

/// An instruction and the operation that it runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BatchInstruction {
    /// Version of the envelope.
    pub envelope_version: String,
    /// Platform of the message.
    pub platform: String,
    /// Conversation of the message.
    pub conversation_id: String,
    /// Id of the message.
    pub assistant_message_id: String,
    /// Index of its block in the message.
    pub block_index: usize,
    /// Target of the instruction.
    pub target: String,
    /// Tool to run.
    pub tool: String,
    /// Parameters; `null` if there are none.
    pub params: Value,
    /// `none`, `inline_json`, `inline_string` or `body`.
    pub params_kind: String,
    /// The block as in the message, with its fences.
    pub raw_block: String,
    /// The content between the fences.
    pub raw_instruction: String,
    /// Values that the deduplication key is computed from.
    pub dedupe_basis: Value,
    /// Deduplication key.
    pub dedupe_key: String,
    /// Short form of the key.
    pub instruction_id: String,
    /// Class of the tool: `read`, `exec`, `file_read` or `file_write`.
    pub class: String,
    /// `runs` or `needs_approval`.
    pub verdict: String,
    /// On whose authority it runs: `operator` or `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The sandbox, for tools that access the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Equivalent HTTP route.
    pub route: InstructionRoute,
    /// The operation that it runs: `operation` and `input`.
    pub plan: Value,
    /// The batch that already contains it; it does not run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
}

/// The HTTP route equivalent to an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstructionRoute {
    /// Key of the route.
    pub key: Cow<'static, str>,
    /// HTTP method.
    pub method: Cow<'static, str>,
    /// Path.
    pub path: Cow<'static, str>,
}

/// An instruction that an earlier batch contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DuplicateInstruction {
    /// Index of its block in the message.
    pub block_index: usize,
    /// Id of the instruction.
    pub instruction_id: String,
    /// Deduplication key.
    pub dedupe_key: String,
    /// Batch that contains the instruction.
    pub batch_id: String,
}

/// A run of a batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct InstructionRun {
    /// Id of the run.
    pub run_id: String,
    /// Index of the block.
    pub block_index: usize,
    /// Id of the instruction.
    pub instruction_id: String,
    /// Status of the run.
    pub status: String,
}

/// An executed instruction. Times are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InstructionExecution {
    /// Id of the instruction.
    pub instruction_id: String,
    /// Deduplication key.
    pub dedupe_key: String,
    /// Index of its block in the message.
    pub block_index: usize,
    /// Target of the instruction.
    pub target: String,
    /// Tool that ran.
    pub tool: String,
    /// Outcome of the operation.
    #[serde(flatten)]
    pub done: InstructionOutcome,
    /// Id of this execution; absent if the daemon ended during it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Equivalent HTTP route.
    pub route: InstructionRoute,
    /// Begin.
    pub started_at: WallMs,
    /// End.
    pub finished_at: WallMs,
}

/// Outcome of an operation, as its HTTP route would answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InstructionOutcome {
    /// Whether the operation succeeded.
    pub ok: bool,
    /// HTTP status of the route's answer; absent if there was none.
    #[serde(skip_serializing_if = "is_none")]
    pub http_status: u16,
    /// Error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Error message for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Data of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Details of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

fn is_none(status: &u16) -> bool {
    *status == 0
}

request_fields! {
    /// A message whose instructions are run.
    InstructionMessageRequest { required {
        /// Platform of the message, at most 512 bytes.
        platform: String,
        /// Conversation of the message, at most 512 bytes.
        conversation_id: String,
        /// Id of the message, at most 512 bytes.
        assistant_message_id: String,
        /// The whole text.
        text: String,
    } optional {
        /// Whether it is a model's word, so that what `auto_approve` does not allow waits for approval. Default false.
        require_approval: bool,
        /// Whether nothing runs and the answer shows what would. Default false.
        dry_run: bool,
    } }
}
request_fields! {
    /// Part of the list of batches.
    InstructionListParameters { required {} optional {
        /// Only batches with this status.
        status: String,
        /// Only batches of this platform.
        platform: String,
        /// Maximum number of batches, 1 to 100. Default 20.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// A batch of instructions.
    InstructionBatchParameters { required {
        /// Id of the batch.
        batch_id: String,
    } optional {} }
}
request_fields! {
    /// Decision about a batch.
    #[derive(Default)]
    InstructionDecisionRequest { required {} optional {
        /// Reason, of at most 500 characters.
        reason: String,
        /// Digest of the batch as it was shown; another one is refused.
        digest: String,
    } }
}
