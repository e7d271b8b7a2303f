//! Sections `store` and `login_state`: the database, what may wait for it, and the age and number of kept logins.

use crate::{
    bridge::settings::BridgeSettings,
    config::section::{BYTES_MAX, COUNT, DURATION, SettingsSection, ValidationErrors, blank, settings},
};
use std::path::{Path, PathBuf};

/// Bytes of a row beside what it is there for: names, digests, times.
const ROW_BYTES: u64 = 16 << 10;
/// Bytes that an endpoint can weigh: the longest path that is taken, its method, its times.
const ENDPOINT_BYTES: u64 = 2 << 10;

/// Upper bound of `write_behind_ms`: a crash loses at most the last 250 ms of the policy, which delays up to 50 ms itself.
const WRITE_BEHIND_MS_MAX: u64 = 150;

settings! {
    /// The SQLite database.
    StoreSettings {
        /// The database file (absolute path); empty = `conductor.db` in the state folder.
        #[serde(with = "blank")]
        path: Option<PathBuf> = None,
        /// Connections that only read; if there are several, one is not used for lists.
        readers: usize = 3 => 1..=64,
        /// Milliseconds to wait for another process's lock.
        #[advanced]
        busy_timeout_ms: u64 = 5_000 => 0..=i32::MAX as u64,
        /// Days after which finished requests, logins, final messages, batches, tasks and lines of the audit trail are
        /// deleted; dedupe keys and the last deleted hash of the trail are kept.
        retention_days: u64 = 30 => 1..=36_500,
        /// Rows that are deleted at once.
        #[advanced]
        retention_batch_rows: usize = 500 => 1..=100_000,
        /// Milliseconds between two deletions of old rows.
        #[advanced]
        retention_interval_ms: u64 = 3_600_000 => DURATION,
        /// Milliseconds that a record of the request path may wait before it is written.
        #[advanced]
        write_behind_ms: u64 = 50 => 1..=WRITE_BEHIND_MS_MAX,
        /// Rows that may wait to be written; beyond them the oldest are lost, and a log line says so.
        #[advanced]
        max_pending_rows: usize = 65_536 => COUNT,
        /// Bytes that may wait to be written; at least a message of `bridge.max_message_bytes` and a login of
        /// `login_state.max_endpoints`.
        #[advanced]
        max_pending_bytes: usize = 64 << 20 => 1 << 16..=BYTES_MAX,
        /// Milliseconds until a required change that could not be written is tried again.
        #[advanced]
        retry_ms: u64 = 1_000 => DURATION,
        /// Operations that may wait for the writer, and as many for the readers.
        #[advanced]
        max_operations: usize = 256 => COUNT,
    }
}

impl StoreSettings {
    /// The database file, given the state folder.
    pub fn file(&self, state_folder: &Path) -> PathBuf {
        self.path.clone().unwrap_or_else(|| state_folder.join("conductor.db"))
    }

    /// Adds an error for each invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        self.check_bounds(errors);
        if self.path.as_deref().is_some_and(|path| !path.is_absolute()) {
            errors.add("path", "must be an absolute path; the working directory does not matter to the daemon");
        }
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
        /// Milliseconds after the last sighting of a credential at which a login is `stale`.
        stale_after_ms: u64 = 300_000 => DURATION,
        /// Milliseconds after the last sighting of a credential at which a login is `lost`.
        lost_after_ms: u64 = 1_800_000 => DURATION,
        /// Logins that are kept of each client; the ones reported longest ago are removed first.
        #[advanced]
        max_accounts: usize = 256 => COUNT,
        /// Endpoints that are kept of each login; the ones seen longest ago are removed first.
        #[advanced]
        max_endpoints: usize = 512 => COUNT,
    }
}

impl LoginStateSettings {
    /// Adds an error for each invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        self.check_bounds(errors);
        if self.lost_after_ms < self.stale_after_ms {
            errors.add_conflict("lost_after_ms", "stale_after_ms", "must not be less than login_state.stale_after_ms");
        }
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
