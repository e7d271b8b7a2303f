//! Cancellation in every phase, twice, and by the wrong client; and callers that disconnect, which cancels as well.

use crate::support::{
    Daemon, ask, ask_sse, automatic, cancel_of, connect, handled, manual, request_of, settled, waiting,
};
use baa_conductor::simulator::FirefoxProfile;
use futures_util::future::{Either, select};
use serde_json::{Value, json};
use std::pin::pin;

/// One request at a time for each client and platform, so that a second one waits.
const ONE_SLOT: &str = "policy.concurrency.max_in_flight_per_client_platform = 1";
/// A grace period that no test outlasts.
const LONG_GRACE: &str = "bridge.cancel_grace_ms = 600000";

#[actix_rt::test]
async fn a_queued_request_leaves_at_once_and_the_browser_never_hears_of_it() {
    let daemon = Daemon::start(ONE_SLOT).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("r1", "/")).await;
    let running = request_of(&firefox, "r1").await;
    let mut buffered = caller.begin(&ask("r2", "/")).await;
    let mut streamed = caller.stream(&ask_sse("r3", "/")).await;
    waiting(&caller, 2).await;
    let body = json!({"requestId": "r2", "platform": "claude", "reason": "changed my mind"});
    let told = caller.post("/v1/browser/request/cancel", &body).await.data();
    let expected = json!({"status": "cancelled", "type": "queue_cancel", "request_id": "r2", "platform": "claude",
        "reason": "changed my mind"});
    assert_eq!(told, expected);
    assert_eq!(caller.cancel("r3").await.data()["type"], "queue_cancel");
    let answer = buffered.answer(false).await;
    assert_eq!(
        (answer.error(), answer.error_code()),
        ((499, "browser_request_cancelled".into()), "request_cancelled".into())
    );
    assert_eq!(streamed.end().await.outcome(), ("stream_error", "request_cancelled", 499));
    waiting(&caller, 0).await;
    // The cancelled ones have left the queue, so the next to run is a fourth one.
    let mut last = caller.begin(&ask("r4", "/")).await;
    running.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    request_of(&firefox, "r4").await.answer(200, Value::Null).await.unwrap();
    last.answer(false).await.data();
    assert_eq!(firefox.received_of("api_request").len(), 2);
    assert_eq!(firefox.received_of("request_cancel").len(), 0);
    settled(&caller).await;
}

#[actix_rt::test]
async fn a_dispatched_request_is_cancelled_by_the_client() {
    let daemon = Daemon::start(LONG_GRACE).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut answer = caller.begin(&ask("r1", "/")).await;
    let request = request_of(&firefox, "r1").await;
    let body = json!({"id": "r1", "platform": "claude", "client_id": "ff", "reason": "enough"});
    let told = caller.post("/v1/browser/request/cancel", &body).await.data();
    let state = caller.browser().await;
    assert!(told["dispatched_at"].as_i64().unwrap() > 0);
    let expected = json!({"client_id": "ff", "connection_id": state["bridge"]["active_connection_id"],
        "dispatched_at": told["dispatched_at"], "platform": "claude", "reason": "enough", "request_id": "r1",
        "status": "cancel_requested", "type": "request_cancel"});
    assert_eq!(told, expected);
    let cancel = cancel_of(&firefox, "r1").await;
    let expected =
        json!({"type": "request_cancel", "id": "r1", "platform": "claude", "stream_id": "r1", "reason": "enough"});
    assert_eq!(cancel, expected);
    request.fail("request_cancelled", Some(499)).await.unwrap();
    assert_eq!(answer.answer(false).await.error(), (499, "browser_request_cancelled".into()));
    let target = settled(&caller).await["policy"]["targets"][0].take();
    assert_eq!(target["consecutive_failures"], 0, "a cancel is no failure: {target}");
    assert_eq!(target["last_activity_reason"], "complete_cancelled");
}

#[actix_rt::test]
async fn a_stream_is_cancelled_while_it_runs() {
    let daemon = Daemon::start(LONG_GRACE).await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let mut stream = caller.stream(&ask_sse("s", "/events/2?end=never")).await;
    stream.expect("stream_open").await;
    stream.expect("stream_event").await;
    stream.expect("stream_event").await;
    assert_eq!(caller.cancel("s").await.data()["status"], "cancel_requested");
    let last = stream.end().await;
    assert_eq!(last.outcome(), ("stream_error", "request_cancelled", 499));
    assert_eq!(last.data["partial"], json!({"buffered_bytes": 0, "event_count": 2, "last_seq": 2, "opened": true}));
    cancel_of(&firefox, "s").await;
    assert_eq!(caller.journal("s").await["outcome"], "cancelled");
}

