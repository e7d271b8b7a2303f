//! One login: what its client tells right now beside what the store remembers of it.

use super::login_status::LoginStatus;
use crate::{
    bridge::{CredentialEntry, HookEntry},
    clock::WallMs,
    ids::ConnectionId,
    store::logins::{EndpointRow, StoredLogin},
    wire::ShellRuntime,
};
use serde::{Serialize, Serializer, ser::SerializeSeq};

/// Where a record is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordView {
    /// From a connected client alone.
    ActiveOnly,
    /// From the store alone.
    PersistedOnly,
    /// From both.
    ActiveAndPersisted,
}

/// A login of a platform, by client and account.
#[derive(Debug, Serialize)]
pub struct LoginRecord<'a> {
    /// The platform.
    pub platform: &'a str,
    /// The client.
    pub client_id: &'a str,
    /// The account, where the page shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'a str>,
    /// The host that this daemon runs on.
    pub host: &'a str,
    /// Whether it can be counted on.
    pub status: LoginStatus,
    /// Where it is known from.
    pub view: RecordView,
    /// Whether its client is the active one.
    pub is_active_client: bool,
    /// What its client tells; `null` when it tells nothing now.
    pub live: Option<LiveState<'a>>,
    /// What the store remembers; `null` when it does not know it.
    pub persisted: Option<PersistedState<'a>>,
}

/// What a connected client tells.
#[derive(Debug, Serialize)]
pub struct LiveState<'a> {
    /// On which connection.
    pub connection_id: &'a ConnectionId,
    /// The login.
    pub credentials: Option<&'a CredentialEntry>,
    /// The page's own requests.
    pub request_hooks: Option<&'a HookEntry>,
    /// The platform's tab.
    pub shell_runtime: Option<&'a ShellRuntime>,
}

/// What the store remembers. All times in Unix milliseconds.
#[derive(Debug, Serialize)]
pub struct PersistedState<'a> {
    /// Salted digest of the credential.
    pub credential_fingerprint: Option<&'a str>,
    /// `"METHOD /path"`, in order of first sight.
    #[serde(serialize_with = "names")]
    pub endpoints: &'a [EndpointRow],
    /// When each was first and last seen.
    pub endpoint_metadata: &'a [EndpointRow],
    /// Whether its endpoints are left out, because the answer has too many already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub endpoints_omitted: bool,
    /// When the credential was captured.
    pub captured_at: Option<WallMs>,
    /// When it was last seen.
    pub last_seen_at: Option<WallMs>,
    /// When the daemon was last told about it.
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
