//! The request journal: running requests, ended ones, those that a crash interrupted, and the queries.

use crate::support::{
    Daemon, ask, ask_sse, automatic, cancel_of, connect, manual, request_of, settled, until, waiting,
};
use baa_conductor::simulator::{FirefoxProfile, SimulatedPlatform};
use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use rustix::process::Signal;
use serde_json::{Value, json};

const JOURNAL: &str = "/v1/browser/requests";

fn ids(page: &Value) -> Vec<&str> {
    let requests = page["requests"].as_array().unwrap();
    assert_eq!(page["count"], requests.len());
    requests.iter().map(|entry| entry["request_id"].as_str().unwrap()).collect()
}

#[actix_rt::test]
async fn requests_under_way_are_shown_as_they_stand() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 2").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let _dispatched = caller.begin(&ask("r1", "/one")).await;
    request_of(&firefox, "r1").await;
    let mut streaming = caller.stream(&ask_sse("r2", "/two")).await;
    let request = request_of(&firefox, "r2").await;
    request.event("message", json!("x")).await.unwrap();
    streaming.expect("stream_open").await;
    streaming.expect("stream_event").await;
    let _queued = caller.begin(&ask("r3", "/three")).await;
    waiting(&caller, 1).await;
    let page = caller.get(JOURNAL).await.data();
    assert_eq!(ids(&page), ["r3", "r2", "r1"], "newest first");
    let phases: Vec<_> = page["requests"].as_array().unwrap().iter().map(|entry| entry["phase"].clone()).collect();
    assert_eq!(phases, ["queued", "streaming", "dispatched"]);
    let streaming = &page["requests"][1];
    assert_eq!(
        (&streaming["outcome"], &streaming["status"], &streaming["event_count"]),
        (&Value::Null, &json!(200), &json!(1))
    );
    assert!(streaming["admitted_at"].is_i64() && streaming["first_byte_at"].is_i64(), "{streaming}");
    assert!(streaming["bytes"].as_i64().unwrap() > 0);
    assert_eq!(streaming.get("finished_at"), None);
    assert_eq!(page["requests"][0].get("admitted_at"), None);
    assert_eq!(caller.journal("r1").await, page["requests"][2]);
}

#[actix_rt::test]
async fn a_finished_request_has_its_outcome_and_times() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let mut body = ask("good", "/echo?x=1");
    body["method"] = json!("post");
    caller.request(&body).await.data();
    caller.request(&ask("bad", "/status/503")).await.error();
    caller.stream(&ask_sse("stream", "/events/3")).await.end().await;
    let good = caller.journal("good").await;
    for (field, value) in [
        ("platform", json!("claude")),
        ("client_id", json!("ff")),
        ("method", json!("POST")),
        ("path", json!("/echo?x")),
        ("request_mode", json!("api_request")),
        ("response_mode", json!("buffered")),
        ("phase", json!("done")),
        ("outcome", json!("success")),
        ("status", json!(200)),
        ("event_count", json!(0)),
    ] {
        assert_eq!(good[field], value, "{field}");
    }
    let times: Vec<_> =
        ["requested_at", "admitted_at", "first_byte_at", "finished_at"].map(|at| good[at].as_i64().unwrap()).into();
    assert!(times.is_sorted(), "{good}");
    assert_eq!(good.get("error_code"), None);
    let bad = caller.journal("bad").await;
    assert_eq!(
        (&bad["outcome"], &bad["error_code"], &bad["status"]),
        (&json!("failure"), &json!("browser_upstream_error"), &json!(503))
    );
    let stream = caller.journal("stream").await;
    assert_eq!((&stream["response_mode"], &stream["event_count"]), (&json!("sse"), &json!(3)));
    let missing = caller.get(&format!("{JOURNAL}/nothing")).await;
    assert_eq!(
        (missing.error(), &missing.json()["details"]["resource"]),
        ((404, "not_found".into()), &json!("browser_request"))
    );
}

#[actix_rt::test]
async fn of_an_id_that_was_used_again_the_newest_is_shown() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    caller.request(&ask("same", "/first")).await;
    caller.request(&ask("same", "/second")).await;
    assert_eq!(caller.journal("same").await["path"], "/second");
    assert_eq!(ids(&caller.get(JOURNAL).await.data()), ["same", "same"]);
}

#[actix_rt::test]
async fn the_journal_is_filtered_and_read_page_by_page() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let mut profile = FirefoxProfile::new("a");
    profile.platforms.push(SimulatedPlatform::new("chatgpt"));
    let _a = connect(&daemon, profile).await;
    let b = automatic(&daemon, "b").await;
    let send = async |id: &str, platform: &str, client: &str, path: &str| {
        caller.request(&json!({"platform": platform, "request_id": id, "client_id": client, "path": path})).await;
    };
    send("r1", "claude", "a", "/echo").await;
    send("r2", "chatgpt", "a", "/echo").await;
    send("r3", "claude", "b", "/status/500").await;
    let cancelled =
        caller.begin(&json!({"platform": "claude", "request_id": "r4", "client_id": "b", "path": "/silence"})).await;
    b.expect_where("api_request", |message| message["id"] == "r4").await.unwrap();
    drop(cancelled);
    cancel_of(&b, "r4").await;
    settled(&caller).await;
    let _running =
        caller.begin(&json!({"platform": "claude", "request_id": "r5", "client_id": "b", "path": "/silence"})).await;
    b.expect_where("api_request", |message| message["id"] == "r5").await.unwrap();
    for (query, expected) in [
        ("", &["r5", "r4", "r3", "r2", "r1"][..]),
        ("?platform=claude", &["r5", "r4", "r3", "r1"]),
        ("?client_id=a", &["r2", "r1"]),
        ("?clientId=b&platform=claude", &["r5", "r4", "r3"]),
        ("?outcome=success", &["r2", "r1"]),
        ("?outcome=failure", &["r3"]),
        ("?outcome=cancelled", &["r4"]),
        ("?platform=gemini", &[]),
        ("?limit=2", &["r5", "r4"]),
        ("?limit=2&outcome=success", &["r2", "r1"]),
    ] {
        let page = caller.get(&format!("{JOURNAL}{query}")).await.data();
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page.get("next_before").is_some(), query == "?limit=2", "{query}");
    }
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    for _ in 0..3 {
        let page = caller.get(&format!("{JOURNAL}{query}")).await.data();
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        query = format!("?limit=2&before={}", page["next_before"]);
    }
    assert_eq!(seen, ["r5", "r4", "r3", "r2", "r1"]);
    assert!(query.ends_with("null"), "there is no fourth page: {query}");
    for (field, query) in [
        ("limit", "limit=0"),
        ("limit", "limit=501"),
        ("limit", "limit=x"),
        ("before", "before=x"),
        ("outcome", "outcome=good"),
    ] {
        let answer = caller.get(&format!("{JOURNAL}?{query}")).await;
        assert_eq!(
            (answer.error(), &answer.json()["details"]["field"]),
            ((400, "invalid_request".into()), &json!(field)),
            "{query}"
        );
    }
}

