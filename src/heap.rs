//! Returns unused memory to the system after a burst.
//!
//! The allocator of glibc keeps freed memory below memory that is still in use, so that after a thousand simultaneous callers
//! the process would keep its maximum size. So it trims when the process has grown, and less often while trimming
//! frees nothing.
//!
//! It also creates up to eight arenas per core, each with free memory that other threads cannot use. The daemon has one worker
//! and a few threads that mostly wait, so they share one arena.

use std::time::Duration;
use tokio::time::Instant;

/// Minimum growth that causes a trim, and minimum of freed bytes of a successful one.
const GROWTH_MIN_BYTES: u64 = 1 << 20;
/// Maximum of checks that are skipped after trims that freed nothing.
const SKIPPED_CHECKS_MAX: u32 = 12;

/// Decides when to trim. A pure value.
#[derive(Debug)]
struct TrimSchedule {
    /// Smallest size of the process, in bytes.
    baseline: u64,
    /// Checks that are still skipped.
    skips: u32,
    /// Number of checks to skip after the next trim that frees nothing.
    next_skips: u32,
}

impl TrimSchedule {
    fn new(resident: u64) -> Self {
        TrimSchedule { baseline: resident, skips: 0, next_skips: 1 }
    }

    /// Returns whether to trim now. `resident`: current size of the process.
    fn should_trim(&mut self, resident: u64) -> bool {
        self.baseline = self.baseline.min(resident);
        if resident <= self.baseline + GROWTH_MIN_BYTES {
            (self.skips, self.next_skips) = (0, 1);
            return false;
        }
        if self.skips > 0 {
            self.skips -= 1;
            return false;
        }
        true
    }

    /// Records the sizes before and after a trim.
    fn record_trim(&mut self, before: u64, after: u64) {
        self.baseline = self.baseline.min(after);
        if before.saturating_sub(after) >= GROWTH_MIN_BYTES {
            (self.skips, self.next_skips) = (0, 1);
        } else {
            self.skips = self.next_skips;
            self.next_skips = (self.next_skips * 2).min(SKIPPED_CHECKS_MAX);
        }
    }
}

/// Lets all threads share one arena. Must be called before other threads start, which keep the arena they have.
pub fn use_single_arena() {
    if !set_single_arena() {
        tracing::warn!("the allocator cannot be limited to one arena: the process will need somewhat more memory");
    }
}

/// Checks at this interval whether to trim, while the system of this thread runs. Does nothing with other allocators.
pub fn trim_periodically(every: Duration) {
    let Some(resident) = resident_bytes() else { return };
    let mut schedule = TrimSchedule::new(resident);
    actix_rt::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let Some(before) = resident_bytes().filter(|&resident| schedule.should_trim(resident)) else { continue };
            // A trim blocks allocations for milliseconds, so it runs on a blocking thread.
            let timed = || {
                let began = Instant::now();
                trim();
                began.elapsed()
            };
            let Ok(took) = tokio::task::spawn_blocking(timed).await else { return };
            let after = resident_bytes().unwrap_or(before);
            tracing::debug!(before, after, ?took, "returned unused memory to the system");
            schedule.record_trim(before, after);
        }
    });
}

/// Returns the resident memory of the process, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1 << 10)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn resident_bytes() -> Option<u64> {
    None
}

/// Returns whether the allocator accepted the limit, or needs none.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "there is no safe interface to the allocator; docs/decisions/034-memory-of-bursts.md")]
fn set_single_arena() -> bool {
    // SAFETY: takes and returns numbers only. glibc changes the limit under the lock of its main arena.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) == 1 }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set_single_arena() -> bool {
    true
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "there is no safe interface to the allocator; docs/decisions/034-memory-of-bursts.md")]
fn trim() {
    // SAFETY: takes and returns a number only; any thread may call it at any time (malloc_trim(3): MT-Safe).
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn growth_causes_a_trim_and_small_growth_does_not() {
        let mut schedule = TrimSchedule::new(20 * MIB);
        assert!(!schedule.should_trim(21 * MIB));
        assert!(schedule.should_trim(90 * MIB));
        schedule.record_trim(90 * MIB, 21 * MIB);
        assert!(!schedule.should_trim(21 * MIB));
        assert!(schedule.should_trim(60 * MIB), "the next burst too");
    }

    #[test]
    fn trims_that_free_nothing_are_repeated_less_often() {
        let mut schedule = TrimSchedule::new(20 * MIB);
        let mut checks = Vec::new();
        for round in 0..60 {
            if schedule.should_trim(100 * MIB) {
                checks.push(round);
                schedule.record_trim(100 * MIB, 100 * MIB);
            }
        }
        assert_eq!(checks, [0, 2, 5, 10, 19, 32, 45, 58]);
        // The memory is free now; the next trim finds it.
        let next = (0..).find(|_| schedule.should_trim(100 * MIB)).unwrap();
        assert!(next <= SKIPPED_CHECKS_MAX);
        schedule.record_trim(100 * MIB, 21 * MIB);
        assert!(!schedule.should_trim(21 * MIB));
        assert!(schedule.should_trim(50 * MIB), "no check is skipped after a successful trim");
    }

    #[test]
    fn growth_is_measured_from_the_smallest_size() {
        let mut schedule = TrimSchedule::new(50 * MIB);
        assert!(!schedule.should_trim(10 * MIB));
        assert!(schedule.should_trim(20 * MIB));
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn pages_below_used_memory_are_returned() {
        // Too small to be mapped separately. The last one keeps the others below the top of the heap.
        let mut pieces: Vec<Vec<u8>> = (0..32_768).map(|_| vec![1; 4_000]).collect();
        let last = pieces.pop();
        drop(pieces);
        let before = resident_bytes().unwrap();
        trim();
        let after = resident_bytes().unwrap();
        assert!(before - after > 64 * MIB, "{before} bytes became {after}");
        drop(last);
    }
}
