//! The event stream: events of requests and of the policy, resuming, readers that lag or disconnect, and the end.

use crate::support::{
    Caller, Daemon, Stream, ask, ask_sse, automatic,
    caller::{EVENTS, Frame},
    manual, request_of, settled, waiting, within,
};
use serde_json::{Value, json};

/// Collects the events of a request, from now until it is done.
async fn told(events: &mut Stream, id: &str) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    while told.last().is_none_or(|last| last["phase"] != "done") {
        let frame = events.event().await;
        told.extend((frame.event == "request" && frame.data["request_id"] == id).then_some(frame.data));
    }
    told
}

fn phases(told: &[Value]) -> Vec<&str> {
    told.iter().map(|data| data["phase"].as_str().unwrap()).collect()
}

/// Publishes many events cheaply: requests that no client can perform, on one connection.
async fn refused(caller: &Caller, count: usize) {
    let mut connection = caller.open().await;
    let path = format!("/{}", "x".repeat(900));
    for _ in 0..count {
        let body = json!({"platform": "claude", "path": path}).to_string();
        connection.write(&caller.head("POST", "/v1/browser/request", Some(body.as_bytes()))).await;
        assert_eq!(connection.answer(false).await.error_code(), "no_active_client");
    }
}

#[actix_rt::test]
async fn the_answer_begins_at_once_and_is_filled_with_comments() {
    let daemon = Daemon::start("server.sse_keep_alive_ms = 20").await;
    let caller = daemon.caller();
    let mut events = caller.follow().await;
    assert_eq!(events.head.header("cache-control"), Some("no-store"));
    assert_eq!(events.head.header("x-accel-buffering"), Some("no"));
    assert!(events.head.header("x-request-id").is_some());
    for _ in 0..2 {
        assert!(events.next().await.unwrap().is_comment());
    }
    refused(&caller, 1).await;
    assert_eq!(events.event().await.event, "request");
    assert_eq!(caller.post(EVENTS, &json!({})).await.error().1, "method_not_allowed");
    let mut connection = caller.open().await;
    for _ in 0..2 {
        connection.write(&caller.head("HEAD", EVENTS, None)).await;
        assert_eq!(connection.answer(true).await.status, 200, "a head has an end");
    }
}

#[actix_rt::test]
async fn the_phases_of_a_request_are_published_in_order() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let mut events = caller.follow().await;
    let body = json!({"platform": "claude", "request_id": "b", "method": "post", "path": "/echo", "body": "PRIVATE",
        "headers": {"x-private": "PRIVATE"}});
    assert_eq!(caller.request(&body).await.status, 200);
    let buffered = told(&mut events, "b").await;
    assert_eq!(phases(&buffered), ["queued", "admitted", "dispatched", "done"]);
    let common = |of: &Value, mode: &str| {
        json!({"request_id": of["request_id"], "platform": "claude", "client_id": "ff", "response_mode": mode,
            "phase": of["phase"], "at": of["at"]})
    };
    let (first, last) = (&buffered[0], &buffered[3]);
    let mut expected = common(first, "buffered");
    (expected["method"], expected["path"]) = (json!("POST"), json!("/echo"));
    assert_eq!(first, &expected);
    assert_eq!(buffered[2], common(&buffered[2], "buffered"));
    let entry = caller.journal("b").await;
    let mut expected = common(last, "buffered");
    for field in ["outcome", "status", "event_count", "bytes"] {
        expected[field] = entry[field].clone();
    }
    assert_eq!(last, &expected);
    for (of, field) in [(first, "requested_at"), (&buffered[1], "admitted_at"), (last, "finished_at")] {
        assert_eq!(of["at"], entry[field], "{field}");
    }
    assert!(!json!(buffered).to_string().contains("PRIVATE"));

    caller.stream(&ask_sse("s", "/events/3")).await.end().await;
    let streamed = told(&mut events, "s").await;
    assert_eq!(phases(&streamed), ["queued", "admitted", "dispatched", "streaming", "done"]);
    let last = &streamed[4];
    assert_eq!((&last["outcome"], &last["status"], &last["event_count"]), (&json!("success"), &json!(200), &json!(3)));
    assert!(last["bytes"].as_u64().unwrap() > 0 && last.get("error_code").is_none());
}