#[actix_rt::test]
async fn finished_requests_outlive_a_restart_in_their_order() {
    let daemon = Daemon::start("").await;
    let firefox = automatic(&daemon, "ff").await;
    for n in 1..=3 {
        daemon.caller().request(&ask(&format!("r{n}"), "/echo")).await.data();
    }
    drop(firefox);
    let mut daemon = daemon;
    // The journal was not read, so the queued rows are written by the shutdown.
    assert_eq!(daemon.stop().await, Some(0));
    let daemon = Daemon::start_in(daemon.into_folder(), "").await;
    let _firefox = automatic(&daemon, "ff").await;
    daemon.caller().request(&ask("r4", "/echo")).await.data();
    let page = daemon.caller().get(JOURNAL).await.data();
    assert_eq!(ids(&page), ["r4", "r3", "r2", "r1"]);
}

#[actix_rt::test]
async fn what_a_crash_cut_off_after_a_second_is_interrupted() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    caller.request(&ask("done", "/echo")).await.data();
    let _running = caller.begin(&ask("cut", "/silence")).await;
    // The row of a running request is in the database once another process can read it there.
    let database = daemon.folder().state().join("conductor.db-wal");
    let entry = until("record of the running request", async || {
        let wal = std::fs::read(&database).unwrap();
        let recorded = memchr::memmem::find(&wal, b"/silence").is_some();
        if recorded { Some(caller.journal("cut").await) } else { None }
    })
    .await;
    assert_eq!((&entry["phase"], &entry["outcome"]), (&json!("dispatched"), &Value::Null));
    let daemon = Daemon::start_in(daemon.kill().await, "").await;
    let entry = daemon.caller().journal("cut").await;
    assert_eq!(
        (&entry["outcome"], &entry["error_code"], &entry["phase"]),
        (&json!("failure"), &json!("interrupted"), &json!("done"))
    );
    assert!(entry["finished_at"].is_i64());
    assert_eq!(daemon.caller().journal("done").await["outcome"], "success");
    assert_eq!(ids(&daemon.caller().get(JOURNAL).await.data()), ["cut", "done"]);
}

/// Another process that holds a write lock on the database.
fn lock(daemon: &Daemon) -> SqliteConnection {
    let database = daemon.folder().state().join("conductor.db");
    let mut other = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
    other.batch_execute("PRAGMA busy_timeout=5000; BEGIN IMMEDIATE").unwrap();
    other
}

#[actix_rt::test]
async fn a_database_that_cannot_be_written_is_read_all_the_same_and_written_at_the_stop_once_it_can() {
    let mut daemon = Daemon::start("store.busy_timeout_ms = 1").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    caller.request(&ask("stored", "/echo")).await.data();
    assert_eq!(ids(&caller.get(JOURNAL).await.data()), ["stored"]);
    let mut other = lock(&daemon);
    for number in 0..20 {
        caller.request(&ask(&format!("late-{number}"), "/echo")).await.data();
    }
    let _running = caller.begin(&ask("live", "/silence")).await;
    let said = async |text: &str| until(text, async || daemon.stderr().contains(text).then_some(())).await;
    said("rows cannot be written").await;
    assert_eq!(ids(&caller.get(JOURNAL).await.data()), ["live", "stored"], "what is live and what is stored");
    assert_eq!(caller.journal("stored").await["outcome"], "success");
    assert_eq!(caller.get("/readyz").await.status, 503);
    daemon.signal(Signal::TERM);
    said("the last rows cannot be written yet").await;
    other.batch_execute("ROLLBACK").unwrap();
    drop(other);
    assert_eq!(daemon.exit_code().await, Some(0));
    assert!(!daemon.stderr().contains("are lost"), "{}", daemon.stderr());
    let daemon = Daemon::start_in(daemon.into_folder(), "").await;
    assert_eq!(ids(&daemon.caller().get(&format!("{JOURNAL}?limit=100")).await.data()).len(), 22);
}

#[actix_rt::test]
async fn a_store_that_stays_locked_at_shutdown_is_logged_and_closed() {
    let mut daemon = Daemon::start("store.busy_timeout_ms = 1\nserver.shutdown_timeout_ms = 1").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let _other = lock(&daemon);
    caller.request(&ask("late", "/echo")).await.data();
    assert_eq!(daemon.stop().await, Some(0));
    let told = daemon.stderr();
    assert!(told.contains("queued rows of the store are lost") && told.contains("not closed cleanly"), "{told}");
}
