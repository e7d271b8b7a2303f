//! Records over time, on a clock that the test holds and a database that is closed and opened again.

use super::*;
use crate::{
    bridge::{ClientView, CredentialEntry, Identity},
    clock::WallMs,
    records::{View, merge::tests as made},
    store::{
        StoreSettings,
        logins::{CredentialPart, LoginKey, LoginRow},
        tests::Folder,
    },
    testing::frozen,
    wire::Freshness,
};
use std::time::Duration;
use tokio::time::sleep;

const SETTINGS: (u64, u64) = (300, 1_800);

struct World {
    folder: Folder,
    store: Store,
    later: Later,
    clock: Clock,
    clients: Vec<ClientView>,
}

fn login_state() -> LoginState {
    LoginState { stale_after_ms: SETTINGS.0, lost_after_ms: SETTINGS.1, ..LoginState::default() }
}

fn open(folder: &Folder) -> (Store, Later) {
    let settings = StoreSettings::default();
    let store = Store::open(&folder.database(), &settings).unwrap();
    let later = Later::start(store.clone(), &settings, &login_state());
    (store, later)
}

impl World {
    fn new() -> Self {
        let folder = Folder::new();
        let (store, later) = open(&folder);
        World { folder, store, later, clock: Clock::starting_at(1_000_000), clients: Vec::new() }
    }

    /// A client tells that it sees a login now.
    async fn sees(&mut self, client: &str, platform: &str, freshness: Freshness) {
        let now = self.clock.now_ms();
        let entry =
            CredentialEntry { captured_at: now, last_seen_at: now, ..made::credential(platform, None, 0, freshness) };
        match self.clients.iter_mut().find(|known| known.client_id.as_str() == client) {
            Some(known) => known.session.credentials = vec![entry],
            None => self.clients.push(made::client(client, vec![entry], Vec::new())),
        }
        self.store_login(client, platform, freshness, now).await;
    }

    async fn store_login(&self, client: &str, platform: &str, freshness: Freshness, now: WallMs) {
        self.later.login(LoginRow {
            key: LoginKey { client_id: client.into(), platform: platform.into(), account: None },
            told_at: now,
            credentials: Some(CredentialPart {
                credential_fingerprint: Some("fp".into()),
                freshness,
                header_count: 1,
                captured_at: now,
                last_seen_at: now,
            }),
            endpoints: None,
        });
        frozen(self.later.flush()).await.unwrap();
    }

    async fn restart(&mut self) {
        self.clients.clear();
        frozen(async {
            self.later.close().await.unwrap();
            self.store.close().await.unwrap();
        })
        .await;
        (self.store, self.later) = open(&self.folder);
    }

    async fn look(&self, filter: Filter) -> (Vec<(String, Status, View)>, Summary, Option<i64>) {
        let filter = Filter { limit: if filter.limit == 0 { 100 } else { filter.limit }, ..filter };
        let reader = Reader::new(self.store.clone(), self.later.clone(), &login_state(), "box", self.clock);
        let identity = Identity {
            host: "box".into(),
            identity: "i".into(),
            ws_path: "/",
            ws_url: String::new(),
            local_api_base: String::new(),
            started_at: 0,
        };
        let bridge = BridgeView::new(self.clients.clone(), None, &identity);
        let page = frozen(reader.read(&bridge, filter)).await;
        let (records, summary) = reader.records(&page, &bridge);
        let shown = records.iter().map(|r| (format!("{} {}", r.client_id, r.platform), r.status, r.view));
        (shown.collect(), summary, page.next_before())
    }

    async fn one(&self) -> (Status, View) {
        let (records, ..) = self.look(Filter::default()).await;
        assert_eq!(records.len(), 1, "{records:?}");
        (records[0].1, records[0].2)
    }
}

