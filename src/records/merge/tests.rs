//! What becomes of clients and rows.

use super::*;
use crate::{
    bridge::{DaemonIdentity, SessionView},
    ids::{ClientId, ConnectionId},
    records::LoginStatus,
    wire::{ActualTab, DesiredTab, Freshness, ShellRuntime, TabDrift},
};

const NOW: WallMs = 1_000_000;
const AGES: LoginAgeLimits = LoginAgeLimits { stale_after_ms: 100, lost_after_ms: 1_000 };

pub(in crate::records) fn credential(
    platform: &str,
    account: Option<&str>,
    age: WallMs,
    freshness: Freshness,
) -> CredentialEntry {
    CredentialEntry {
        platform: platform.into(),
        account: account.map(str::to_owned),
        credential_fingerprint: Some("fp".into()),
        freshness,
        captured_at: NOW - age,
        last_seen_at: NOW - age,
        header_count: 2,
    }
}

fn hooks(platform: &str, account: Option<&str>) -> HookEntry {
    HookEntry {
        platform: platform.into(),
        account: account.map(str::to_owned),
        credential_fingerprint: None,
        endpoint_count: 1,
        endpoints: vec!["GET /a".into()],
        endpoint_metadata: Vec::new(),
        last_verified_at: NOW,
        updated_at: NOW,
        prompt_template: false,
    }
}

fn tab(platform: &str, exists: bool, wanted: bool) -> ShellRuntime {
    ShellRuntime {
        platform: platform.into(),
        desired: DesiredTab { exists: wanted, ..DesiredTab::default() },
        actual: ActualTab { exists, ..ActualTab::default() },
        drift: TabDrift { aligned: exists == wanted, ..TabDrift::default() },
    }
}

pub(in crate::records) fn client(
    id: &str,
    credentials: Vec<CredentialEntry>,
    request_hooks: Vec<HookEntry>,
) -> ClientView {
    ClientView {
        client_id: ClientId::trusted(id),
        connection_id: ConnectionId::trusted(format!("connection-of-{id}")),
        connected_at: NOW,
        last_message_at: NOW,
        node_type: None,
        node_category: None,
        node_platform: None,
        extension_version: None,
        session: SessionView {
            credentials,
            request_hooks,
            shell_runtime: vec![tab("claude", true, true), tab("gemini", false, true)],
            final_messages: Vec::new(),
            last_action_result: None,
            extractor_drift: BTreeMap::new(),
        },
        in_flight: 0,
    }
}

fn row(client: &str, platform: &str, account: Option<&str>, age: WallMs) -> StoredLogin {
    StoredLogin {
        client_id: client.into(),
        platform: platform.into(),
        account: account.map(str::to_owned),
        credential_fingerprint: Some("stored".into()),
        freshness: Some(Freshness::Fresh),
        header_count: Some(1),
        captured_at: Some(NOW - age),
        last_seen_at: Some(NOW - age),
        updated_at: NOW - age,
        prompt_template: false,
        endpoints: Vec::new(),
        endpoints_omitted: false,
        revision: 1,
    }
}

struct Fixture {
    clients: Vec<ClientView>,
    connected: Vec<StoredLogin>,
    others: Vec<StoredLogin>,
}

type RecordRow = (String, LoginStatus, RecordView, bool, Option<String>);

/// What a filter shows: which record, its status, its view, whether its client is active, and what the store remembers.
fn shown(fixture: Fixture, filter: &RecordFilter, page: bool) -> (Vec<RecordRow>, RecordSummary) {
    let identity = DaemonIdentity {
        host: "h".into(),
        identity: "i".into(),
        ws_path: "/ws/firefox",
        ws_url: String::new(),
        local_api_base: String::new(),
        started_at: 0,
    };
    let active = fixture.clients.last().map(|client| client.client_id.clone());
    let bridge = BridgeView::new(fixture.clients, active.as_ref(), &identity);
    let sources = RecordSources {
        bridge: &bridge,
        connected: &fixture.connected,
        others: &fixture.others,
        host: "h",
        ages: AGES,
        now: NOW,
    };
    let (records, summary) = merge(sources, filter, page);
    let tell = |record: &LoginRecord<'_>| {
        let name = format!("{} {} {}", record.platform, record.client_id, record.account.as_deref().unwrap_or("-"));
        let stored = record.persisted.as_ref().and_then(|row| row.credential_fingerprint.as_deref().map(str::to_owned));
        (name, record.status, record.view, record.is_active_client, stored)
    };
    (records.iter().map(tell).collect(), summary)
}

fn names(shown: &[RecordRow]) -> Vec<&str> {
    shown.iter().map(|record| record.0.as_str()).collect()
}

fn fixture() -> Fixture {
    let me = Some("me");
    Fixture {
        clients: vec![
            client("a", vec![credential("claude", me, 0, Freshness::Fresh)], vec![hooks("claude", me)]),
            client("b", vec![credential("claude", None, 500, Freshness::Fresh)], vec![hooks("gemini", None)]),
        ],
        connected: vec![row("a", "claude", me, 7), row("b", "chatgpt", None, 50)],
        others: vec![row("gone", "claude", me, 5), row("older", "claude", None, 2_000)],
    }
}

