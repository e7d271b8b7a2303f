//! Streamed requests: frames and their order, how streams end, time limits, and readers that are slow or never read.

use crate::support::{
    Caller, Daemon, Stream, ask, ask_sse, automatic, cancel_of, connect, handled, manual, request_of, settled,
    text_frame, waiting,
};
use baa_conductor::simulator::{Firefox, FirefoxProfile, SimulatedRequest};
use serde_json::{Value, json};
use std::time::Duration;

async fn begin(firefox: &Firefox, caller: &Caller, id: &str) -> (Stream, SimulatedRequest) {
    let stream = caller.stream(&ask_sse(id, "/")).await;
    (stream, request_of(firefox, id).await)
}

#[actix_rt::test]
async fn a_stream_is_opened_carries_events_and_ends() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let body = json!({"platform": "claude", "request_id": "s", "path": "/x", "prompt": "why?", "responseMode": "sse"});
    let mut stream = caller.stream(&body).await;
    assert_eq!(stream.head.header("cache-control"), Some("no-store"));
    assert_eq!(stream.head.header("x-accel-buffering"), Some("no"));
    assert!(stream.head.header("x-request-id").is_some());
    let request = request_of(&firefox, "s").await;
    let message = request.message();
    assert_eq!((&message["stream_id"], &message["response_mode"]), (&json!("s"), &json!("sse")));
    assert_eq!(message.get("timeout_ms"), None, "a stream has no limit unless one is given");
    request.open(200).await.unwrap();
    let open = stream.expect("stream_open").await;
    assert_eq!(open.id, Some(0));
    let expected = json!({"client_id": "ff", "conversation": null, "organization": null, "platform": "claude",
        "meta": {"method": "POST", "platform": "claude", "url": "/x"}, "policy": open.data["policy"], "request_id": "s",
        "request_method": "POST", "request_mode": "api_request", "request_path": "/x", "response_mode": "sse",
        "status": 200, "stream_id": "s"});
    assert_eq!(open.data, expected);
    assert_eq!(open.data["policy"]["request_id"], "s");
    for n in 1..=2 {
        request.event("completion", json!({"n": n})).await.unwrap();
        let event = stream.expect("stream_event").await;
        assert_eq!(event.id, Some(n));
        let raw = format!("event: completion\ndata: {{\"n\":{n}}}");
        let expected =
            json!({"data": {"n": n}, "event": "completion", "raw": raw, "request_id": "s", "seq": n, "stream_id": "s"});
        assert_eq!(event.data, expected);
    }
    request.end(200).await.unwrap();
    let (events, last) = stream.rest().await;
    assert_eq!((events.len(), last.id, last.event.as_str()), (0, None, "stream_end"));
    let partial = json!({"buffered_bytes": 0, "event_count": 2, "last_seq": 2, "opened": true});
    assert_eq!(last.data, json!({"partial": partial, "request_id": "s", "status": 200, "stream_id": "s"}));
    settled(&caller).await;
    assert_eq!(firefox.received_of("request_cancel").len(), 0);
}

#[actix_rt::test]
async fn an_event_before_the_opening_opens_the_stream() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let (mut stream, request) = begin(&firefox, &caller, "s").await;
    request.event("message", json!(1)).await.unwrap();
    let open = stream.expect("stream_open").await;
    assert_eq!((&open.data["status"], &open.data["meta"]), (&json!(200), &Value::Null));
    assert_eq!(stream.expect("stream_event").await.id, Some(1));
    request.open(404).await.unwrap();
    request.end(200).await.unwrap();
    assert_eq!(stream.rest().await.1.outcome(), ("stream_end", "", 200), "it was open already");
}

#[actix_rt::test]
async fn numbers_only_rise_and_gaps_pass() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let (frames, last) = caller.stream(&ask_sse("s", "/wrong-seq")).await.rest().await;
    assert_eq!(frames.iter().map(|frame| frame.id.unwrap()).collect::<Vec<_>>(), [0, 1, 3, 5]);
    assert_eq!(last.data["partial"], json!({"buffered_bytes": 0, "event_count": 3, "last_seq": 5, "opened": true}));
}

