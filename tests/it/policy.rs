//! The policy's state of targets and platforms: refusals, revoked leases, `retry-after` of the app, and that all of it
//! survives a restart.

use crate::support::{
    Answer, Caller, Daemon, ask, ask_sse, automatic, cancel_of, handled, manual, request_of, settled, until,
};
use baa_conductor::simulator::{Firefox, SimulatedRequest};
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection, sql_types::BigInt};
use serde_json::{Value, json};

/// Returns the body of a request for a certain client.
fn ask_of(client_id: &str, id: &str) -> Value {
    json!({"platform": "claude", "request_id": id, "path": "/echo", "client_id": client_id})
}

/// Returns the state of the target of a client and Claude.
async fn target(caller: &Caller, client_id: &str) -> Value {
    let state = caller.browser().await;
    let targets = state["policy"]["targets"].as_array().unwrap();
    let found = targets.iter().find(|target| target["client_id"] == client_id && target["platform"] == "claude");
    found.unwrap_or_else(|| panic!("no target of {client_id}: {targets:?}")).clone()
}

/// Makes a request fail in the app.
async fn fail(firefox: &Firefox, caller: &Caller, id: &str) {
    let mut asked = caller.begin(&ask_of(firefox.client_id(), id)).await;
    request_of(firefox, id).await.answer(503, Value::Null).await.unwrap();
    assert_eq!(asked.answer(false).await.status, 503);
}

/// Returns the details of a refusal; its `retry-after` is in whole seconds, rounded up.
fn refused(answer: &Answer, status: u16, rule: &str) -> Value {
    assert_eq!((answer.error(), answer.error_code()), ((status, "browser_risk_limited".into()), rule.into()));
    let details = answer.json()["details"].take();
    assert_eq!(details["rule"], rule);
    let wait = details["retry_after_ms"].as_u64().unwrap();
    assert_eq!(answer.header("retry-after"), Some(&*wait.div_ceil(1_000).to_string()));
    details
}

#[actix_rt::test]
async fn an_open_circuit_refuses_and_says_until_when() {
    let settings = "policy.circuit_breaker = { failure_threshold = 2, open_ms = 600000 }";
    let daemon = Daemon::start(settings).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    fail(&firefox, &caller, "r1").await;
    assert_eq!(target(&caller, "ff").await["circuit_state"], "closed");
    fail(&firefox, &caller, "r2").await;
    let open = target(&caller, "ff").await;
    assert_eq!((&open["circuit_state"], &open["in_flight"]), (&json!("open"), &json!(0)));
    let details = refused(&caller.request(&ask("r3", "/")).await, 429, "circuit_open");
    assert_eq!((&details["consecutive_failures"], &details["last_error"]), (&json!(2), &json!("http_503")));
    assert_eq!(details["until"], open["circuit_retry_at"]);
    let last = caller.stream(&ask_sse("r4", "/")).await.end().await;
    assert_eq!(last.outcome(), ("stream_error", "circuit_open", 429));
    assert_eq!((&last.data["rule"], &last.data["until"]), (&json!("circuit_open"), &details["until"]));
    assert!(last.data["retry_after_ms"].is_u64() && last.data["http_error"] == "browser_risk_limited", "{last:?}");
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 2, "nothing was sent");
    // Another platform of the same client has a circuit of its own.
    let mut other = caller.begin(&json!({"platform": "chatgpt", "request_id": "r5", "path": "/"})).await;
    request_of(&firefox, "r5").await.answer(200, Value::Null).await.unwrap();
    assert_eq!(other.answer(false).await.data()["policy"]["circuit_state"], "closed");
}

#[actix_rt::test]
async fn a_back_off_longer_than_a_request_may_wait_is_refused_at_once() {
    let settings = "policy.backoff = { base_ms = 600000, max_ms = 600000 }\npolicy.waiter.timeout_ms = 60000";
    let daemon = Daemon::start(settings).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    fail(&firefox, &caller, "r1").await;
    let details = refused(&caller.request(&ask("r2", "/")).await, 503, "backoff");
    assert_eq!(details["until"], target(&caller, "ff").await["backoff_until"]);
    assert_eq!((&details["consecutive_failures"], &details["last_error"]), (&json!(1), &json!("http_503")));
    let last = caller.stream(&ask_sse("r3", "/")).await.end().await;
    assert_eq!((last.outcome(), &last.data["rule"]), (("stream_error", "backoff", 503), &json!("backoff")));
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 1);
    settled(&caller).await;
}

