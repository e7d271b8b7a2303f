//! Requests through a tab: sent like the page's own; answered whole, as a stream, or cut short.

use crate::support::{Stage, app::Upstream, until, within};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

const LIVE: &str = "claude.ai/api/live";

#[actix_rt::test]
async fn a_request_carries_the_pages_cookies_and_origin() {
    let stage = Stage::set("").await;
    stage.apps.login("claude.ai", "of-the-user");
    stage.open("claude").await;
    let body = json!({"platform": "claude", "method": "POST", "path": "/api/thing?x=1", "body": {"name": "Zoë"},
        "headers": {"x-of-the-caller": "yes"}});
    let data = stage.caller().request(&body).await.data();
    assert_eq!((&data["proxy"]["status"], &data["response"]["logged_in"]), (&json!(200), &json!(true)));
    assert_eq!(data["response"]["body"], r#"{"name":"Zoë"}"#);
    let received = stage.apps.received("claude.ai/api/thing");
    let [received] = &received[..] else { panic!("{received:#?}") };
    assert_eq!((&*received.method, &*received.target), ("POST", "/api/thing?x=1"));
    let expected = [
        ("cookie", "sessionKey=of-the-user"),
        ("origin", "https://claude.ai"),
        ("referer", "https://claude.ai/"),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/json"),
        ("x-of-the-caller", "yes"),
    ];
    for (name, value) in expected {
        assert_eq!(received.header(name), Some(value), "{name}");
    }
    // Scripts of the page cannot read the cookie.
    let tab = stage.firefox.tab_of("https://claude.ai/").await;
    assert_eq!(stage.firefox.bidi.evaluate(&tab, "document.cookie").await, "");
}

#[actix_rt::test]
async fn answers_of_every_kind_are_returned() {
    let stage = Stage::set("bridge.max_response_bytes = 100000").await;
    stage.open("claude").await;
    stage.apps.answer("claude.ai/api/text", 200, "text/plain", "žluťoučký kůň 🐎");
    assert_eq!(stage.get("claude", "/api/text").await.data()["response"], "žluťoučký kůň 🐎");
    stage.apps.answer("claude.ai/api/nothing", 204, "text/plain", "");
    let nothing = stage.get("claude", "/api/nothing").await.data();
    assert_eq!((&nothing["proxy"]["status"], &nothing["response"]), (&json!(204), &Value::Null));
    stage.apps.answer("claude.ai/api/not", 404, "application/json", r#"{"detail": "none"}"#);
    let not = stage.get("claude", "/api/not").await;
    assert_eq!(not.error(), (404, "browser_upstream_error".into()));
    assert_eq!(not.json()["details"]["upstream_body"], json!({"detail": "none"}));
    stage.apps.answer("claude.ai/api/much", 200, "text/plain", &"x".repeat(200_000));
    assert_eq!(stage.get("claude", "/api/much").await.error(), (502, "browser_response_too_large".into()));
}

#[actix_rt::test]
async fn a_request_opens_the_tab_it_needs() {
    let stage = Stage::set("").await;
    assert_eq!(stage.get("gemini", "/api/x").await.data()["proxy"]["status"], 200);
    stage.healthy("gemini").await;
    stage.firefox.tab_of("https://gemini.google.com/").await;
}

#[actix_rt::test]
async fn two_thousand_events_arrive_in_order() {
    let stage = Stage::set("").await;
    stage.open("claude").await;
    let mut held = stage.apps.hold(LIVE);
    let mut stream = stage.stream("claude", "s", "/api/live").await;
    let upstream = held.next().await;
    upstream.open();
    assert_eq!(stream.expect("stream_open").await.data["status"], 200);
    (0..2_000).for_each(|i| upstream.event(&json!({"i": i}).to_string()));
    upstream.end();
    let (frames, last) = within("all events", stream.rest()).await;
    assert_eq!(last.outcome(), ("stream_end", "", 200));
    let numbers: Vec<_> =
        frames.iter().map(|frame| (frame.id.unwrap(), frame.data["data"]["i"].as_u64().unwrap())).collect();
    assert_eq!(numbers, (0..2_000).map(|i| (i + 1, i)).collect::<Vec<_>>());
}

#[actix_rt::test]
async fn events_cut_anywhere_stay_whole() {
    let stage = Stage::set("").await;
    stage.open("claude").await;
    let mut held = stage.apps.hold(LIVE);
    let mut stream = stage.stream("claude", "s", "/api/live").await;
    let upstream = held.next().await;
    upstream.open();
    let pieces = [
        ": a comment\n\nev",
        "ent: first\r\nda",
        "ta: {\"a\":",
        "1}\r",
        "\n\r\n",
        "data: two\ndata: lines\n\ndata: t",
        "hree\n\n",
    ];
    pieces.iter().for_each(|piece| upstream.text(piece));
    upstream.end();
    stream.expect("stream_open").await;
    let (frames, last) = stream.rest().await;
    assert_eq!(last.event, "stream_end");
    let data = |field: &str| frames.iter().map(|frame| frame.data[field].clone()).collect::<Vec<_>>();
    assert_eq!(data("data"), [json!({"a": 1}), json!("two\nlines"), json!("three")]);
    assert_eq!(data("event")[0], "first");
}

/// Starts a stream and waits for its first event.
async fn under_way(stage: &Stage) -> (crate::shared::Stream, Upstream) {
    stage.open("claude").await;
    let mut held = stage.apps.hold(LIVE);
    let mut stream = stage.stream("claude", "s", "/api/live").await;
    let upstream = held.next().await;
    upstream.open();
    upstream.event("1");
    stream.expect("stream_open").await;
    stream.expect("stream_event").await;
    (stream, upstream)
}

#[actix_rt::test]
async fn a_cancel_reaches_the_app_within_a_second() {
    let stage = Stage::set("").await;
    let (mut stream, upstream) = under_way(&stage).await;
    assert_eq!(stage.caller().cancel("s").await.data()["type"], "request_cancel");
    timeout(Duration::from_secs(1), upstream.given_up()).await.expect("the app is notified in time");
    assert_eq!(stream.end().await.outcome(), ("stream_error", "request_cancelled", 499));
}

#[actix_rt::test]
async fn the_app_notices_a_caller_that_disconnects() {
    let stage = Stage::set("").await;
    let (stream, upstream) = under_way(&stage).await;
    stream.leave();
    upstream.given_up().await;
}

#[actix_rt::test]
async fn closing_the_tab_ends_its_stream() {
    let stage = Stage::set("").await;
    let (mut stream, upstream) = under_way(&stage).await;
    let tab = stage.firefox.tab_of("https://claude.ai/").await;
    stage.firefox.bidi.close(&tab).await;
    assert_eq!(stream.end().await.outcome(), ("stream_error", "tab_unavailable", 502));
    upstream.given_up().await;
}

#[actix_rt::test]
async fn a_connection_closed_by_the_app_ends_its_stream() {
    let stage = Stage::set("").await;
    let (mut stream, upstream) = under_way(&stage).await;
    drop(upstream);
    assert_eq!(stream.end().await.outcome(), ("stream_error", "fetch_failed", 502));
}

#[actix_rt::test]
async fn a_slow_app_is_waited_for() {
    let stage = Stage::set("").await;
    stage.open("claude").await;
    let mut held = stage.apps.hold(LIVE);
    let mut stream = stage.stream("claude", "s", "/api/live").await;
    let upstream = held.next().await;
    // The app sends nothing, but the extension reports progress before the daemon gives the stream up.
    until("word that it still waits", async || {
        let told = stage.record.of_type("progress").iter().filter(|told| told["id"] == "s").count();
        (told >= 2).then_some(())
    })
    .await;
    upstream.open();
    upstream.event("1");
    upstream.end();
    stream.expect("stream_open").await;
    assert_eq!(stream.end().await.event, "stream_end");
}
