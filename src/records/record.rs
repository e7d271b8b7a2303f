//! One login: the report of its client beside the stored state.

use super::login_status::LoginStatus;
use crate::{
    bridge::{CredentialEntry, HookEntry},
    clock::WallMs,
    ids::ConnectionId,
    store::logins::{EndpointRow, StoredLogin},
    wire::ShellRuntime,
};
use serde::{Serialize, Serializer, ser::SerializeSeq};

/// Source of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordView {
    /// A connected client only.
    ActiveOnly,
    /// The store only.
    PersistedOnly,
    /// Both.
    ActiveAndPersisted,
}

/// A login, by platform, client and account.
#[derive(Debug, Serialize)]
pub struct LoginRecord<'a> {
    /// Platform.
    pub platform: &'a str,
    /// Client.
    pub client_id: &'a str,
    /// Account, if the page shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'a str>,
    /// Host of this daemon.
    pub host: &'a str,
    /// Status of the login.
    pub status: LoginStatus,
    /// Source of the record.
    pub view: RecordView,
    /// Whether its client is the active one.
    pub is_active_client: bool,
    /// Report of the client; `null` if it currently reports nothing.
    pub live: Option<LiveState<'a>>,
    /// Stored state; `null` if the store has none.
    pub persisted: Option<PersistedState<'a>>,
}

/// Report of a connected client.
#[derive(Debug, Serialize)]
pub struct LiveState<'a> {
    /// Connection of the client.
    pub connection_id: &'a ConnectionId,
    /// The credentials.
    pub credentials: Option<&'a CredentialEntry>,
    /// Requests that the page was seen to make.
    pub request_hooks: Option<&'a HookEntry>,
    /// The platform's tab.
    pub shell_runtime: Option<&'a ShellRuntime>,
}

/// Stored state of a login. Times are Unix milliseconds.
#[derive(Debug, Serialize)]
pub struct PersistedState<'a> {
    /// Salted digest of the credential.
    pub credential_fingerprint: Option<&'a str>,
    /// `"METHOD /path"`, in the order of first sight.
    #[serde(serialize_with = "names")]
    pub endpoints: &'a [EndpointRow],
    /// First and last sight of each endpoint.
    pub endpoint_metadata: &'a [EndpointRow],
    /// Whether the endpoints are omitted because the answer is too large.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub endpoints_omitted: bool,
    /// When the credential was captured.
    pub captured_at: Option<WallMs>,
    /// When the credential was last seen.
    pub last_seen_at: Option<WallMs>,
    /// When the client last reported the login.
    pub updated_at: WallMs,
}

impl<'a> From<&'a StoredLogin> for PersistedState<'a> {
    fn from(row: &'a StoredLogin) -> Self {
        PersistedState {
            credential_fingerprint: row.credential_fingerprint.as_deref(),
            endpoints: &row.endpoints,
            endpoint_metadata: &row.endpoints,
            endpoints_omitted: row.endpoints_omitted,
            captured_at: row.captured_at,
            last_seen_at: row.last_seen_at,
            updated_at: row.updated_at,
        }
    }
}

fn names<S: Serializer>(endpoints: &[EndpointRow], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(endpoints.len()))?;
    for endpoint in endpoints {
        if endpoint.method.is_empty() {
            list.serialize_element(&endpoint.path)?;
        } else {
            list.serialize_element(&format_args!("{} {}", endpoint.method, endpoint.path))?;
        }
    }
    list.end()
}
