//! How soon the browser receives the cancellation after a cancel call or a disconnect of the caller.

use super::{Env, Stage};
use crate::{
    callers::{Caller, ask, bounded, excerpt},
    daemon::Side,
    measure::Latencies,
    report::{Bound, Sample},
};
use anyhow::ensure;
use std::time::Instant;

const PEERS: usize = 2;

pub(crate) async fn cancel(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let stage = Stage::set(env, side, PEERS, true).await?;
    let rounds = env.count(500, 10);
    let (mut cancelled, mut left, mut stream_left) = (Latencies::default(), Latencies::default(), Latencies::default());
    for number in 0..rounds {
        cancelled.push(cancelled_by_request(&stage, &format!("cancel-{number}"), number % PEERS).await?);
        left.push(caller_leaves(&stage, &format!("leave-{number}"), number % PEERS, "buffered").await?);
        stream_left.push(caller_leaves(&stage, &format!("sse-leave-{number}"), number % PEERS, "sse").await?);
    }
    stage.strike()?;
    Ok(vec![
        Sample::new("cancel to peer p50", "ms", cancelled.percentile_ms(50.0), Bound::None),
        Sample::new("cancel to peer p99", "ms", cancelled.percentile_ms(99.0), Bound::AtMost(0.5)),
        Sample::new("caller leaves to peer p99", "ms", left.percentile_ms(99.0), Bound::AtMost(1.0)),
        Sample::new("stream's caller leaves p99", "ms", stream_left.percentile_ms(99.0), Bound::AtMost(1.0)),
    ])
}

async fn cancelled_by_request(stage: &Stage, id: &str, client: usize) -> anyhow::Result<std::time::Duration> {
    let mut caller = Caller::connect(stage.service.address).await?;
    let mut canceller = Caller::connect(stage.service.address).await?;
    caller.post("/v1/browser/request", &ask(id, client, "/hold", "buffered")).await?;
    stage.book.when("held", id).await?;
    let sent = Instant::now();
    let body = format!(r#"{{"request_id":"{id}","platform":"claude"}}"#);
    canceller.post("/v1/browser/request/cancel", &body).await?;
    let received = stage.book.when("cancelled", id).await?;
    let (status, answer) = bounded(canceller.answer()).await?;
    ensure!(status == 200, "status {status} for the cancel: {}", excerpt(answer));
    let (status, answer) = bounded(caller.answer()).await?;
    ensure!(status == 499, "status {status} for the cancelled request: {}", excerpt(answer));
    Ok(received - sent)
}

async fn caller_leaves(stage: &Stage, id: &str, client: usize, mode: &str) -> anyhow::Result<std::time::Duration> {
    let mut caller = Caller::connect(stage.service.address).await?;
    caller.post("/v1/browser/request", &ask(id, client, "/hold", mode)).await?;
    stage.book.when("held", id).await?;
    if mode == "sse" {
        bounded(caller.head()).await?;
    }
    let left = Instant::now();
    drop(caller);
    let received = stage.book.when("cancelled", id).await?;
    Ok(received - left)
}