#[actix_rt::test]
async fn a_full_window_is_waited_for_in_the_platforms_line() {
    let settings = "policy.rate_limit = { requests_per_minute_per_platform = 1, window_ms = 600000 }\n\
        policy.waiter.timeout_ms = 150";
    let daemon = Daemon::start(settings).await;
    let (_one, _two, caller) = (automatic(&daemon, "one").await, automatic(&daemon, "two").await, daemon.caller());
    caller.request(&ask_of("one", "r1")).await.data();
    let answer = caller.request(&ask_of("two", "r2")).await;
    assert_eq!((answer.error(), answer.error_code()), ((503, "browser_risk_limited".into()), "waiter_timeout".into()));
    let details = answer.json()["details"].take();
    assert_eq!((&details["stage"], &details["rule"]), (&json!("platform_admission"), &json!("rate_limit")));
    assert_eq!((&details["wait_timeout_ms"], &details["client_id"]), (&json!(150), &json!("two")));
    let last = caller.stream(&ask_sse("r3", "/")).await.end().await;
    assert_eq!((last.outcome(), &last.data["rule"]), (("stream_error", "waiter_timeout", 503), &json!("rate_limit")));
    settled(&caller).await;
}

#[actix_rt::test]
async fn a_lease_without_a_sign_of_life_is_taken_back() {
    let daemon = Daemon::start("policy.stale_lease = { idle_ms = 300, sweep_interval_ms = 50 }").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut whole = caller.begin(&ask("whole", "/")).await;
    let silent = request_of(&firefox, "whole").await;
    let answer = whole.answer(false).await;
    assert_eq!((answer.error(), answer.error_code()), ((504, "browser_request_timeout".into()), "lease_swept".into()));
    assert_eq!(cancel_of(&firefox, "whole").await["reason"], "lease_swept");
    // Its later reports belong to no request.
    silent.answer(200, Value::Null).await.unwrap();

    let mut stream = caller.stream(&ask_sse("stream", "/")).await;
    let silent = request_of(&firefox, "stream").await;
    silent.open(200).await.unwrap();
    let (frames, last) = stream.rest().await;
    assert_eq!(frames.iter().map(|frame| &*frame.event).collect::<Vec<_>>(), ["stream_open"]);
    assert_eq!(last.outcome(), ("stream_error", "lease_swept", 504));
    assert_eq!(last.data["http_error"], "browser_request_timeout");
    assert_eq!(cancel_of(&firefox, "stream").await["reason"], "lease_swept");
    silent.end(200).await.unwrap();
    handled(&firefox).await;

    let swept = target(&caller, "ff").await;
    for (field, value) in [
        ("in_flight", json!(0)),
        ("consecutive_failures", json!(2)),
        ("last_error", json!("lease_swept")),
        ("stale_sweep_count", json!(2)),
        ("last_stale_sweep_request_id", json!("stream")),
        ("last_stale_sweep_reason", json!("background_interval:lease_idle_timeout")),
    ] {
        assert_eq!(swept[field], value, "{field}");
    }
    let mut next = caller.begin(&ask("next", "/")).await;
    request_of(&firefox, "next").await.answer(200, Value::Null).await.unwrap();
    next.answer(false).await.data();
    let entry = caller.journal("stream").await;
    assert_eq!((&entry["outcome"], &entry["error_code"]), (&json!("failure"), &json!("lease_swept")));
}

#[actix_rt::test]
async fn the_apps_retry_after_sets_the_back_off() {
    const A_MINUTE_MS: i64 = 60_000;
    let at = chrono::Utc::now() + chrono::Duration::days(1);
    let forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let dates = forms.map(|form| at.format(form).to_string());
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    for (number, date) in dates.iter().enumerate() {
        for (how, streamed) in [("whole", false), ("ended", true), ("broken", true)] {
            let name = format!("{how}-{number}");
            let firefox = manual(&daemon, &name).await;
            let mode = if streamed { "sse" } else { "buffered" };
            let body = json!({"platform": "claude", "path": "/", "client_id": name, "request_id": name,
                "response_mode": mode});
            let mut asked = caller.begin(&body).await;
            let request = request_of(&firefox, &name).await;
            let headers = json!({"Retry-After": date});
            match how {
                "whole" => request.respond(429, Value::Null, headers).await.unwrap(),
                _ => open_as_error(&firefox, &request, headers).await,
            }
            match how {
                "ended" => request.end(429).await.unwrap(),
                "broken" => request.error("reset", "simulated", None).await.unwrap(),
                _ => {}
            }
            if streamed {
                let last = asked.stream().await.end().await;
                assert_eq!(last.outcome(), ("stream_error", "browser_upstream_error", 429));
                assert!(last.data["retry_after_ms"].is_u64(), "{last:?}");
            } else {
                let answer = asked.answer(false).await;
                assert_eq!(answer.error(), (429, "browser_upstream_error".into()));
                assert!(answer.header("retry-after").is_some());
            }
            let rests = target(&caller, &name).await;
            let backoff_until = rests["backoff_until"].as_i64().unwrap();
            assert!((backoff_until - at.timestamp_millis()).abs() < A_MINUTE_MS, "{how} {date}: {rests}");
            assert_eq!(rests["last_error"], "http_429");
            refused(&caller.request(&ask_of(&name, "late")).await, 503, "backoff");
        }
    }
}

