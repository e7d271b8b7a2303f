//! How a batch is shown: what stands in its message, what of it would run or ran, what came of that.

use super::{
    execution::Execution,
    hub::Hub,
    record::{self, Entry},
};
use crate::{
    store::{
        SqliteConnection, StoreError,
        batches::{self, Batch},
        tasks::{
            Status,
            runs::{self, RunRow},
        },
    },
    wire::Raw,
};
use serde::{Deserialize, Serialize};

/// A `baa` block of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its place among the `baa` blocks, from 0.
    pub block_index: usize,
    /// It as it stands in the message, with its fences.
    pub raw_block: String,
}

/// An instruction that was taken on before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
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
pub struct Parts {
    /// The blocks of the message.
    pub blocks: Vec<Part>,
    /// All its instructions, each with what it runs.
    pub instructions: Raw,
    /// Those that do not run, because they were taken on before.
    pub duplicates: Vec<Duplicate>,
}

impl Parts {
    /// Those of a plan as it is kept.
    pub fn of(plan: &str) -> Self {
        let duplicates = record::read(plan).unwrap_or_default().into_iter().filter_map(|entry| {
            let Entry { block_index, instruction_id, dedupe_key, duplicate_of, .. } = entry;
            duplicate_of.map(|batch_id| Duplicate { block_index, instruction_id, dedupe_key, batch_id })
        });
        Parts {
            blocks: serde_json::from_str(plan).unwrap_or_default(),
            duplicates: duplicates.collect(),
            instructions: Raw::trusted(plan),
        }
    }
}

/// A run of a batch.
#[derive(Clone, Debug, Serialize)]
pub struct RunOf {
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
pub struct Details {
    /// The batch.
    pub batch: Batch,
    runs: Vec<RunRow>,
}

impl Details {
    /// Its runs, in their order.
    pub fn runs(&self) -> Vec<RunOf> {
        self.pairs()
            .map(|(entry, run)| RunOf {
                run_id: run.run_id.clone(),
                block_index: entry.block_index,
                instruction_id: entry.instruction_id,
                status: run.status.clone(),
            })
            .collect()
    }

    /// What came of those that ran, as it is kept.
    pub fn executions(&self) -> Vec<Raw> {
        let shown = |(entry, run): (Entry, &RunRow)| match &run.result {
            Some(result) => Some(Raw::trusted(result.as_str())),
            None if run.status == Status::Interrupted.name() => {
                Some(Raw::of(&Execution::interrupted(&entry, run.started_at, run.finished_at)))
            }
            None => None,
        };
        self.pairs().filter_map(shown).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (Entry, &RunRow)> {
        let entries = record::read(&self.batch.plan).unwrap_or_default();
        entries.into_iter().filter(|entry| entry.duplicate_of.is_none()).zip(&self.runs)
    }
}

impl Hub {
    /// A batch with all that is known of it.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn show(&self, batch_id: &str) -> Result<Option<Details>, StoreError> {
        let batch_id = batch_id.to_owned();
        let read = move |conn: &mut SqliteConnection| {
            let Some(batch) = batches::one(conn, &batch_id)? else { return Ok(None) };
            let runs = match &batch.row.task_id {
                Some(task_id) => runs::of_task(conn, task_id)?,
                None => Vec::new(),
            };
            Ok(Some(Details { batch, runs }))
        };
        self.shared.setup.store.read(read).await
    }
}
