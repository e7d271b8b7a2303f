//! Prints latency and throughput of the whole path and the memory of the extension; no limit is asserted.

use crate::support::{
    Stage,
    app::{Apps, HOSTS},
    firefox::Firefox,
    within,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const LIVE: &str = "claude.ai/api/live";
/// Number of rounds of a thousand requests; growth in the second round is not due to the start of the browser.
const ROUNDS: usize = 2;

/// Formats the median and the 99th percentile.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    format!("{:.1?} in the middle, {:.1?} at the 99th", times[times.len() / 2], times[times.len() * 99 / 100])
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
#[actix_rt::test]
async fn speed() {
    let bare = without_extension().await;
    let stage = Stage::set("").await;
    println!("browser, extension connected: {:.1?} after its process was started", stage.firefox.started.elapsed());
    stage.open("claude").await;
    compare(&bare, &with_extension(&stage).await);
    buffered(&stage).await;
    streamed(&stage).await;
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
async fn buffered(stage: &Stage) {
    let mut times = Vec::new();
    for _ in 0..100 {
        let asked = Instant::now();
        assert_eq!(stage.get("claude", "/api/x").await.status, 200);
        times.push(asked.elapsed());
    }
    println!("buffered request, warm, of 100: {}", spread(times));
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
async fn streamed(stage: &Stage) {
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
}

/// Prints the memory of a browser with the extension beside that of one whose page made the same requests itself.
#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
fn compare(bare: &[Memory], with: &[Memory]) {
    println!("memory of the browser after 0, 1000 and 2000 requests, MB:");
    for (what, figure) in [("all", Memory::all as fn(&_) -> _), ("without what it gave back", Memory::held)] {
        let [bare, with] = [bare, with].map(|of| of.iter().map(figure).collect::<Vec<f64>>());
        let added: Vec<_> = with.iter().zip(&bare).map(|(with, bare)| with - bare).collect();
        println!("  {what}: {bare:.0?} without the extension, {with:.0?} with it, which adds {added:.1?}");
    }
}

/// Returns the memory of a browser with the extension, before and after each round.
async fn with_extension(stage: &Stage) -> Vec<Memory> {
    let mut figures = vec![memory(&stage.firefox).await];
    for _ in 0..ROUNDS {
        for _ in 0..1_000 {
            assert_eq!(stage.get("claude", "/api/x").await.status, 200);
        }
        figures.push(memory(&stage.firefox).await);
    }
    figures
}

/// Returns the memory of a browser without the extension, before and after each round.
async fn without_extension() -> Vec<Memory> {
    let apps = Apps::start().await;
    let firefox = Firefox::start_bare(apps.tls_port, HOSTS).await;
    let tab = firefox.bidi.new_tab().await;
    firefox.bidi.navigate(&tab, "https://claude.ai/").await;
    let mut figures = vec![memory(&firefox).await];
    for _ in 0..ROUNDS {
        let requests = "(async () => { for (let i = 0; i < 1000; i++) await (await fetch('/api/x')).text() })()";
        firefox.bidi.evaluate(&tab, requests).await;
        figures.push(memory(&firefox).await);
    }
    figures
}

/// Memory of a browser after a garbage collection, in bytes.
#[derive(Debug)]
struct Memory {
    resident: u64,
    given_back: u64,
}

impl Memory {
    /// Returns the total, in MB.
    fn all(&self) -> f64 {
        self.resident as f64 / 1e6
    }

    /// Returns the memory in use, in MB.
    fn held(&self) -> f64 {
        (self.resident - self.given_back) as f64 / 1e6
    }
}

async fn memory(firefox: &Firefox) -> Memory {
    firefox.tidy().await;
    Memory { resident: firefox.memory().await, given_back: firefox.given_back().await }
}
