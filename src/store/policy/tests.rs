//! What the policy remembers: written, read, bounded, refused.

use super::*;
use crate::store::{memory, worker};
use diesel::connection::SimpleConnection;

/// A target of that client which remembers nothing that holds requests back.
pub(crate) fn calm(client_id: &str, updated_at: WallMs) -> TargetRow {
    TargetRow {
        client_id: client_id.into(),
        platform: "claude".into(),
        boot_id: None,
        circuit: None,
        backoff: None,
        consecutive_failures: 0,
        last_error: None,
        last_failure_at: None,
        last_success_at: Some(updated_at),
        stale_sweep_count: 0,
        last_sweep: None,
        updated_at,
    }
}

/// A target of that client which remembers all that there is.
pub(crate) fn troubled(client_id: &str, updated_at: WallMs) -> TargetRow {
    let until = |span_ms| DeadlineRow { until: updated_at + span_ms, uptime_ms: Some(9_000 + span_ms), span_ms };
    TargetRow {
        boot_id: Some("boot-1".into()),
        circuit: Some(until(60_000)),
        backoff: Some(until(16_000)),
        consecutive_failures: u32::MAX,
        last_error: Some("upstream_status".into()),
        last_failure_at: Some(updated_at),
        stale_sweep_count: i64::MAX.cast_unsigned(),
        last_sweep: Some(SweepRow {
            at: updated_at - 5,
            idle_ms: 300_000,
            request_id: "req_1".into(),
            reason: "background_interval:lease_idle_timeout".into(),
        }),
        ..calm(client_id, updated_at)
    }
}

/// Dispatch number `number`, sent at 1 000 times that.
pub(crate) fn dispatch(number: i64) -> DispatchRow {
    let at = 1_000 * number;
    DispatchRow { number, at, uptime_ms: Some(at + 7), boot_id: Some("boot-1".into()), count: 1 }
}

/// The window of `claude` after the last of these dispatches.
pub(crate) fn window(keep_from: i64, numbers: &[i64]) -> WindowRow {
    let dispatches: Vec<_> = numbers.iter().map(|number| dispatch(*number)).collect();
    let last_dispatched_at = dispatches.last().map(|dispatch| dispatch.at);
    WindowRow { platform: "claude".into(), last_dispatched_at, keep_from, dispatches }
}

fn refused(written: Result<(), StoreError>) -> bool {
    matches!(written, Err(StoreError::Database(_)))
}

fn clients(conn: &mut SqliteConnection, max: usize) -> Vec<String> {
    targets(conn, max).unwrap().iter().map(|row| row.client_id.to_string()).collect()
}

#[test]
fn a_target_is_read_as_it_was_written_last() {
    let conn = &mut memory();
    assert_eq!(targets(conn, 9), Ok(vec![]));
    let without_boot = DeadlineRow { until: 7, uptime_ms: None, span_ms: 0 };
    let other = TargetRow { platform: "chatgpt".into(), circuit: Some(without_boot), ..calm("a", 3) };
    write_target(conn, &other).unwrap();
    for row in [calm("a", 1), troubled("a", 2), calm("a", 3)] {
        write_target(conn, &row).unwrap();
        let mut read = targets(conn, 9).unwrap();
        read.sort_by_key(|row| row.platform.clone());
        assert_eq!(read, [other.clone(), row], "one row a target, nothing of the older one");
    }
}

#[test]
fn a_window_is_what_all_differences_make_together() {
    let conn = &mut memory();
    assert_eq!(windows(conn), Ok(vec![]));
    let other = WindowRow { platform: "chatgpt".into(), ..window(0, &[]) };
    for row in [window(0, &[0, 1, 2]), other.clone(), window(1, &[3])] {
        write_window(conn, &row).unwrap();
    }
    assert_eq!(windows(conn).unwrap(), [other.clone(), window(1, &[1, 2, 3])]);
    let merged = DispatchRow { count: 4, boot_id: None, uptime_ms: None, ..dispatch(3) };
    write_window(conn, &WindowRow { last_dispatched_at: None, keep_from: 3, ..window(3, &[]) }).unwrap();
    write_window(conn, &WindowRow { dispatches: vec![merged.clone()], ..window(3, &[3]) }).unwrap();
    assert_eq!(windows(conn).unwrap(), [other.clone(), WindowRow { dispatches: vec![merged], ..window(3, &[3]) }]);
    write_window(conn, &window(9, &[])).unwrap();
    let empty = WindowRow { last_dispatched_at: Some(3_000), ..window(0, &[]) };
    assert_eq!(windows(conn).unwrap(), [other, empty], "when it was last sent to outlives the window");
}

#[test]
fn numbers_that_begin_anew_take_the_place_of_the_old_ones() {
    let conn = &mut memory();
    write_window(conn, &window(0, &[0, 1, 2])).unwrap();
    let again = WindowRow { dispatches: vec![DispatchRow { at: 9_999, ..dispatch(1) }], ..window(0, &[]) };
    write_window(conn, &again).unwrap();
    let times: Vec<_> = windows(conn).unwrap()[0].dispatches.iter().map(|dispatch| dispatch.at).collect();
    assert_eq!(times, [0, 9_999, 2_000]);
}

