//! State of the request policy that survives a restart: one row per target, and one per dispatch in a platform's
//! window.
//!
//! A target is written as a whole, a window as the difference to what was written before. Nothing is deleted by age:
//! dispatches are deleted when they leave their window, targets when there are too many (see [`prune`]).

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

/// A deadline in wall time and, where the system reports it, in uptime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlineRow {
    /// In Unix milliseconds.
    pub until: WallMs,
    /// The same in milliseconds since the boot `boot_id` of the target.
    pub uptime_ms: Option<i64>,
    /// Original duration, in milliseconds.
    pub span_ms: i64,
}

/// State of a target. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// Client.
    pub client_id: Arc<str>,
    /// Platform.
    pub platform: Arc<str>,
    /// Boot that `uptime_ms` counts from.
    pub boot_id: Option<Arc<str>>,
    /// End of the open circuit; absent while it is closed.
    pub circuit: Option<DeadlineRow>,
    /// End of the back-off.
    pub backoff: Option<DeadlineRow>,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Error code of the last failure.
    pub last_error: Option<String>,
    /// Time of the last failure.
    pub last_failure_at: Option<WallMs>,
    /// Time of the last success.
    pub last_success_at: Option<WallMs>,
    /// Number of revoked leases.
    pub stale_sweep_count: u64,
    /// The last revocation.
    pub last_sweep: Option<SweepRow>,
    /// Time of the last change.
    pub updated_at: WallMs,
}

/// A revoked lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepRow {
    /// Time, in Unix milliseconds.
    pub at: WallMs,
    /// Its idle time in milliseconds.
    pub idle_ms: i64,
    /// Request of the lease.
    pub request_id: Arc<str>,
    /// Trigger and cause.
    pub reason: String,
}

/// Changes of a platform's dispatch window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// Platform.
    pub platform: Arc<str>,
    /// Time of the last dispatch, in Unix milliseconds; if absent, the stored value is kept.
    pub last_dispatched_at: Option<WallMs>,
    /// Stored dispatches with a smaller number have left the window.
    pub keep_from: i64,
    /// New or changed dispatches, ascending by number. Numbers continue from the stored ones.
    pub dispatches: Vec<DispatchRow>,
}

/// A dispatch, or several stored as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchRow {
    /// Number within the platform; a row with the same number is replaced.
    pub number: i64,
    /// Time, in Unix milliseconds.
    pub at: WallMs,
    /// The same in milliseconds since the boot `boot_id`.
    pub uptime_ms: Option<i64>,
    /// Boot that `uptime_ms` counts from.
    pub boot_id: Option<Arc<str>>,
    /// Number of dispatches, at least one.
    pub count: i64,
}

impl WindowRow {
    /// Merges the parts of an older difference that are still in force.
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

/// Writes the state of a target, replacing the previous one.
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

/// Writes the changes of a window within the open transaction.
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
