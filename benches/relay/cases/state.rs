//! The state of many clients and logins: its latency and its cost.

use super::Env;
use crate::{
    callers::{Caller, bounded},
    daemon::{Folder, Service, Side},
    measure::{Cpu, Latencies},
    peers::{self, PeerLog, Peers},
    report::{Bound, Sample},
};
use anyhow::ensure;
use std::time::{Duration, Instant};

/// Logins reported by one earlier client.
const ACCOUNTS: usize = 100;
/// Pause after an event.
const SETTLE: Duration = Duration::from_millis(300);

/// `GET /v1/browser` with 1 000 clients and 10 000 stored logins of others, whole and filtered.
pub(crate) async fn state(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let folder = Folder::new()?;
    let service = Service::start(side, &folder, true)?;
    peers::remember(service.address, env.count(100, 2), ACCOUNTS).await?;
    let clients = env.count(1_000, 20);
    let peers = Peers::connect(service.address, clients, &PeerLog::new(Vec::new())).await?;
    tokio::time::sleep(SETTLE).await;
    let mut caller = Caller::connect(service.address).await?;
    let mut cpu = Cpu::default();
    let rounds = env.count(20, 2);
    let mut look = async |query: &str| {
        let (before, mut latencies, mut bytes) = (cpu.read(service.pid()), Latencies::default(), 0);
        for _ in 0..rounds {
            let sent = Instant::now();
            caller.get(&format!("/v1/browser{query}")).await?;
            let (status, body) = bounded(caller.answer()).await?;
            latencies.push(sent.elapsed());
            ensure!(status == 200, "status {status}");
            bytes = body.len();
        }
        let cpu_ms = (cpu.read(service.pid()) - before) / rounds as f64 / 1e6;
        Ok::<_, anyhow::Error>((latencies.percentile_ms(50.0), latencies.percentile_ms(100.0), cpu_ms, bytes))
    };
    let (usual, slowest, usual_cpu, bytes) = look("").await?;
    let (whole, _, whole_cpu, whole_bytes) = look("?limit=10000").await?;
    let (one, ..) = look("?client_id=past-1&limit=10").await?;
    drop(peers);
    service.stop()?;
    Ok(vec![
        Sample::new("state p50", "ms", usual, Bound::AtMost(150.0)),
        Sample::new("state max", "ms", slowest, Bound::None),
        Sample::new("state cpu", "ms", usual_cpu, Bound::AtMost(150.0)),
        Sample::new("state size", "MB", bytes as f64 / 1e6, Bound::None),
        Sample::new("with all 10000 records p50", "ms", whole, Bound::None),
        Sample::new("with all 10000 records cpu", "ms", whole_cpu, Bound::None),
        Sample::new("with all 10000 records size", "MB", whole_bytes as f64 / 1e6, Bound::None),
        Sample::new("one client's records p50", "ms", one, Bound::None),
    ])
}
