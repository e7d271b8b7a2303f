//! Samples of the daemon from outside: memory, descriptors, threads and the latency of a probe.

use crate::support::{Caller, Connection, Daemon, actors};
use std::{
    collections::BTreeMap,
    fmt, fs,
    time::{Duration, Instant},
};

/// After this time memory should no longer grow.
const SETTLED_AFTER: Duration = Duration::from_secs(600);
/// Pause between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(50);

struct Sample {
    at: Duration,
    /// Average since the last sample; momentary values vary by a third.
    resident_bytes: f64,
}

/// All samples of a run.
pub(crate) struct Samples<'a> {
    daemon: &'a Daemon,
    began: Instant,
    /// The state before the load.
    descriptors: Descriptors,
    threads: usize,
    samples: Vec<Sample>,
    resident_bytes_max: u64,
    slowest: Duration,
}

/// The daemon's descriptors, counted by kind.
#[derive(Clone, Debug)]
struct Descriptors(BTreeMap<String, usize>);

impl Descriptors {
    fn of(daemon: &Daemon) -> Self {
        let mut kinds = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", daemon.pid())).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(entry.path()) else { continue }; // it is closed by now
            let target = target.to_string_lossy().into_owned();
            // `socket:[4711]` has the kind `socket:`; each file is a kind of its own.
            let kind = if target.starts_with('/') { target.as_str() } else { target.split('[').next().unwrap_or("?") };
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
        Descriptors(kinds)
    }

    fn count(&self) -> usize {
        self.0.values().sum()
    }

    /// Returns the kinds that have grown, without the store's files, which its readers open once and keep.
    fn more_than(&self, before: &Descriptors) -> Vec<(&str, usize)> {
        let had = |kind: &str| before.0.get(kind).copied().unwrap_or(0);
        let is_store = |kind: &str| [".db", ".db-wal", ".db-shm"].iter().any(|end| kind.ends_with(end));
        let more = |(kind, n): (&'_ String, &usize)| !is_store(kind) && *n > had(kind);
        self.0.iter().filter(|&each| more(each)).map(|(kind, n)| (kind.as_str(), n - had(kind))).collect()
    }
}

/// What is left over after the load.
#[derive(Clone, Debug)]
pub(crate) struct Leftovers {
    descriptors: (Descriptors, Descriptors),
    threads: (usize, usize),
    /// Dynamic actors by kind; none should be left without clients and callers.
    actors: BTreeMap<String, u64>,
}

/// Threads that may stay for a while: the blocking pool.
const KEPT_THREADS: usize = 8;

impl Leftovers {
    pub(crate) fn is_nothing(&self) -> bool {
        let (before, after) = &self.descriptors;
        let is_gone = |count: &u64| *count == 0;
        let actors = !self.actors.is_empty() && self.actors.values().all(is_gone);
        after.more_than(before).is_empty() && self.threads.1 <= self.threads.0 + KEPT_THREADS && actors
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((before, after), threads) = (&self.descriptors, self.threads);
        write!(f, "descriptors {} before, {} after", before.count(), after.count())?;
        match after.more_than(before)[..] {
            [] => f.write_str(", more of the store's files alone; ")?,
            ref more => write!(f, ", more of {more:?}; ")?,
        }
        write!(f, "threads {} before, {} after; actors {:?}", threads.0, threads.1, self.actors)
    }
}

/// Counts the entries of one of the daemon's folders in `/proc`.
fn count(daemon: &Daemon, what: &str) -> usize {
    fs::read_dir(format!("/proc/{}/{what}", daemon.pid())).map_or(0, Iterator::count)
}

impl<'a> Samples<'a> {
    pub(crate) fn new(daemon: &'a Daemon) -> Self {
        let (descriptors, threads) = (Descriptors::of(daemon), count(daemon, "task"));
        Samples {
            daemon,
            began: Instant::now(),
            descriptors,
            threads,
            samples: Vec::new(),
            resident_bytes_max: 0,
            slowest: Duration::ZERO,
        }
    }