async fn pass(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_login_grows_old_across_a_disconnect_and_a_restart() {
    use {Status::*, View::*};
    let mut world = World::new();
    world.sees("ff", "claude", Freshness::Fresh).await;
    assert_eq!(world.one().await, (Fresh, ActiveAndPersisted));
    pass(300).await;
    assert_eq!(world.one().await, (Fresh, ActiveAndPersisted), "the edge still counts");
    pass(1).await;
    assert_eq!(world.one().await, (Stale, ActiveAndPersisted));
    world.sees("ff", "claude", Freshness::Fresh).await;
    assert_eq!(world.one().await, (Fresh, ActiveAndPersisted), "seen again");

    world.clients.clear();
    assert_eq!(world.one().await, (Stale, PersistedOnly), "whoever is gone is never fresh");
    pass(1_000).await;
    world.restart().await;
    assert_eq!(world.one().await, (Stale, PersistedOnly), "a restart changes nothing");
    pass(800).await;
    assert_eq!(world.one().await, (Stale, PersistedOnly));
    pass(1).await;
    assert_eq!(world.one().await, (Lost, PersistedOnly));

    world.sees("ff", "claude", Freshness::Stale).await;
    assert_eq!(world.one().await, (Stale, ActiveAndPersisted), "the worse of report and age");
    world.sees("ff", "claude", Freshness::Lost).await;
    assert_eq!(world.one().await, (Lost, ActiveAndPersisted));
    world.restart().await;
    assert_eq!(world.one().await, (Lost, PersistedOnly), "what was reported lost stays so");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_is_shown_and_what_is_counted_agree_for_every_filter() {
    let mut world = World::new();
    for client in ["a", "b", "c", "d"] {
        world.sees(client, "claude", Freshness::Fresh).await;
        world.sees(client, "gemini", Freshness::Fresh).await;
        pass(500).await;
    }
    // Seen 2 000, 1 500, 1 000 and 500 ms ago: `a` is lost; only `d` is still there, and has told of gemini alone.
    world.clients.retain(|client| client.client_id.as_str() == "d");
    let filters = [
        (Filter::default(), 8, [0, 6, 2]),
        (Filter { status: Some(Status::Stale), ..Filter::default() }, 6, [0, 6, 0]),
        (Filter { status: Some(Status::Lost), ..Filter::default() }, 2, [0, 0, 2]),
        (Filter { status: Some(Status::Fresh), ..Filter::default() }, 0, [0, 0, 0]),
        (Filter { platform: Some("claude".into()), ..Filter::default() }, 4, [0, 3, 1]),
        (Filter { client_id: Some("d".into()), ..Filter::default() }, 2, [0, 2, 0]),
        (Filter { account: Some("nobody".into()), ..Filter::default() }, 0, [0, 0, 0]),
        (Filter { host: Some("box".into()), ..Filter::default() }, 8, [0, 6, 2]),
        (Filter { host: Some("elsewhere".into()), ..Filter::default() }, 0, [0, 0, 0]),
    ];
    for (filter, count, [fresh, stale, lost]) in filters {
        let (records, summary, next) = world.look(filter.clone()).await;
        assert_eq!((records.len(), summary.matched_records, next), (count, count, None), "{filter:?}: {records:?}");
        assert_eq!(summary.status_counts, StatusCounts { fresh, stale, lost }, "{filter:?}");
        let active = records.iter().filter(|record| record.2 != View::PersistedOnly).count();
        assert_eq!((summary.active_records, summary.persisted_only_records), (active, count - active), "{filter:?}");
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn stored_records_come_in_pages_and_live_ones_on_the_first() {
    let mut world = World::new();
    for client in ["a", "b", "c", "d", "e"] {
        world.sees(client, "claude", Freshness::Fresh).await;
    }
    world.clients.retain(|client| client.client_id.as_str() == "c");
    let names = |records: &[(String, Status, View)]| records.iter().map(|r| r.0.clone()).collect::<Vec<_>>();
    let (first, summary, next) = world.look(Filter { limit: 2, ..Filter::default() }).await;
    assert_eq!(names(&first), ["c claude", "d claude", "e claude"], "the live one beside the two newest");
    assert_eq!((summary.matched_records, summary.persisted_only_records), (5, 4), "all of them are counted");
    let (second, again, end) = world.look(Filter { limit: 2, before: next, ..Filter::default() }).await;
    assert_eq!((names(&second), end), (vec!["a claude".to_owned(), "b claude".to_owned()], None));
    assert_eq!(again, summary, "the summary is that of all, on every page");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_store_that_cannot_be_read_hides_nothing_that_is_live() {
    let mut world = World::new();
    world.sees("ff", "claude", Freshness::Fresh).await;
    frozen(world.store.close()).await.unwrap();
    let (records, summary, _) = world.look(Filter::default()).await;
    assert_eq!((records.len(), records[0].2), (1, View::ActiveOnly));
    assert_eq!((summary.matched_records, summary.persisted_error.is_some()), (1, true));
}
