//! The queue: what it loses, what takes the place of what, and a model of it under random moves.

use super::*;
use crate::store::{
    logins::{
        CredentialPart, LoginRow,
        tests::{endpoint, seen, told},
    },
    messages::tests::message,
    policy::tests::calm,
    requests::tests::row,
};
use std::collections::BTreeMap;

mod policy;

const MANY: usize = 1 << 30;

fn queue(rows: usize, bytes: usize) -> RowQueue {
    RowQueue::new(RowQueueLimits { rows, bytes, limits: LoginLimits { max_accounts: 4, max_endpoints: 3 } })
}

fn request(id: i64) -> PendingRow {
    row(id).into()
}

fn login(account: &str, told_at: i64) -> PendingRow {
    told("a", account, told_at).into()
}

/// The waiting row of an account.
fn waiting<'a>(queue: &'a RowQueue, account: &str) -> &'a LoginRow {
    let find = |row: &'a PendingRow| match row {
        PendingRow::Login(row, _) if row.key.account.as_deref() == Some(account) => Some(&**row),
        _ => None,
    };
    queue.rows.iter().find_map(find).unwrap()
}

/// What must hold between the parts of a queue, whatever happened to it.
fn check(queue: &RowQueue) {
    assert_eq!(queue.bytes, queue.rows.iter().map(PendingRow::weight).sum::<usize>());
    assert!(queue.bytes <= queue.bounds.bytes && queue.rows.len() <= queue.bounds.rows);
    let left = queue.left();
    let keyed: BTreeMap<_, _> = queue.keyed.iter().map(|(key, number)| (place(*number, left), key.clone())).collect();
    let standing: BTreeMap<_, _> =
        queue.rows.iter().enumerate().filter_map(|(place, row)| Some((place, row.key()?))).collect();
    assert_eq!((keyed.len(), keyed), (queue.keyed.len(), standing));
    assert_eq!(queue.last, queue.rows.iter().filter(|row| row.is_evicted_last()).count());
}

/// What waits, in short: requests by number, logins by account, messages by name.
fn shown(queue: &RowQueue) -> Vec<String> {
    let show = |row: &PendingRow| match row {
        PendingRow::Request(row) => row.id.to_string(),
        PendingRow::Login(row, _) => row.key.account.as_deref().unwrap_or("-").to_owned(),
        PendingRow::Message(row) => row.assistant_message_id.clone(),
        PendingRow::PolicyTarget(row) => format!("{} {}", row.client_id, row.updated_at),
        PendingRow::PolicyWindow(row) => {
            format!("window {:?}", row.dispatches.iter().map(|row| row.number).collect::<Vec<_>>())
        }
    };
    queue.rows.iter().map(show).collect()
}

fn push_all(queue: &mut RowQueue, ids: std::ops::RangeInclusive<i64>) {
    for id in ids {
        queue.push(request(id));
    }
}

fn take(queue: &mut RowQueue, rows: usize) -> Vec<PendingRow> {
    let mut chunk = Vec::new();
    queue.take(&mut chunk, rows, MANY);
    chunk
}

#[test]
fn only_the_first_row_wakes_the_writer_until_it_rests() {
    let mut queue = queue(9, MANY);
    assert!(queue.push(request(1)).wake);
    assert!(!queue.push(request(2)).wake);
    assert!(!queue.try_sleep(), "rows wait");
    take(&mut queue, 9);
    assert!(!queue.push(request(3)).wake, "the writer has not rested yet");
    take(&mut queue, 9);
    assert!(queue.try_sleep() && queue.is_at_rest());
    assert!(queue.push(request(4)).wake);
}

#[test]
fn a_full_queue_loses_its_oldest_rows_and_says_so_once_an_outage() {
    let mut queue = queue(3, MANY);
    let overflowed: Vec<_> = (1..=5).map(|id| queue.push(request(id)).overflowed).collect();
    assert_eq!(overflowed, [false, false, false, true, false]);
    assert_eq!(shown(&queue), ["3", "4", "5"]);
    assert_eq!((queue.succeed(), queue.succeed(), queue.lost()), (2, 0, 2));
    assert!(queue.push(request(6)).overflowed, "a new outage");
}

#[test]
fn what_is_put_back_stands_in_front_as_far_as_there_is_room() {
    let mut queue = queue(5, MANY);
    push_all(&mut queue, 1..=4);
    let mut chunk = take(&mut queue, 3);
    assert_eq!((queue.left(), queue.newest()), (3, 4));
    push_all(&mut queue, 5..=6);
    queue.put_back(&mut chunk);
    assert_eq!(shown(&queue), ["2", "3", "4", "5", "6"]);
    assert_eq!((chunk.len(), queue.lost(), queue.left()), (0, 1, 1));
}

