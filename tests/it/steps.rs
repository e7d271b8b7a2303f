//! Prompts for Claude that end between their steps: cancelled, abandoned, disconnected, too slow, or answered wrongly.

use crate::{
    claude::{CONVERSATIONS, organizations, prompt, step, with},
    support::{Caller, Daemon, cancel_of, handled, manual, settled, within},
};
use baa_conductor::simulator::Firefox;
use serde_json::{Value, json};

/// A grace period that no test outlasts.
const LONG_GRACE: &str = "bridge.cancel_grace_ms = 600000";

#[actix_rt::test]
async fn a_cancel_between_steps_ends_the_plan_and_nothing_more_is_sent() {
    let daemon = Daemon::start(LONG_GRACE).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for body in [prompt("p"), with(prompt("p"), json!({"response_mode": "sse"}))] {
        let mut asked = caller.begin(&body).await;
        organizations(&firefox).await;
        let held = step(&firefox, "GET", CONVERSATIONS).await;
        let told = caller.cancel("p").await.data();
        assert_eq!((&told["status"], &told["request_id"]), (&json!("cancel_requested"), &json!("p")));
        cancel_of(&firefox, held.id()).await;
        // The cancel came too late, and the response is valid.
        held.answer(200, json!([{"uuid": "conv-1"}])).await.unwrap();
        if body["response_mode"] == "sse" {
            assert_eq!(asked.stream().await.end().await.outcome(), ("stream_error", "request_cancelled", 499));
        } else {
            assert_eq!(asked.answer(false).await.error(), (499, "browser_request_cancelled".into()));
        }
        settled(&caller).await;
        handled(&firefox).await;
        assert_eq!(caller.journal("p").await["outcome"], "cancelled");
    }
    assert_eq!((firefox.received_of("api_request").len(), firefox.received_of("request_cancel").len()), (4, 2));
}

#[actix_rt::test]
async fn a_caller_that_hangs_up_between_steps_stops_the_step_under_way() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for body in [prompt("p"), with(prompt("p"), json!({"response_mode": "sse"}))] {
        let asked = caller.begin(&body).await;
        organizations(&firefox).await;
        let held = step(&firefox, "GET", CONVERSATIONS).await;
        drop(asked);
        assert_eq!(cancel_of(&firefox, held.id()).await["reason"], "downstream_disconnected");
        held.answer(200, json!([{"uuid": "conv-1"}])).await.unwrap();
        settled(&caller).await;
        handled(&firefox).await;
    }
    assert_eq!(firefox.received_of("api_request").len(), 4, "nothing more is sent");
}

#[actix_rt::test]
async fn a_client_that_is_lost_between_steps_ends_the_request() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut asked = caller.begin(&prompt("p")).await;
    organizations(&firefox).await;
    step(&firefox, "GET", CONVERSATIONS).await;
    firefox.drop_connection().await.unwrap();
    let answer = within("an answer", asked.answer(false)).await;
    assert_eq!(
        (answer.error(), answer.error_code()),
        ((503, "browser_bridge_unavailable".into()), "client_disconnected".into())
    );
    settled(&caller).await;
}

#[actix_rt::test]
async fn what_a_step_answers_amiss_ends_the_request() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let (asks, unusable) = (json!({"organization_id": "org-9"}), (502, "browser_upstream_invalid_response"));
    let list = json!([{"uuid": "org-1"}]);
    for (more, status, body, error) in [
        (json!({}), 403, Value::Null, (403, "browser_upstream_error")),
        (json!({}), 200, json!([]), unusable),
        (json!({}), 200, json!([{"name": "without an id"}]), unusable),
        (json!({}), 200, json!({"entries": 7}), unusable),
        (json!({}), 200, json!("<html>"), unusable),
        (json!({}), 200, Value::Null, unusable),
        (asks, 200, list, (404, "not_found")),
    ] {
        let mut asked = caller.begin(&with(prompt("p"), more)).await;
        step(&firefox, "GET", "/api/organizations").await.answer(status, body.clone()).await.unwrap();
        let answer = asked.answer(false).await;
        assert_eq!(answer.error(), (error.0, error.1.to_owned()), "{status} {body}");
        let resource = (error.0 == 404).then_some("claude_organization");
        assert_eq!(answer.json()["details"]["resource"].as_str(), resource);
    }
    let mut asked = caller.begin(&prompt("p")).await;
    organizations(&firefox).await;
    step(&firefox, "GET", CONVERSATIONS).await.answer(200, json!([{"name": "without an id"}])).await.unwrap();
    assert_eq!(asked.answer(false).await.error().0, 502, "none is made where there is one");
    let target = settled(&caller).await["policy"]["targets"][0].take();
    assert_eq!(target["consecutive_failures"], 0, "what cannot be used is no failure of the platform: {target}");
}

#[actix_rt::test]
async fn a_step_that_is_answered_as_a_stream_is_not_understood() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for body in [prompt("p"), with(prompt("p"), json!({"response_mode": "sse"}))] {
        let mut asked = caller.begin(&body).await;
        let wanted = step(&firefox, "GET", "/api/organizations").await;
        wanted.open(200).await.unwrap();
        wanted.event("message", json!([{"uuid": "org-1"}])).await.unwrap();
        wanted.end(200).await.unwrap();
        if body["response_mode"] == "sse" {
            let (frames, last) = asked.stream().await.rest().await;
            assert_eq!((frames.len(), last.data["http_error"].as_str()), (0, Some("browser_bridge_error")));
        } else {
            assert_eq!(asked.answer(false).await.error(), (502, "browser_bridge_error".into()));
        }
    }
    assert_eq!(firefox.received_of("api_request").len(), 2);
}

#[actix_rt::test]
async fn the_timeout_covers_all_steps_from_the_first_on() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut asked = caller.begin(&with(prompt("p"), json!({"timeout_ms": 1_000}))).await;
    let first = step(&firefox, "GET", "/api/organizations").await;
    elapsed(&firefox, &caller, 500).await;
    first.answer(200, json!([{"uuid": "org-1"}])).await.unwrap();
    let second = step(&firefox, "GET", CONVERSATIONS).await;
    // If the timeout counted from the second step, this one would end first.
    let answer = tokio::select! {
        answer = asked.answer(false) => answer,
        () = elapsed(&firefox, &caller, 900) => panic!("it has more time than it was given"),
    };
    assert_eq!(
        (answer.error(), answer.error_code()),
        ((504, "browser_request_timeout".into()), "request_timeout".into())
    );
    cancel_of(&firefox, second.id()).await;
}

/// Lets this much of the daemon's time pass, by a request with that timeout.
async fn elapsed(firefox: &Firefox, caller: &Caller, ms: u64) {
    let body = json!({"platform": "claude", "path": "/clock", "request_id": format!("clock-{ms}"), "timeout_ms": ms});
    let answer = caller.request(&body).await;
    assert_eq!(answer.error_code(), "request_timeout");
    firefox.expect_where("api_request", |message| message["path"] == "/clock").await.unwrap();
}
