//! Buffered requests: at maximum throughput, at a fixed rate, and with a large body.

use super::{Env, LARGE_BYTES, SMALL_BYTES, Stage, all};
use crate::{
    body::Body,
    callers::{self, Caller},
    clockwork::PeriodicTimer,
    daemon::Side,
    measure::{Cpu, Latencies},
    report::{Bound, Sample},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::spawn_local};

pub(crate) const CALLERS: usize = 64;
pub(crate) const PEERS: usize = 8;
const LARGE_CALLERS: usize = 16;
const LARGE_PEERS: usize = 4;
/// Time limit of a run, for slow machines.
const RUN_MAX: Duration = Duration::from_secs(15);
const PACED_PERIOD: Duration = Duration::from_micros(500);

/// The parameters of a load.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) tag: &'static str,
    pub(crate) callers: usize,
    pub(crate) peers: usize,
    pub(crate) requests: usize,
    pub(crate) body: Body,
}

/// The results of a load.
pub(crate) struct LoadResult {
    pub(crate) requests: usize,
    pub(crate) wall: Duration,
    /// CPU nanoseconds of the service.
    pub(crate) cpu_ns: f64,
    pub(crate) latencies: Latencies,
}

impl LoadResult {
    pub(crate) fn cpu_us_each(&self) -> f64 {
        self.cpu_ns / 1_000.0 / self.requests as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }
}

