//! How a batch is shown: what stands in its message, what of it would run or ran, what came of that.

use super::{
    execution::InstructionExecution,
    hub::InstructionHub,
    stored_plan::{self, StoredInstruction},
};
use crate::{
    store::{
        SqliteConnection, StoreError,
        batches::{self, StoredBatch},
        tasks::{
            TaskStatus,
            runs::{self, RunRow},
        },
    },
    wire::RawJson,
};
use serde::{Deserialize, Serialize};

/// A `baa` block of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageBlock {
    /// Its place among the `baa` blocks, from 0.
    pub block_index: usize,
    /// It as it stands in the message, with its fences.
    pub raw_block: String,
}

/// An instruction that was taken on before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateInstruction {
    /// Its place in the message.
    pub block_index: usize,
    /// Its name.
    pub instruction_id: String,
    /// Its key.
    pub dedupe_key: String,
    /// The batch that has it.
    pub batch_id: String,
}

/// The parts of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct PlanParts {
    /// The blocks of the message.
    pub blocks: Vec<MessageBlock>,
    /// All its instructions, each with what it runs.
    pub instructions: RawJson,
    /// Those that do not run, because they were taken on before.
    pub duplicates: Vec<DuplicateInstruction>,
}

impl PlanParts {
    /// Those of a plan as it is kept.
    pub fn of(plan: &str) -> Self {
        let duplicates = stored_plan::read(plan).unwrap_or_default().into_iter().filter_map(|entry| {
            let StoredInstruction { block_index, instruction_id, dedupe_key, duplicate_of, .. } = entry;
            duplicate_of.map(|batch_id| DuplicateInstruction { block_index, instruction_id, dedupe_key, batch_id })
        });
        PlanParts {
            blocks: serde_json::from_str(plan).unwrap_or_default(),
            duplicates: duplicates.collect(),
            instructions: RawJson::trusted(plan),
        }
    }
}

/// A run of a batch.
#[derive(Clone, Debug, Serialize)]
pub struct InstructionRun {
    /// Its name.
    pub run_id: String,
    /// Which block it runs.
    pub block_index: usize,
    /// Which instruction.
    pub instruction_id: String,
    /// How it stands.
    pub status: String,
}

/// A batch with all that is known of it.
#[derive(Clone, Debug)]
pub struct BatchDetails {
    /// The batch.
    pub batch: StoredBatch,
    runs: Vec<RunRow>,
}

impl BatchDetails {
    /// Its runs, in their order.
    pub fn runs(&self) -> Vec<InstructionRun> {
        self.pairs()
            .map(|(entry, run)| InstructionRun {
                run_id: run.run_id.clone(),
                block_index: entry.block_index,
                instruction_id: entry.instruction_id,
                status: run.status.clone(),
            })
            .collect()
    }

    /// What came of those that ran, as it is kept.
    pub fn executions(&self) -> Vec<RawJson> {
        let shown = |(entry, run): (StoredInstruction, &RunRow)| match &run.result {
            Some(result) => Some(RawJson::trusted(result.as_str())),
            None if run.status == TaskStatus::Interrupted.name() => {
                Some(RawJson::of(&InstructionExecution::interrupted(&entry, run.started_at, run.finished_at)))
            }
            None => None,
        };
        self.pairs().filter_map(shown).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (StoredInstruction, &RunRow)> {
        let entries = stored_plan::read(&self.batch.plan).unwrap_or_default();
        entries.into_iter().filter(|entry| entry.duplicate_of.is_none()).zip(&self.runs)
    }
}

impl InstructionHub {
    /// A batch with all that is known of it.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn show(&self, batch_id: &str) -> Result<Option<BatchDetails>, StoreError> {
        let batch_id = batch_id.to_owned();
        let read = move |conn: &mut SqliteConnection| {
            let Some(batch) = batches::one(conn, &batch_id)? else { return Ok(None) };
            let runs = match &batch.row.task_id {
                Some(task_id) => runs::of_task(conn, task_id)?,
                None => Vec::new(),
            };
            Ok(Some(BatchDetails { batch, runs }))
        };
        self.shared.setup.store.read(read).await
    }
}
