//! The journal on a database in memory.

use super::*;
use crate::store::memory;

/// A finished row.
pub(crate) fn row(id: i64) -> RequestRow {
    RequestRow {
        id,
        request_id: format!("req_{id}").into(),
        platform: "claude".into(),
        client_id: Some("firefox-a".into()),
        method: "POST".into(),
        path: "/api/organizations".into(),
        request_mode: "api_request".into(),
        response_mode: "sse".into(),
        phase: "done".into(),
        outcome: Some("success".into()),
        error_code: None,
        status: Some(200),
        requested_at: 1_000 + id,
        admitted_at: Some(1_001 + id),
        first_byte_at: Some(1_002 + id),
        finished_at: Some(1_003 + id),
        queue_delay_ms: 4,
        backoff_delay_ms: 5,
        rate_limit_delay_ms: 6,
        jitter_delay_ms: 7,
        event_count: 8,
        bytes: 9,
    }
}

fn unfinished(id: i64) -> RequestRow {
    RequestRow {
        client_id: None,
        phase: "queued".into(),
        outcome: None,
        error_code: None,
        status: None,
        admitted_at: None,
        first_byte_at: None,
        finished_at: None,
        ..row(id)
    }
}

fn ids(rows: &[RequestRow]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

#[test]
fn rows_come_back_as_they_were_written_newest_first() {
    let conn = &mut memory();
    // More than one group and a rest, absent values in both.
    let rows: Vec<_> = (1..=19).map(|id| if id % 3 == 0 { unfinished(id) } else { row(id) }).collect();
    write_all(conn, &rows).unwrap();
    let mut listed = list(conn, &Filter { limit: 50, ..Filter::default() }).unwrap();
    listed.reverse();
    assert_eq!(listed, rows);
}

#[test]
fn a_newer_version_of_a_row_replaces_the_older_one() {
    let conn = &mut memory();
    write_all(conn, &[unfinished(1), row(2), row(1)]).unwrap();
    assert_eq!(latest(conn, "req_1").unwrap(), Some(row(1)));
    assert_eq!(ids(&list(conn, &Filter { limit: 9, ..Filter::default() }).unwrap()), [2, 1]);
}

#[test]
fn filters_narrow_the_list_and_before_goes_on_with_it() {
    let conn = &mut memory();
    let failed = |id| RequestRow { outcome: Some("failure".into()), ..row(id) };
    let elsewhere = |id| RequestRow { platform: "kimi".into(), client_id: Some("firefox-b".into()), ..row(id) };
    write_all(conn, &[row(1), failed(2), elsewhere(3), failed(4), row(5)]).unwrap();
    let mut find = |filter: Filter| ids(&list(conn, &Filter { limit: 2, ..filter }).unwrap());
    assert_eq!(find(Filter::default()), [5, 4]);
    assert_eq!(find(Filter { before: Some(4), ..Filter::default() }), [3, 2]);
    assert_eq!(find(Filter { before: Some(1), ..Filter::default() }), Vec::<i64>::new());
    assert_eq!(find(Filter { platform: Some("kimi".into()), ..Filter::default() }), [3]);
    assert_eq!(find(Filter { client_id: Some("firefox-b".into()), ..Filter::default() }), [3]);
    assert_eq!(find(Filter { outcome: Some("failure".into()), before: Some(4), ..Filter::default() }), [2]);
}

#[test]
fn the_latest_of_several_requests_with_one_name_is_found() {
    let conn = &mut memory();
    let again = RequestRow { request_id: "req_1".into(), ..row(2) };
    write_all(conn, &[row(1), again.clone()]).unwrap();
    assert_eq!(latest(conn, "req_1").unwrap(), Some(again));
    assert_eq!(latest(conn, "req_9").unwrap(), None);
}

#[test]
fn the_last_number_is_0_in_an_empty_journal() {
    let conn = &mut memory();
    assert_eq!(last_id(conn).unwrap(), 0);
    write_all(conn, &[row(7), row(3)]).unwrap();
    assert_eq!(last_id(conn).unwrap(), 7);
}

#[test]
fn what_a_crash_left_unfinished_ends_as_interrupted() {
    let conn = &mut memory();
    write_all(conn, &[row(1), unfinished(2), unfinished(3)]).unwrap();
    assert_eq!(interrupt_unfinished(conn, 9_000).unwrap(), 2);
    assert_eq!(interrupt_unfinished(conn, 9_999).unwrap(), 0);
    let ended = latest(conn, "req_2").unwrap().unwrap();
    assert_eq!((&*ended.phase, ended.outcome.as_deref()), ("done", Some("failure")));
    assert_eq!((ended.error_code.as_deref(), ended.finished_at), (Some("interrupted"), Some(9_000)));
    assert_eq!(latest(conn, "req_1").unwrap(), Some(row(1)));
}
