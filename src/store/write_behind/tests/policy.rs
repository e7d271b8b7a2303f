//! What the policy remembers, written behind.

use super::*;
use crate::store::policy::{
    self, DispatchRow, TargetRow, WindowRow,
    tests::{calm, dispatch, troubled, window},
};

async fn remembered(store: &Store) -> (Vec<TargetRow>, Vec<WindowRow>) {
    frozen(store.read(|conn| Ok((policy::targets(conn, 99)?, policy::windows(conn)?)))).await.unwrap()
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn the_newest_of_each_target_and_all_of_each_window_is_written() {
    let (store, write_behind) = start(StoreSettings::default());
    write_behind.policy_target(troubled("a", 1));
    write_behind.policy_window(window(0, &[1, 2]));
    write_behind.policy_target(troubled("b", 2));
    write_behind.policy_target(calm("a", 3));
    write_behind.policy_window(window(2, &[3]));
    assert_eq!(write_behind.waiting(), 3);
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!(remembered(&store).await, (vec![troubled("b", 2), calm("a", 3)], vec![window(2, &[2, 3])]));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_an_outage_held_back_and_what_came_meanwhile_become_one() {
    let (store, write_behind) = start(StoreSettings::default());
    write_behind.policy_window(window(0, &[1, 2]));
    frozen(write_behind.flush()).await.unwrap();
    read_only(&store, true).await;
    write_behind.policy_target(troubled("a", 1));
    write_behind.policy_window(window(2, &[3]));
    assert!(frozen(write_behind.flush()).await.is_err());
    write_behind.policy_target(calm("a", 2));
    write_behind.policy_window(window(3, &[4]));
    read_only(&store, false).await;
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!(remembered(&store).await, (vec![calm("a", 2)], vec![window(3, &[3, 4])]));
    assert_eq!(write_behind.lost(), 0);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_burst_of_the_journal_costs_the_policy_nothing() {
    let (store, write_behind) = start(StoreSettings { max_pending_rows: 10, ..StoreSettings::default() });
    write_behind.policy_target(troubled("a", 1));
    write_behind.policy_window(window(0, &[1]));
    (1..=5_000).for_each(|id| write_behind.request(row(id)));
    frozen(write_behind.flush()).await.unwrap();
    assert_eq!(remembered(&store).await, (vec![troubled("a", 1)], vec![window(1, &[1])]));
    assert_eq!((stored(&store).await.len(), write_behind.lost()), (8, 4_992));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_row_of_the_policy_that_is_refused_is_dropped_alone() {
    let (store, write_behind) = start(StoreSettings::default());
    write_behind.request(row(1));
    write_behind.policy_target(TargetRow { stale_sweep_count: u64::MAX, ..calm("bad", 1) });
    write_behind.policy_target(calm("good", 2));
    let wrong = DispatchRow { count: 0, ..dispatch(2) };
    write_behind.policy_window(WindowRow { dispatches: vec![dispatch(1), wrong], ..window(0, &[]) });
    write_behind.policy_window(WindowRow { platform: "chatgpt".into(), ..window(0, &[1]) });
    frozen(write_behind.flush()).await.unwrap();
    let other = WindowRow { platform: "chatgpt".into(), ..window(1, &[1]) };
    assert_eq!(remembered(&store).await, (vec![calm("good", 2)], vec![other]), "nothing of what was refused");
    assert_eq!((stored(&store).await, write_behind.lost(), write_behind.healthy()), (vec![1], 2, true));
}