#[test]
fn a_newer_difference_takes_over_what_stays_in_force_of_an_older_one() {
    let counted = |count| DispatchRow { count, ..dispatch(4) };
    let with = |row: WindowRow, last| WindowRow { dispatches: [row.dispatches, vec![last]].concat(), ..row };
    let at = |at, row| WindowRow { last_dispatched_at: at, ..row };
    for (older, newer, together) in [
        (window(0, &[1, 2]), window(0, &[3]), window(0, &[1, 2, 3])),
        (window(0, &[1, 2, 3]), window(3, &[4]), window(3, &[3, 4])),
        (window(0, &[1, 2]), window(5, &[5]), window(5, &[5])),
        (window(0, &[3, 5]), window(0, &[2, 4]), at(Some(4_000), window(0, &[2, 3, 4, 5]))),
        (window(0, &[1, 2]), window(2, &[]), window(2, &[2])),
        (window(0, &[1]), window(5, &[]), at(Some(1_000), window(5, &[]))),
        (
            with(window(0, &[3]), counted(1)),
            with(window(0, &[]), counted(2)),
            at(Some(3_000), with(window(0, &[3]), counted(2))),
        ),
    ] {
        let (conn, other) = (&mut memory(), &mut memory());
        for row in [&window(0, &[0, 1]), &older, &newer] {
            write_window(conn, row).unwrap();
        }
        let mut row = newer;
        row.absorb(older);
        assert_eq!(row, together);
        for row in [&window(0, &[0, 1]), &row] {
            write_window(other, row).unwrap();
        }
        assert_eq!(windows(other), windows(conn), "one after the other says the same");
    }
}

#[test]
fn what_holds_requests_back_comes_first_and_what_comes_last_is_pruned() {
    let conn = &mut memory();
    let until = Some(DeadlineRow { until: 1, uptime_ms: None, span_ms: 1 });
    for row in [
        calm("newest", 900),
        calm("old", 5),
        TargetRow { consecutive_failures: 1, ..calm("failed", 10) },
        TargetRow { circuit: until, ..calm("open", 30) },
        TargetRow { backoff: until, ..calm("held", 20) },
        calm("same b", 100),
        calm("same a", 100),
    ] {
        write_target(conn, &row).unwrap();
    }
    let order = ["open", "held", "failed", "newest", "same a", "same b", "old"];
    assert_eq!(clients(conn, 99), order);
    for (max, gone) in [(usize::MAX, 0), (7, 0), (5, 2), (2, 3), (0, 2)] {
        let kept = clients(conn, max);
        assert_eq!(prune(conn, max), Ok(gone));
        assert_eq!(clients(conn, 99), kept);
        assert_eq!(kept, order[..max.min(7)]);
    }
}

#[test]
fn a_target_that_cannot_be_is_refused() {
    let conn = &mut memory();
    let until = DeadlineRow { until: 1, uptime_ms: Some(1), span_ms: 1 };
    let sweep = troubled("a", 1).last_sweep.unwrap();
    for row in [
        TargetRow { stale_sweep_count: u64::MAX, ..calm("a", 1) },
        TargetRow { circuit: Some(DeadlineRow { span_ms: -1, ..until }), ..calm("a", 1) },
        TargetRow { backoff: Some(DeadlineRow { uptime_ms: Some(-1), ..until }), ..calm("a", 1) },
        TargetRow { last_sweep: Some(SweepRow { idle_ms: -1, ..sweep }), ..calm("a", 1) },
    ] {
        assert!(refused(write_target(conn, &row)), "{row:?}");
    }
    assert_eq!(targets(conn, 9), Ok(vec![]));
}

#[test]
fn a_dispatch_that_cannot_be_is_refused_and_its_window_with_it() {
    let conn = &mut memory();
    write_window(conn, &window(0, &[1])).unwrap();
    for wrong in [
        DispatchRow { number: -1, ..dispatch(2) },
        DispatchRow { count: 0, ..dispatch(2) },
        DispatchRow { uptime_ms: Some(-1), ..dispatch(2) },
    ] {
        let row = WindowRow { dispatches: vec![dispatch(1), wrong], ..window(1, &[9]) };
        assert!(refused(worker::immediate(conn, |conn| write_window(conn, &row))), "{row:?}");
    }
    assert_eq!(windows(conn).unwrap(), [window(1, &[1])]);
}

#[test]
fn what_the_policy_cannot_have_written_is_an_error_and_not_a_guess() {
    for wrong in [
        "policy_targets SET consecutive_failures = -1",
        "policy_targets SET consecutive_failures = 4294967296",
        "policy_targets SET stale_sweep_count = -1",
        "policy_targets SET circuit_until = NULL",
        "policy_targets SET circuit_span_ms = NULL",
        "policy_targets SET circuit_span_ms = -1",
        "policy_targets SET backoff_until = NULL, backoff_span_ms = NULL",
        "policy_targets SET backoff_uptime_ms = -1",
        "policy_targets SET last_sweep_reason = NULL",
        "policy_targets SET last_sweep_idle_ms = -1",
        "policy_dispatches SET number = -1",
        "policy_dispatches SET count = 0",
        "policy_dispatches SET uptime_ms = -1",
    ] {
        let conn = &mut memory();
        write_target(conn, &troubled("a", 1)).unwrap();
        write_window(conn, &window(0, &[1])).unwrap();
        let update = format!("UPDATE {wrong}");
        assert!(conn.batch_execute(&update).is_err(), "the table refuses it: {wrong}");
        conn.batch_execute("PRAGMA ignore_check_constraints=ON").unwrap();
        conn.batch_execute(&update).unwrap();
        let read = (refused(targets(conn, 9).map(drop)), refused(windows(conn).map(drop)));
        let of_target = wrong.starts_with("policy_targets");
        assert_eq!(read, (of_target, !of_target), "{wrong}");
    }
}
