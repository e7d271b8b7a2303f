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

    // The browser grows with its first requests, whoever makes them: the page's own stand beside those through it.
    let tab = stage.firefox.tab_of("https://claude.ai/").await;
    let own = "(async () => { for (let i = 0; i < 1000; i++) await (await fetch('/api/x')).text() })()";
    let start = memory(&stage).await;
    stage.firefox.bidi.evaluate(&tab, own).await;
    let own = memory(&stage).await;
    thousand(&stage).await;
    let first = memory(&stage).await;
    thousand(&stage).await;
    let second = memory(&stage).await;
    println!(
        "memory of the browser: {start:.0} MiB, {:+.1} after 1000 requests of the page, {:+.1} after 1000 through it, \
         {:+.1} after another 1000",
        own - start,
        first - own,
        second - first
    );
}

async fn thousand(stage: &Stage) {
    for _ in 0..1_000 {
        assert_eq!(stage.get("claude", "/api/x").await.status, 200);
    }
}

/// MiB of the browser without what it would throw away.
async fn memory(stage: &Stage) -> f64 {
    stage.firefox.tidy().await;
    stage.firefox.memory().await as f64 / f64::from(1 << 20)
}