#[actix_rt::test]
async fn an_opening_with_an_error_status_passes_its_events_and_ends_as_an_error() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for way in ["end", "error", "answer"] {
        let (mut stream, request) = begin(&firefox, &caller, way).await;
        request.open(403).await.unwrap();
        request.event("message", json!("denied")).await.unwrap();
        match way {
            "end" => request.end(200).await.unwrap(),
            "error" => request.error("boom", "it broke", None).await.unwrap(),
            _ => request.answer(500, Value::Null).await.unwrap(),
        }
        let (frames, last) = stream.rest().await;
        assert_eq!(
            (frames.len(), &frames[0].data["status"], &frames[1].data["data"]),
            (2, &json!(403), &json!("denied"))
        );
        assert_eq!(last.outcome(), ("stream_error", "browser_upstream_error", 403), "{way}");
    }
}

#[actix_rt::test]
async fn an_error_of_the_client_ends_the_stream_in_its_own_words() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for (opened, status, expected) in [(true, Some(503), 503), (false, None, 502)] {
        let (mut stream, request) = begin(&firefox, &caller, "s").await;
        if opened {
            request.open(200).await.unwrap();
            stream.expect("stream_open").await;
        }
        request.error("boom", "it broke", status).await.unwrap();
        let last = stream.end().await;
        let partial = json!({"buffered_bytes": 0, "event_count": 0, "last_seq": 0, "opened": opened});
        let expected = json!({"error": "boom", "http_error": "browser_upstream_error", "message": "it broke",
            "partial": partial, "platform": "claude", "request_id": "s", "status": expected, "stream_id": "s"});
        assert_eq!(last.data, expected);
    }
    handled(&firefox).await;
    assert_eq!(firefox.received_of("request_cancel").len(), 0, "who has failed needs no cancel");
}

#[actix_rt::test]
async fn a_whole_answer_to_a_stream_becomes_one_event_or_an_error() {
    let daemon = Daemon::start("").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let (frames, last) = caller.stream(&ask_sse("s1", "/api/organizations")).await.rest().await;
    assert_eq!((frames.len(), frames[0].event.as_str(), frames[1].id), (2, "stream_open", Some(1)));
    assert_eq!(frames[1].data["data"][0]["uuid"], "org-1");
    assert_eq!(last.outcome(), ("stream_end", "", 200));
    let mut failed = caller.stream(&ask_sse("s2", "/status/404")).await;
    assert_eq!(failed.end().await.outcome(), ("stream_error", "browser_upstream_error", 404));
    let mut unreachable = caller.stream(&ask_sse("s3", "/error/tab_unavailable")).await;
    assert_eq!(unreachable.end().await.outcome(), ("stream_error", "tab_unavailable", 502));
}

#[actix_rt::test]
async fn line_breaks_within_json_do_not_break_a_line_of_the_stream() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let (mut stream, _request) = begin(&firefox, &caller, "s").await;
    let broken = "{\r\n \"a\"\n:\t\"x\\ny\"\r}";
    for frame in [
        format!("{{\"type\":\"stream_open\",\"id\":\"s\",\"stream_id\":\"s\",\"status\":200,\n\"meta\":{broken}}}"),
        format!(
            "{{\"type\":\"stream_event\",\"id\":\"s\",\"seq\":1,\"event\":\"message\",\"data\":\n{broken},\"raw\":\"a\\nb\"}}"
        ),
        "{\"type\":\"stream_event\",\"id\":\"s\",\"seq\":2,\"data\":[1,\n2],\"chunk\":\"c\"}".to_owned(),
        format!("{{\"type\":\"api_response\",\"id\":\"s\",\"ok\":true,\"status\":200,\"body\":{broken}}}"),
    ] {
        firefox.send_text(&frame).await.unwrap();
    }
    let value = json!({"a": "x\ny"});
    let (frames, last) = stream.rest().await;
    assert_eq!(frames[0].data["meta"], value);
    assert_eq!((&frames[1].data["data"], &frames[1].data["raw"]), (&value, &json!("a\nb")));
    assert_eq!((&frames[2].data["data"], &frames[2].data["event"]), (&json!([1, 2]), &json!("message")));
    assert_eq!(frames[2].data["raw"], "c");
    assert_eq!((&frames[3].data["data"], frames[3].id), (&value, Some(3)), "the whole answer as the next event");
    assert_eq!(last.outcome(), ("stream_end", "", 200));
}

