//! Runs what is queued, one batch after the other, one instruction after the other.
//!
//! ```text
//! next queued ─► begin ─► for each: its run is running (written) ─► execute ─► its run has ended (written) ─► finish
//! ```
//!
//! Invariant: an instruction is executed after the store says that it runs, and never when the store said so before. So
//! whatever dies in between, it begins once at most.

use super::{
    center::{Center, Ended, Outside},
    confinement::Confinement,
    deliver,
    execution::{Done, Execution, Mandate},
    hub::Shared,
    record::{self, Entry},
};
use crate::{
    faults,
    ids::RequestId,
    mode::Mode,
    runs::kept,
    state_folder::StoreMark,
    store::{
        StoreError,
        batches::{self, Batch, BatchRow, Origin},
        identity,
        tasks::{self, Change, Status, runs},
    },
};
use actix::prelude::*;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// See the module.
pub(super) struct Runner {
    shared: Arc<Shared>,
    outside: Outside,
    center: Addr<Center>,
}

/// What of a batch ran here.
struct Ran {
    executions: Vec<Execution>,
    /// The service stops: more was to run.
    stopped: bool,
}

impl Runner {
    pub(super) fn new(shared: Arc<Shared>, outside: Outside, center: Addr<Center>) -> Self {
        Runner { shared, outside, center }
    }

    /// Runs everything that is queued; ends when there is nothing more, or nothing may begin.
    pub(super) async fn run(self) {
        while !self.shared.stopping.is_cancelled() && self.shared.is_enabled() {
            let live = self.shared.setup.system.mode() == Mode::Running;
            let next = self.shared.insist(|_| (), move |conn| batches::next_queued(conn, live)).await;
            let Ok(Some(batch)) = next else { return };
            let batch_id = batch.row.batch_id.clone();
            if let Err(error) = self.batch(batch).await {
                tracing::error!(batch.id = batch_id, %error, "a batch cannot go on");
                let is_aside = self.set_aside(&batch_id).await;
                self.center.do_send(Ended { batch_id, told: Err(error) }); // bounded: once a batch
                if !is_aside {
                    return;
                }
            }
        }
    }

    async fn batch(&self, batch: Batch) -> Result<(), StoreError> {
        let batch_id = batch.row.batch_id.clone();
        let message_id = &batch.row.message.assistant_message_id;
        let digest = record::digest(&batch_id, message_id, &batch.plan);
        let entries = match record::read(&batch.plan) {
            Ok(entries) if batch.row.digest.as_ref() == Some(&digest) => entries,
            _ => return self.refuse(&batch_id, "it is not what was decided about").await,
        };
        let confinement = match self.shared.levels().of_kept(&batch.row, &batch.plan) {
            Ok(confinement) => confinement,
            Err(other) => return self.refuse(&batch_id, &other.to_string()).await,
        };
        let (now, name) = (self.now(), batch_id.clone());
        let begin = move |conn: &mut _| match batches::begin(conn, &name, now)? {
            Change::Made => batches::one(conn, &name)?.map(|batch| batch.row).ok_or(StoreError::NotFound),
            Change::Refused(_) => Err(StoreError::NotFound),
        };
        let row = self.insist(&batch_id, begin).await?;
        self.shared.tell(&row);
        self.remember(&batch_id).await?;
        let fresh: Vec<Entry> = entries.into_iter().filter(|entry| entry.duplicate_of.is_none()).collect();
        let Ran { executions, stopped } = self.instructions(&row, &fresh, confinement).await?;
        let (now, name) = (self.now(), batch_id.clone());
        let end = move |conn: &mut _| match stopped {
            true => batches::abandon(conn, &name, "the service stopped", now).map(drop),
            false => batches::finish(conn, &name, now).map(drop),
        };
        self.insist(&batch_id, end).await?;
        self.shared.tell_of(&batch_id).await;
        if row.origin == Origin::Live.name() && !stopped {
            deliver::start(&self.shared, &self.outside, row, &executions);
        }
        self.center.do_send(Ended { batch_id, told: Ok(executions) }); // bounded: once a batch
        Ok(())
    }

