//! The map of `baa-conductor`: every module in one line. `docs/architecture.md` has the whole picture.

pub mod bridge;
pub mod clock;
pub mod config;
pub mod ids;
pub mod mode;
pub mod platforms;
pub mod policy;
pub mod roster;
pub mod secret;
pub mod store;
pub mod wire;

#[cfg(test)]
mod testing;

/// The version of the daemon.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
