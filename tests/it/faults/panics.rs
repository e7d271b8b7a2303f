//! A panic fails only the request, connection or target that it happened in.

use super::fragile;
use crate::support::{Daemon, ask, ask_sse, automatic, client_ids, manual, request_of, settled, until};
use baa_conductor::simulator::Firefox;
use serde_json::json;

/// Checks that the daemon still serves, relays, records and shows requests.
async fn healthy(daemon: &Daemon, panics: usize) {
    let caller = daemon.caller();
    let firefox = automatic(daemon, "afterwards").await;
    let id = format!("after-{panics}");
    let request = json!({"platform": "claude", "request_id": id, "path": "/echo", "client_id": "afterwards"});
    assert_eq!(caller.request(&request).await.data()["response"]["path"], "/echo");
    assert_eq!(caller.stream(&ask_sse(&format!("{id}-stream"), "/echo")).await.end().await.event, "stream_end");
    assert_eq!(outcome(daemon, &id).await, "success");
    until("readiness", async || (caller.get("/readyz").await.status == 200).then_some(())).await;
    settled(&caller).await;
    let log = daemon.stderr();

    assert_eq!(log.matches("telemetry: panicked").count(), panics, "{log}");
    firefox.close(1000, "").await.unwrap();
}

/// Waits until the journal has the end of a request and returns it.
async fn outcome(daemon: &Daemon, id: &str) -> String {
    let path = format!("/v1/browser/requests/{id}");
    until("a row of the journal", async || {
        let answer = daemon.caller().get(&path).await;
        answer.json()["data"]["outcome"].as_str().map(str::to_owned)
    })
    .await
}

async fn performing(daemon: &Daemon, id: &str) -> (Firefox, crate::support::Connection) {
    let firefox = manual(daemon, "ff").await;
    let answer = daemon.caller().begin(&ask(id, "/")).await;
    request_of(&firefox, id).await;
    (firefox, answer)
}

#[actix_rt::test]
async fn of_a_handler_costs_its_request() {
    let (daemon, faults) = fragile("").await;
    let caller = daemon.caller();
    let mut kept = caller.open().await;
    faults.panic("handler");
    kept.write(&caller.head("GET", "/version", None)).await;
    let answer = kept.answer(false).await;
    assert_eq!(answer.error(), (500, "internal_error".into()));
    let text = String::from_utf8(answer.body).unwrap();
    assert!(!text.contains("asked") && !text.contains(".rs"), "no internals: {text}");
    kept.write(&caller.head("GET", "/version", None)).await;
    assert_eq!(kept.answer(false).await.status, 200, "not even the connection is lost");
    healthy(&daemon, 1).await;
}

#[actix_rt::test]
async fn of_a_connection_costs_its_client_what_it_performs() {
    let (daemon, faults) = fragile("").await;
    let other = manual(&daemon, "other").await;
    let (firefox, mut answer) = performing(&daemon, "r").await;
    faults.panic("connection");
    firefox.send_json(&json!({"type": "state_request"})).await.unwrap();
    assert_eq!(firefox.closed().await.unwrap().code, Some(1011));
    let answer = answer.answer(false).await;
    assert_eq!((answer.error().0, answer.error_code()), (503, "client_disconnected".into()));
    until("its leave", async || (client_ids(&daemon.caller()).await == ["other"]).then_some(())).await;
    other.send_json(&json!({"type": "state_request"})).await.unwrap();
    other.expect_where("state_snapshot", |message| message["reason"] == "state_request").await.unwrap();
    healthy(&daemon, 1).await;
}

#[actix_rt::test]
async fn of_an_exchange_costs_its_request_and_stops_the_page() {
    let (daemon, faults) = fragile("policy.concurrency.max_in_flight_per_client_platform = 1").await;
    let (firefox, mut answer) = performing(&daemon, "r").await;
    faults.panic("exchange");
    firefox.send_json(&json!({"type": "progress", "id": "r"})).await.unwrap();
    assert_eq!(answer.answer(false).await.error(), (500, "internal_error".into()));
    assert_eq!(firefox.expect("request_cancel").await.unwrap()["id"], "r");
    assert_eq!(outcome(&daemon, "r").await, "failure");
    healthy(&daemon, 1).await;
}

#[actix_rt::test]
async fn of_an_exchange_ends_its_stream() {
    let (daemon, faults) = fragile("").await;
    let firefox = manual(&daemon, "ff").await;
    let mut stream = daemon.caller().stream(&ask_sse("r", "/")).await;
    let request = request_of(&firefox, "r").await;
    request.open(200).await.unwrap();
    stream.expect("stream_open").await;
    faults.panic("exchange");
    request.event("message", json!(1)).await.unwrap();
    assert_eq!(stream.end().await.outcome().0, "stream_error");
    assert_eq!(outcome(&daemon, "r").await, "failure");
    healthy(&daemon, 1).await;
}

#[actix_rt::test]
async fn of_a_target_or_pacer_fails_the_requests_waiting_there_and_the_next_one_gets_a_new_actor() {
    for point in ["target", "gate"] {
        let (daemon, faults) = fragile("policy.waiter.timeout_ms = 300").await;
        let caller = daemon.caller();
        let _firefox = automatic(&daemon, "ff").await;
        assert_eq!(caller.request(&ask("before", "/echo")).await.status, 200);
        faults.panic(point);
        let answer = caller.request(&ask("r", "/echo")).await;
        assert!(!faults.is_set(point), "{point} was come by");
        assert!(matches!(answer.error().0, 500 | 503), "{point}: {answer:?}");
        assert_eq!(caller.request(&ask("after", "/echo")).await.status, 200, "{point}");
        healthy(&daemon, 1).await;
    }
}

#[actix_rt::test]
async fn of_a_store_operation_costs_that_operation() {
    let (daemon, faults) = fragile("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    faults.panic("store operation");
    for n in 0..5 {
        assert_eq!(caller.request(&ask(&format!("r{n}"), "/echo")).await.status, 200, "relays go on");
    }
    until("the panic", async || (!faults.is_set("store operation")).then_some(())).await;
    healthy(&daemon, 1).await;
}
