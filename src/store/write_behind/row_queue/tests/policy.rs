//! Rows of the policy in the queue: one of each target and window, and the last that are lost.

use super::*;
use crate::store::policy::{
    DispatchRow, SweepRow, TargetRow, WindowRow,
    tests::{troubled, window},
};

fn sorted(queue: &RowQueue) -> Vec<String> {
    let mut all = shown(queue);
    all.sort();
    all
}

#[test]
fn the_newest_row_of_a_target_takes_the_whole_place_of_an_older_one() {
    let mut queue = queue(9, MANY);
    queue.push(troubled("a", 1).into());
    queue.push(troubled("b", 2).into());
    let other = TargetRow { platform: "chatgpt".into(), ..calm("a", 3) };
    queue.push(other.into());
    queue.push(calm("a", 4).into());
    assert_eq!(shown(&queue), ["a 4", "b 2", "a 3"]);
    let PendingRow::PolicyTarget(first) = &queue.rows[0] else { panic!("a target") };
    assert_eq!(**first, calm("a", 4));
    check(&queue);
    let mut chunk = take(&mut queue, 1);
    queue.push(calm("a", 5).into());
    queue.put_back(&mut chunk);
    assert_eq!((shown(&queue), queue.lost()), (vec!["b 2".into(), "a 3".into(), "a 5".into()], 0));
    check(&queue);
}

#[test]
fn the_differences_of_a_window_that_wait_are_one() {
    let mut queue = queue(9, MANY);
    queue.push(window(0, &[1, 2]).into());
    queue.push(WindowRow { platform: "chatgpt".into(), ..window(0, &[7]) }.into());
    queue.push(window(2, &[3]).into());
    assert_eq!(shown(&queue), ["window [2, 3]", "window [7]"]);
    check(&queue);
    let mut chunk = take(&mut queue, 1);
    queue.push(window(3, &[4]).into());
    queue.put_back(&mut chunk);
    assert_eq!(shown(&queue), ["window [7]", "window [3, 4]"]);
    check(&queue);
}

#[test]
fn a_row_of_the_policy_weighs_all_its_bytes() {
    let weight = |row: TargetRow| PendingRow::from(row).weight();
    let (long, base) = ("x".repeat(1_000), calm("a", 1));
    let sweep = troubled("a", 1).last_sweep.unwrap();
    let swept = |sweep| TargetRow { last_sweep: Some(sweep), ..base.clone() };
    for (longer, shorter) in [
        (calm(&"x".repeat(1_001), 1), base.clone()),
        (TargetRow { platform: ["claude", &long].concat().into(), ..base.clone() }, base.clone()),
        (TargetRow { boot_id: Some(long.as_str().into()), ..base.clone() }, base.clone()),
        (TargetRow { last_error: Some(long.clone()), ..base.clone() }, base.clone()),
        (swept(SweepRow { request_id: ["req_1", &long].concat().into(), ..sweep.clone() }), swept(sweep.clone())),
        (swept(SweepRow { reason: sweep.reason.clone() + &long, ..sweep.clone() }), swept(sweep.clone())),
    ] {
        assert_eq!(weight(longer) - weight(shorter), 1_000);
    }
    let weight = |row: WindowRow| PendingRow::from(row).weight();
    let each = size_of::<DispatchRow>() + "boot-1".len();
    assert_eq!(weight(window(0, &[1, 2, 3])) - weight(window(0, &[1])), 2 * each);
}

#[test]
fn what_the_policy_remembers_is_lost_only_when_nothing_else_waits() {
    let mut queue = queue(4, MANY);
    queue.push(calm("a", 1).into());
    push_all(&mut queue, 1..=2);
    queue.push(window(0, &[1]).into());
    push_all(&mut queue, 3..=99);
    assert_eq!((sorted(&queue), queue.lost()), (vec!["98".into(), "99".into(), "a 1".into(), "window [1]".into()], 97));
    check(&queue);
    queue.push(calm("a", 2).into());
    queue.push(calm("b", 3).into());
    queue.push(calm("c", 4).into());
    check(&queue);
    assert_eq!(sorted(&queue), ["a 2", "b 3", "c 4", "window [1]"]);
    push_all(&mut queue, 100..=100);
    assert!(!shown(&queue).contains(&"100".into()), "there is no room for it");
    queue.push(calm("d", 5).into());
    assert_eq!((queue.len(), queue.lost(), shown(&queue)[3].clone()), (4, 101, "d 5".into()));
    check(&queue);
}

#[test]
fn what_the_policy_remembers_also_comes_back_into_a_full_queue() {
    for (rows, bytes) in [(3, MANY), (99, 3 * request(9).weight() + PendingRow::from(calm("a", 1)).weight() - 1)] {
        let mut queue = queue(rows, bytes);
        queue.push(request(1));
        queue.push(calm("a", 1).into());
        let mut chunk = take(&mut queue, 2);
        push_all(&mut queue, 2..=4);
        queue.put_back(&mut chunk);
        assert_eq!((shown(&queue), queue.lost()), (vec!["3".into(), "4".into(), "a 1".into()], 2));
        check(&queue);
    }
}
