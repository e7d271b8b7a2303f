//! How fast the whole way is, printed; nothing here fails for being slow.

use crate::support::{Stage, within};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const LIVE: &str = "claude.ai/api/live";

/// The middle one and the slowest but one in a hundred.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    format!("{:.1?} in the middle, {:.1?} at the 99th", times[times.len() / 2], times[times.len() * 99 / 100])
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
#[actix_rt::test]
async fn speed() {
    let stage = Stage::set("").await;
    println!("browser, extension connected: {:.1?} after its process was started", stage.firefox.started.elapsed());
    stage.open("claude").await;

    let mut times = Vec::new();
    for _ in 0..100 {
        let asked = Instant::now();
        assert_eq!(stage.get("claude", "/api/x").await.status, 200);
        times.push(asked.elapsed());
    }
    println!("buffered request, warm, of 100: {}", spread(times));

    let mut held = stage.apps.hold(LIVE);
    let mut stream = stage.stream("claude", "slow", "/api/live").await;
    let upstream = held.next().await;
    upstream.open();
    stream.expect("stream_open").await;
    let mut times = Vec::new();
    for i in 0..300 {
        let sent = Instant::now();
        upstream.event(&json!({"i": i}).to_string());
        stream.expect("stream_event").await;
        times.push(sent.elapsed());
    }
    upstream.end();
    stream.end().await;
    println!("one streamed event from the app to the caller, of 300: {}", spread(times));

    let mut stream = stage.stream("claude", "fast", "/api/live").await;
    let upstream = held.next().await;
    upstream.open();
    stream.expect("stream_open").await;
    let sent = Instant::now();
    (0..2_000).for_each(|i| upstream.event(&json!({"i": i, "text": "about a word"}).to_string()));
    upstream.end();
    let (frames, _) = within("all events", stream.rest()).await;
    println!("{} events, all: {:.1?}", frames.len(), sent.elapsed());

    stage.firefox.tidy().await;
    let before = stage.firefox.memory().await;
    for _ in 0..1_000 {
        assert_eq!(stage.get("claude", "/api/x").await.status, 200);
    }
    stage.firefox.tidy().await;
    let after = stage.firefox.memory().await;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "memory of the browser: {:.0} MiB, {:+.1} MiB after 1000 more requests",
        mib(before),
        mib(after) - mib(before)
    );
}