#[actix_rt::test]
async fn status_and_head_go_out_while_the_request_still_waits_and_silence_is_filled() {
    let settings = "server.sse_keep_alive_ms = 20\npolicy.concurrency.max_in_flight_per_client_platform = 1";
    let daemon = Daemon::start(settings).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let mut first = caller.begin(&ask("r1", "/")).await;
    let running = request_of(&firefox, "r1").await;
    let mut stream = caller.stream(&ask_sse("r2", "/")).await;
    waiting(&caller, 1).await;
    for _ in 0..3 {
        let comment = stream.next().await.unwrap();
        assert_eq!((comment.is_comment(), &comment.data), (true, &json!(": keep-alive")));
    }
    running.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    let request = request_of(&firefox, "r2").await;
    request.open(200).await.unwrap();
    let open = stream.expect("stream_open").await;
    assert!(open.data["policy"]["queue_delay_ms"].as_i64().unwrap() > 0, "{open:?}");
    assert!(stream.next().await.unwrap().is_comment(), "also while it runs");
    request.end(200).await.unwrap();
    assert_eq!(stream.end().await.outcome(), ("stream_end", "", 200));
}

#[actix_rt::test]
async fn a_valid_request_is_answered_200_and_its_failure_comes_as_the_last_frame() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let none = caller.stream(&ask_sse("s", "/")).await.end().await;
    assert_eq!(none.outcome(), ("stream_error", "no_active_client", 503));
    assert_eq!(none.data["http_error"], "browser_bridge_unavailable");
    let _firefox = manual(&daemon, "ff").await;
    let mut named = ask_sse("s", "/");
    named["client_id"] = "other".into();
    let missing = caller.stream(&named).await.end().await;
    assert_eq!(missing.outcome(), ("stream_error", "client_not_found", 409));
    assert_eq!(missing.data["http_error"], "browser_client_not_found");
}

