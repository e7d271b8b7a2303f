//! Gives memory back to the system that a burst has left behind.
//!
//! The allocator of glibc keeps what was freed below something that is still in use, so that after a thousand callers at
//! once the process would stay as large as it ever was. It is asked to look for such pages when the process is larger than
//! it has been, and asked less often while that finds nothing because what is there is in use.
//!
//! It also makes a heap for each thread, up to eight a core, and each keeps free pieces that no other may use. Here is one
//! worker and a few threads that mostly wait: they share one.

use std::time::Duration;
use tokio::time::Instant;

/// Growth that is not worth looking at, and the least that makes a look worth its while.
const GROWTH_MIN_BYTES: u64 = 1 << 20;
/// Most looks that are left out after some that found nothing.
const SKIPPED_CHECKS_MAX: u32 = 12;

/// When to look. Pure.
#[derive(Debug)]
struct TrimSchedule {
    /// The smallest that the process has been, in bytes.
    baseline: u64,
    /// Looks to leave out.
    skips: u32,
    /// How many are left out after the next one that finds nothing.
    next_skips: u32,
}

impl TrimSchedule {
    fn new(resident: u64) -> Self {
        TrimSchedule { baseline: resident, skips: 0, next_skips: 1 }
    }

    /// Whether it is time to look, the process being of this size.
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

    /// Notes what a look has brought.
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

/// Has all threads share one heap. Called before there are more threads than this one, since what they have they keep.
pub fn use_single_arena() {
    if !set_single_arena() {
        tracing::warn!("the allocator keeps a heap for each thread: the process will be somewhat larger");
    }
}

/// Looks every so often for as long as the system of this thread runs; never where nothing is known about the allocator.
pub fn trim_periodically(every: Duration) {
    let Some(resident) = resident_bytes() else { return };
    let mut schedule = TrimSchedule::new(resident);
    actix_rt::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let Some(before) = resident_bytes().filter(|&resident| schedule.should_trim(resident)) else { continue };
            // It holds up whoever allocates meanwhile, for milliseconds, and so must not hold up whoever does not.
            let timed = || {
                let began = Instant::now();
                trim();
                began.elapsed()
            };
            let Ok(took) = tokio::task::spawn_blocking(timed).await else { return };
            let after = resident_bytes().unwrap_or(before);
            tracing::debug!(before, after, ?took, "unused memory was given back");
            schedule.record_trim(before, after);
        }
    });
}

/// The process's memory that is in RAM.
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

/// Whether the allocator agrees, or has nothing to be told.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "nothing safe says this to the allocator; docs/decisions/034-memory-of-bursts.md")]
fn set_single_arena() -> bool {
    // SAFETY: two numbers go in, one comes out. glibc changes the limit under the lock of its main heap.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) == 1 }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set_single_arena() -> bool {
    true
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "nothing safe says this to the allocator; docs/decisions/034-memory-of-bursts.md")]
fn trim() {
    // SAFETY: a number goes in, a number comes out, and every thread may call it at any time (malloc_trim(3): MT-Safe).
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_burst_is_given_back_and_small_growth_left_alone() {
        let mut schedule = TrimSchedule::new(20 * MIB);
        assert!(!schedule.should_trim(21 * MIB));
        assert!(schedule.should_trim(90 * MIB));
        schedule.record_trim(90 * MIB, 21 * MIB);
        assert!(!schedule.should_trim(21 * MIB));
        assert!(schedule.should_trim(60 * MIB), "the next one too");
    }

    #[test]
    fn what_is_in_use_is_looked_at_less_and_less_often_and_again_when_it_is_free() {
        let mut schedule = TrimSchedule::new(20 * MIB);
        let mut checks = Vec::new();
        for round in 0..60 {
            if schedule.should_trim(100 * MIB) {
                checks.push(round);
                schedule.record_trim(100 * MIB, 100 * MIB);
            }
        }
        assert_eq!(checks, [0, 2, 5, 10, 19, 32, 45, 58]);
        // It is free now, and found so by the next look.
        let next = (0..).find(|_| schedule.should_trim(100 * MIB)).unwrap();
        assert!(next <= SKIPPED_CHECKS_MAX);
        schedule.record_trim(100 * MIB, 21 * MIB);
        assert!(!schedule.should_trim(21 * MIB));
        assert!(schedule.should_trim(50 * MIB), "nothing is left out after one that found something");
    }

    #[test]
    fn the_smallest_that_it_ever_was_is_what_counts() {
        let mut schedule = TrimSchedule::new(50 * MIB);
        assert!(!schedule.should_trim(10 * MIB));
        assert!(schedule.should_trim(20 * MIB));
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn pages_below_what_is_in_use_are_given_back() {
        // Too small to be mapped alone; the last one keeps the rest from being the top of the heap.
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
