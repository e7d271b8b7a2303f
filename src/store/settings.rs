//! What can be set about the store.

use std::path::PathBuf;

/// The section `store` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where the database lies; without it, `conductor.db` in the state folder.
    pub path: Option<PathBuf>,
    /// How many connections only read.
    pub readers: usize,
    /// How long an operation waits for another process that holds the database.
    pub busy_timeout_ms: u64,
    /// After how many days old rows leave.
    pub retention_days: u64,
    /// How long a row that nobody waits for may wait for company before it is written.
    pub write_behind_ms: u64,
    /// How many rows may wait to be written.
    pub max_pending_rows: usize,
    /// How many operations may wait for the writer.
    pub max_operations: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings {
            path: None,
            readers: 2,
            busy_timeout_ms: 5_000,
            retention_days: 30,
            write_behind_ms: 50,
            max_pending_rows: 65_536,
            max_operations: 256,
        }
    }
}
