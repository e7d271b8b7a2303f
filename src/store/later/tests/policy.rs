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
    let (store, later) = start(StoreSettings::default());
    later.policy_target(troubled("a", 1));
    later.policy_window(window(0, &[1, 2]));
    later.policy_target(troubled("b", 2));
    later.policy_target(calm("a", 3));
    later.policy_window(window(2, &[3]));
    assert_eq!(later.waiting(), 3);
    frozen(later.flush()).await.unwrap();
    assert_eq!(remembered(&store).await, (vec![troubled("b", 2), calm("a", 3)], vec![window(2, &[2, 3])]));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_an_outage_held_back_and_what_came_meanwhile_become_one() {
    let (store, later) = start(StoreSettings::default());
    later.policy_window(window(0, &[1, 2]));
    frozen(later.flush()).await.unwrap();
    read_only(&store, true).await;
    later.policy_target(troubled("a", 1));
    later.policy_window(window(2, &[3]));
    assert!(frozen(later.flush()).await.is_err());
    later.policy_target(calm("a", 2));
    later.policy_window(window(3, &[4]));
    read_only(&store, false).await;
    frozen(later.flush()).await.unwrap();
    assert_eq!(remembered(&store).await, (vec![calm("a", 2)], vec![window(3, &[3, 4])]));
    assert_eq!(later.lost(), 0);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_burst_of_the_journal_costs_the_policy_nothing() {
    let (store, later) = start(StoreSettings { max_pending_rows: 10, ..StoreSettings::default() });
    later.policy_target(troubled("a", 1));
    later.policy_window(window(0, &[1]));
    (1..=5_000).for_each(|id| later.request(row(id)));
    frozen(later.flush()).await.unwrap();
    assert_eq!(remembered(&store).await, (vec![troubled("a", 1)], vec![window(1, &[1])]));
    assert_eq!((stored(&store).await.len(), later.lost()), (8, 4_992));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_row_of_the_policy_that_is_refused_is_dropped_alone() {
    let (store, later) = start(StoreSettings::default());
    later.request(row(1));
    later.policy_target(TargetRow { stale_sweep_count: u64::MAX, ..calm("bad", 1) });
    later.policy_target(calm("good", 2));
    let wrong = DispatchRow { count: 0, ..dispatch(2) };
    later.policy_window(WindowRow { dispatches: vec![dispatch(1), wrong], ..window(0, &[]) });
    later.policy_window(WindowRow { platform: "chatgpt".into(), ..window(0, &[1]) });
    frozen(later.flush()).await.unwrap();
    let other = WindowRow { platform: "chatgpt".into(), ..window(1, &[1]) };
    assert_eq!(remembered(&store).await, (vec![calm("good", 2)], vec![other]), "nothing of what was refused");
    assert_eq!((stored(&store).await, later.lost(), later.healthy()), (vec![1], 2, true));
}
