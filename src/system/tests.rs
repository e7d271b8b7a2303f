//! The mode on a real store: written first, published in order, restored after a restart.

use super::*;
use crate::{
    events::ResumePoint,
    store::{StoreSettings, tests::Folder},
    testing::frozen,
};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

struct Fixture {
    store: Store,
    events: EventBus,
    clock: Clock,
}

impl Fixture {
    fn new(database: &Path) -> Self {
        let store = Store::open(database, &StoreSettings::default()).unwrap();
        Fixture { store, events: EventBus::new(1, 100), clock: Clock::starting_at(1_000) }
    }

    async fn system(&self) -> SystemControl {
        let opened = SystemControl::open(self.store.clone(), self.events.clone(), self.clock, NodeSettings::default());
        frozen(opened).await.unwrap()
    }
}

fn memory() -> Fixture {
    Fixture::new(Path::new(":memory:"))
}

fn view(mode: Mode, changed_at: i64, reason: Option<&str>) -> SystemView {
    SystemView { mode, changed_at, reason: reason.map(Into::into) }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_system_that_never_was_before_runs_and_remembers_since_when() {
    let fixture = memory();
    assert_eq!(fixture.system().await.state(), view(Mode::Running, 1_000, None));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fixture.system().await.state(), view(Mode::Running, 1_000, None));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_change_is_answered_shown_watched_and_published() {
    let fixture = memory();
    let system = fixture.system().await;
    let (mut watch, mut events) = (system.watch(), fixture.events.subscribe(ResumePoint::Live));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let paused = view(Mode::Paused, 2_000, Some("lunch"));
    assert_eq!(frozen(system.change(Mode::Paused, Some("lunch".into()))).await, Ok(paused.clone()));
    assert_eq!((system.mode(), system.state()), (Mode::Paused, paused.clone()));
    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), paused);
    let told = json!({"mode": "paused", "changed_at": 2_000, "reason": "lunch"});
    assert_eq!(events.told(), [("system".to_owned(), told)]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn the_same_mode_again_is_a_change_with_its_own_time_and_reason() {
    let fixture = memory();
    let system = fixture.system().await;
    let mut events = fixture.events.subscribe(ResumePoint::Live);
    frozen(system.change(Mode::Draining, Some("update".into()))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    frozen(system.change(Mode::Draining, None)).await.unwrap();
    assert_eq!(system.state(), view(Mode::Draining, 2_000, None));
    assert_eq!(events.told().len(), 2);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn changes_at_once_are_told_in_the_order_in_which_they_were_written() {
    let fixture = memory();
    let system = fixture.system().await;
    let mut events = fixture.events.subscribe(ResumePoint::Live);
    let modes = [Mode::Paused, Mode::Draining, Mode::Running];
    let asked: Vec<_> = (0..60).map(|n| system.change(modes[n % 3], Some(n.to_string()))).collect();
    let answered = frozen(futures_util::future::join_all(asked)).await;
    let answered: Vec<_> = answered.into_iter().map(|state| serde_json::to_value(state.unwrap()).unwrap()).collect();
    let told: Vec<Value> = events.told().into_iter().map(|(_, data)| data).collect();
    assert_eq!(told, answered);
    let written = frozen(fixture.store.run(store::system::read)).await.unwrap();
    assert_eq!(written, Some(system.state()));
    assert_eq!(system.state().reason.as_deref(), Some("59"));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_change_that_nobody_waits_for_happens_all_the_same() {
    let fixture = memory();
    let system = fixture.system().await;
    drop(system.change(Mode::Paused, None));
    for _ in 0..100 {
        // What was sent to the store before is done before.
        frozen(fixture.store.run(|_| Ok(()))).await.unwrap();
    }
    assert_eq!(system.mode(), Mode::Paused);
    assert_eq!(frozen(fixture.store.run(store::system::read)).await, Ok(Some(system.state())));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_change_that_cannot_be_written_never_happened() {
    let fixture = memory();
    let system = fixture.system().await;
    let (watch, mut events) = (system.watch(), fixture.events.subscribe(ResumePoint::Live));
    frozen(fixture.store.close()).await.unwrap();
    assert_eq!(frozen(system.change(Mode::Draining, None)).await, Err(StoreError::Gone));
    assert_eq!(system.mode(), Mode::Running);
    assert!(!watch.has_changed().unwrap());
    assert_eq!(events.told(), Vec::<(String, Value)>::new());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn the_mode_outlives_the_process() {
    let folder = Folder::new();
    let fixture = Fixture::new(&folder.database());
    frozen(fixture.system().await.change(Mode::Draining, Some("update".into()))).await.unwrap();
    frozen(fixture.store.close()).await.unwrap();
    let next = Fixture { clock: Clock::starting_at(9_000), ..Fixture::new(&folder.database()) };
    assert_eq!(next.system().await.state(), view(Mode::Draining, 1_000, Some("update")));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn changes_do_not_gather_before_a_store_that_does_not_answer() {
    let fixture = memory();
    let system = fixture.system().await;
    let asked: Vec<_> = (0..=CHANGES_MAX).map(|_| system.change(Mode::Paused, None)).collect();
    let answered = frozen(futures_util::future::join_all(asked)).await;
    let refused = answered.iter().filter(|answer| **answer == Err(StoreError::Unavailable(Unavailable::Busy))).count();
    assert_eq!((refused, answered.iter().filter(|answer| answer.is_ok()).count()), (1, CHANGES_MAX));
    assert!(frozen(system.change(Mode::Running, None)).await.is_ok(), "there is room again");
}
