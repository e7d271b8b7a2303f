//! The instruction center: executes the instructions in a model's finished messages on this machine.
//!
//! ```text
//! extract → parse → normalize → dedupe → screen → route → execute
//! ```
//!
//! Everything before `execute` is a pure function from one typed value to the next and is applied to all blocks of a
//! message before anything runs. All of it assumes that the text was written by an attacker. Then:
//!
//! ```text
//! InstructionHub (ingest: keys and batch in one transaction) ──► store ──► InstructionCenter ──► BatchRunner ──► execute
//!  ▲ an observed message, a message from a caller                                               │
//!  └ a person's decision                                                                        └──► deliver ──► relay
//! ```
//!
//! Use [`InstructionHub`]. Queued, waiting and finished batches are kept in the store only.

mod batch_rate;
mod center;
mod confinement;
mod decision;
mod dedupe;
mod deliver;
mod details;
mod events;
mod execution;
mod extract;
mod hub;
mod ingest;
mod initial_status;
mod normalize;
mod parse;
mod planned_batch;
mod rejection;
mod route;
mod runner;
mod screen;
pub mod settings;
mod stored_plan;

#[cfg(test)]
mod tests;

pub use center::{BatchResult, InstructionServices};
pub use confinement::SandboxMismatch;
pub use decision::{DecisionError, OperatorDecision};
pub use dedupe::{DedupeKey, ENVELOPE_VERSION, Instruction, InstructionId, dedupe};
pub use details::BatchDetails;
pub use execution::{InstructionExecution, InstructionExecutor, InstructionOutcome, Mandate};
pub use extract::{BLOCK_BYTES_MAX, BLOCKS_MAX, InstructionBlock, MESSAGE_BYTES_MAX, extract, is_result_only};
pub use hub::{InstructionHub, InstructionParts, SubmittedMessage};
pub use ingest::{IngestError, IngestedBatch, MessageSubmission};
pub use normalize::{AssistantMessage, InstructionSource, NAME_BYTES_MAX, NormalizedInstruction, normalize};
pub use parse::{DEPTH_MAX, InstructionParams, ParsedBlock, parse};
pub use planned_batch::PlannedBatch;
pub use rejection::{PipelineStage, Rejection, RejectionCode};
pub use route::{DescribeSurface, InstructionPlan, InstructionRoute, RoutedInstruction, route};
pub use screen::{
    InstructionAuthority, InstructionTool, ObservedMessage, ScreenVerdict, ScreenedInstruction, is_allowed, screen,
};
