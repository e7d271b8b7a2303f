//! Reads the policy's state once at the start. Values that the policy cannot have written are errors.

use super::{DeadlineRow, DispatchRow, SweepRow, TargetRow, WindowRow};
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        query::{BindValue, SqlStatement},
        schema::{policy_dispatches, policy_targets, policy_windows},
    },
};
use diesel::{dsl::sql, prelude::*, sql_types::Untyped};

/// Order of importance: targets that delay requests first, then the most recently changed; the key makes it total.
const BY_WORTH: &str = "\
    (consecutive_failures > 0 OR circuit_until IS NOT NULL OR backoff_until IS NOT NULL) DESC, updated_at DESC, \
    client_id, platform";

#[derive(Queryable)]
struct Target {
    client_id: String,
    platform: String,
    boot_id: Option<String>,
    circuit: Until,
    backoff: Until,
    consecutive_failures: i64,
    last_error: Option<String>,
    last_failure_at: Option<WallMs>,
    last_success_at: Option<WallMs>,
    stale_sweep_count: i64,
    last_sweep: (Option<WallMs>, Option<i64>, Option<String>, Option<String>),
    updated_at: WallMs,
}

type Until = (Option<WallMs>, Option<i64>, Option<i64>);

/// Returns the state of at most `max` targets: those with failures, an open circuit or a back-off first, then the most
/// recently changed.
pub fn targets(conn: &mut SqliteConnection, max: usize) -> Result<Vec<TargetRow>, StoreError> {
    use policy_targets::dsl;
    let columns = (
        dsl::client_id,
        dsl::platform,
        dsl::boot_id,
        (dsl::circuit_until, dsl::circuit_uptime_ms, dsl::circuit_span_ms),
        (dsl::backoff_until, dsl::backoff_uptime_ms, dsl::backoff_span_ms),
        dsl::consecutive_failures,
        dsl::last_error,
        dsl::last_failure_at,
        dsl::last_success_at,
        dsl::stale_sweep_count,
        (dsl::last_sweep_at, dsl::last_sweep_idle_ms, dsl::last_sweep_request_id, dsl::last_sweep_reason),
        dsl::updated_at,
    );
    let rows = dsl::policy_targets.select(columns).order(sql::<Untyped>(BY_WORTH)).limit(most(max));
    rows.load::<Target>(conn)?.into_iter().map(target).collect()
}

/// Deletes the targets that [`targets`] would not return; returns their number.
pub fn prune(conn: &mut SqliteConnection, max: usize) -> Result<usize, StoreError> {
    let delete = format!(
        "DELETE FROM policy_targets WHERE (client_id, platform) IN \
         (SELECT client_id, platform FROM policy_targets ORDER BY {BY_WORTH} LIMIT -1 OFFSET ?)"
    );
    Ok(SqlStatement::<()>::new(delete, [BindValue::Int(most(max))]).execute(conn)?)
}

fn most(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// Returns the window of every platform with all dispatches, ascending; `keep_from` is the number of the first, or 0.
/// To be called within one snapshot.
pub fn windows(conn: &mut SqliteConnection) -> Result<Vec<WindowRow>, StoreError> {
    use policy_windows::dsl;
    let windows = dsl::policy_windows.select((dsl::platform, dsl::last_dispatched_at)).order(dsl::platform);
    let windows: Vec<(String, Option<WallMs>)> = windows.load(conn)?;
    let window = |(platform, last_dispatched_at): (String, _)| {
        let dispatches = dispatches(conn, &platform)?;
        let keep_from = dispatches.first().map_or(0, |first| first.number);
        Ok(WindowRow { platform: platform.into(), last_dispatched_at, keep_from, dispatches })
    };
    windows.into_iter().map(window).collect()
}

type Dispatch = (i64, WallMs, Option<i64>, Option<String>, i64);

fn dispatches(conn: &mut SqliteConnection, platform: &str) -> Result<Vec<DispatchRow>, StoreError> {
    use policy_dispatches::dsl;
    let columns = (dsl::number, dsl::at, dsl::uptime_ms, dsl::boot_id, dsl::count);
    let rows = dsl::policy_dispatches.select(columns).filter(dsl::platform.eq(platform)).order(dsl::number);
    let row = |(number, at, uptime_ms, boot_id, count): Dispatch| {
        let possible = number >= 0 && uptime_ms.unwrap_or(0) >= 0 && count >= 1;
        let row = DispatchRow { number, at, uptime_ms, boot_id: boot_id.map(Into::into), count };
        if possible { Ok(row) } else { Err(StoreError::Database(format!("no dispatch to {platform}: {row:?}"))) }
    };
    rows.load::<Dispatch>(conn)?.into_iter().map(row).collect()
}

fn target(row: Target) -> Result<TargetRow, StoreError> {
    let (client_id, platform) = (row.client_id, row.platform);
    let wrong = |what: &str| StoreError::Database(format!("impossible {what} of {client_id} on {platform}"));
    let until = |columns, what| match columns {
        (None, None, None) => Ok(None),
        (Some(until), uptime_ms, Some(span_ms)) if span_ms >= 0 && uptime_ms.unwrap_or(0) >= 0 => {
            Ok(Some(DeadlineRow { until, uptime_ms, span_ms }))
        }
        _ => Err(wrong(what)),
    };
    let (circuit, backoff) = (until(row.circuit, "circuit")?, until(row.backoff, "back-off")?);
    let last_sweep = match row.last_sweep {
        (None, None, None, None) => None,
        (Some(at), Some(idle_ms @ 0..), Some(request_id), Some(reason)) => {
            Some(SweepRow { at, idle_ms, request_id: request_id.into(), reason })
        }
        _ => return Err(wrong("sweep")),
    };
    let consecutive_failures = u32::try_from(row.consecutive_failures).map_err(|_| wrong("number of failures"))?;
    let stale_sweep_count = u64::try_from(row.stale_sweep_count).map_err(|_| wrong("number of sweeps"))?;
    Ok(TargetRow {
        client_id: client_id.into(),
        platform: platform.into(),
        boot_id: row.boot_id.map(Into::into),
        circuit,
        backoff,
        consecutive_failures,
        last_error: row.last_error,
        last_failure_at: row.last_failure_at,
        last_success_at: row.last_success_at,
        stale_sweep_count,
        last_sweep,
        updated_at: row.updated_at,
    })
}
