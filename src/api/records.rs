//! Logins: what connected clients report, and what the store remembers.

use super::browser::{CredentialEntry, HookEntry};
use crate::{clock::WallMs, ids::ConnectionId, wire::ShellRuntime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Source of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoginRecord<'a> {
    /// Platform.
    pub platform: Cow<'a, str>,
    /// Client.
    pub client_id: Cow<'a, str>,
    /// Account, if the page shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Cow<'a, str>>,
    /// Host of this daemon.
    pub host: Cow<'a, str>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveState<'a> {
    /// Connection of the client.
    pub connection_id: Cow<'a, ConnectionId>,
    /// The credentials.
    pub credentials: Option<Cow<'a, CredentialEntry>>,
    /// Requests that the page was seen to make.
    pub request_hooks: Option<Cow<'a, HookEntry>>,
    /// The platform's tab.
    pub shell_runtime: Option<Cow<'a, ShellRuntime>>,
}

/// Stored state of a login. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersistedState<'a> {
    /// Salted digest of the credential.
    pub credential_fingerprint: Option<Cow<'a, str>>,
    /// `"METHOD /path"`, in the order of first sight.
    pub endpoints: Vec<String>,
    /// First and last sight of each endpoint.
    pub endpoint_metadata: Cow<'a, [StoredEndpoint]>,
    /// Whether the endpoints are omitted because the answer is too large.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endpoints_omitted: bool,
    /// When the credential was captured.
    pub captured_at: Option<WallMs>,
    /// When the credential was last seen.
    pub last_seen_at: Option<WallMs>,
    /// When the client last reported the login.
    pub updated_at: WallMs,
}

/// Status of a login, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LoginStatus {
    /// The client is connected and has seen the login recently.
    Fresh,
    /// The client is disconnected or has not seen the login for a while.
    Stale,
    /// The login was not seen for long, or is known to have ended.
    Lost,
}

/// Number of records by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoginStatusCounts {
    /// Fresh records.
    pub fresh: usize,
    /// Stale records.
    pub stale: usize,
    /// Lost records.
    pub lost: usize,
}

/// Counts of all matching records, shown or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordSummary {
    /// Records reported by connected clients.
    pub active_records: usize,
    /// Records that match the filter.
    pub matched_records: usize,
    /// Records known from the store only.
    pub persisted_only_records: usize,
    /// Shell tabs of the matching connected clients.
    pub runtime_counts: RuntimeCounts,
    /// Records by status.
    pub status_counts: LoginStatusCounts,
    /// Why the store could not be read; then only live records are shown and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persisted_error: Option<String>,
}

/// Counts of shell tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeCounts {
    /// Existing tabs.
    pub actual: usize,
    /// Desired tabs.
    pub desired: usize,
    /// Tabs that differ from the desired state.
    pub drift: usize,
}

/// Filter for records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordFilter {
    /// Only this platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Only this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Only this host; the daemon knows its own only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Only this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<LoginStatus>,
    /// Only stored records before this position: the `next_before` of an earlier page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Most stored records of clients that are not connected.
    pub limit: usize,
}

/// One endpoint. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredEndpoint {
    /// HTTP method.
    pub method: String,
    /// Path, with ids replaced by `{id}`.
    pub path: String,
    /// First sight; the smallest of several times.
    pub first_seen_at: WallMs,
    /// Last sight; the largest of several times.
    pub last_seen_at: WallMs,
}