/// Callers that send the next request as soon as a response arrives.
pub(crate) async fn closed_loop(address: SocketAddr, pid: u32, load: Load) -> anyhow::Result<LoadResult> {
    let mut open = Vec::with_capacity(load.callers);
    for _ in 0..load.callers {
        open.push(Caller::connect(address).await?);
    }
    let (load, asked, mut cpu) = (Rc::new(load), Rc::new(Cell::new(0)), Cpu::default());
    let (cpu_before, start) = (cpu.read(pid), Instant::now());
    let tasks = open.into_iter().map(|mut caller| {
        let (load, asked) = (Rc::clone(&load), Rc::clone(&asked));
        spawn_local(async move {
            let (mut latencies, path) = (Latencies::default(), format!("/b/{}", load.body.bytes()));
            while asked.get() < load.requests && start.elapsed() < RUN_MAX {
                let number: usize = asked.replace(asked.get() + 1);
                let id = format!("{}-{number}", load.tag);
                let sent = Instant::now();
                callers::buffered(&mut caller, &id, number % load.peers, &path, &load.body).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        })
    });
    let parts = all(tasks.collect()).await?;
    let (wall, cpu_ns) = (start.elapsed(), cpu.read(pid) - cpu_before);
    let mut latencies = Latencies::default();
    parts.into_iter().for_each(|part| latencies.join(part));
    Ok(LoadResult { requests: asked.get(), wall, cpu_ns, latencies })
}

pub(crate) async fn buffered(env: &Env, side: Side, journal: bool) -> anyhow::Result<Vec<Sample>> {
    let stage = Stage::set(env, side, PEERS, journal).await?;
    let load = |tag, requests| Load { tag, callers: CALLERS, peers: PEERS, requests, body: env.small.clone() };
    closed_loop(stage.service.address, stage.service.pid(), load("warm", env.count(5_000, 64))).await?;
    let mut done =
        closed_loop(stage.service.address, stage.service.pid(), load("run", env.count(100_000, 500))).await?;
    stage.strike()?;
    let (cpu, rate, p99) = match journal {
        true => (Bound::AtMostTimes(2.3), Bound::AtLeastTimes(0.45), Bound::AtMost(8.0)),
        false => (Bound::AtMostTimes(1.9), Bound::None, Bound::AtMostTimes(2.5)),
    };
    Ok(vec![
        Sample::new("cpu per request", "us", done.cpu_us_each(), cpu),
        Sample::new("requests", "/s", done.per_second(), rate),
        Sample::new("latency p50", "ms", done.latencies.percentile_ms(50.0), Bound::None),
        Sample::new("latency p99", "ms", done.latencies.percentile_ms(99.0), p99),
        Sample::new("latency p99.9", "ms", done.latencies.percentile_ms(99.9), Bound::None),
    ])
}

pub(crate) async fn large(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let stage = Stage::set(env, side, LARGE_PEERS, true).await?;
    let load =
        |tag, requests| Load { tag, callers: LARGE_CALLERS, peers: LARGE_PEERS, requests, body: env.large.clone() };
    closed_loop(stage.service.address, stage.service.pid(), load("warm", env.count(200, 8))).await?;
    let mut done = closed_loop(stage.service.address, stage.service.pid(), load("run", env.count(4_000, 20))).await?;
    stage.strike()?;
    let megabytes = done.per_second() * LARGE_BYTES as f64 / 1e6;
    Ok(vec![
        Sample::new("cpu per request", "us", done.cpu_us_each(), Bound::AtMostTimes(1.3)),
        Sample::new("bodies", "MB/s", megabytes, Bound::None),
        Sample::new("latency p50", "ms", done.latencies.percentile_ms(50.0), Bound::None),
        Sample::new("latency p99", "ms", done.latencies.percentile_ms(99.0), Bound::None),
    ])
}

/// Requests at a fixed rate; latencies are measured from the scheduled time, not from the time of sending.
pub(crate) async fn paced(env: &Env, side: Side) -> anyhow::Result<Vec<Sample>> {
    let stage = Stage::set(env, side, PEERS, true).await?;
    let (address, pid) = (stage.service.address, stage.service.pid());
    let warm =
        Load { tag: "warm", callers: CALLERS, peers: PEERS, requests: env.count(2_000, 64), body: env.small.clone() };
    closed_loop(address, pid, warm).await?;
    let (due, work, over) = (Rc::new(RefCell::new(VecDeque::new())), Rc::new(Notify::new()), Rc::new(Cell::new(false)));
    let mut tasks = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        let mut caller = Caller::connect(address).await?;
        let (due, work, over, body) = (Rc::clone(&due), Rc::clone(&work), Rc::clone(&over), env.small.clone());
        tasks.push(spawn_local(async move {
            let (mut latencies, path) = (Latencies::default(), format!("/b/{SMALL_BYTES}"));
            loop {
                let next: Option<(usize, Instant)> = due.borrow_mut().pop_front();
                match next {
                    Some((number, at)) => {
                        callers::buffered(&mut caller, &format!("paced-{number}"), number % PEERS, &path, &body)
                            .await?;
                        latencies.push(at.elapsed());
                    }
                    None if over.get() => return anyhow::Ok(latencies),
                    None => work.notified().await,
                }
            }
        }));
    }
    let (mut cpu, mut clockwork, total, mut made) =
        (Cpu::default(), PeriodicTimer::new(PACED_PERIOD)?, env.count(12_000, 200), 0);
    let cpu_before = cpu.read(pid);
    while made < total {
        for at in clockwork.beats().await?.into_iter().take(total - made) {
            due.borrow_mut().push_back((made, at));
            made += 1;
            work.notify_one();
        }
    }
    over.set(true);
    // Busy callers look again by themselves, and one stored permit would not wake all others.
    let (mut latencies, waker) = (Latencies::default(), Rc::clone(&work));
    let ending = spawn_local(async move {
        loop {
            waker.notify_waiters();
            tokio::task::yield_now().await;
        }
    });
    let parts = all(tasks).await;
    ending.abort();
    parts?.into_iter().for_each(|part| latencies.join(part));
    let cpu_us = (cpu.read(pid) - cpu_before) / 1_000.0 / total as f64;
    stage.strike()?;
    Ok(vec![
        Sample::new("latency p50", "ms", latencies.percentile_ms(50.0), Bound::AtMostTimes(1.7)),
        Sample::new("latency p99", "ms", latencies.percentile_ms(99.0), Bound::AtMostTimes(2.0)),
        Sample::new("latency p99.9", "ms", latencies.percentile_ms(99.9), Bound::AtMost(2.0)),
        Sample::new("cpu per request", "us", cpu_us, Bound::None),
    ])
}
