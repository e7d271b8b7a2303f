//! The journal on a database in memory.

use super::*;
use crate::store::memory;
use diesel::{
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types,
};

/// A finished row.
pub(crate) fn row(id: i64) -> JournalEntry {
    JournalEntry {
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
        waiting: None,
    }
}

fn unfinished(id: i64) -> JournalEntry {
    JournalEntry {
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

/// A list that may go through everything.
pub(crate) fn list(conn: &mut SqliteConnection, filter: &RequestFilter) -> Result<Vec<JournalEntry>, StoreError> {
    Ok(super::list(conn, filter, i64::MAX)?.rows)
}

fn ids(rows: &[JournalEntry]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

#[test]
fn rows_come_back_as_they_were_written_newest_first() {
    let conn = &mut memory();
    // More than one group and a rest, absent values in both.
    let rows: Vec<_> = (1..=19).map(|id| if id % 3 == 0 { unfinished(id) } else { row(id) }).collect();
    write_all(conn, &rows).unwrap();
    let mut listed = list(conn, &RequestFilter { limit: 50, ..RequestFilter::default() }).unwrap();
    listed.reverse();
    assert_eq!(listed, rows);
}

#[test]
fn a_newer_version_of_a_row_replaces_the_older_one() {
    let conn = &mut memory();
    write_all(conn, &[unfinished(1), row(2), row(1)]).unwrap();
    assert_eq!(latest(conn, "req_1").unwrap(), Some(row(1)));
    assert_eq!(ids(&list(conn, &RequestFilter { limit: 9, ..RequestFilter::default() }).unwrap()), [2, 1]);
}

#[test]
fn filters_narrow_the_list_and_before_goes_on_with_it() {
    let conn = &mut memory();
    let failed = |id| JournalEntry { outcome: Some("failure".into()), ..row(id) };
    let elsewhere = |id| JournalEntry { platform: "kimi".into(), client_id: Some("firefox-b".into()), ..row(id) };
    write_all(conn, &[row(1), failed(2), elsewhere(3), failed(4), row(5)]).unwrap();
    let mut find = |filter: RequestFilter| ids(&list(conn, &RequestFilter { limit: 2, ..filter }).unwrap());
    assert_eq!(find(RequestFilter::default()), [5, 4]);
    assert_eq!(find(RequestFilter { before: Some(4), ..RequestFilter::default() }), [3, 2]);
    assert_eq!(find(RequestFilter { before: Some(1), ..RequestFilter::default() }), Vec::<i64>::new());
    assert_eq!(find(RequestFilter { platform: Some("kimi".into()), ..RequestFilter::default() }), [3]);
    assert_eq!(find(RequestFilter { client_id: Some("firefox-b".into()), ..RequestFilter::default() }), [3]);
    assert_eq!(
        find(RequestFilter { outcome: Some("failure".into()), before: Some(4), ..RequestFilter::default() }),
        [2]
    );
}

#[test]
fn a_list_that_narrows_ends_its_walk_and_says_where() {
    let conn = &mut memory();
    let rare = |id| JournalEntry { platform: "kimi".into(), ..row(id) };
    let rows: Vec<_> = (1..=100).filter(|id| !(41..=60).contains(id)).map(row).collect();
    write_all(conn, &rows).unwrap();
    write_all(conn, &[rare(3), rare(85), rare(99)]).unwrap();
    let kimi = RequestFilter { platform: Some("kimi".into()), limit: 2, ..RequestFilter::default() };
    let mut find = |before, limit| {
        let RequestList { rows, walked_to } =
            super::list(conn, &RequestFilter { before, limit, ..kimi.clone() }, 10).unwrap();
        (ids(&rows), walked_to)
    };
    assert_eq!(find(None, 2), (vec![99], Some(91)));
    assert_eq!(find(Some(91), 2), (vec![85], Some(81)));
    assert_eq!(find(Some(91), 1), (vec![85], None), "it is full, so that its last row says where to go on");
    assert_eq!(find(Some(61), 2), (vec![], Some(31)), "unused numbers are skipped");
    assert_eq!(find(Some(11), 2), (vec![3], None), "nothing is older");
    assert_eq!(find(Some(1), 2), (vec![], None));
    let RequestList { rows, walked_to } =
        super::list(conn, &RequestFilter { limit: 50, ..RequestFilter::default() }, 10).unwrap();
    assert_eq!((rows.len(), walked_to), (50, None), "one that takes every row ends with its limit");
}

/// Returns SQLite's query plan.
struct Explain<T>(T);

impl<T> QueryId for Explain<T> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for Explain<T> {
    type SqlType = (sql_types::Integer, sql_types::Integer, sql_types::Integer, sql_types::Text);
}

impl<T> RunQueryDsl<SqliteConnection> for Explain<T> {}

impl<T: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Explain<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("EXPLAIN QUERY PLAN ");
        self.0.walk_ast(out)
    }
}

#[test]
fn lists_walk_between_two_numbers_and_sort_nothing() {
    let value = |on: bool| on.then(|| "x".to_owned());
    for bits in 0..16 {
        let filter = RequestFilter {
            platform: value(bits & 1 > 0),
            client_id: value(bits & 2 > 0),
            outcome: value(bits & 4 > 0),
            before: (bits & 8 > 0).then_some(9),
            limit: 5,
        };
        let floor = filter.is_narrowing().then_some(2);
        let steps: Vec<(i32, i32, i32, String)> = Explain(listed(&filter, floor)).load(&mut memory()).unwrap();
        let plan: Vec<_> = steps.into_iter().map(|(.., step)| step).collect();
        let bounds = match (floor, filter.before) {
            (Some(_), Some(_)) => "SEARCH browser_requests USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            (Some(_), None) => "SEARCH browser_requests USING INTEGER PRIMARY KEY (rowid>?)",
            (None, Some(_)) => "SEARCH browser_requests USING INTEGER PRIMARY KEY (rowid<?)",
            (None, None) => "SCAN browser_requests",
        };
        assert_eq!(plan, [bounds], "{filter:?}");
    }
}

#[test]
fn the_latest_of_several_requests_with_one_name_is_found() {
    let conn = &mut memory();
    let again = JournalEntry { request_id: "req_1".into(), ..row(2) };
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

/// Row `id`, which came and was finished at these times.
fn at(id: i64, requested_at: WallMs, finished_at: impl Into<Option<WallMs>>) -> JournalEntry {
    JournalEntry { requested_at, finished_at: finished_at.into(), ..row(id) }
}

/// Sweeps everything in windows of `rows`; answers what is left and how many windows that took.
fn sweep(conn: &mut SqliteConnection, cutoff: WallMs, now: WallMs, rows: i64) -> (Vec<i64>, usize) {
    let (mut after, mut windows) = (0, 0);
    while let SweepProgress { next: Some(next), .. } = expire(conn, cutoff, now, after, rows).unwrap() {
        (after, windows) = (next, windows + 1);
    }
    let mut left = ids(&list(conn, &RequestFilter { limit: 999, ..RequestFilter::default() }).unwrap());
    left.reverse();
    (left, windows)
}

#[test]
fn finished_rows_expire_and_unfinished_ones_never() {
    let conn = &mut memory();
    let rows = [at(1, 10, 20), at(2, 10, None), at(3, 10, 99), at(4, 20, 100), at(5, 30, 40), at(6, 150, 160)];
    write_all(conn, &rows).unwrap();
    assert_eq!(expire(conn, 100, 200, 0, 3).unwrap(), SweepProgress { deleted: 2, next: Some(3) });
    assert_eq!(sweep(conn, 100, 200, 3).0, [2, 4, 6]);
}

#[test]
fn the_walk_ends_with_rows_that_all_came_later() {
    let conn = &mut memory();
    let rows: Vec<_> = (1..=100).map(|id| at(id, id, id)).collect();
    write_all(conn, &rows).unwrap();
    assert_eq!(sweep(conn, 30, 200, 10), ((30..=100).collect(), 3), "and does not read the other seventy");
}

#[test]
fn rows_of_a_clock_that_ran_ahead_do_not_end_the_walk() {
    let conn = &mut memory();
    let ahead = (1..=20).map(|id| at(id, 9_000, 9_000));
    let rows: Vec<_> = ahead.chain((21..=40).map(|id| at(id, 10, 10))).collect();
    write_all(conn, &rows).unwrap();
    assert_eq!(sweep(conn, 100, 200, 10).0, (1..=20).collect::<Vec<_>>());
}
