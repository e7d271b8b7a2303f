//! One login: the report of its client beside the stored state.

use crate::store::logins::{StoredEndpoint, StoredLogin};
use std::borrow::Cow;

pub use crate::api::records::{LiveState, LoginRecord, PersistedState, RecordView};

impl<'a> From<&'a StoredLogin> for PersistedState<'a> {
    fn from(row: &'a StoredLogin) -> Self {
        PersistedState {
            credential_fingerprint: row.credential_fingerprint.as_deref().map(Cow::Borrowed),
            endpoints: row.endpoints.iter().map(endpoint_name).collect(),
            endpoint_metadata: Cow::Borrowed(&row.endpoints),
            endpoints_omitted: row.endpoints_omitted,
            captured_at: row.captured_at,
            last_seen_at: row.last_seen_at,
            updated_at: row.updated_at,
        }
    }
}

fn endpoint_name(endpoint: &StoredEndpoint) -> String {
    match endpoint.method.as_str() {
        "" => endpoint.path.clone(),
        method => format!("{method} {}", endpoint.path),
    }
}
