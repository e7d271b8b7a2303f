//! Pages of what is live and what is stored, and what a store that cannot be written or read does to them.

use super::*;
use crate::{
    store::{StoreSettings, requests::RequestList, tests::Folder},
    testing::frozen,
};

fn entry(id: i64, platform: &str) -> JournalEntry {
    JournalEntry { platform: platform.into(), ..crate::store::requests::tests::row(id) }
}

fn ids(page: &JournalPage) -> Vec<i64> {
    page.requests.iter().map(|entry| entry.id).collect()
}

#[test]
fn a_walk_that_ended_early_is_told_and_what_is_live_below_it_comes_later() {
    let filter = |limit| JournalFilter { platform: Some("kimi".into()), limit, ..JournalFilter::default() };
    let live = || [entry(95, "kimi"), entry(94, "claude"), entry(7, "kimi")].to_vec();
    let stored = |walked_to| RequestList { rows: vec![entry(96, "kimi"), entry(92, "kimi")], walked_to };
    let page = merge_page(live(), stored(Some(91)), &filter(9));
    assert_eq!((ids(&page), page.page_info.next_before), (vec![96, 95, 92], Some(91)));
    let page = merge_page(live(), stored(Some(91)), &filter(2));
    assert_eq!((ids(&page), page.page_info.next_before), (vec![96, 95], Some(95)), "it is full before that");
    let page = merge_page(live(), stored(None), &filter(9));
    assert_eq!((ids(&page), page.page_info.next_before), (vec![96, 95, 92, 7], None));
    let page = merge_page(Vec::new(), RequestList { rows: Vec::new(), walked_to: Some(91) }, &filter(9));
    assert_eq!(
        (ids(&page), page.page_info.next_before),
        (Vec::<i64>::new(), Some(91)),
        "an empty page that is not the last"
    );
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_blocked_writer_hides_only_what_it_has_not_written() {
    let folder = Folder::new();
    let settings = StoreSettings::default();
    let store = Store::open(&folder.database(), &settings).unwrap();
    let write_behind = WriteBehind::start(store.clone(), &settings, &Default::default());
    let journal = frozen(RequestJournal::open(store.clone(), write_behind.clone(), 0)).await.unwrap();
    journal.record(entry(1, "kimi"));
    frozen(write_behind.flush()).await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let blocked = actix_rt::spawn({
        let store = store.clone();
        async move { store.run(move |_| Ok(held.recv().is_err())).await }
    });
    tokio::task::yield_now().await;
    journal.record(entry(2, "kimi"));
    let all = JournalFilter { limit: 9, ..JournalFilter::default() };
    let page = journal.page(vec![entry(3, "kimi")], all.clone()).await.unwrap();
    assert_eq!(ids(&page), [3, 1]);
    assert_eq!(journal.latest("req_1").await, Ok(Some(entry(1, "kimi"))));
    drop(release);
    assert_eq!(frozen(blocked).await.unwrap(), Ok(true));
    let page = frozen(journal.page(vec![entry(3, "kimi")], all.clone())).await.unwrap();
    assert_eq!(ids(&page), [3, 2, 1]);
    frozen(store.close()).await.unwrap();
    assert_eq!(frozen(journal.page(Vec::new(), all)).await, Err(StoreError::Gone));
}
