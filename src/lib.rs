//! The map of `baa-conductor`: every module in one line. `docs/architecture.md` has the whole picture.

/// The sockets of the Firefox extensions and what is known about each client.
pub mod bridge;
/// The command line, one file per subcommand.
pub mod cli;
/// Wall time, given to whoever needs it.
pub mod clock;
/// The configuration: joins the sections, loads them in layers, explains them.
pub mod config;
/// Who may call and what is answered.
pub mod http;
/// Names of things as types of their own.
pub mod ids;
/// The registered web apps.
pub mod platforms;
/// Who may send what to a platform, and when.
pub mod policy;
/// A text that is never shown.
pub mod secret;
/// The daemon's folder on disk: lock, token, where a running daemon is found.
pub mod state_folder;
/// The database.
pub mod store;
/// Logging.
pub mod telemetry;

#[cfg(test)]
mod testing;
