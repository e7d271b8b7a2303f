//! The browser: connected clients, platforms, logins and policy.

use super::{
    actions::ActionReport,
    fields::request_fields,
    policy::PolicyState,
    records::{LoginRecord, RecordFilter, RecordSummary},
};
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

pub use crate::wire::{ActualTab, DesiredTab, EndpointMetadata, Freshness, ShellRuntime, TabDrift};

request_fields! {
    /// Which records are shown; conditions are joined by "and".
    #[derive(Default)]
    BrowserStateParameters {
        required {}
        optional {
            /// Only records of this platform.
            platform: String,
            /// Only records of this account.
            account: String,
            /// Only records of this client.
            client_id | "clientId": String,
            /// Only records of this host; the daemon knows its own alone.
            host: String,
            /// Only records of this status: `fresh`, `stale` or `lost`.
            status: String,
            /// Most stored records of clients that are not connected; 1000 unless given, at most 10000.
            limit: usize,
            /// The `next_before` of an earlier answer.
            before: i64,
        }
    }
}

/// State of the browser side.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BrowserState<'a> {
    /// The connected clients.
    pub bridge: Cow<'a, BridgeView>,
    /// The active client; `null` if none is connected.
    pub current_client: Option<Cow<'a, ClientView>>,
    /// For older callers: what Claude's helpers ask first; `null` if Claude is not registered.
    pub claude: Option<ClaudeState<'a>>,
    /// The registered platforms.
    pub platforms: Cow<'a, [PlatformState]>,
    /// The filters in force.
    pub filters: Cow<'a, RecordFilter>,
    /// Limits, platforms and targets of the policy.
    pub policy: PolicyState,
    /// Logins, live and stored.
    pub records: Vec<LoginRecord<'a>>,
    /// Where the next page of stored records begins; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_before: Option<i64>,
    /// Counts of all records that match, shown or not.
    pub summary: RecordSummary,
}

/// A registered platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlatformState {
    /// Name of the platform.
    pub platform: PlatformName,
    /// Title for people.
    pub title: String,
    /// Address of its shell tab.
    pub shell_url: String,
    /// What can be asked of it: response modes, `cancel`, and `prompt` where a prompt without a path can be sent.
    pub supported_modes: Vec<Cow<'static, str>>,
    /// Whether a connected client reports a login that is not lost.
    pub ready: bool,
    /// Those clients.
    pub client_ids: Vec<ClientId>,
    /// How often the traffic of the app did not look as expected, as all clients report.
    pub extractor_drift: u64,
    /// Answers of the assistant since the start whose text was not understood.
    pub answer_drift: u64,
}

/// Who would perform a request to Claude now, and what that client last reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaudeState<'a> {
    /// `claude`.
    pub platform: Cow<'a, str>,
    /// Always true.
    pub supported: bool,
    /// Whether a connected client reports a login that is not lost.
    pub ready: bool,
    /// Address of the shell tab.
    pub open_url: Cow<'a, str>,
    /// Client that would perform a request.
    pub current_client_id: Option<Cow<'a, ClientId>>,
    /// Its login.
    pub credentials: Option<Cow<'a, CredentialEntry>>,
    /// Requests that its page was seen to make.
    pub request_hooks: Option<Cow<'a, HookEntry>>,
    /// Its shell tab.
    pub shell_runtime: Option<Cow<'a, ShellRuntime>>,
}

/// One connected client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientView {
    /// Who.
    pub client_id: ClientId,
    /// On which connection.
    pub connection_id: ConnectionId,
    /// Since when, in Unix milliseconds.
    pub connected_at: WallMs,
    /// When it last said anything, in Unix milliseconds.
    pub last_message_at: WallMs,
    /// As told in `hello`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_type: Option<String>,
    /// As told in `hello`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_category: Option<String>,
    /// As told in `hello`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_platform: Option<String>,
    /// As told in `hello`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension_version: Option<String>,
    /// What it told since.
    #[serde(flatten)]
    pub session: SessionView,
    /// Requests it performs right now.
    pub in_flight: usize,
}

/// Whether any client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BridgeStatus {
    /// At least one is.
    Connected,
    /// None is.
    Disconnected,
}

/// The `bridge` part of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BridgeView {
    /// The client whose `hello` came last.
    pub active_client_id: Option<ClientId>,
    /// Its connection.
    pub active_connection_id: Option<ConnectionId>,
    /// How many are connected.
    pub client_count: usize,
    /// Sorted by name.
    pub clients: Vec<ClientView>,
    /// Whether any is.
    pub status: BridgeStatus,
    /// How they are connected.
    pub transport: Cow<'static, str>,
    /// The path of their socket.
    pub ws_path: Cow<'static, str>,
    /// The URL of their socket.
    pub ws_url: String,
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CredentialEntry {
    /// Of which platform.
    pub platform: String,
    /// Of which account, where the page shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Salted digest of the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_fingerprint: Option<String>,
    /// The extension's own judgement.
    pub freshness: Freshness,
    /// In Unix milliseconds.
    pub captured_at: WallMs,
    /// In Unix milliseconds.
    pub last_seen_at: WallMs,
    /// How many headers it consists of.
    pub header_count: usize,
}

/// The endpoints seen of a platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookEntry {
    /// Of which platform.
    pub platform: String,
    /// Of which account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Salted digest of the credential in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_fingerprint: Option<String>,
    /// How many.
    pub endpoint_count: usize,
    /// `"METHOD /path"`.
    pub endpoints: Vec<String>,
    /// When each was seen.
    pub endpoint_metadata: Vec<EndpointMetadata>,
    /// When the daemon was last told, in Unix milliseconds.
    pub last_verified_at: WallMs,
    /// When the list changed, in Unix milliseconds.
    pub updated_at: WallMs,
    /// Whether a prompt template was learned.
    pub prompt_template: bool,
}

/// A final message; the text is shown to the operator alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinalMessageEntry {
    /// On which platform.
    pub platform: String,
    /// In which conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Which message.
    pub assistant_message_id: String,
    /// In Unix milliseconds.
    pub observed_at: WallMs,
    /// Length of the text in characters.
    pub raw_length: usize,
    /// Tells texts apart also when they are kept no longer.
    #[serde(skip)]
    pub(crate) digest: [u8; 32],
    /// The text, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_text: Option<Arc<str>>,
}

/// Everything told, for showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// Sorted by platform.
    pub credentials: Vec<CredentialEntry>,
    /// Sorted by platform.
    pub request_hooks: Vec<HookEntry>,
    /// Sorted by platform.
    pub shell_runtime: Vec<ShellRuntime>,
    /// Newest last.
    pub final_messages: Vec<FinalMessageEntry>,
    /// `null` when there was none.
    pub last_action_result: Option<ActionReport>,
    /// How often the app's traffic did not look as expected, by platform.
    #[serde(skip)]
    pub(crate) extractor_drift: BTreeMap<String, u64>,
}