#[actix_rt::test]
async fn an_invalid_request_is_answered_in_plain_json() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let (_stream, _request) = begin(&firefox, &caller, "same").await;
    for (body, expected) in [
        (ask_sse("same", "/"), (409, "browser_request_conflict")),
        (ask_sse("s", "//elsewhere"), (400, "invalid_request")),
        (json!({"platform": "nowhere", "path": "/", "response_mode": "sse"}), (400, "platform_not_supported")),
    ] {
        let answer = caller.request(&body).await;
        assert_eq!(answer.error(), (expected.0, expected.1.to_owned()));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[actix_rt::test]
async fn a_stream_that_is_not_opened_in_time_ends() {
    let daemon = Daemon::start("policy.stream.open_timeout_ms = 100").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let (mut stream, request) = begin(&firefox, &caller, "s").await;
    let last = stream.end().await;
    assert_eq!(last.outcome(), ("stream_error", "stream_open_timeout", 504));
    assert_eq!(
        (&last.data["http_error"], &last.data["partial"]["opened"]),
        (&json!("browser_request_timeout"), &json!(false))
    );
    assert_eq!(cancel_of(&firefox, "s").await["reason"], "stream_open_timeout");
    request.open(200).await.unwrap();
    handled(&firefox).await;
    settled(&caller).await;
}

#[actix_rt::test]
async fn a_stream_that_falls_silent_ends() {
    let daemon = Daemon::start("policy.stream.idle_timeout_ms = 100").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for events in 0..2 {
        let (mut stream, request) = begin(&firefox, &caller, "s").await;
        request.open(200).await.unwrap();
        for n in 0..events {
            request.event("message", json!(n)).await.unwrap();
        }
        let (frames, last) = stream.rest().await;
        assert_eq!(frames.len(), 1 + events);
        assert_eq!(last.outcome(), ("stream_error", "stream_idle_timeout", 504));
        assert_eq!(cancel_of(&firefox, "s").await["reason"], "stream_idle_timeout");
    }
}

fn with_progress(every: Duration) -> FirefoxProfile {
    let mut profile = FirefoxProfile::new("ff");
    profile.behaviour.progress = every;
    profile
}

#[actix_rt::test]
async fn progress_keeps_a_silent_stream_alive() {
    let limits = "policy.stream.open_timeout_ms = 500\npolicy.stream.idle_timeout_ms = 500";
    let daemon = Daemon::start(limits).await;
    let caller = daemon.caller();
    let (late, slow) = (ask_sse("s1", "/slow?ms=1100"), ask_sse("s2", "/events/1?pause_ms=1100"));
    let firefox = connect(&daemon, with_progress(Duration::from_millis(50))).await;
    let mut streams = (caller.stream(&late).await, caller.stream(&slow).await);
    for stream in [&mut streams.0, &mut streams.1] {
        let (frames, last) = stream.rest().await;
        assert_eq!((frames.len(), last.outcome()), (2, ("stream_end", "", 200)));
    }
    drop(firefox);
    let _firefox = connect(&daemon, with_progress(Duration::from_secs(600))).await;
    let mut streams = (caller.stream(&late).await, caller.stream(&slow).await);
    assert_eq!(streams.0.end().await.outcome().1, "stream_open_timeout");
    assert_eq!(streams.1.end().await.outcome().1, "stream_idle_timeout");
}

#[actix_rt::test]
async fn progress_alone_does_not_keep_a_stream_for_ever() {
    let daemon = Daemon::start("policy.stream.max_silence_ms = 300").await;
    let (firefox, caller) = (connect(&daemon, with_progress(Duration::from_millis(20))).await, daemon.caller());
    let last = caller.stream(&ask_sse("s", "/silence")).await.end().await;
    assert_eq!(last.outcome(), ("stream_error", "stream_idle_timeout", 504));
    cancel_of(&firefox, "s").await;
}

#[actix_rt::test]
async fn a_limit_of_the_callers_own_ends_a_stream_that_is_busy() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let mut body = ask_sse("s", "/events/1000?pause_ms=5");
    body["timeout_ms"] = 150.into();
    let (frames, last) = caller.stream(&body).await.rest().await;
    assert_eq!((frames[0].event.as_str(), last.outcome()), ("stream_open", ("stream_error", "request_timeout", 504)));
    assert_eq!(cancel_of(&firefox, "s").await["reason"], "request_timeout");
}

#[actix_rt::test]
async fn a_lost_client_ends_its_streams_after_what_it_sent() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let (mut stream, request) = begin(&firefox, &caller, "s").await;
    request.open(200).await.unwrap();
    request.event("message", json!(1)).await.unwrap();
    stream.expect("stream_open").await;
    stream.expect("stream_event").await;
    firefox.drop_connection().await.unwrap();
    let last = stream.end().await;
    assert_eq!(last.outcome(), ("stream_error", "client_disconnected", 503));
    assert_eq!(last.data["http_error"], "browser_bridge_unavailable");
}

#[actix_rt::test]
async fn one_event_may_be_larger_than_the_buffer() {
    let daemon = Daemon::start("policy.stream.max_buffered_bytes = 1000").await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let (frames, last) = caller.stream(&ask_sse("s", "/events/1?bytes=1000000")).await.rest().await;
    assert_eq!(frames[1].data["data"]["pad"].as_str().unwrap().len(), 1_000_000);
    assert_eq!(last.outcome(), ("stream_end", "", 200));
}

/// More than the buffers of the kernel and of the daemon hold, in the following tests.
const FLOOD: &str = "/events/200?bytes=4000";