#[actix_rt::test]
async fn without_the_clients_word_the_grace_ends_it() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut buffered = caller.begin(&ask("r1", "/")).await;
    request_of(&firefox, "r1").await;
    let mut streamed = caller.stream(&ask_sse("r2", "/")).await;
    request_of(&firefox, "r2").await.open(200).await.unwrap();
    streamed.expect("stream_open").await;
    for id in ["r1", "r2"] {
        caller.cancel(id).await.data();
        cancel_of(&firefox, id).await;
    }
    assert_eq!(buffered.answer(false).await.error(), (499, "browser_request_cancelled".into()));
    assert_eq!(streamed.end().await.outcome(), ("stream_error", "request_cancelled", 499));
    settled(&caller).await;
    handled(&firefox).await;
    assert_eq!(firefox.received_of("request_cancel").len(), 2, "nothing more is sent when the grace is over");
}

#[actix_rt::test]
async fn the_grace_ends_a_request_before_any_longer_limit() {
    let daemon = Daemon::start("bridge.cancel_grace_ms = 50").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut cancelled = caller.begin(&ask("r1", "/")).await;
    request_of(&firefox, "r1").await;
    let limit = json!({"platform": "claude", "request_id": "r2", "path": "/", "timeout_ms": 800});
    let mut limited = caller.begin(&limit).await;
    request_of(&firefox, "r2").await;
    caller.cancel("r1").await.data();
    let (cancelled, limited) = (pin!(cancelled.answer(false)), pin!(limited.answer(false)));
    match select(cancelled, limited).await {
        Either::Left((answer, limited)) => {
            assert_eq!(answer.error(), (499, "browser_request_cancelled".into()));
            assert_eq!(limited.await.error(), (504, "browser_request_timeout".into()));
        }
        Either::Right((answer, _)) => panic!("the limit came before the grace: {answer:?}"),
    }
}

#[actix_rt::test]
async fn an_answer_that_is_complete_within_the_grace_is_delivered() {
    let daemon = Daemon::start(LONG_GRACE).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut buffered = caller.begin(&ask("r1", "/")).await;
    let first = request_of(&firefox, "r1").await;
    let mut streamed = caller.stream(&ask_sse("r2", "/")).await;
    let second = request_of(&firefox, "r2").await;
    second.open(200).await.unwrap();
    for id in ["r1", "r2"] {
        caller.cancel(id).await.data();
        cancel_of(&firefox, id).await;
    }
    first.answer(200, json!("made it")).await.unwrap();
    second.event("message", json!(1)).await.unwrap();
    second.end(200).await.unwrap();
    assert_eq!(buffered.answer(false).await.data()["response"], "made it");
    let (frames, last) = streamed.rest().await;
    assert_eq!((frames.len(), last.outcome()), (2, ("stream_end", "", 200)));
}

#[actix_rt::test]
async fn whatever_failure_the_client_words_a_cancelled_request_ends_as_cancelled() {
    let daemon = Daemon::start(LONG_GRACE).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for (code, status) in
        [("request_cancelled", None), ("fetch_failed", None), ("http_500", Some(500)), ("AbortError", Some(0))]
    {
        let mut answer = caller.begin(&ask("r", "/")).await;
        let request = request_of(&firefox, "r").await;
        caller.cancel("r").await.data();
        cancel_of(&firefox, "r").await;
        // An invalid status makes the frame unreadable; it ends the request all the same.
        request.fail(code, status).await.unwrap();
        let answer = answer.answer(false).await;
        assert_eq!(answer.error(), (499, "browser_request_cancelled".into()), "{code} {status:?}");
    }
    let target = settled(&caller).await["policy"]["targets"][0].take();
    assert_eq!((&target["consecutive_failures"], &target["last_failure_at"]), (&json!(0), &Value::Null), "{target}");
}

#[actix_rt::test]
async fn a_client_that_leaves_within_the_grace_leaves_a_cancelled_request() {
    let daemon = Daemon::start(LONG_GRACE).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await;
    caller.cancel("r").await.data();
    firefox.drop_connection().await.unwrap();
    assert_eq!(answer.answer(false).await.error(), (499, "browser_request_cancelled".into()));
}

#[actix_rt::test]
async fn a_repeated_cancel_answers_the_same_and_sends_nothing_more() {
    let daemon = Daemon::start(LONG_GRACE).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let _answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await;
    let first =
        caller.post("/v1/browser/request/cancel", &json!({"id": "r", "platform": "claude", "reason": "one"})).await;
    let second =
        caller.post("/v1/browser/request/cancel", &json!({"id": "r", "platform": "claude", "reason": "two"})).await;
    assert_eq!(first.data(), second.data());
    handled(&firefox).await;
    assert_eq!(firefox.received_of("request_cancel").len(), 1);
}

