//! Measurements: exact percentiles, and the CPU time and memory of another process.

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{collections::HashMap, fs, time::Duration};

/// All latencies of a run, for exact percentiles.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    nanos: Vec<u64>,
}

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.nanos.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn join(&mut self, mut other: Latencies) {
        self.nanos.append(&mut other.nanos);
    }

    /// Returns a percentile in milliseconds (nearest rank); NaN without latencies.
    pub(crate) fn percentile_ms(&mut self, percent: f64) -> f64 {
        if self.nanos.is_empty() {
            return f64::NAN;
        }
        self.nanos.sort_unstable();
        let rank = (percent / 100.0 * self.nanos.len() as f64).ceil() as usize;
        self.nanos[rank.clamp(1, self.nanos.len()) - 1] as f64 / 1e6
    }
}

/// CPU time of a process, thread by thread from `schedstat` in nanoseconds, so that short runs are exact.
///
/// The time of an ended thread is kept. Without `schedstat` in the kernel, the ticks of `stat` are used.
#[derive(Debug, Default)]
pub(crate) struct Cpu {
    threads: HashMap<String, u64>,
}

impl Cpu {
    /// CPU nanoseconds used so far.
    pub(crate) fn read(&mut self, pid: u32) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let ran = schedstat.split(' ').next().and_then(|ran| ran.parse().ok()).unwrap_or(0);
            self.threads.insert(task.file_name().to_string_lossy().into_owned(), ran);
        }
        let precise = self.threads.values().sum::<u64>() as f64;
        if precise > 0.0 { precise } else { ticks(pid).unwrap_or(f64::NAN) }
    }
}

/// User and system time from `stat`, in hundredths of a second on every Linux.
fn ticks(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) * 1e7)
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident memory.
    pub(crate) resident: f64,
    /// Peak of the resident memory.
    pub(crate) peak: f64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
            kib.map_or(f64::NAN, |kib| kib * 1024.0)
        };
        Memory { resident: field("VmRSS:"), peak: field("VmHWM:") }
    }
}

/// Raises the limit of open files as far as the system allows; children inherit it.
pub(crate) fn raise_open_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("cannot raise the limit of open files")
}

/// Returns the median; NaN without values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