#[test]
fn the_memory_of_a_burst_is_given_back() {
    let mut queue = queue(20_000, MANY);
    push_all(&mut queue, 1..=10_000);
    let mut chunk = take(&mut queue, 10_000);
    chunk.clear();
    assert!(queue.try_sleep());
    shrink(&mut chunk);
    assert!(queue.rows.capacity() <= 2 * RETAINED_ROWS && chunk.capacity() <= 2 * RETAINED_ROWS);
}

#[test]
fn rows_that_are_too_heavy_together_push_the_oldest_out() {
    let weight = request(1).weight();
    let mut queue = queue(99, 3 * weight);
    let overflowed: Vec<_> = (1..=5).map(|id| queue.push(request(id)).overflowed).collect();
    assert_eq!(overflowed, [false, false, false, true, false]);
    assert_eq!((shown(&queue), queue.lost()), (vec!["3".into(), "4".into(), "5".into()], 2));
    check(&queue);
}

#[test]
fn a_row_that_is_too_heavy_alone_is_lost_alone() {
    let mut queue = queue(99, 3_000);
    let huge = PendingRow::from(message("huge", &"x".repeat(3_000), 1));
    let told = PushOutcome { oversized: Some(("message", huge.weight())), ..PushOutcome::default() };
    assert_eq!(queue.push(huge), told, "told as what it is, not as too many rows");
    assert!(queue.try_sleep() && queue.is_at_rest());
    queue.push(request(1));
    queue.push(PendingRow::from(message("huge", &"x".repeat(3_000), 1)));
    assert_eq!((shown(&queue), queue.lost()), (vec!["1".into()], 2));
    check(&queue);
}

