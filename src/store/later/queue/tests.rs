//! The queue: what it loses, what takes the place of what, and a model of it under random moves.

use super::*;
use crate::store::requests::tests::row;

const MANY: usize = 1 << 30;

fn queue(rows: usize, bytes: usize) -> Queue {
    Queue::new(Bounds { rows, bytes, limits: Limits { max_accounts: 4, max_endpoints: 3 } })
}

fn request(id: i64) -> Row {
    row(id).into()
}

/// What waits, in short: requests by number, logins by account, messages by name.
fn shown(queue: &Queue) -> Vec<String> {
    let show = |row: &Row| match row {
        Row::Request(row) => row.id.to_string(),
        Row::Login(row) => row.key.account.as_deref().unwrap_or("-").to_owned(),
        Row::Message(row) => row.assistant_message_id.clone(),
    };
    queue.rows.iter().map(show).collect()
}

fn push_all(queue: &mut Queue, ids: std::ops::RangeInclusive<i64>) {
    for id in ids {
        queue.push(request(id));
    }
}

fn take(queue: &mut Queue, rows: usize) -> Vec<Row> {
    let mut chunk = Vec::new();
    queue.take(&mut chunk, rows, MANY);
    chunk
}

#[test]
fn only_the_first_row_wakes_the_writer_until_it_rests() {
    let mut queue = queue(9, MANY);
    assert!(queue.push(request(1)).wake);
    assert!(!queue.push(request(2)).wake);
    assert!(!queue.rest(), "rows wait");
    take(&mut queue, 9);
    assert!(!queue.push(request(3)).wake, "the writer has not rested yet");
    take(&mut queue, 9);
    assert!(queue.rest() && queue.is_at_rest());
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
    assert!(queue.rest());
    shrink(&mut chunk);
    assert!(queue.rows.capacity() <= 2 * KEPT_ROWS && chunk.capacity() <= 2 * KEPT_ROWS);
}
