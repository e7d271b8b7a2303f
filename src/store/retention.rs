//! Deletes rows older than `store.retention_days`, in small batches.
//!
//! ```text
//! idle ─► sweeping: a batch of a table, a pause, the next batch, the next table … ─► idle
//!    └──────────────────────┴── the store is closed: the end
//! ```
//!
//! Policy state, pairings, the mode and the dedupe keys have no age and are not swept.
//!
//! Endpoints are deleted before their logins and runs before their tasks, so that no batch cascades into many rows. The
//! audit trail comes last, so that an error there blocks nothing else.

use super::{
    Store, StoreError, StoreSettings, audit, batches, logins, messages,
    query::{BindValue, SqlStatement},
    requests, tasks,
};
use crate::clock::{Clock, WallMs};
use actix::prelude::*;
use diesel::{RunQueryDsl, SqliteConnection};
use std::time::Duration;
use tracing::{info, warn};

#[cfg(test)]
mod tests;

/// Delay of the first pass after the start.
const FIRST_DELAY: Duration = Duration::from_secs(5);
/// Pause between two batches, in which others can write.
const PAUSE: Duration = Duration::from_millis(10);
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Result of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SweepProgress {
    /// Number of deleted rows.
    pub(super) deleted: usize,
    /// Position of the next batch; `None` when the table is done.
    pub(super) next: Option<i64>,
}

impl SweepProgress {
    /// Executes a `DELETE` statement that takes the cutoff and the number of rows, and that is repeated until it deletes
    /// nothing.
    pub(super) fn of_delete(
        conn: &mut SqliteConnection,
        delete: &'static str,
        cutoff: WallMs,
        rows: i64,
    ) -> Result<Self, StoreError> {
        let deleted = SqlStatement::<()>::new(delete, [BindValue::Int(cutoff), BindValue::Int(rows)]).execute(conn)?;
        Ok(SweepProgress { deleted, next: (deleted > 0).then_some(0) })
    }
}

/// Returns the time before which rows are deleted.
fn cutoff(now: WallMs, retention_days: u64) -> WallMs {
    let days = i64::try_from(retention_days).unwrap_or(i64::MAX);
    now.saturating_sub(days.saturating_mul(DAY_MS))
}

/// The swept tables, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum RetentionTable {
    BrowserRequests,
    LoginEndpoints,
    Logins,
    FinalMessages,
    InstructionBatches,
    Runs,
    Tasks,
    TaskLogs,
}

impl RetentionTable {
    const FIRST: RetentionTable = RetentionTable::BrowserRequests;

    fn next(self) -> Option<RetentionTable> {
        match self {
            RetentionTable::BrowserRequests => Some(RetentionTable::LoginEndpoints),
            RetentionTable::LoginEndpoints => Some(RetentionTable::Logins),
            RetentionTable::Logins => Some(RetentionTable::FinalMessages),
            RetentionTable::FinalMessages => Some(RetentionTable::InstructionBatches),
            RetentionTable::InstructionBatches => Some(RetentionTable::Runs),
            RetentionTable::Runs => Some(RetentionTable::Tasks),
            RetentionTable::Tasks => Some(RetentionTable::TaskLogs),
            RetentionTable::TaskLogs => None,
        }
    }

    fn name(self) -> &'static str {
        self.into()
    }

    fn expire(self, conn: &mut SqliteConnection, batch: SweepBatch, rows: i64) -> Result<SweepProgress, StoreError> {
        let delete = |conn: &mut _, sql| SweepProgress::of_delete(conn, sql, batch.cutoff, rows);
        match self {
            RetentionTable::BrowserRequests => requests::expire(conn, batch.cutoff, batch.now, batch.after, rows),
            RetentionTable::LoginEndpoints => logins::expire_endpoints(conn, batch.cutoff, batch.after, rows),
            RetentionTable::Logins => logins::expire(conn, batch.cutoff, batch.after, rows),
            RetentionTable::FinalMessages => delete(conn, messages::EXPIRE),
            RetentionTable::InstructionBatches => delete(conn, batches::EXPIRE),
            RetentionTable::Runs => delete(conn, tasks::EXPIRE_RUNS),
            RetentionTable::Tasks => delete(conn, tasks::EXPIRE),
            RetentionTable::TaskLogs => audit::expire(conn, batch.cutoff, batch.now, rows),
        }
    }
}

/// Position of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SweepBatch {
    now: WallMs,
    cutoff: WallMs,
    table: RetentionTable,
    after: i64,
    /// Rows of this table deleted so far.
    deleted: usize,
}

impl SweepBatch {
    fn first(now: WallMs, retention_days: u64) -> Self {
        SweepBatch { now, cutoff: cutoff(now, retention_days), table: RetentionTable::FIRST, after: 0, deleted: 0 }
    }

    /// Returns the next batch.
    fn following(self, swept: SweepProgress) -> Option<SweepBatch> {
        match swept.next {
            Some(after) => Some(SweepBatch { after, deleted: self.deleted + swept.deleted, ..self }),
            None => self.table.next().map(|table| SweepBatch { table, after: 0, deleted: 0, ..self }),
        }
    }
}

/// Sweeps the store periodically; ends when the store is closed.
pub struct Retention {
    store: Store,
    clock: Clock,
    days: u64,
    batch_rows: i64,
    interval: Duration,
}

impl Retention {
    /// Starts the sweeper on the current arbiter.
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
