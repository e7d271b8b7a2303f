//! Records over time, on a clock that the test holds and a database that is closed and opened again.

use super::*;
use crate::{
    bridge::{ClientView, CredentialEntry, DaemonIdentity},
    clock::WallMs,
    records::{RecordView, merge::tests as made},
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

struct Fixture {
    folder: Folder,
    store: Store,
    write_behind: WriteBehind,
    clock: Clock,
    clients: Vec<ClientView>,
}

fn login_state() -> LoginStateSettings {
    LoginStateSettings { stale_after_ms: SETTINGS.0, lost_after_ms: SETTINGS.1, ..LoginStateSettings::default() }
}

fn open(folder: &Folder) -> (Store, WriteBehind) {
    let settings = StoreSettings::default();
    let store = Store::open(&folder.database(), &settings).unwrap();
    let write_behind = WriteBehind::start(store.clone(), &settings, &login_state());
    (store, write_behind)
}

impl Fixture {
    fn new() -> Self {
        let folder = Folder::new();
        let (store, write_behind) = open(&folder);
        Fixture { folder, store, write_behind, clock: Clock::starting_at(1_000_000), clients: Vec::new() }
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
        self.write_behind.login(LoginRow {
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
        frozen(self.write_behind.flush()).await.unwrap();
    }

    async fn restart(&mut self) {
        self.clients.clear();
        frozen(async {
            self.write_behind.close().await.unwrap();
            self.store.close().await.unwrap();
        })
        .await;
        (self.store, self.write_behind) = open(&self.folder);
    }

    async fn look(&self, filter: RecordFilter) -> (Vec<(String, LoginStatus, RecordView)>, RecordSummary, Option<i64>) {
        let filter = RecordFilter { limit: if filter.limit == 0 { 100 } else { filter.limit }, ..filter };
        let reader =
            RecordReader::new(self.store.clone(), self.write_behind.clone(), &login_state(), "box", self.clock);
        let identity = DaemonIdentity {
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

    async fn one(&self) -> (LoginStatus, RecordView) {
        let (records, ..) = self.look(RecordFilter::default()).await;
        assert_eq!(records.len(), 1, "{records:?}");
        (records[0].1, records[0].2)
    }
}

async fn pass(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_login_grows_old_across_a_disconnect_and_a_restart() {
    use {LoginStatus::*, RecordView::*};
    let mut fixture = Fixture::new();
    fixture.sees("ff", "claude", Freshness::Fresh).await;
    assert_eq!(fixture.one().await, (Fresh, ActiveAndPersisted));
    pass(300).await;
    assert_eq!(fixture.one().await, (Fresh, ActiveAndPersisted), "the edge still counts");
    pass(1).await;
    assert_eq!(fixture.one().await, (Stale, ActiveAndPersisted));
    fixture.sees("ff", "claude", Freshness::Fresh).await;
    assert_eq!(fixture.one().await, (Fresh, ActiveAndPersisted), "seen again");

    fixture.clients.clear();
    assert_eq!(fixture.one().await, (Stale, PersistedOnly), "a login of a disconnected client is never fresh");
    pass(1_000).await;
    fixture.restart().await;
    assert_eq!(fixture.one().await, (Stale, PersistedOnly), "a restart changes nothing");
    pass(800).await;
    assert_eq!(fixture.one().await, (Stale, PersistedOnly));
    pass(1).await;
    assert_eq!(fixture.one().await, (Lost, PersistedOnly));

    fixture.sees("ff", "claude", Freshness::Stale).await;
    assert_eq!(fixture.one().await, (Stale, ActiveAndPersisted), "the worse of report and age");
    fixture.sees("ff", "claude", Freshness::Lost).await;
    assert_eq!(fixture.one().await, (Lost, ActiveAndPersisted));
    fixture.restart().await;
    assert_eq!(fixture.one().await, (Lost, PersistedOnly), "what was reported lost stays so");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_is_shown_and_what_is_counted_agree_for_every_filter() {
    let mut fixture = Fixture::new();
    for client in ["a", "b", "c", "d"] {
        fixture.sees(client, "claude", Freshness::Fresh).await;
        fixture.sees(client, "gemini", Freshness::Fresh).await;
        pass(500).await;
    }
    // Seen 2 000, 1 500, 1 000 and 500 ms ago: `a` is lost; only `d` is still connected, and has reported only gemini.
    fixture.clients.retain(|client| client.client_id.as_str() == "d");
    let filters = [
        (RecordFilter::default(), 8, [0, 6, 2]),
        (RecordFilter { status: Some(LoginStatus::Stale), ..RecordFilter::default() }, 6, [0, 6, 0]),
        (RecordFilter { status: Some(LoginStatus::Lost), ..RecordFilter::default() }, 2, [0, 0, 2]),
        (RecordFilter { status: Some(LoginStatus::Fresh), ..RecordFilter::default() }, 0, [0, 0, 0]),
        (RecordFilter { platform: Some("claude".into()), ..RecordFilter::default() }, 4, [0, 3, 1]),
        (RecordFilter { client_id: Some("d".into()), ..RecordFilter::default() }, 2, [0, 2, 0]),
        (RecordFilter { account: Some("unknown".into()), ..RecordFilter::default() }, 0, [0, 0, 0]),
        (RecordFilter { host: Some("box".into()), ..RecordFilter::default() }, 8, [0, 6, 2]),
        (RecordFilter { host: Some("elsewhere".into()), ..RecordFilter::default() }, 0, [0, 0, 0]),
    ];
    for (filter, count, [fresh, stale, lost]) in filters {
        let (records, summary, next) = fixture.look(filter.clone()).await;
        assert_eq!((records.len(), summary.matched_records, next), (count, count, None), "{filter:?}: {records:?}");
        assert_eq!(summary.status_counts, LoginStatusCounts { fresh, stale, lost }, "{filter:?}");
        let active = records.iter().filter(|record| record.2 != RecordView::PersistedOnly).count();
        assert_eq!((summary.active_records, summary.persisted_only_records), (active, count - active), "{filter:?}");
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn stored_records_come_in_pages_and_live_ones_on_the_first() {
    let mut fixture = Fixture::new();
    for client in ["a", "b", "c", "d", "e"] {
        fixture.sees(client, "claude", Freshness::Fresh).await;
    }
    fixture.clients.retain(|client| client.client_id.as_str() == "c");
    let names = |records: &[(String, LoginStatus, RecordView)]| records.iter().map(|r| r.0.clone()).collect::<Vec<_>>();
    let (first, summary, next) = fixture.look(RecordFilter { limit: 2, ..RecordFilter::default() }).await;
    assert_eq!(names(&first), ["c claude", "d claude", "e claude"], "the live one beside the two newest");
    assert_eq!((summary.matched_records, summary.persisted_only_records), (5, 4), "all of them are counted");
    let (second, again, end) = fixture.look(RecordFilter { limit: 2, before: next, ..RecordFilter::default() }).await;
    assert_eq!((names(&second), end), (vec!["a claude".to_owned(), "b claude".to_owned()], None));
    assert_eq!(again, summary, "the summary is that of all, on every page");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_store_that_cannot_be_read_hides_nothing_that_is_live() {
    let mut fixture = Fixture::new();
    fixture.sees("ff", "claude", Freshness::Fresh).await;
    frozen(fixture.store.close()).await.unwrap();
    let (records, summary, _) = fixture.look(RecordFilter::default()).await;
    assert_eq!((records.len(), records[0].2), (1, RecordView::ActiveOnly));
    assert_eq!((summary.matched_records, summary.persisted_error.is_some()), (1, true));
}