    async fn instructions(
        &self,
        row: &BatchRow,
        entries: &[Entry],
        confinement: Confinement,
    ) -> Result<Ran, StoreError> {
        let batch_id = row.batch_id.as_str();
        let task_id = row.task_id.clone().ok_or(StoreError::NotFound)?;
        let Confinement { authority, origin, .. } = confinement;
        let mandate = Mandate { authority, origin, message: &row.message };
        let runs = self.insist(batch_id, move |conn| runs::of_task(conn, &task_id)).await?;
        let settings = &self.shared.setup.settings;
        let (mut executions, mut whole) = (Vec::with_capacity(entries.len()), settings.answer_max_bytes);
        let mut failed = false;
        for (entry, run) in entries.iter().zip(runs) {
            if self.shared.stopping.is_cancelled() {
                return Ok(Ran { executions, stopped: true });
            }
            let (run_id, now) = (run.run_id, self.now());
            if failed && settings.stop_on_failure {
                let why = "an instruction before it failed";
                let cancel = move |conn: &mut _| tasks::change_run(conn, &run_id, Status::Cancelled, why, now);
                self.insist(batch_id, cancel).await?;
                continue;
            }
            let name = run_id.clone();
            let begin = move |conn: &mut _| tasks::change_run(conn, &name, Status::Running, "", now);
            if self.insist(batch_id, begin).await? != Change::Made {
                continue; // it had its turn
            }
            let execution = self.execute(entry, mandate).await;
            failed |= !execution.done.ok;
            let (execution, text) = record_of(execution, settings.result_max_bytes, &mut whole);
            let status = if execution.done.ok { Status::Succeeded } else { Status::Failed };
            let finished_at = execution.finished_at;
            let end = move |conn: &mut _| tasks::end_run(conn, &run_id, status, &text, finished_at);
            self.insist(batch_id, end).await?;
            executions.push(execution);
        }
        Ok(Ran { executions, stopped: false })
    }

    async fn execute(&self, entry: &Entry, mandate: Mandate<'_>) -> Execution {
        let (request_id, started_at) = (RequestId::generate(), self.now());
        faults::point("instruction");
        // What began may finish for as long as the service takes to stop; the host ends it then.
        let never = CancellationToken::new();
        let done: Done = self.outside.execute.execute(entry.plan.clone(), mandate, &never).await;
        Execution::of(entry, request_id.as_str(), done, started_at, self.now())
    }

    /// One whose rows contradict each other: those behind it need not wait for somebody to mend them. Answers whether it is
    /// out of their way.
    async fn set_aside(&self, batch_id: &str) -> bool {
        if self.shared.stopping.is_cancelled() {
            return false;
        }
        let (now, name) = (self.now(), batch_id.to_owned());
        let abandon = move |conn: &mut _| batches::abandon(conn, &name, "it could not go on", now);
        let aside = self.shared.insist(|_| (), abandon).await;
        let is_aside = aside.unwrap_or_else(|error| {
            tracing::error!(batch.id = batch_id, %error, "it cannot be set aside either");
            false
        });
        self.shared.tell_of(batch_id).await;
        is_aside
    }

    /// One that is not what was decided about, or would not run as it was: it never runs.
    async fn refuse(&self, batch_id: &str, why: &str) -> Result<(), StoreError> {
        tracing::error!(batch.id = batch_id, why, "a batch does not run");
        let (now, name, why) = (self.now(), batch_id.to_owned(), why.to_owned());
        let refuse = move |conn: &mut _| {
            batches::begin(conn, &name, now)?;
            batches::abandon(conn, &name, &why, now)
        };
        self.insist(batch_id, refuse).await?;
        self.shared.tell_of(batch_id).await;
        self.center.do_send(Ended { batch_id: batch_id.to_owned(), told: Ok(Vec::new()) }); // bounded: once a batch
        Ok(())
    }

    /// Notes beside the database how far it has come, before anything of a batch runs: an older copy of it, put in its place
    /// later, is then known as one.
    async fn remember(&self, batch_id: &str) -> Result<(), StoreError> {
        let folder = self.shared.setup.state_dir.clone();
        let note = move |conn: &mut _| {
            let head = identity::head(conn)?.map(|head| (head.number, head.hash));
            let mark = StoreMark { store_id: identity::store_id(conn)?, head };
            mark.write(&folder).map_err(|error| StoreError::Database(format!("its mark cannot be written: {error}")))
        };
        self.insist(batch_id, note).await
    }

    /// Makes a change that must be made. Whoever waits for the batch is told at once that it cannot be made now.
    async fn insist<T, F>(&self, batch_id: &str, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut crate::store::SqliteConnection) -> Result<T, StoreError> + Clone + Send + 'static,
    {
        let stalled = |error: &StoreError| {
            let (batch_id, told) = (batch_id.to_owned(), Err(error.clone()));
            self.center.do_send(Ended { batch_id, told }); // bounded: once for each change that cannot be made
        };
        self.shared.insist(stalled, change).await
    }

    fn now(&self) -> crate::clock::WallMs {
        self.shared.setup.clock.now_ms()
    }
}

/// What is kept of an execution, and what whoever waits is given: the whole of it while `whole` bytes last.
fn record_of(execution: Execution, result_bytes_max: usize, whole: &mut usize) -> (Execution, String) {
    let cut = |mut execution: Execution| {
        execution.done.data = execution.done.data.map(|data| kept(data, result_bytes_max));
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
