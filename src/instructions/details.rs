//! Details of a batch: the blocks of its message, its instructions and their results.

use super::{
    hub::InstructionHub,
    stored_plan::{self, StoredInstruction},
};
use crate::{
    api::instructions::{DuplicateInstruction, InstructionExecution, InstructionRun, PlanParts},
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

impl PlanParts<RawJson> {
    /// Reads the parts of a stored plan.
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

/// A batch with its runs.
#[derive(Clone, Debug)]
pub struct BatchDetails {
    /// The stored batch.
    pub batch: StoredBatch,
    runs: Vec<RunRow>,
}

impl BatchDetails {
    /// Returns the runs in order.
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

    /// Returns the stored results of the runs that have one.
    pub fn executions(&self) -> Vec<RawJson> {
        let shown = |(entry, run): (StoredInstruction, &RunRow)| match &run.result {
            Some(result) => Some(RawJson::trusted(result.as_str())),
            None if run.status == TaskStatus::Interrupted.name() => {
                Some(RawJson::of(&InstructionExecution::interrupted(&entry, run)))
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
    /// Returns the details of a batch.
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
