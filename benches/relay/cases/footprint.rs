//! Memory and start: resident memory, callers that never read, and the time until ready.

use super::{
    Env, Stage,
    load::{CALLERS, Load, PEERS, closed_loop},
};
use crate::{
    body::Body,
    callers::{self, Caller, ask, bounded},
    daemon::{Folder, Service, Side},
    measure::{Cpu, Latencies, Memory, median},
    peers::{PeerLog, Peers},
    report::{Bound, Sample},
};
use std::time::{Duration, Instant};

const DEAF_CALLERS: usize = 64;
const MB: f64 = 1e6;
/// A stream's buffer limit (512 KiB) and an allowance.
const STREAM_BYTES_MAX: f64 = (512.0 + 64.0) * 1024.0;
/// Pause after an event before memory is read.
const SETTLE: Duration = Duration::from_millis(300);

pub(crate) async fn memory(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let (idle, peak) = under_load(env, side).await?;
    let mut unread = unread_streams(env, side).await?;
    Ok(vec![
        Sample::new("rss idle", "MB", idle / MB, Bound::AtMost(15.0)),
        Sample::new("rss peak under buffered load", "MB", peak / MB, Bound::AtMost(30.0)),
        Sample::new(
            "rss per unread stream",
            "KB",
            unread.per_stream / 1024.0,
            Bound::AtMost(STREAM_BYTES_MAX / 1024.0),
        ),
        Sample::new("others meanwhile p50", "ms", unread.others.percentile_ms(50.0), Bound::AtMost(1.0)),
        Sample::new("others meanwhile p99", "ms", unread.others.percentile_ms(99.0), Bound::None),
        Sample::new("others meanwhile max", "ms", unread.others.percentile_ms(100.0), Bound::AtMostTimes(2.0)),
    ])
}

async fn under_load(env: &Env, side: Side) -> anyhow::Result<(f64, f64)> {
    let folder = Folder::new()?;
    let service = Service::start(side, &folder, true)?;
    tokio::time::sleep(SETTLE).await;
    let idle = Memory::of(service.pid()).resident;
    let book = PeerLog::new(vec![env.small.clone()]);
    let peers = Peers::connect(service.address, PEERS, &book).await?;
    let requests = env.count(100_000, 500);
    let load = Load { tag: "memory", callers: CALLERS, peers: PEERS, requests, body: env.small.clone() };
    closed_loop(service.address, service.pid(), load).await?;
    let peak = Memory::of(service.pid()).peak;
    drop(peers);
    service.stop()?;
    Ok((idle, peak))
}

struct UnreadStreams {
    per_stream: f64,
    others: Latencies,
}

/// 64 callers do not read while each is sent 8 MB in four seconds; one more caller sends requests as usual.
async fn unread_streams(env: &Env, side: Side) -> anyhow::Result<UnreadStreams> {
    let stage = Stage::set(env, side, PEERS, true).await?;
    let (address, pid) = (stage.service.address, stage.service.pid());
    let path = format!("/b/{}", env.small.bytes());
    let mut other = Caller::connect(address).await?;
    for number in 0..env.count(1_000, 20) {
        callers::buffered(&mut other, &format!("before-{number}"), number % PEERS, &path, &env.small).await?;
    }
    let before = Memory::of(pid).resident;
    let events = env.count(512, 40);
    let mut deaf = Vec::with_capacity(DEAF_CALLERS);
    for number in 0..DEAF_CALLERS {
        let mut caller = Caller::with_tiny_window(address).await?;
        let (id, path) = (format!("deaf-{number}"), format!("/f/{events}/8192/8"));
        caller.post("/v1/browser/request", &ask(&id, number % PEERS, &path, "sse")).await?;
        deaf.push(caller);
    }
    let (until, mut others, mut number) =
        (Instant::now() + Duration::from_millis(events as u64 * 8 + 500), Latencies::default(), 0);
    while Instant::now() < until {
        let sent = Instant::now();
        callers::buffered(&mut other, &format!("other-{number}"), number % PEERS, &path, &env.small).await?;
        others.push(sent.elapsed());
        number += 1;
        if number % 16 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let per_stream = (Memory::of(pid).peak - before) / DEAF_CALLERS as f64;
    drop(deaf);
    stage.strike()?;
    Ok(UnreadStreams { per_stream, others })
}

/// Time from spawn to the ready line, on an existing and on a new state folder.
pub(crate) async fn start(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let (mut existing, mut fresh, known) = (Vec::new(), Vec::new(), Folder::new()?);
    Service::start(side, &known, true)?.stop()?;
    for _ in 0..env.count(20, 2) {
        let service = Service::start(side, &known, true)?;
        existing.push(service.ready_after.as_secs_f64() * 1e3);
        service.stop()?;
        let folder = Folder::new()?;
        let service = Service::start(side, &folder, true)?;
        fresh.push(service.ready_after.as_secs_f64() * 1e3);
        service.stop()?;
    }
    Ok(vec![
        Sample::new("ready, existing state", "ms", median(&existing), Bound::AtMost(15.0)),
        Sample::new("ready, fresh state", "ms", median(&fresh), Bound::AtMost(40.0)),
    ])
}

/// A thousand clients connect at once, each with hello and credentials.
pub(crate) async fn clients(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let (folder, count) = (Folder::new()?, env.count(1_000, 20));
    let service = Service::start(side, &folder, true)?;
    tokio::time::sleep(SETTLE).await;
    let (mut cpu, before) = (Cpu::default(), Memory::of(service.pid()).resident);
    let body = Body::new(1_024);
    let book = PeerLog::new(vec![body.clone()]);
    let (cpu_before, start) = (cpu.read(service.pid()), Instant::now());
    let peers = Peers::connect(service.address, count, &book).await?;
    let wall = start.elapsed();
    tokio::time::sleep(SETTLE).await;
    let cpu_ns = cpu.read(service.pid()) - cpu_before;
    let after = Memory::of(service.pid()).resident;
    // The last client gets a request, to check that it works.
    let mut caller = Caller::connect(service.address).await?;
    bounded(callers::buffered(&mut caller, "after", count - 1, "/b/1024", &body)).await?;
    drop(peers);
    service.stop()?;
    Ok(vec![
        Sample::new("1000 clients open", "s", wall.as_secs_f64(), Bound::AtMost(2.0)),
        Sample::new("1000 clients cpu", "s", cpu_ns / 1e9, Bound::AtMost(1.0)),
        Sample::new("1000 clients rss after", "MB", after / MB, Bound::AtMost(48.0)),
        Sample::new("rss per idle client", "KB", (after - before) / count as f64 / 1024.0, Bound::AtMost(24.0)),
    ])
}