#[actix_rt::test]
async fn a_request_that_never_goes_out_is_queued_and_done() {
    let settings = "policy.concurrency.max_in_flight_per_client_platform = 1\npolicy.waiter.max_per_target = 1";
    let daemon = Daemon::start(settings).await;
    let caller = daemon.caller();
    let mut events = caller.follow().await;
    let ended = |told: &[Value], code: &str, outcome: &str| {
        assert_eq!(phases(told), ["queued", "done"], "{code}");
        assert_eq!((&told[1]["error_code"], &told[1]["outcome"]), (&json!(code), &json!(outcome)));
    };
    caller.request(&ask("unknown", "/")).await;
    let unknown = told(&mut events, "unknown").await;
    ended(&unknown, "no_active_client", "failure");
    assert!(unknown.iter().all(|data| data.get("client_id").is_none()));

    let firefox = manual(&daemon, "ff").await;
    let mut first = caller.begin(&ask("first", "/")).await;
    let request = request_of(&firefox, "first").await;
    let mut queued = caller.begin(&ask("queued", "/")).await;
    waiting(&caller, 1).await;
    caller.request(&ask("late", "/")).await;
    ended(&told(&mut events, "late").await, "queue_full", "failure");
    assert_eq!(caller.cancel("queued").await.status, 200);
    queued.answer(false).await;
    let mut done = Value::Null;
    let mut lines = Vec::new();
    while done["request_id"] != "queued" || lines.is_empty() {
        let Frame { event, data, .. } = events.event().await;
        match event.as_str() {
            "request" if data["phase"] == "done" => done = data,
            "policy" => lines.push((data["waiting"].clone(), data["in_flight"].clone())),
            _ => {}
        }
    }
    assert_eq!((&done["error_code"], &done["outcome"]), (&json!("request_cancelled"), &json!("cancelled")));
    assert_eq!(lines, [(json!(0), json!(1))], "the line is empty again");
    request.answer(200, json!({})).await.unwrap();
    assert_eq!(first.answer(false).await.status, 200);
    assert_eq!(phases(&told(&mut events, "first").await), ["done"]);
}

#[actix_rt::test]
async fn the_queue_and_a_failure_of_a_target_are_published() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 1").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut events = caller.follow().await;
    let first = caller.begin(&ask("a", "/")).await;
    let request = request_of(&firefox, "a").await;
    let second = caller.begin(&ask("b", "/")).await;
    waiting(&caller, 1).await;
    request.answer(503, json!({})).await.unwrap();
    request_of(&firefox, "b").await.answer(200, json!({})).await.unwrap();
    for (mut connection, status) in [(first, 503), (second, 200)] {
        assert_eq!(connection.answer(false).await.status, status);
    }
    let mut told = Vec::new();
    while told.len() < 3 {
        let frame = events.event().await;
        told.extend((frame.event == "policy").then_some(frame.data));
    }
    let target = |in_flight: u64, waiting: u64, failures: u64| {
        json!({"client_id": "ff", "platform": "claude", "circuit_state": "closed", "in_flight": in_flight,
            "waiting": waiting, "consecutive_failures": failures})
    };
    let mut failed = target(1, 0, 1);
    failed["last_error"] = json!("http_503");
    let rests = told[1].as_object_mut().unwrap().remove("backoff_until");
    assert!(rests.is_some_and(|until| until.is_i64()), "it rests");
    assert_eq!(told, [target(1, 1, 0), failed, target(0, 0, 0)]);
}

#[actix_rt::test]
async fn a_reader_that_reconnects_gets_the_missed_events() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let mut events = caller.follow().await;
    refused(&caller, 2).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(events.event().await.id.unwrap());
    }
    let last = seen[2];
    assert_eq!(seen, [last - 2, last - 1, last]);
    events.leave();
    refused(&caller, 2).await;
    let mut events = caller.follow_after(last).await;
    for n in 1..=5 {
        let frame = events.event().await;
        assert_eq!((frame.id, frame.event.as_str()), (Some(last + n), "request"));
    }
    refused(&caller, 1).await;
    assert_eq!(events.event().await.id, Some(last + 6), "and then what happens");
}

