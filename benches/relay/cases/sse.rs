//! Event streams: 64 at once, at maximum speed and at a fixed pace.

use super::{Env, Stage, all, load::PEERS};
use crate::{
    callers::Caller,
    daemon::Side,
    measure::{Cpu, Latencies},
    report::{Bound, Sample},
    streams::{ExpectedStream, streamed},
};
use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{sync::Barrier, task::spawn_local};

const STREAMS: usize = 64;
const EVENTS: u64 = 200;
const EVENT_BYTES: usize = 200;
const PAUSE_MS: u64 = 10;

struct WaveResult {
    events: u64,
    wall: Duration,
    cpu_ns: f64,
    first: Latencies,
    delays: Latencies,
}

#[derive(Clone, Copy)]
struct WavePlan {
    tag: &'static str,
    waves: usize,
    events: u64,
    pause_ms: u64,
    epoch: Instant,
}

/// Waves of 64 streams; each starts when the previous one has ended.
async fn waves(address: SocketAddr, pid: u32, plan: WavePlan) -> anyhow::Result<WaveResult> {
    let (barrier, mut tasks) = (Rc::new(Barrier::new(STREAMS)), Vec::with_capacity(STREAMS));
    let (mut cpu, mut callers) = (Cpu::default(), Vec::with_capacity(STREAMS));
    for _ in 0..STREAMS {
        callers.push(Caller::connect(address).await?);
    }
    let (cpu_before, start) = (cpu.read(pid), Instant::now());
    for (number, mut caller) in callers.into_iter().enumerate() {
        let barrier = Rc::clone(&barrier);
        tasks.push(spawn_local(async move {
            let (mut first, mut delays) = (Latencies::default(), Latencies::default());
            let path = format!("/s/{}/{EVENT_BYTES}/{}", plan.events, plan.pause_ms);
            for wave in 0..plan.waves {
                barrier.wait().await;
                if plan.pause_ms > 0 {
                    // Staggers the streams, which would otherwise be synchronized.
                    tokio::time::sleep(Duration::from_micros(1_000 * plan.pause_ms * number as u64 / STREAMS as u64))
                        .await;
                }
                let id = format!("{}-{wave}-{number}", plan.tag);
                let (client, events, epoch) = (number % PEERS, plan.events, plan.epoch);
                let wanted =
                    ExpectedStream { id: &id, client, path: &path, events, bytes: EVENT_BYTES, epoch, in_step: None };
                let seen = streamed(&mut caller, &wanted).await?;
                first.push(seen.first.unwrap_or(Duration::MAX));
                delays.join(seen.delays);
            }
            anyhow::Ok((first, delays))
        }));
    }
    let parts = all(tasks).await?;
    let (wall, cpu_ns) = (start.elapsed(), cpu.read(pid) - cpu_before);
    let events = plan.events * (STREAMS * plan.waves) as u64;
    let mut done = WaveResult { events, wall, cpu_ns, first: Latencies::default(), delays: Latencies::default() };
    for (first, delays) in parts {
        done.first.join(first);
        done.delays.join(delays);
    }
    Ok(done)
}

pub(crate) async fn unpaced(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let stage = Stage::set(env, side, PEERS, true).await?;
    let events = if env.quick { 20 } else { EVENTS };
    let plan = |tag, waves| WavePlan { tag, waves, events, pause_ms: 0, epoch: stage.book.epoch() };
    waves(stage.service.address, stage.service.pid(), plan("warm", env.count(3, 1))).await?;
    let mut done = waves(stage.service.address, stage.service.pid(), plan("run", env.count(40, 1))).await?;
    stage.strike()?;
    Ok(vec![
        Sample::new("cpu per event", "us", done.cpu_ns / 1_000.0 / done.events as f64, Bound::AtMostTimes(1.8)),
        Sample::new("events", "/s", done.events as f64 / done.wall.as_secs_f64(), Bound::AtLeastTimes(0.9)),
        Sample::new("first event p50", "ms", done.first.percentile_ms(50.0), Bound::AtMost(10.0)),
        Sample::new("event p99", "ms", done.delays.percentile_ms(99.0), Bound::None),
    ])
}

pub(crate) async fn paced(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let stage = Stage::set(env, side, PEERS, true).await?;
    let events = if env.quick { 5 } else { EVENTS };
    let plan = |tag, waves, events| WavePlan { tag, waves, events, pause_ms: PAUSE_MS, epoch: stage.book.epoch() };
    waves(stage.service.address, stage.service.pid(), plan("warm", 1, events.min(20))).await?;
    let mut done = waves(stage.service.address, stage.service.pid(), plan("run", env.count(2, 1), events)).await?;
    stage.strike()?;
    Ok(vec![
        Sample::new("first event p50", "ms", done.first.percentile_ms(50.0), Bound::AtMostTimes(1.2)),
        Sample::new("event p50", "ms", done.delays.percentile_ms(50.0), Bound::None),
        Sample::new("event p99", "ms", done.delays.percentile_ms(99.0), Bound::AtMostTimes(1.8)),
        Sample::new("cpu per event", "us", done.cpu_ns / 1_000.0 / done.events as f64, Bound::None),
    ])
}