#[test]
fn each_login_is_one_record_wherever_it_is_known_from() {
    let (records, summary) = shown(fixture(), &RecordFilter::default(), false);
    let stored = Some("stored".to_owned());
    let wanted = [
        // Its client has not reported it on this connection, but is connected and has seen it lately.
        ("chatgpt b -", LoginStatus::Fresh, RecordView::PersistedOnly, true, stored.clone()),
        ("claude a me", LoginStatus::Fresh, RecordView::ActiveAndPersisted, false, stored.clone()),
        ("claude b -", LoginStatus::Stale, RecordView::ActiveOnly, true, None),
        ("claude gone me", LoginStatus::Stale, RecordView::PersistedOnly, false, stored.clone()),
        ("claude older -", LoginStatus::Lost, RecordView::PersistedOnly, false, stored),
        // Endpoints without a credential are no login.
        ("gemini b -", LoginStatus::Lost, RecordView::ActiveOnly, true, None),
    ];
    let wanted = wanted.map(|(name, status, view, active, stored)| (name.to_owned(), status, view, active, stored));
    assert_eq!(records, wanted);
    // The others are counted where they were read.
    let counts = crate::records::LoginStatusCounts { fresh: 2, stale: 1, lost: 1 };
    assert_eq!((summary.status_counts, summary.matched_records), (counts, 4));
    assert_eq!((summary.active_records, summary.persisted_only_records), (3, 1));
    assert_eq!(summary.runtime_counts, RuntimeCounts { actual: 2, desired: 4, drift: 2 });
}

#[test]
fn what_is_live_wins_over_what_is_stored_and_the_worse_report_over_the_better_age() {
    let mut fixture = fixture();
    fixture.clients[0].session.credentials[0].freshness = Freshness::Lost;
    let (records, _) = shown(fixture, &RecordFilter { client_id: Some("a".into()), ..RecordFilter::default() }, true);
    assert_eq!(names(&records), ["claude gone me", "claude older -"], "a further page has the others alone");
    let mut fixture = self::fixture();
    fixture.clients[0].session.credentials[0].freshness = Freshness::Lost;
    fixture.others.clear();
    fixture.connected.truncate(1);
    let (records, _) = shown(fixture, &RecordFilter { client_id: Some("a".into()), ..RecordFilter::default() }, false);
    assert_eq!((records[0].0.as_str(), records[0].1), ("claude a me", LoginStatus::Lost));
}

#[test]
fn filters_choose_records_and_what_is_counted() {
    let with = |set: fn(&mut RecordFilter)| {
        let mut filter = RecordFilter::default();
        set(&mut filter);
        let mut fixture = fixture();
        fixture.others.clear();
        fixture.connected.retain(|row| {
            filter.matches(&row.platform, row.account.as_deref()) && filter.matches_client(&row.client_id)
        });
        let (records, summary) = shown(fixture, &filter, false);
        assert_eq!(summary.matched_records, records.len());
        (records.into_iter().map(|record| record.0).collect::<Vec<_>>(), summary.runtime_counts)
    };
    let one = RuntimeCounts { actual: 0, desired: 2, drift: 2 };
    assert_eq!(with(|f| f.platform = Some("gemini".into())), (vec!["gemini b -".to_owned()], one));
    assert_eq!(with(|f| f.account = Some("me".into())).0, ["claude a me"]);
    assert_eq!(with(|f| f.client_id = Some("b".into())).0, ["chatgpt b -", "claude b -", "gemini b -"]);
    assert_eq!(with(|f| f.status = Some(LoginStatus::Stale)).0, ["claude b -"]);
    assert_eq!(with(|f| f.status = Some(LoginStatus::Lost)).0, ["gemini b -"]);
}

#[test]
fn a_record_has_the_fields_of_the_api() {
    let (clients, identity) = (fixture().clients, None::<&ClientId>);
    let bridge = BridgeView {
        active_client_id: identity.cloned(),
        active_connection_id: None,
        client_count: 0,
        clients,
        status: crate::bridge::BridgeStatus::Connected,
        transport: "t".into(),
        ws_path: "/".into(),
        ws_url: String::new(),
    };
    let mut connected = vec![row("a", "claude", Some("me"), 7)];
    let endpoint = |method: &str, path: &str| crate::store::logins::StoredEndpoint {
        method: method.into(),
        path: path.into(),
        first_seen_at: 1,
        last_seen_at: 2,
    };
    connected[0].endpoints = vec![endpoint("GET", "/a"), endpoint("", "odd")];
    let sources =
        RecordSources { bridge: &bridge, connected: &connected, others: &[], host: "box", ages: AGES, now: NOW };
    let filter = RecordFilter { account: Some("me".into()), ..RecordFilter::default() };
    let (records, _) = merge(sources, &filter, false);
    let json = serde_json::to_value(&records).unwrap();
    assert_eq!(json[0]["host"], "box");
    assert_eq!((&json[0]["status"], &json[0]["view"]), (&"fresh".into(), &"active_and_persisted".into()));
    assert_eq!(json[0]["live"]["connection_id"], "connection-of-a");
    assert_eq!(json[0]["live"]["credentials"]["header_count"], 2);
    assert_eq!(json[0]["live"]["request_hooks"]["endpoints"][0], "GET /a");
    assert_eq!(json[0]["live"]["shell_runtime"]["platform"], "claude");
    assert_eq!(json[0]["persisted"]["endpoints"], serde_json::json!(["GET /a", "odd"]));
    let metadata = serde_json::json!({"method": "GET", "path": "/a", "first_seen_at": 1, "last_seen_at": 2});
    assert_eq!(json[0]["persisted"]["endpoint_metadata"][0], metadata);
    for field in ["captured_at", "last_seen_at", "updated_at", "credential_fingerprint"] {
        assert!(!json[0]["persisted"][field].is_null(), "{field}");
    }
}
