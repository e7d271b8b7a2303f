//! Section `store`: where the database lies and how much may wait for it.

use crate::config::section::{Faults, blank, settings};
use std::path::{Path, PathBuf};

settings! {
    /// The SQLite database.
    StoreSettings {
        /// The database file; empty = `conductor.db` in the state folder.
        #[serde(with = "blank")]
        path: Option<PathBuf> = None,
        /// Connections that only read.
        readers: usize = 2,
        /// Milliseconds to wait for another process's lock.
        busy_timeout_ms: u64 = 5_000,
        /// Days after which finished rows leave.
        retention_days: u64 = 30,
        /// Rows of one step of that, after which others get the writer.
        retention_batch_rows: usize = 500,
        /// Milliseconds between two passes over what is too old.
        retention_interval_ms: u64 = 3_600_000,
        /// Milliseconds that what the request path records may wait before it is written.
        write_behind_ms: u64 = 50,
        /// Rows that may wait to be written.
        max_pending_rows: usize = 65_536,
        /// Bytes of what may wait to be written.
        max_pending_bytes: usize = 64 << 20,
        /// Operations that may wait for the writer, and as many for the readers.
        max_operations: usize = 256,
    }
}

impl StoreSettings {
    /// The database file, given the state folder.
    pub fn file(&self, state_folder: &Path) -> PathBuf {
        self.path.clone().unwrap_or_else(|| state_folder.join("conductor.db"))
    }

    /// Names every value that cannot be.
    pub fn validate(&self, faults: &mut Faults) {
        if self.path.as_deref().is_some_and(|path| !path.is_absolute()) {
            faults.add("path", "must be an absolute path; the working directory does not matter to the daemon");
        }
        faults.range("readers", self.readers as u64, 1, 64);
        faults.range("busy_timeout_ms", self.busy_timeout_ms, 0, i32::MAX as u64);
        faults.range("retention_days", self.retention_days, 1, 36_500);
        faults.range("retention_batch_rows", self.retention_batch_rows as u64, 1, 100_000);
        faults.duration("retention_interval_ms", self.retention_interval_ms);
        // The policy promises that a crash forgets at most the last 250 ms.
        faults.range("write_behind_ms", self.write_behind_ms, 1, 250);
        faults.count("max_pending_rows", self.max_pending_rows);
        // A row of the journal at its longest fits many times.
        faults.bytes("max_pending_bytes", self.max_pending_bytes, 1 << 16);
        faults.count("max_operations", self.max_operations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::faults_of;

    #[test]
    fn the_database_lies_in_the_state_folder_unless_told_otherwise() {
        let mut store = StoreSettings::default();
        assert_eq!(store.file(Path::new("/s")), Path::new("/s/conductor.db"));
        assert_eq!(faults_of(|faults| store.validate(faults)), [""; 0]);
        store.path = Some("/d/x.db".into());
        assert_eq!(store.file(Path::new("/s")), Path::new("/d/x.db"));
    }

    #[test]
    fn impossible_values_are_faults() {
        let store = StoreSettings {
            path: Some("x.db".into()),
            readers: 0,
            busy_timeout_ms: u64::MAX,
            retention_days: 0,
            retention_batch_rows: 0,
            retention_interval_ms: 0,
            write_behind_ms: 251,
            max_pending_rows: 0,
            max_pending_bytes: 0,
            max_operations: 0,
        };
        assert_eq!(faults_of(|faults| store.validate(faults)).len(), 10);
    }
}
