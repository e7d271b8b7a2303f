//! What the request policy must not forget in a restart: what each target remembers, one row a target, and the
//! dispatches in the window of each platform, one row a dispatch.
//!
//! A target is written whole, a window as the difference to what was written before. Nothing of it leaves by age: a
//! dispatch leaves with its window, a target when there are too many (see [`prune`]).

mod read;

#[cfg(test)]
pub(crate) mod tests;

use super::{
    StoreError,
    query::{BindValue, SqlStatement},
    schema::{policy_dispatches, policy_targets},
};
use crate::clock::WallMs;
use diesel::prelude::*;
use std::sync::Arc;

pub use read::{prune, targets, windows};

/// A moment that something lasts until, told by the wall clock and, where the system has one, by the time since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineRow {
    /// In Unix milliseconds.
    pub until: WallMs,
    /// The same moment, in milliseconds since the boot of the target's `boot_id`.
    pub uptime_ms: Option<i64>,
    /// How long it was to last when it began, in milliseconds.
    pub span_ms: i64,
}

/// What a target remembers. Times in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// Of which client.
    pub client_id: Arc<str>,
    /// On which platform.
    pub platform: Arc<str>,
    /// The boot that `uptime_ms` counts from.
    pub boot_id: Option<Arc<str>>,
    /// Until when the circuit is open; nothing when it is closed.
    pub circuit: Option<DeadlineRow>,
    /// Until when requests are held back.
    pub backoff: Option<DeadlineRow>,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// What the last failure was.
    pub last_error: Option<String>,
    /// When it was.
    pub last_failure_at: Option<WallMs>,
    /// When a request last succeeded.
    pub last_success_at: Option<WallMs>,
    /// How many leases were taken back, ever.
    pub stale_sweep_count: u64,
    /// The last of them.
    pub last_sweep: Option<SweepRow>,
    /// When any of this last changed.
    pub updated_at: WallMs,
}

/// A lease that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepRow {
    /// When, in Unix milliseconds.
    pub at: WallMs,
    /// For how long it had been idle, in milliseconds.
    pub idle_ms: i64,
    /// Whose it was.
    pub request_id: Arc<str>,
    /// Why.
    pub reason: String,
}

/// What a platform's pacing window holds: differences to what was written before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// Which platform.
    pub platform: Arc<str>,
    /// When a request was last sent there, in Unix milliseconds; nothing leaves what was written before.
    pub last_dispatched_at: Option<WallMs>,
    /// Stored dispatches with a smaller number have left the window.
    pub keep_from: i64,
    /// New or changed ones, ascending by number. Numbers go on from those that were stored.
    pub dispatches: Vec<DispatchRow>,
}

/// A dispatch, or several that are kept as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchRow {
    /// Its place among the platform's dispatches; one that is written again takes the place of the older.
    pub number: i64,
    /// When, in Unix milliseconds.
    pub at: WallMs,
    /// The same moment, in milliseconds since the boot of `boot_id`.
    pub uptime_ms: Option<i64>,
    /// The boot that `uptime_ms` counts from.
    pub boot_id: Option<Arc<str>>,
    /// How many dispatches it stands for, at least one.
    pub count: i64,
}

impl WindowRow {
    /// Takes over what an older difference says that this one leaves in force.
    pub fn absorb(&mut self, older: WindowRow) {
        self.last_dispatched_at = self.last_dispatched_at.or(older.last_dispatched_at);
        let mut dispatches = older.dispatches;
        dispatches.retain(|dispatch| dispatch.number >= self.keep_from && !self.has(dispatch.number));
        dispatches.append(&mut self.dispatches);
        dispatches.sort_by_key(|dispatch| dispatch.number); // two runs, mostly one
        self.dispatches = dispatches;
    }

    fn has(&self, number: i64) -> bool {
        self.dispatches.binary_search_by_key(&number, |dispatch| dispatch.number).is_ok()
    }
}

/// Writes what a target remembers in the place of what it remembered before.
pub fn write_target(conn: &mut SqliteConnection, row: &TargetRow) -> Result<(), StoreError> {
    use policy_targets::dsl;
    let until = |until: &Option<DeadlineRow>| until.map(|until| (until.until, until.uptime_ms, until.span_ms));
    let (circuit, backoff, sweep) = (until(&row.circuit), until(&row.backoff), row.last_sweep.as_ref());
    let stale_sweep_count = i64::try_from(row.stale_sweep_count)
        .map_err(|_| StoreError::Database(format!("{} sweeps are more than fit", row.stale_sweep_count)))?;
    let values = (
        dsl::client_id.eq(&*row.client_id),
        dsl::platform.eq(&*row.platform),
        dsl::boot_id.eq(row.boot_id.as_deref()),
        dsl::circuit_until.eq(circuit.map(|(until, ..)| until)),
        dsl::circuit_uptime_ms.eq(circuit.and_then(|(_, uptime_ms, _)| uptime_ms)),
        dsl::circuit_span_ms.eq(circuit.map(|(.., span_ms)| span_ms)),
        dsl::backoff_until.eq(backoff.map(|(until, ..)| until)),
        dsl::backoff_uptime_ms.eq(backoff.and_then(|(_, uptime_ms, _)| uptime_ms)),
        dsl::backoff_span_ms.eq(backoff.map(|(.., span_ms)| span_ms)),
        dsl::consecutive_failures.eq(i64::from(row.consecutive_failures)),
        dsl::last_error.eq(row.last_error.as_deref()),
        dsl::last_failure_at.eq(row.last_failure_at),
        dsl::last_success_at.eq(row.last_success_at),
        dsl::stale_sweep_count.eq(stale_sweep_count),
        dsl::last_sweep_at.eq(sweep.map(|sweep| sweep.at)),
        dsl::last_sweep_idle_ms.eq(sweep.map(|sweep| sweep.idle_ms)),
        dsl::last_sweep_request_id.eq(sweep.map(|sweep| &*sweep.request_id)),
        dsl::last_sweep_reason.eq(sweep.map(|sweep| &*sweep.reason)),
        dsl::updated_at.eq(row.updated_at),
    );
    diesel::replace_into(dsl::policy_targets).values(values).execute(conn)?;
    Ok(())
}

const UPSERT_WINDOW: &str = "\
    INSERT INTO policy_windows (platform, last_dispatched_at) VALUES (?,?) ON CONFLICT (platform) DO UPDATE SET \
    last_dispatched_at = coalesce(excluded.last_dispatched_at, last_dispatched_at)";

/// Writes what changed in a platform's window; the caller has opened the transaction.
pub fn write_window(conn: &mut SqliteConnection, row: &WindowRow) -> Result<(), StoreError> {
    use policy_dispatches::dsl;
    let window = [BindValue::Text(&row.platform), BindValue::MaybeInt(row.last_dispatched_at)];
    SqlStatement::<()>::new(UPSERT_WINDOW, window).execute(conn)?;
    for dispatch in &row.dispatches {
        let values = (
            dsl::platform.eq(&*row.platform),
            dsl::number.eq(dispatch.number),
            dsl::at.eq(dispatch.at),
            dsl::uptime_ms.eq(dispatch.uptime_ms),
            dsl::boot_id.eq(dispatch.boot_id.as_deref()),
            dsl::count.eq(dispatch.count),
        );
        diesel::replace_into(dsl::policy_dispatches).values(values).execute(conn)?;
    }
    let left = dsl::policy_dispatches.filter(dsl::platform.eq(&*row.platform).and(dsl::number.lt(row.keep_from)));
    diesel::delete(left).execute(conn)?;
    Ok(())
}
