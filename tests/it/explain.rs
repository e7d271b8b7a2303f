//! The prediction for a request made now, the position of a queued one, and the operator's reset.

use crate::support::{Caller, Daemon, ask, automatic, fault, handled, manual, request_of, settled, until, waiting};
use serde_json::{Value, json};

const EXPLAIN: &str = "/v1/browser/policy/explain";
const RESET: &str = "/v1/browser/policy/reset";

async fn explain(caller: &Caller, query: &str) -> Value {
    caller.get(&format!("{EXPLAIN}?{query}")).await.data()
}

/// Returns the predicted outcome and the rules that a request would meet.
fn rules(explained: &Value) -> (&str, Vec<&str>) {
    let reasons = explained["reasons"].as_array().unwrap();
    assert!(reasons.iter().all(|reason| reason["message"].as_str().unwrap().ends_with('.')), "{explained}");
    let rules = reasons.iter().map(|reason| reason["rule"].as_str().unwrap());
    (explained["would"].as_str().unwrap(), rules.collect())
}

#[actix_rt::test]
async fn whom_it_would_reach_is_found_as_for_a_request() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let told = explain(&caller, "platform=claude").await;
    assert_eq!(rules(&told), ("refuse", vec!["no_active_client"]));
    assert_eq!(told.get("client_id"), None);
    let told = explain(&caller, "platform=claude&client_id=gone").await;
    assert_eq!((rules(&told), &told["client_id"]), (("refuse", vec!["client_not_found"]), &json!("gone")));
    let firefox = manual(&daemon, "ff").await;
    let admitted = json!({"client_id": "ff", "platform": "claude", "would": "admit", "reasons": []});
    assert_eq!(explain(&caller, "platform=claude").await, admitted);
    assert_eq!(explain(&caller, "platform=claude&clientId=ff").await, admitted);
    assert_eq!(fault(&caller.get(EXPLAIN).await), "platform");
    assert_eq!(fault(&caller.get(&format!("{EXPLAIN}?platform=claude&client_id=a%20b")).await), "client_id");
    let unknown = caller.get(&format!("{EXPLAIN}?platform=nowhere")).await;
    assert_eq!(unknown.error(), (400, "platform_not_supported".into()));
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 0, "nothing was sent");
    assert_eq!(caller.browser().await["policy"]["targets"], json!([]), "and nothing is left of it");
}

#[actix_rt::test]
async fn explain_and_the_journal_show_the_queue() {
    let settings = "policy.concurrency.max_in_flight_per_client_platform = 1\npolicy.waiter.max_per_target = 2";
    let daemon = Daemon::start(settings).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut answers = vec![caller.begin(&ask("r1", "/")).await];
    let mut running = request_of(&firefox, "r1").await;
    for (count, id) in [(1, "r2"), (2, "r3")] {
        let told = explain(&caller, "platform=claude").await;
        assert_eq!((rules(&told), &told["reasons"][0]["position"]), (("wait", vec!["slot"]), &json!(count)));
        answers.push(caller.begin(&ask(id, "/")).await);
        waiting(&caller, count).await;
    }
    assert_eq!(rules(&explain(&caller, "platform=claude").await), ("refuse", vec!["queue_full"]));
    assert_eq!(rules(&explain(&caller, "platform=chatgpt").await), ("admit", vec![]), "another line");
    let third = caller.journal("r3").await;
    assert_eq!((&third["phase"], &third["waiting"]), (&json!("queued"), &json!({"rule": "slot", "position": 2})));
    let page = caller.get("/v1/browser/requests").await.data();
    let places: Vec<_> = page["requests"].as_array().unwrap().iter().map(|entry| &entry["waiting"]).collect();
    let place = |position: u64| json!({"rule": "slot", "position": position});
    assert_eq!(places, [&place(2), &place(1), &Value::Null], "newest first; the one under way waits for nothing");
    for (n, mut answer) in answers.into_iter().enumerate() {
        running.answer(200, Value::Null).await.unwrap();
        answer.answer(false).await.data();
        if n < 2 {
            running = request_of(&firefox, ["r2", "r3"][n]).await;
        }
    }
    settled(&caller).await;
    assert_eq!(caller.journal("r3").await.get("waiting"), None, "it is not kept");
}