#[actix_rt::test]
async fn a_cancel_by_the_wrong_name_changes_nothing() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut answer = caller.begin(&ask("r", "/")).await;
    let request = request_of(&firefox, "r").await;
    let cancel = async |body: Value| {
        let answer = caller.post("/v1/browser/request/cancel", &body).await;
        let (status, code) = answer.error();
        (status, code, answer.json()["details"].take())
    };
    let (status, code, details) = cancel(json!({"id": "r", "platform": "claude", "client_id": "other"})).await;
    assert_eq!((status, &*code), (409, "browser_request_client_mismatch"));
    assert_eq!(details["bridge_client_id"], "ff");
    for body in [json!({"id": "other", "platform": "claude"}), json!({"id": "r", "platform": "chatgpt"})] {
        let (status, code, _) = cancel(body).await;
        assert_eq!((status, &*code), (404, "browser_request_not_found"));
    }
    for (field, body) in [
        ("request_id", json!({"platform": "claude"})),
        ("platform", json!({"id": "r"})),
        ("request_id", json!({"id": "a b", "platform": "claude"})),
        ("reason", json!({"id": "r", "platform": "claude", "reason": 7})),
    ] {
        let (status, code, details) = cancel(body).await;
        assert_eq!((status, &*code, &details["field"]), (400, "invalid_request", &json!(field)));
    }
    request.answer(200, json!("untouched")).await.unwrap();
    assert_eq!(answer.answer(false).await.data()["response"], "untouched");
    let (status, code, _) = cancel(json!({"id": "r", "platform": "claude"})).await;
    assert_eq!((status, &*code), (404, "browser_request_not_found"), "it is over");
    assert_eq!(firefox.received_of("request_cancel").len(), 0);
}

#[actix_rt::test]
async fn a_caller_that_hangs_up_cancels_its_request() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let buffered = caller.begin(&ask("r1", "/")).await;
    request_of(&firefox, "r1").await;
    let mut streamed = caller.stream(&ask_sse("r2", "/")).await;
    let running = request_of(&firefox, "r2").await;
    running.open(200).await.unwrap();
    running.event("message", json!(1)).await.unwrap();
    streamed.expect("stream_open").await;
    drop(buffered);
    streamed.leave();
    for id in ["r1", "r2"] {
        let cancel = cancel_of(&firefox, id).await;
        assert_eq!(cancel["reason"], "downstream_disconnected", "{id}");
    }
    let state = settled(&caller).await;
    assert_eq!(state["policy"]["targets"][0]["consecutive_failures"], 0, "a cancel is no failure");
    for id in ["r1", "r2"] {
        let entry = caller.journal(id).await;
        assert_eq!((&entry["outcome"], &entry["error_code"]), (&json!("cancelled"), &json!("downstream_disconnected")));
    }
    // Their ids are free again.
    let mut again = caller.begin(&ask("r1", "/")).await;
    request_of(&firefox, "r1").await.answer(200, json!(1)).await.unwrap();
    again.answer(false).await.data();
}

#[actix_rt::test]
async fn a_caller_that_hangs_up_while_it_waits_leaves_the_queue() {
    let daemon = Daemon::start(ONE_SLOT).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("r1", "/")).await;
    let running = request_of(&firefox, "r1").await;
    let buffered = caller.begin(&ask("r2", "/")).await;
    let streamed = caller.stream(&ask_sse("r3", "/")).await;
    waiting(&caller, 2).await;
    drop(buffered);
    streamed.leave();
    waiting(&caller, 0).await;
    running.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    settled(&caller).await;
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 1);
    assert_eq!(firefox.received_of("request_cancel").len(), 0);
}

#[actix_rt::test]
async fn a_caller_that_hangs_up_after_a_cancel_sends_no_second_one() {
    let daemon = Daemon::start(LONG_GRACE).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let buffered = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await;
    caller.cancel("r").await.data();
    drop(buffered);
    settled(&caller).await;
    handled(&firefox).await;
    assert_eq!(firefox.received_of("request_cancel").len(), 1);
}

#[actix_rt::test]
async fn a_client_that_ignores_the_cancel_cannot_bring_the_request_back() {
    let daemon = Daemon::start("bridge.cancel_grace_ms = 0").await;
    let mut profile = FirefoxProfile::new("ff");
    profile.behaviour.obeys_cancel = false;
    let (firefox, caller) = (connect(&daemon, profile).await, daemon.caller());
    let mut stream = caller.stream(&ask_sse("s", "/events/1000?pause_ms=1")).await;
    stream.expect("stream_open").await;
    caller.cancel("s").await.data();
    assert_eq!(stream.end().await.outcome(), ("stream_error", "request_cancelled", 499));
    let entry = caller.journal("s").await;
    // The peer goes on sending for a while; its events are dropped.
    handled(&firefox).await;
    assert_eq!(caller.journal("s").await, entry);
    settled(&caller).await;
}