#[test]
fn a_chunk_ends_with_its_bytes_but_has_at_least_one_row() {
    let mut queue = queue(99, MANY);
    queue.push(PendingRow::from(message("long", &"x".repeat(5_000), 1)));
    push_all(&mut queue, 1..=5);
    let mut chunk = Vec::new();
    let sizes = std::iter::from_fn(|| {
        queue.take(&mut chunk, 3, 2 * request(1).weight());
        Some(chunk.drain(..).len()).filter(|taken| *taken > 0)
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [1, 2, 2, 1]);
    check(&queue);
}

#[test]
fn a_login_that_is_told_again_and_again_costs_one_row_where_it_stood() {
    let mut queue = queue(4, MANY);
    queue.push(request(1));
    queue.push(login("x", 1));
    queue.push(login("y", 1));
    let numbers = (queue.newest(), queue.left());
    for told_at in 2..=9_000 {
        assert_eq!(queue.push(login("x", told_at)), PushOutcome::default());
    }
    queue.push(request(2));
    assert_eq!((shown(&queue), queue.lost()), (vec!["1".into(), "x".into(), "y".into(), "2".into()], 0));
    assert_eq!((numbers, queue.newest()), ((3, 0), 4));
    assert_eq!(*waiting(&queue, "x"), told("a", "x", 9_000));
    check(&queue);
}

#[test]
fn a_login_that_was_told_again_falls_out_after_what_was_told_before_that() {
    let mut queue = queue(3, MANY);
    queue.push(login("x", 1));
    queue.push(login("y", 2));
    queue.push(request(1));
    queue.push(login("x", 3));
    queue.push(request(2));
    assert_eq!((shown(&queue), queue.lost()), (vec!["1".into(), "2".into(), "x".into()], 1));
    assert_eq!(*waiting(&queue, "x"), told("a", "x", 3));
    check(&queue);
    queue.push(login("x", 4));
    push_all(&mut queue, 3..=5);
    assert_eq!(shown(&queue), ["4", "5", "x"], "reported again, it is queued again");
    push_all(&mut queue, 6..=8);
    assert_eq!(shown(&queue), ["6", "7", "8"], "and not for ever");
    check(&queue);
}

#[test]
fn a_newer_part_wins_and_an_absent_one_keeps_the_older() {
    let mut queue = queue(4, MANY);
    queue.push(login("x", 1));
    queue.push(seen("a", "x", 2, vec![endpoint("/one", 5, 6), endpoint("/two", 5, 6)]).into());
    queue.push(seen("a", "x", 3, vec![endpoint("/three", 7, 7), endpoint("/two", 4, 9)]).into());
    let row = waiting(&queue, "x");
    assert_eq!((row.told_at, row.credentials.clone()), (3, told("a", "x", 1).credentials));
    let part = row.endpoints.as_ref().unwrap();
    assert_eq!(part.updated_at, 3);
    assert_eq!(part.endpoints, [endpoint("/one", 5, 6), endpoint("/two", 4, 9), endpoint("/three", 7, 7)]);
    // Beyond the limit of three the longest unseen one goes.
    queue.push(seen("a", "x", 4, vec![endpoint("/four", 6, 7)]).into());
    let part = waiting(&queue, "x").endpoints.as_ref().unwrap();
    assert_eq!(part.endpoints, [endpoint("/two", 4, 9), endpoint("/three", 7, 7), endpoint("/four", 6, 7)]);
    check(&queue);
}

#[test]
fn a_login_without_an_account_is_one_however_it_is_said() {
    let mut queue = queue(4, MANY);
    queue.push(login("", 1));
    let mut empty = told("a", "", 2);
    empty.key.account = Some("".into());
    queue.push(empty.into());
    assert_eq!(shown(&queue), ["-"]);
}

#[test]
fn the_same_message_waits_once_and_another_text_is_another_message() {
    let mut queue = queue(9, MANY);
    queue.push(message("m", "text", 1).into());
    queue.push(message("m", "other", 2).into());
    queue.push(message("m", "text", 3).into());
    let PendingRow::Message(first) = &queue.rows[0] else { panic!("a message") };
    assert_eq!((queue.len(), first.received_at, &*first.raw_text), (2, 3, "text"));
    check(&queue);
}

#[test]
fn what_is_put_back_only_adds_to_a_newer_row_that_waits() {
    let mut queue = queue(9, MANY);
    queue.push(request(1));
    queue.push(login("x", 1));
    queue.push(login("y", 1));
    let mut chunk = take(&mut queue, 3);
    queue.push(request(2));
    queue.push(seen("a", "x", 5, vec![endpoint("/one", 1, 2)]).into());
    queue.put_back(&mut chunk);
    assert_eq!((shown(&queue), queue.lost()), (vec!["1".into(), "y".into(), "2".into(), "x".into()], 0));
    let row = waiting(&queue, "x");
    assert_eq!((row.told_at, row.credentials.clone()), (5, told("a", "x", 1).credentials));
    check(&queue);
    queue.push(login("y", 7));
    assert_eq!(waiting(&queue, "y").told_at, 7, "what was put back is found by its key");
    check(&queue);
}

#[test]
fn what_is_put_back_respects_the_bytes() {
    let weight = request(1).weight();
    let mut queue = queue(99, 4 * weight);
    push_all(&mut queue, 1..=3);
    let mut chunk = take(&mut queue, 3);
    push_all(&mut queue, 4..=5);
    queue.put_back(&mut chunk);
    assert_eq!((shown(&queue), queue.lost()), (vec!["2".into(), "3".into(), "4".into(), "5".into()], 1));
    check(&queue);
}

/// Random moves against a plain list that never coalesces: what was written in the end must be the same.
#[test]
fn whatever_happens_the_last_word_on_each_login_is_written_and_nothing_is_lost_silently() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for round in 0..300 {
        // In every third round there is no room, so that rows are lost and only the books are checked.
        let rows = if round % 3 == 0 { 6 } else { 1_000 };
        let mut queue = queue(rows, MANY);
        let (mut last, mut written) = (BTreeMap::new(), BTreeMap::new());
        let (mut requests, mut written_requests) = (Vec::new(), Vec::new());
        let (mut targets, mut written_targets) = (BTreeMap::new(), BTreeMap::new());
        let mut write = |chunk: Vec<PendingRow>| {
            for row in chunk {
                match row {
                    PendingRow::Request(row) => written_requests.push(row.id),
                    PendingRow::Login(row, _) => {
                        let known: &mut (i64, Option<CredentialPart>) = written.entry(row.key.account).or_default();
                        *known = (row.told_at, row.credentials.or(known.1.take()));
                    }
                    PendingRow::PolicyTarget(row) => _ = written_targets.insert(row.client_id.clone(), row.updated_at),
                    PendingRow::Message(_) | PendingRow::PolicyWindow(_) => {}
                }
            }
        };
        for now in 1..100 {
            match random(6) {
                0 => {
                    queue.push(request(now));
                    requests.push(now);
                }
                1 | 2 => {
                    let account = format!("{}", random(4));
                    let row = if random(2) == 0 { told("a", &account, now) } else { seen("a", &account, now, vec![]) };
                    let known = last.entry(row.key.account.clone()).or_insert((0, None));
                    *known = (now, row.credentials.clone().or(known.1.take()));
                    queue.push(row.into());
                }
                3 => {
                    let row = calm(&random(3).to_string(), now);
                    targets.insert(row.client_id.clone(), now);
                    queue.push(row.into());
                }
                4 => write(take(&mut queue, usize::try_from(random(6)).unwrap())),
                _ => {
                    let mut chunk = take(&mut queue, usize::try_from(random(6)).unwrap());
                    for _ in 0..random(4) {
                        let row = told("a", &format!("{}", random(4)), now);
                        last.insert(row.key.account.clone(), (now, row.credentials.clone()));
                        queue.push(row.into());
                    }
                    queue.put_back(&mut chunk);
                    assert!(chunk.is_empty());
                }
            }
            check(&queue);
        }
        write(take(&mut queue, usize::MAX));
        assert!(queue.try_sleep() && queue.left() == queue.newest());
        assert_eq!(written_targets, targets, "there is always room for three");
        if rows == 1_000 {
            assert_eq!(queue.lost(), 0);
            assert_eq!(written_requests, requests);
            assert_eq!(written, last);
        } else {
            assert!(written_requests.len() <= requests.len());
        }
    }
}