    /// Takes samples for this long and prints a line for each.
    pub(crate) async fn take(&mut self, time: Duration, every: Duration) {
        println!("{:>8} {:>10} {:>6} {:>8} {:>10} {:>10}", "minute", "RSS MB", "files", "threads", "p50 ms", "p99 ms");
        let caller = self.daemon.caller();
        while self.began.elapsed() < time {
            let (mut latencies, sizes) = self.probe(&caller, every).await;
            latencies.sort_unstable();
            let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
            self.slowest = self.slowest.max(at(0.99));
            let resident_bytes = sizes.iter().sum::<u64>() as f64 / sizes.len() as f64;
            let sample = Sample { at: self.began.elapsed(), resident_bytes };
            self.resident_bytes_max = sizes.into_iter().fold(self.resident_bytes_max, u64::max);
            println!(
                "{:>8.1} {:>10.2} {:>6} {:>8} {:>10.2} {:>10.2}",
                sample.at.as_secs_f64() / 60.0,
                sample.resident_bytes / 1e6,
                count(self.daemon, "fd"),
                count(self.daemon, "task"),
                at(0.5).as_secs_f64() * 1e3,
                at(0.99).as_secs_f64() * 1e3,
            );
            self.samples.push(sample);
        }
    }

    pub(crate) async fn left(&self) -> Leftovers {
        // Counted before the call below, whose connection would be included.
        let descriptors = (self.descriptors.clone(), Descriptors::of(self.daemon));
        let threads = (self.threads, count(self.daemon, "task"));
        Leftovers { descriptors, threads, actors: actors(&self.daemon.caller()).await }
    }

    /// Describes the memory in one line.
    pub(crate) fn verdict(&self) -> String {
        let all = &self.samples;
        let settled: Vec<&Sample> = all.iter().filter(|sample| sample.at >= SETTLED_AFTER).collect();
        let slope = match settled.len() {
            0 | 1 => "too short for a slope".to_owned(),
            _ => format!("{:+.2} MB/h from minute 10 on", slope(&settled) / 1e6),
        };
        let (most, slowest) = (self.resident_bytes_max as f64 / 1e6, self.slowest);
        format!("memory: {slope}, {most:.1} MB at most; slowest p99 of a probe: {slowest:?}")
    }

    /// Probes the health route on one connection for this long, and reads the memory each time.
    async fn probe(&self, caller: &Caller, time: Duration) -> (Vec<Duration>, Vec<u64>) {
        let until = Instant::now() + time;
        let (mut latencies, mut sizes) = (Vec::new(), Vec::new());
        let mut connection: Connection = caller.open().await;
        while Instant::now() < until || latencies.is_empty() {
            let began = Instant::now();
            connection.write(&caller.head("GET", "/health", None)).await;
            assert_eq!(connection.answer(false).await.status, 200);
            latencies.push(began.elapsed());
            sizes.push(self.daemon.resident_bytes());
            tokio::time::sleep(PROBE_EVERY).await;
        }
        (latencies, sizes)
    }
}

/// Bytes per hour, by least squares.
fn slope(samples: &[&Sample]) -> f64 {
    let n = samples.len() as f64;
    let hours = |sample: &Sample| sample.at.as_secs_f64() / 3_600.0;
    let mean_x = samples.iter().map(|sample| hours(sample)).sum::<f64>() / n;
    let mean_y = samples.iter().map(|sample| sample.resident_bytes).sum::<f64>() / n;
    let of = |f: &dyn Fn(&Sample) -> f64| samples.iter().map(|sample| f(sample)).sum::<f64>();
    let over = of(&|sample| (hours(sample) - mean_x) * (sample.resident_bytes - mean_y));
    over / of(&|sample| (hours(sample) - mean_x).powi(2))
}
