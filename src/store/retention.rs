//! Lets go of what is older than `store.retention_days`, a small batch at a time.
//!
//! ```text
//! resting ─► sweeping: a batch of a table, a pause, the next one, the next table … ─► resting
//!    └───────────────────────┴── the store is closed: the end
//! ```
//!
//! What the policy remembers, pairings, the mode and the dedupe keys have no age: they are in no table that is swept.
//!
//! Endpoints go before the logins they belong to and runs before their tasks, so that no batch takes along more than its
//! own rows. The audit trail goes last: what keeps it from going keeps nothing else.

use super::{Store, StoreError, StoreSettings, audit, batches, logins, messages, requests, tasks};
use crate::clock::{Clock, WallMs};
use actix::prelude::*;
use diesel::SqliteConnection;
use std::time::Duration;
use tracing::{info, warn};

#[cfg(test)]
mod tests;

/// How long after the start the first pass begins: the daemon has other things to do first.
const FIRST_DELAY: Duration = Duration::from_secs(5);
/// The pause between two batches, in which others get the writer.
const PAUSE: Duration = Duration::from_millis(10);
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What one batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SweepProgress {
    /// How many rows left.
    pub(super) deleted: usize,
    /// After which row the next batch begins; nothing when the table is done.
    pub(super) next: Option<i64>,
}

/// What was last of use before this may leave.
fn cutoff(now: WallMs, retention_days: u64) -> WallMs {
    let days = i64::try_from(retention_days).unwrap_or(i64::MAX);
    now.saturating_sub(days.saturating_mul(DAY_MS))
}

/// The tables that are swept, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetentionTable {
    Requests,
    Endpoints,
    Logins,
    Messages,
    Batches,
    Runs,
    Tasks,
    Logs,
}

impl RetentionTable {
    const FIRST: RetentionTable = RetentionTable::Requests;

    fn next(self) -> Option<RetentionTable> {
        match self {
            RetentionTable::Requests => Some(RetentionTable::Endpoints),
            RetentionTable::Endpoints => Some(RetentionTable::Logins),
            RetentionTable::Logins => Some(RetentionTable::Messages),
            RetentionTable::Messages => Some(RetentionTable::Batches),
            RetentionTable::Batches => Some(RetentionTable::Runs),
            RetentionTable::Runs => Some(RetentionTable::Tasks),
            RetentionTable::Tasks => Some(RetentionTable::Logs),
            RetentionTable::Logs => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            RetentionTable::Requests => "browser_requests",
            RetentionTable::Endpoints => "login_endpoints",
            RetentionTable::Logins => "logins",
            RetentionTable::Messages => "final_messages",
            RetentionTable::Batches => "instruction_batches",
            RetentionTable::Runs => "runs",
            RetentionTable::Tasks => "tasks",
            RetentionTable::Logs => "task_logs",
        }
    }

    fn expire(self, conn: &mut SqliteConnection, batch: SweepBatch, rows: i64) -> Result<SweepProgress, StoreError> {
        match self {
            RetentionTable::Requests => requests::expire(conn, batch.cutoff, batch.now, batch.after, rows),
            RetentionTable::Endpoints => logins::expire_endpoints(conn, batch.cutoff, batch.after, rows),
            RetentionTable::Logins => logins::expire(conn, batch.cutoff, batch.after, rows),
            RetentionTable::Messages => messages::expire(conn, batch.cutoff, rows),
            RetentionTable::Batches => batches::expire(conn, batch.cutoff, rows),
            RetentionTable::Runs => tasks::expire_runs(conn, batch.cutoff, rows),
            RetentionTable::Tasks => tasks::expire(conn, batch.cutoff, rows),
            RetentionTable::Logs => audit::expire(conn, batch.cutoff, batch.now, rows),
        }
    }
}

/// Where a pass has got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SweepBatch {
    now: WallMs,
    cutoff: WallMs,
    table: RetentionTable,
    after: i64,
    /// Rows of this table that left so far.
    deleted: usize,
}

impl SweepBatch {
    fn first(now: WallMs, retention_days: u64) -> Self {
        SweepBatch { now, cutoff: cutoff(now, retention_days), table: RetentionTable::FIRST, after: 0, deleted: 0 }
    }

    /// The batch after this one.
    fn following(self, swept: SweepProgress) -> Option<SweepBatch> {
        match swept.next {
            Some(after) => Some(SweepBatch { after, deleted: self.deleted + swept.deleted, ..self }),
            None => self.table.next().map(|table| SweepBatch { table, after: 0, deleted: 0, ..self }),
        }
    }
}

/// Sweeps the store now and then; ends when it is closed.
pub struct Retention {
    store: Store,
    clock: Clock,
    days: u64,
    batch_rows: i64,
    interval: Duration,
}

impl Retention {
    /// Starts it on the current arbiter.
    pub fn start(store: Store, settings: &StoreSettings, clock: Clock) -> Addr<Self> {
        let retention = Retention {
            store,
            clock,
            days: settings.retention_days,
            batch_rows: i64::try_from(settings.retention_batch_rows).unwrap_or(i64::MAX),
            interval: Duration::from_millis(settings.retention_interval_ms),
        };
        Actor::start(retention)
    }

    fn pass(&mut self, ctx: &mut Context<Self>) {
        self.sweep(SweepBatch::first(self.clock.now_ms(), self.days), ctx);
    }

    fn sweep(&mut self, batch: SweepBatch, ctx: &mut Context<Self>) {
        let (store, rows) = (self.store.clone(), self.batch_rows);
        let swept = async move { store.transact(move |conn| batch.table.expire(conn, batch, rows)).await };
        ctx.spawn(swept.into_actor(self).map(move |swept, retention, ctx| retention.swept(batch, swept, ctx)));
    }

    fn swept(&mut self, batch: SweepBatch, swept: Result<SweepProgress, StoreError>, ctx: &mut Context<Self>) {
        let swept = match swept {
            Ok(swept) => swept,
            Err(StoreError::Gone) => return ctx.stop(),
            Err(error) => {
                warn!(%error, table = batch.table.name(), "old rows cannot be deleted now");
                return self.rest(self.interval, ctx);
            }
        };
        let deleted = batch.deleted + swept.deleted;
        if swept.next.is_none() && deleted > 0 {
            info!(table = batch.table.name(), rows.deleted = deleted, "old rows were deleted");
        }
        match batch.following(swept) {
            Some(next) => {
                ctx.run_later(PAUSE, move |retention, ctx| retention.sweep(next, ctx));
            }
            None => self.rest(self.interval, ctx),
        }
    }

    fn rest(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        ctx.run_later(pause, Self::pass);
    }
}

impl Actor for Retention {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let closed = self.store.closed();
        ctx.spawn(closed.into_actor(self).map(|(), _, ctx| ctx.stop()));
        self.rest(FIRST_DELAY.min(self.interval), ctx);
    }
}
