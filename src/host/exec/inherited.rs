//! Descriptors that the daemon was started with, by a shell or a service manager, and that none of its commands may have:
//! what is behind them lies outside of every sandbox.

use std::fs;

/// Closes all descriptors but the three usual ones. To be called before this process has opened any itself.
pub(super) fn close() {
    // The one that they are read from is closed before any of them is, by its owner.
    let numbers: Vec<i32> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        let _ = nix::unistd::close(number);
    }
}
