//! Length of a target's back-off after failures. Pure.

use super::settings::Backoff;

/// Returns the milliseconds of back-off after `failures` consecutive failures: doubled with each up to a bound, or what
/// the upstream asked for where that is longer.
pub(super) fn backoff_ms(failures: u32, limits: &Backoff, retry_after_ms: Option<u64>) -> u64 {
    debug_assert!(failures > 0, "a back-off needs at least one failure");
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    let own = limits.base_ms.saturating_mul(doubled).min(limits.max_ms);
    own.max(retry_after_ms.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge() {
        let limits = Backoff { base_ms: 1_000, max_ms: 60_000 };
        for (failures, retry_after, rest) in [
            (1, None, 1_000),
            (2, None, 2_000),
            (6, None, 32_000),
            (7, None, 60_000),
            (64, None, 60_000),
            (65, None, 60_000),
            (u32::MAX, None, 60_000),
            (1, Some(0), 1_000),
            (1, Some(999), 1_000),
            (1, Some(7_000), 7_000),
            (7, Some(90_000), 90_000),
            (1, Some(u64::MAX), u64::MAX),
        ] {
            assert_eq!(backoff_ms(failures, &limits, retry_after), rest, "{failures} failures, {retry_after:?}");
        }
    }
}
