//! Sections `store` and `login_state`: the database, what may wait for it, and the age and number of kept logins.

use crate::{
    bridge::settings::BridgeSettings,
    config::section::{ValidationErrors, blank, settings},
};
use std::path::{Path, PathBuf};

/// Bytes of a row beside what it is there for: names, digests, times.
const ROW_BYTES: u64 = 16 << 10;
/// Bytes that an endpoint can weigh: the longest path that is taken, its method, its times.
const ENDPOINT_BYTES: u64 = 2 << 10;

settings! {
    /// The SQLite database.
    StoreSettings {
        /// The database file; empty = `conductor.db` in the state folder.
        #[serde(with = "blank")]
        path: Option<PathBuf> = None,
        /// Connections that only read; of several one is kept free of lists.
        readers: usize = 3,
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
        /// Milliseconds until a change that must be made is tried again after it could not be written.
        retry_ms: u64 = 1_000,
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
    pub fn validate(&self, errors: &mut ValidationErrors) {
        if self.path.as_deref().is_some_and(|path| !path.is_absolute()) {
            errors.add("path", "must be an absolute path; the working directory does not matter to the daemon");
        }
        errors.range("readers", self.readers as u64, 1, 64);
        errors.range("busy_timeout_ms", self.busy_timeout_ms, 0, i32::MAX as u64);
        errors.range("retention_days", self.retention_days, 1, 36_500);
        errors.range("retention_batch_rows", self.retention_batch_rows as u64, 1, 100_000);
        errors.duration("retention_interval_ms", self.retention_interval_ms);
        // The policy promises that a crash forgets at most the last 250 ms, of which it takes up to 50 itself.
        errors.range("write_behind_ms", self.write_behind_ms, 1, 150);
        errors.duration("retry_ms", self.retry_ms);
        errors.count("max_pending_rows", self.max_pending_rows);
        // A row of the journal at its longest fits many times.
        errors.bytes("max_pending_bytes", self.max_pending_bytes, 1 << 16);
        errors.count("max_operations", self.max_operations);
    }

    /// Names what is too small for what the bridge lets in: a row that is larger than all that may wait is lost. Keys are
    /// named as from outside the sections.
    pub fn hold(&self, bridge: &BridgeSettings, login_state: &LoginStateSettings, errors: &mut ValidationErrors) {
        let message = bridge.max_message_bytes as u64;
        let login = (login_state.max_endpoints as u64).saturating_mul(ENDPOINT_BYTES);
        for (other, row) in [("bridge.max_message_bytes", message), ("login_state.max_endpoints", login)] {
            let least = row.saturating_add(ROW_BYTES);
            if (self.max_pending_bytes as u64) < least {
                let why = format!("must be at least {least}, the largest row that {other} allows");
                errors.add_conflict("store.max_pending_bytes", other, why);
            }
        }
    }
}

settings! {
    /// Age at which a client's report about a login is stale or lost, and what is kept of it.
    LoginStateSettings {
        /// Milliseconds after the last sighting of a credential at which it is `stale`.
        stale_after_ms: u64 = 300_000,
        /// Milliseconds after the last sighting of a credential at which it is `lost`.
        lost_after_ms: u64 = 1_800_000,
        /// Logins that are kept of each client; the ones reported longest ago are removed first.
        max_accounts: usize = 256,
        /// Endpoints that are kept of each login; the ones seen longest ago are removed first.
        max_endpoints: usize = 512,
    }
}

impl LoginStateSettings {
    /// Adds an error for each invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        errors.duration("stale_after_ms", self.stale_after_ms);
        errors.duration("lost_after_ms", self.lost_after_ms);
        if self.lost_after_ms < self.stale_after_ms {
            errors.add_conflict("lost_after_ms", "stale_after_ms", "must not be less than login_state.stale_after_ms");
        }
        errors.count("max_accounts", self.max_accounts);
        errors.count("max_endpoints", self.max_endpoints);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    #[test]
    fn the_database_lies_in_the_state_folder_unless_told_otherwise() {
        let mut store = StoreSettings::default();
        assert_eq!(store.file(Path::new("/s")), Path::new("/s/conductor.db"));
        assert_eq!(validation_errors(|errors| store.validate(errors)), [""; 0]);
        store.path = Some("/d/x.db".into());
        assert_eq!(store.file(Path::new("/s")), Path::new("/d/x.db"));
    }

    #[test]
    fn what_may_wait_holds_the_largest_row_that_can_come() {
        let (bridge, logins) = (BridgeSettings::default(), LoginStateSettings::default());
        let found = |bytes: usize, bridge: &BridgeSettings, logins: &LoginStateSettings| {
            let store = StoreSettings { max_pending_bytes: bytes, ..StoreSettings::default() };
            validation_errors(|errors| store.hold(bridge, logins, errors)).len()
        };
        assert_eq!(found(64 << 20, &bridge, &logins), 0);
        assert_eq!(found(bridge.max_message_bytes, &bridge, &logins), 1);
        assert_eq!(found(1 << 16, &bridge, &logins), 2);
        let small = BridgeSettings { max_message_bytes: 4_096, ..bridge };
        assert_eq!(found(1 << 20, &small, &logins), 1);
        assert_eq!(found(1 << 20, &small, &LoginStateSettings { max_endpoints: 9, ..logins }), 0);
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
            write_behind_ms: 151,
            max_pending_rows: 0,
            max_pending_bytes: 0,
            retry_ms: 0,
            max_operations: 0,
        };
        assert_eq!(validation_errors(|errors| store.validate(errors)).len(), 11);
    }

    #[test]
    fn a_login_is_not_lost_before_it_is_stale() {
        let state = LoginStateSettings { stale_after_ms: 10, lost_after_ms: 9, ..LoginStateSettings::default() };
        assert_eq!(validation_errors(|errors| state.validate(errors)).len(), 1);
        let state = LoginStateSettings { stale_after_ms: 10, lost_after_ms: 10, ..LoginStateSettings::default() };
        assert_eq!(validation_errors(|errors| state.validate(errors)), [""; 0]);
    }

    #[test]
    fn a_login_state_of_zeros_has_four_errors() {
        let zeros = LoginStateSettings { stale_after_ms: 0, lost_after_ms: 0, max_accounts: 0, max_endpoints: 0 };
        assert_eq!(validation_errors(|errors| zeros.validate(errors)).len(), 4);
    }
}
