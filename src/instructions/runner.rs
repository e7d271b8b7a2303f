//! Runs queued batches one at a time, and the instructions of a batch one at a time.
//!
//! ```text
//! next queued ─► begin ─► for each: run is running (stored) ─► execute ─► run has ended (stored) ─► finish
//! ```
//!
//! Invariant: an instruction is executed only after the store records it as running, and only by the runner that
//! recorded this. So it begins at most once, whatever fails in between.

use super::{
    center::{BatchEnded, InstructionCenter, InstructionServices},
    confinement::BatchConfinement,
    deliver,
    execution::{InstructionExecution, InstructionOutcome, Mandate},
    hub::InstructionShared,
    stored_plan::{self, StoredInstruction},
};
use crate::{
    failpoints,
    ids::RequestId,
    mode::Mode,
    runs::truncate_texts,
    state_folder::StoreMark,
    store::{
        StoreError,
        batches::{self, BatchOrigin, BatchSummary, StoredBatch},
        identity,
        tasks::{self, StatusChange, TaskStatus, runs},
    },
};
use actix::prelude::*;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs queued batches for the instruction center.
pub(super) struct BatchRunner {
    shared: Arc<InstructionShared>,
    services: InstructionServices,
    center: Addr<InstructionCenter>,
}

struct BatchRun {
    executions: Vec<InstructionExecution>,
    /// Whether the service stopped before the batch was complete.
    stopped: bool,
}

impl BatchRunner {
    pub(super) fn new(
        shared: Arc<InstructionShared>,
        services: InstructionServices,
        center: Addr<InstructionCenter>,
    ) -> Self {
        BatchRunner { shared, services, center }
    }

    /// Runs all queued batches; returns when none is left or none may begin.
    pub(super) async fn run(self) {
        while !self.shared.stopping.is_cancelled() && self.shared.is_enabled() {
            let live = self.shared.setup.system.mode() == Mode::Running;
            let next = self.shared.retry_until_committed(|_| (), move |conn| batches::next_queued(conn, live)).await;
            let Ok(Some(batch)) = next else { return };
            let batch_id = batch.row.batch_id.clone();
            if let Err(error) = self.batch(batch).await {
                tracing::error!(batch.id = batch_id, %error, "a batch cannot go on");
                let is_abandoned = self.abandon_batch(&batch_id).await;
                self.center.do_send(BatchEnded { batch_id, result: Err(error) }); // bounded: once a batch
                if !is_abandoned {
                    return;
                }
            }
        }
    }

    async fn batch(&self, batch: StoredBatch) -> Result<(), StoreError> {
        let batch_id = batch.row.batch_id.clone();
        let message_id = &batch.row.message.assistant_message_id;
        let digest = stored_plan::digest(&batch_id, message_id, &batch.plan);
        let entries = match stored_plan::read(&batch.plan) {
            Ok(entries) if batch.row.digest.as_ref() == Some(&digest) => entries,
            _ => return self.refuse(&batch_id, "it is not what was decided about").await,
        };
        let confinement = match self.shared.levels().of_stored(&batch.row, &batch.plan) {
            Ok(confinement) => confinement,
            Err(other) => return self.refuse(&batch_id, &other.to_string()).await,
        };
        let (now, name) = (self.now(), batch_id.clone());
        let begin = move |conn: &mut _| match batches::begin(conn, &name, now)? {
            StatusChange::Made => batches::one(conn, &name)?.map(|batch| batch.row).ok_or(StoreError::NotFound),
            StatusChange::Refused(_) => Err(StoreError::NotFound),
        };
        let row = self.retry_until_committed(&batch_id, begin).await?;
        self.shared.publish_status(&row);
        self.remember(&batch_id).await?;
        let fresh: Vec<StoredInstruction> = entries.into_iter().filter(|entry| entry.duplicate_of.is_none()).collect();
        let BatchRun { executions, stopped } = self.instructions(&row, &fresh, confinement).await?;
        let (now, name) = (self.now(), batch_id.clone());
        let end = move |conn: &mut _| match stopped {
            true => batches::abandon(conn, &name, "the service stopped", now).map(drop),
            false => batches::finish(conn, &name, now).map(drop),
        };
        self.retry_until_committed(&batch_id, end).await?;
        self.shared.publish_status_of(&batch_id).await;
        if row.origin == BatchOrigin::Live.name() && !stopped {
            deliver::start(&self.shared, &self.services, row, &executions);
        }
        self.center.do_send(BatchEnded { batch_id, result: Ok(executions) }); // bounded: once a batch
        Ok(())
    }