#[actix_rt::test]
async fn what_cannot_be_replayed_is_a_gap() {
    let daemon = Daemon::start("server.events_kept = 4").await;
    let caller = daemon.caller();
    let mut events = caller.follow().await;
    refused(&caller, 3).await;
    let first = events.event().await.id.unwrap();
    let cases = [
        (first.to_string(), json!({"missed": 1, "next_id": first + 2})),
        ((first - 5).to_string(), json!({"next_id": first + 2})),
        ((first + 6).to_string(), json!({"next_id": first + 2})),
        ("what".to_owned(), json!({"next_id": first + 2})),
    ];
    for (last, gap) in cases {
        let mut events = caller.follow_after(&last).await;
        let frame = events.event().await;
        assert_eq!((frame.id, frame.event.as_str(), frame.data), (None, "gap", gap), "{last}");
        for n in 2..6 {
            assert_eq!(events.event().await.id, Some(first + n), "{last}");
        }
    }
    // An id of an earlier process is never taken for one of this process.
    let mut daemon = daemon;
    daemon.stop().await;
    let daemon = Daemon::start_in(daemon.into_folder(), "").await;
    let caller = daemon.caller();
    refused(&caller, 1).await;
    let mut events = caller.follow_after(first).await;
    let gap = events.event().await;
    assert_eq!(gap.event, "gap");
    let id = events.event().await.id.unwrap();
    assert!(gap.data == json!({"next_id": id}) && id > first + 5);
}

#[actix_rt::test]
async fn a_reader_that_lags_gets_the_number_of_missed_events_and_does_not_slow_others() {
    const ROUND: usize = 20;
    let daemon = Daemon::start("server.events_kept = 128").await;
    let caller = daemon.caller();
    let mut quick = caller.follow().await;
    let mut slow = caller.get_narrowly(EVENTS).await.stream().await;
    let mut seen = Vec::new();
    // More than all buffers on the way to a reader hold.
    for _ in 0..75 {
        refused(&caller, ROUND).await;
        for _ in 0..2 * ROUND {
            let frame = quick.event().await;
            assert_eq!(frame.event, "request");
            seen.push(frame.id.unwrap());
        }
    }
    assert_eq!(seen, Vec::from_iter(seen[0]..seen[0] + seen.len() as u64), "everything in order");
    let (mut next_id, mut gaps) = (seen[0], 0);
    while next_id <= seen[seen.len() - 1] {
        let frame = slow.event().await;
        if frame.event == "gap" {
            let missed = frame.data["missed"].as_u64().unwrap();
            assert_eq!((frame.id, frame.data["next_id"].as_u64()), (None, Some(next_id + missed)));
            (next_id, gaps) = (next_id + missed, gaps + 1);
        } else {
            assert_eq!(frame.id, Some(next_id));
            next_id += 1;
        }
    }
    assert_eq!(gaps, 1);
    refused(&caller, 1).await;
    assert_eq!(slow.event().await.id, Some(next_id), "it reads on");
}

#[actix_rt::test]
async fn a_reader_that_hangs_up_is_let_go() {
    let mut daemon = Daemon::start("").await;
    let caller = daemon.caller();
    for _ in 0..3 {
        let events = caller.follow().await;
        let address = events.local_address();
        events.leave();
        daemon.connection_ended(address).await;
    }
    assert_eq!(daemon.stop().await, Some(0));
    assert!(!daemon.stderr().contains("did not end in time"), "no reader was waited for: {}", daemon.stderr());
}

#[actix_rt::test]
async fn shutdown_events_are_delivered_before_the_stream_ends() {
    let mut daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut readers = [caller.follow().await, caller.follow().await];
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await;
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(answer.answer(false).await.error_code(), "service_stopped");
    for events in &mut readers {
        let told = told(events, "r").await;
        assert_eq!(phases(&told), ["queued", "admitted", "dispatched", "done"]);
        assert_eq!((&told[3]["outcome"], &told[3]["error_code"]), (&json!("cancelled"), &json!("service_stopped")));
        let rest = within("end of the events", async {
            while events.next().await.is_some() {} // ends with the body's own end, or the test does
        });
        rest.await;
    }
    assert_eq!(daemon.exit_code().await, Some(0));
    assert!(!daemon.stderr().contains("did not end in time"), "{}", daemon.stderr());
}

#[actix_rt::test]
async fn a_reader_that_takes_nothing_does_not_hold_up_the_stop() {
    let mut daemon = Daemon::start("server.shutdown_timeout_ms = 600000").await;
    let caller = daemon.caller();
    let _stuck = caller.get_narrowly(EVENTS).await.stream().await.into_connection();
    refused(&caller, 1_000).await;
    settled(&caller).await;
    assert_eq!(daemon.stop().await, Some(0));
}