async fn open_as_error(firefox: &Firefox, request: &SimulatedRequest, headers: Value) {
    let open = json!({"type": "stream_open", "id": request.id(), "stream_id": request.id(), "status": 429,
        "headers": headers});
    firefox.send_json(&open).await.unwrap();
}

#[derive(diesel::QueryableByName)]
struct Kept {
    #[diesel(sql_type = BigInt)]
    found: i64,
}

/// Waits until the store holds an open circuit and two dispatches.
async fn kept(daemon: &Daemon) {
    const QUERY: &str = "SELECT (SELECT count(*) FROM policy_targets WHERE circuit_until IS NOT NULL) * 10 \
        + (SELECT coalesce(sum(count), 0) FROM policy_dispatches) AS found";
    let database = daemon.folder().state().join("conductor.db");
    until("the policy's state in the store", async || {
        let mut conn = SqliteConnection::establish(database.to_str().unwrap()).unwrap();
        // A writer may hold the lock at the moment.
        let rows: Vec<Kept> = diesel::sql_query(QUERY).load(&mut conn).unwrap_or_default();
        rows.iter().any(|row| row.found == 12).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn a_restart_forgets_neither_an_open_circuit_nor_a_full_window() {
    let settings = "policy.circuit_breaker = { failure_threshold = 1, open_ms = 600000 }\n\
        policy.platform.claude.rate_limit = { requests_per_minute_per_platform = 2, window_ms = 600000 }\n\
        policy.waiter.timeout_ms = 150";
    for crashes in [false, true] {
        let mut daemon = Daemon::start(settings).await;
        let (bad, good) = (manual(&daemon, "bad").await, automatic(&daemon, "good").await);
        let caller = daemon.caller();
        fail(&bad, &caller, "r1").await;
        caller.request(&ask_of("good", "r2")).await.data();
        let before = target(&caller, "bad").await;
        assert_eq!(before["circuit_state"], "open");
        drop((bad, good));
        let folder = if crashes {
            kept(&daemon).await;
            daemon.kill().await
        } else {
            assert_eq!(daemon.stop().await, Some(0));
            daemon.into_folder()
        };
        let daemon = Daemon::start_in(folder, settings).await;
        let (bad, good) = (automatic(&daemon, "bad").await, automatic(&daemon, "good").await);
        let caller = daemon.caller();
        let details = refused(&caller.request(&ask_of("bad", "r3")).await, 429, "circuit_open");
        assert_eq!(details["until"], before["circuit_retry_at"], "crashes: {crashes}");
        let after = target(&caller, "bad").await;
        for field in ["circuit_state", "circuit_retry_at", "consecutive_failures", "last_error", "last_failure_at"] {
            assert_eq!(after[field], before[field], "{field}, crashes: {crashes}");
        }
        let platforms = caller.browser().await["policy"]["platforms"].take();
        let claude = platforms.as_array().unwrap().iter().find(|platform| platform["platform"] == "claude").unwrap();
        assert_eq!(claude["recent_dispatch_count"], 2, "crashes: {crashes}");
        assert_eq!(claude["limits"]["rate_limit"]["requests_per_minute_per_platform"], 2);
        let answer = caller.request(&ask_of("good", "r4")).await;
        assert_eq!(answer.error_code(), "waiter_timeout");
        assert_eq!(answer.json()["details"]["stage"], "platform_admission");
        for firefox in [bad, good] {
            handled(&firefox).await;
            assert_eq!(firefox.received_of("api_request").len(), 0);
        }
    }
}