    async fn instructions(
        &self,
        row: &BatchSummary,
        entries: &[StoredInstruction],
        confinement: BatchConfinement,
    ) -> Result<BatchRun, StoreError> {
        let batch_id = row.batch_id.as_str();
        let task_id = row.task_id.clone().ok_or(StoreError::NotFound)?;
        let BatchConfinement { authority, origin, .. } = confinement;
        let mandate = Mandate { authority, origin, message: &row.message };
        let runs = self.retry_until_committed(batch_id, move |conn| runs::of_task(conn, &task_id)).await?;
        let settings = &self.shared.setup.settings;
        let (mut executions, mut whole) = (Vec::with_capacity(entries.len()), settings.answer_max_bytes);
        let mut failed = false;
        for (entry, run) in entries.iter().zip(runs) {
            if self.shared.stopping.is_cancelled() {
                return Ok(BatchRun { executions, stopped: true });
            }
            let (run_id, now) = (run.run_id, self.now());
            if failed && settings.stop_on_failure {
                let why = "an instruction before it failed";
                let cancel = move |conn: &mut _| tasks::change_run(conn, &run_id, TaskStatus::Cancelled, why, now);
                self.retry_until_committed(batch_id, cancel).await?;
                continue;
            }
            let name = run_id.clone();
            let begin = move |conn: &mut _| tasks::change_run(conn, &name, TaskStatus::Running, "", now);
            if self.retry_until_committed(batch_id, begin).await? != StatusChange::Made {
                continue; // it had its turn
            }
            let execution = self.execute(entry, mandate).await;
            failed |= !execution.done.ok;
            let (execution, text) = record_of(execution, settings.result_max_bytes, &mut whole);
            let status = if execution.done.ok { TaskStatus::Succeeded } else { TaskStatus::Failed };
            let finished_at = execution.finished_at;
            let end = move |conn: &mut _| tasks::end_run(conn, &run_id, status, &text, finished_at);
            self.retry_until_committed(batch_id, end).await?;
            executions.push(execution);
        }
        Ok(BatchRun { executions, stopped: false })
    }

    async fn execute(&self, entry: &StoredInstruction, mandate: Mandate<'_>) -> InstructionExecution {
        let (request_id, started_at) = (RequestId::generate(), self.now());
        failpoints::point("instruction");
        // A running instruction may finish until the service stops; the host then ends it.
        let never = CancellationToken::new();
        let done: InstructionOutcome = self.services.execute.execute(entry.plan.clone(), mandate, &never).await;
        InstructionExecution::of(entry, request_id.as_str(), done, started_at, self.now())
    }

    /// Abandons a batch whose rows contradict each other, so that later batches need not wait for a repair. Returns
    /// whether it is out of the way.
    async fn abandon_batch(&self, batch_id: &str) -> bool {
        if self.shared.stopping.is_cancelled() {
            return false;
        }
        let (now, name) = (self.now(), batch_id.to_owned());
        let abandon = move |conn: &mut _| batches::abandon(conn, &name, "it could not go on", now);
        let aside = self.shared.retry_until_committed(|_| (), abandon).await;
        let is_abandoned = aside.unwrap_or_else(|error| {
            tracing::error!(batch.id = batch_id, %error, "the batch cannot be abandoned either");
            false
        });
        self.shared.publish_status_of(batch_id).await;
        is_abandoned
    }

    /// Refuses a batch that differs from what was decided, or whose sandbox does. It never runs.
    async fn refuse(&self, batch_id: &str, why: &str) -> Result<(), StoreError> {
        tracing::error!(batch.id = batch_id, why, "a batch was refused before it ran");
        let (now, name, why) = (self.now(), batch_id.to_owned(), why.to_owned());
        let refuse = move |conn: &mut _| {
            batches::begin(conn, &name, now)?;
            batches::abandon(conn, &name, &why, now)
        };
        self.retry_until_committed(batch_id, refuse).await?;
        self.shared.publish_status_of(batch_id).await;
        self.center.do_send(BatchEnded { batch_id: batch_id.to_owned(), result: Ok(Vec::new()) }); // bounded: once a batch
        Ok(())
    }

    /// Records the progress of the database outside of it before a batch runs, so that an older copy that replaces it later is
    /// recognized.
    async fn remember(&self, batch_id: &str) -> Result<(), StoreError> {
        let folder = self.shared.setup.state_dir.clone();
        let note = move |conn: &mut _| {
            let head = identity::head(conn)?.map(|head| (head.number, head.hash));
            let mark = StoreMark { store_id: identity::store_id(conn)?, head };
            mark.write(&folder).map_err(|error| StoreError::Database(format!("its mark cannot be written: {error}")))
        };
        self.retry_until_committed(batch_id, note).await
    }

    /// Retries a change until it is committed. Callers that wait for the batch are notified of the first failure.
    async fn retry_until_committed<T, F>(&self, batch_id: &str, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut crate::store::SqliteConnection) -> Result<T, StoreError> + Clone + Send + 'static,
    {
        let stalled = |error: &StoreError| {
            let (batch_id, result) = (batch_id.to_owned(), Err(error.clone()));
            self.center.do_send(BatchEnded { batch_id, result }); // bounded: once for each change that cannot be made
        };
        self.shared.retry_until_committed(stalled, change).await
    }

    fn now(&self) -> crate::clock::WallMs {
        self.shared.setup.clock.now_ms()
    }
}

/// Returns the execution for the caller and its text for the store. The caller gets it untruncated while `whole` bytes
/// last.
fn record_of(
    execution: InstructionExecution,
    result_bytes_max: usize,
    whole: &mut usize,
) -> (InstructionExecution, String) {
    let cut = |mut execution: InstructionExecution| {
        execution.done.data = execution.done.data.map(|data| truncate_texts(data, result_bytes_max));
        execution
    };
    let all = serde_json::to_string(&execution).expect("our own values have string keys");
    let short = cut(execution.clone());
    let text = if short == execution { all.clone() } else { serde_json::to_string(&short).unwrap_or_default() };
    match whole.checked_sub(all.len()) {
        Some(left) => {
            *whole = left;
            (execution, text)
        }
        None => (short, text),
    }
}