#[actix_rt::test]
async fn what_lies_outside_the_policy_has_the_last_word() {
    let daemon = Daemon::start("server.max_requests = 1").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut only = caller.begin(&ask("r1", "/")).await;
    let running = request_of(&firefox, "r1").await;
    assert_eq!(rules(&explain(&caller, "platform=claude").await), ("refuse", vec!["overloaded"]));
    running.answer(503, Value::Null).await.unwrap();
    assert_eq!(only.answer(false).await.status, 503);
    settled(&caller).await;
    caller.post("/v1/system/drain", &json!({})).await.data();
    assert_eq!(rules(&explain(&caller, "platform=claude").await), ("refuse", vec!["system_draining"]));
    caller.post("/v1/system/resume", &json!({})).await.data();
    assert_eq!(rules(&explain(&caller, "platform=claude").await).0, "admit");
}

#[actix_rt::test]
async fn a_reset_wakes_requests_that_wait_for_the_back_off() {
    let settings = "policy.backoff = { base_ms = 600000, max_ms = 600000 }\npolicy.waiter.timeout_ms = 3000000";
    let daemon = Daemon::start(settings).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let bearer = daemon.caller().bearer(&daemon.token());
    let mut failed = caller.begin(&ask("r1", "/")).await;
    request_of(&firefox, "r1").await.answer(503, Value::Null).await.unwrap();
    assert_eq!(failed.answer(false).await.status, 503);
    let mut waits = caller.begin(&ask("r2", "/")).await;
    let waiting = until("a request that waits", async || {
        let found = caller.get("/v1/browser/requests/r2").await;
        if found.status == 200 { found.data().get("waiting").cloned() } else { None }
    })
    .await;
    let told = explain(&caller, "platform=claude").await;
    assert_eq!((rules(&told).0, waiting["rule"].as_str()), ("wait", Some("backoff")));
    assert!(rules(&told).1.contains(&"backoff"), "{told}");
    let before = caller.browser().await["policy"]["targets"][0].take();
    assert_eq!((&waiting["until"], before["consecutive_failures"].as_u64()), (&before["backoff_until"], Some(1)));

    assert_eq!(caller.post(RESET, &json!({})).await.error(), (401, "unauthorized".into()));
    let unknown = bearer.post(RESET, &json!({"platform": "nowhere"})).await;
    assert_eq!(unknown.error(), (400, "platform_not_supported".into()));
    assert_eq!(fault(&bearer.post(RESET, &json!({"client_id": 7})).await), "client_id");
    for other in [json!({"client_id": "gone"}), json!({"platform": "chatgpt"})] {
        assert_eq!(bearer.post(RESET, &other).await.data(), json!({"reset": []}), "{other}");
    }
    let reset = bearer.post(RESET, &json!({"clientId": "ff", "platform": "claude"})).await.data();
    let stood = json!({"client_id": "ff", "platform": "claude", "circuit_state": "closed", "consecutive_failures": 1,
        "backoff_until": before["backoff_until"]});
    assert_eq!(reset, json!({"reset": [stood]}));
    request_of(&firefox, "r2").await.answer(200, json!("through")).await.unwrap();
    assert_eq!(waits.answer(false).await.data()["response"], "through");
}

#[actix_rt::test]
async fn a_reset_closes_an_open_circuit() {
    let settings = "policy.circuit_breaker = { failure_threshold = 1, open_ms = 600000 }";
    let daemon = Daemon::start(settings).await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    assert_eq!(caller.request(&ask("r1", "/status/503")).await.status, 503);
    assert_eq!(rules(&explain(&caller, "platform=claude").await), ("refuse", vec!["circuit_open"]));
    let reset = daemon.caller().bearer(&daemon.token()).post(RESET, &json!({})).await.data();
    let stood = &reset["reset"][0];
    assert_eq!((&stood["circuit_state"], &stood["consecutive_failures"]), (&json!("open"), &json!(1)));
    assert!(stood["circuit_retry_at"].is_i64(), "{reset}");
    assert_eq!(rules(&explain(&caller, "platform=claude").await), ("admit", vec![]));
    caller.request(&ask("r2", "/echo")).await.data();
}