#[actix_rt::test]
async fn a_reader_that_is_too_slow_gets_what_was_kept_and_then_the_overflow() {
    let daemon = Daemon::start("policy.stream.max_buffered_bytes = 65536").await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let mut stream = caller.stream_narrowly(&ask_sse("s", FLOOD)).await;
    assert_eq!(cancel_of(&firefox, "s").await["reason"], "stream_buffer_overflow");
    settled(&caller).await;
    let (frames, last) = stream.rest().await;
    assert_eq!(last.outcome(), ("stream_error", "stream_buffer_overflow", 499));
    let events = frames.len() as u64 - 1;
    let partial = &last.data["partial"];
    assert_eq!((&partial["event_count"], &partial["last_seq"]), (&json!(events), &json!(events)), "none is missing");
    let buffered = partial["buffered_bytes"].as_u64().unwrap();
    // The frame that opens the stream may be queued too and is not counted.
    assert!((1..=66_000).contains(&buffered), "{partial}");
}

#[actix_rt::test]
async fn a_burst_is_no_overflow_for_a_reader_that_reads() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    let (mut stream, request) = begin(&firefox, &caller, "s").await;
    request.open(200).await.unwrap();
    stream.expect("stream_open").await;
    let event = |n: u64| text_frame(&format!("{{\"type\":\"stream_event\",\"id\":\"s\",\"seq\":{n},\"data\":{n}}}"));
    let burst: Vec<u8> = (1..=1_000).flat_map(event).collect();
    firefox.send_raw(&burst).await.unwrap();
    request.end(200).await.unwrap();
    let (events, last) = stream.rest().await;
    assert_eq!((events.len(), last.outcome()), (1_000, ("stream_end", "", 200)));
}

#[actix_rt::test]
async fn a_reader_that_is_too_slow_overflows_by_the_number_of_events_too() {
    let daemon = Daemon::start("policy.stream.max_buffered_events = 8").await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let mut stream = caller.stream_narrowly(&ask_sse("s", FLOOD)).await;
    assert_eq!(cancel_of(&firefox, "s").await["reason"], "stream_buffer_overflow");
    assert_eq!(stream.end().await.outcome().1, "stream_buffer_overflow");
}

const PATIENT_BUFFERS: &str =
    "policy.stream.max_buffered_bytes = 100000000\npolicy.stream.max_buffered_events = 1000000";

#[actix_rt::test]
async fn a_reader_that_never_reads_is_dropped_and_its_request_cancelled() {
    let daemon = Daemon::start(&format!("server.sse_stall_timeout_ms = 200\n{PATIENT_BUFFERS}")).await;
    let (firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let stream = caller.stream_narrowly(&ask_sse("s", &format!("{FLOOD}&end=never"))).await;
    assert_eq!(cancel_of(&firefox, "s").await["reason"], "downstream_disconnected");
    settled(&caller).await;
    assert_eq!(caller.journal("s").await["outcome"], "cancelled");
    let rest = stream.into_connection().rest().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the connection was cut");
}

#[actix_rt::test]
async fn a_reader_that_never_reads_is_dropped_after_the_end_too() {
    let daemon = Daemon::start(&format!("server.sse_stall_timeout_ms = 1500\n{PATIENT_BUFFERS}")).await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let stream = caller.stream_narrowly(&ask_sse("s", FLOOD)).await;
    settled(&caller).await;
    assert_eq!(caller.journal("s").await["outcome"], "success");
    // The daemon ends the connection although the caller does not read: its socket leaves the kernel's table.
    daemon.connection_ended(stream.local_address()).await;
}

#[actix_rt::test]
async fn others_are_served_while_one_reader_never_reads() {
    let daemon = Daemon::start(PATIENT_BUFFERS).await;
    let (_firefox, caller) = (automatic(&daemon, "ff").await, daemon.caller());
    let stuck = caller.stream_narrowly(&ask_sse("stuck", &format!("{FLOOD}&end=never"))).await;
    for n in 0..20 {
        let id = format!("r{n}");
        assert_eq!(caller.request(&ask(&id, "/echo")).await.data()["response"]["path"], "/echo");
        let (frames, _) = caller.stream(&ask_sse(&id, "/events/3")).await.rest().await;
        assert_eq!(frames.len(), 4);
    }
    drop(stuck);
    settled(&caller).await;
}
