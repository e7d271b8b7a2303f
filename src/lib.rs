//! A local service between programs and the web apps that are open in the user's Firefox. `docs/architecture.md` describes
//! the modules.

pub mod actor_registry;
pub mod api;
pub mod app;
pub mod bridge;
pub mod cli;
pub mod clock;
pub mod codex;
pub mod config;
pub mod events;
pub mod extension;
pub mod failpoints;
pub mod heap;
pub mod host;
pub mod http;
pub mod ids;
pub mod instructions;
pub mod mode;
pub mod platforms;
pub mod policy;
pub mod records;
pub mod relay;
pub mod runs;
pub mod secret;
pub mod simulator;
pub mod sse;
pub mod state_folder;
pub mod store;
pub mod system;
pub mod tcp_abort;
pub mod telemetry;
pub mod terminal_text;
pub mod trusted;
pub mod watchdog;
pub mod wire;

#[cfg(test)]
mod structure;
#[cfg(test)]
mod testing;

/// The version of the daemon.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from; `unknown` without a git repository.
pub const GIT_COMMIT: &str = env!("BAA_GIT_COMMIT");
