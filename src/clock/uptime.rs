//! The time since the machine started. It includes sleep and cannot be set.

/// The time since the machine started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uptime {
    /// Identifies the boot; times of different boots are not comparable.
    pub boot_id: std::sync::Arc<str>,
    /// Milliseconds since the boot, with sleep.
    pub ms: i64,
}

/// Returns the current uptime; `None` where the system does not report it.
#[cfg(target_os = "linux")]
pub fn uptime() -> Option<Uptime> {
    use std::sync::{Arc, OnceLock};

    static BOOT: OnceLock<Option<Arc<str>>> = OnceLock::new();
    let read = || {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().into()).filter(|id: &Arc<str>| !id.is_empty())
    };
    let boot_id = Arc::clone(BOOT.get_or_init(read).as_ref()?);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(Uptime { boot_id, ms: now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000) })
}

/// Returns the current uptime; `None` where the system does not report it.
#[cfg(not(target_os = "linux"))]
pub fn uptime() -> Option<Uptime> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_uptime_grows_within_one_boot() {
        let (first, second) = (uptime().unwrap(), uptime().unwrap());
        assert_eq!(first.boot_id, second.boot_id);
        assert!(first.ms > 0 && second.ms >= first.ms);
    }
}
