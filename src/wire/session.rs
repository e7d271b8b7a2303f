//! Messages about the extension itself: its identity, the logins it has seen, the messages it has observed.

use super::{
    json_object::{FieldError, JsonObject, read_entry},
    kept_path::without_values,
    shell_runtime::{self, ShellRuntime},
};
use crate::ids::ClientId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Most entries of a list in one message.
pub(super) const LIST_MAX: usize = 512;
/// Most bytes of a name that the extension gives: of a platform, an account, a message, a fingerprint.
pub(super) const NAME_BYTES_MAX: usize = 512;
/// Most bytes of an endpoint.
const ENDPOINT_BYTES_MAX: usize = 1 << 10;

/// `hello`: the first message of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Id of the client.
    pub client_id: ClientId,
    /// `browser`.
    pub node_type: Option<String>,
    /// `proxy`.
    pub node_category: Option<String>,
    /// `firefox`.
    pub node_platform: Option<String>,
    /// Protocol version; a missing one counts as the daemon's.
    pub protocol: Option<String>,
    /// Version of the extension.
    pub extension_version: Option<String>,
    /// Random value for the proof of a paired client.
    pub nonce: Option<String>,
}

impl Hello {
    pub(super) fn read(message: &JsonObject<'_>) -> Result<Self, FieldError> {
        let id = message.required_text(&["client_id"])?;
        Ok(Hello {
            client_id: ClientId::parse(&id).map_err(|e| FieldError::new("client_id", e.to_string()))?,
            node_type: owned(message, "node_type")?,
            node_category: owned(message, "node_category")?,
            node_platform: owned(message, "node_platform")?,
            protocol: owned(message, "protocol")?,
            extension_version: owned(message, "extension_version")?,
            nonce: owned(message, "nonce")?,
        })
    }
}

/// The extension's judgement of a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Freshness {
    /// Seen and used recently.
    #[default]
    Fresh,
    /// Not seen for a while.
    Stale,
    /// Logged out, or refused by the app.
    Lost,
}

/// `credentials`: a login was seen. Values of headers are dropped while parsing; only their number is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Platform.
    pub platform: String,
    /// Account, if the page shows it.
    pub account: Option<String>,
    /// Salted digest of the credential, computed by the extension.
    pub credential_fingerprint: Option<String>,
    /// Judgement of the extension.
    pub freshness: Freshness,
    /// Time of capture, in Unix milliseconds.
    pub captured_at: Option<i64>,
    /// Time of last use, in Unix milliseconds.
    pub last_seen_at: Option<i64>,
    /// Number of headers.
    pub header_count: usize,
    /// Time of the message, in Unix milliseconds.
    pub timestamp: Option<i64>,
    /// State of the shell tabs.
    pub shell_runtime: Vec<ShellRuntime>,
}

impl Credentials {
    pub(super) fn read(message: &JsonObject<'_>) -> Result<Self, FieldError> {
        let header_count = match (message.object(&["headers"])?, message.texts(&["header_names"], LIST_MAX)?) {
            (Some(headers), _) => headers.names().count(),
            (None, Some(names)) => names.len(),
            (None, None) => 0,
        };
        Ok(Credentials {
            platform: required(message, &["platform"])?,
            account: owned(message, "account")?,
            credential_fingerprint: fingerprint(message)?,
            freshness: freshness(message)?,
            captured_at: message.time(&["captured_at"])?,
            last_seen_at: message.time(&["last_seen_at"])?,
            header_count,
            timestamp: message.time(&["timestamp"])?,
            shell_runtime: shell_runtime::read(message)?,
        })
    }
}

/// `api_endpoints`: requests that the page was seen to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiEndpoints {
    /// Platform.
    pub platform: String,
    /// Account.
    pub account: Option<String>,
    /// Salted digest of the credential in use.
    pub credential_fingerprint: Option<String>,
    /// Time of the last change, in Unix milliseconds.
    pub updated_at: Option<i64>,
    /// `"METHOD /path"`, ids replaced by `{id}`.
    pub endpoints: Vec<String>,
    /// First and last sight of each endpoint.
    pub endpoint_metadata: Vec<EndpointMetadata>,
    /// Whether the extension has learned a prompt template.
    pub prompt_template: bool,
    /// Whether the app has accepted a prompt sent with the template.
    pub prompt_accepted: bool,
    /// State of the shell tabs.
    pub shell_runtime: Vec<ShellRuntime>,
}

/// One endpoint of a platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointMetadata {
    /// HTTP method.
    pub method: String,
    /// Path.
    pub path: String,
    /// First sight, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen_at: Option<i64>,
    /// Last sight, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<i64>,
}

impl ApiEndpoints {
    pub(super) fn read(message: &JsonObject<'_>) -> Result<Self, FieldError> {
        let entries = message.array(&["endpoint_metadata"], LIST_MAX)?.unwrap_or_default().into_iter();
        Ok(ApiEndpoints {
            platform: required(message, &["platform"])?,
            account: owned(message, "account")?,
            credential_fingerprint: fingerprint(message)?,
            updated_at: message.time(&["updated_at"])?,
            endpoints: endpoints(message)?,
            endpoint_metadata: entries
                .map(|raw| read_entry("endpoint_metadata", raw, endpoint))
                .collect::<Result<_, _>>()?,
            prompt_template: message.boolean(&["prompt_template"])?.unwrap_or(false),
            prompt_accepted: message.boolean(&["prompt_accepted"])?.unwrap_or(false),
            shell_runtime: shell_runtime::read(message)?,
        })
    }
}

fn endpoints(message: &JsonObject<'_>) -> Result<Vec<String>, FieldError> {
    let endpoints = message.texts(&["endpoints"], LIST_MAX)?.unwrap_or_default();
    match endpoints.iter().any(|endpoint| endpoint.len() > ENDPOINT_BYTES_MAX) {
        true => Err(FieldError::new("endpoints", format!("holds one that is longer than {ENDPOINT_BYTES_MAX} bytes"))),
        false => Ok(endpoints.into_iter().map(kept_endpoint).collect()),
    }
}

/// Values are dropped where the frame is parsed, so that they get no further.
fn kept_endpoint(endpoint: String) -> String {
    match without_values(&endpoint) {
        Cow::Borrowed(whole) if whole.len() == endpoint.len() => endpoint,
        kept => kept.into_owned(),
    }
}

fn endpoint(entry: &JsonObject<'_>) -> Result<EndpointMetadata, FieldError> {
    Ok(EndpointMetadata {
        method: required(entry, &["method"])?,
        path: entry.required_name(&["path"], ENDPOINT_BYTES_MAX).map(kept_endpoint)?,
        first_seen_at: entry.time(&["first_seen_at"])?,
        last_seen_at: entry.time(&["last_seen_at"])?,
    })
}

/// `platform_status`: whether the extension's extractors still understand the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformStatus {
    /// Platform.
    pub platform: String,
    /// Number of unexpected elements in the app's traffic.
    pub extractor_drift: u64,
    /// Time of the last one, in Unix milliseconds.
    pub last_drift_at: Option<i64>,
}

impl PlatformStatus {
    pub(super) fn read(message: &JsonObject<'_>) -> Result<Self, FieldError> {
        Ok(PlatformStatus {
            platform: required(message, &["platform"])?,
            extractor_drift: message.count(&["extractor_drift"])?.unwrap_or(0),
            last_drift_at: message.time(&["last_drift_at"])?,
        })
    }
}

/// `browser.final_message`: an assistant's message was completed on a page.
#[derive(Clone, PartialEq, Eq)]
pub struct FinalMessage {
    /// Platform.
    pub platform: String,
    /// Conversation, if the page shows it.
    pub conversation_id: Option<String>,
    /// Id of the message in the app, or a synthetic one.
    pub assistant_message_id: String,
    /// The whole text.
    pub raw_text: String,
    /// Time of completion, in Unix milliseconds.
    pub observed_at: Option<i64>,
}

impl FinalMessage {
    pub(super) fn read(message: &JsonObject<'_>) -> Result<Self, FieldError> {
        Ok(FinalMessage {
            platform: required(message, &["platform"])?,
            conversation_id: owned(message, "conversation_id")?,
            assistant_message_id: required(message, &["assistant_message_id", "message_id"])?,
            raw_text: message
                .verbatim(&["raw_text"])?
                .filter(|text| !text.trim().is_empty())
                .map(Cow::into_owned)
                .ok_or_else(|| FieldError::new("raw_text", "is required"))?,
            observed_at: message.time(&["observed_at"])?,
        })
    }
}

impl std::fmt::Debug for FinalMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Message texts must not appear in logs.
        write!(f, "FinalMessage({} {}, {} bytes)", self.platform, self.assistant_message_id, self.raw_text.len())
    }
}

fn owned(message: &JsonObject<'_>, name: &'static str) -> Result<Option<String>, FieldError> {
    message.short_text(&[name], NAME_BYTES_MAX)
}

fn required(message: &JsonObject<'_>, names: &[&'static str]) -> Result<String, FieldError> {
    message.required_name(names, NAME_BYTES_MAX)
}

fn fingerprint(message: &JsonObject<'_>) -> Result<Option<String>, FieldError> {
    message.short_text(&["credential_fingerprint", "fingerprint"], NAME_BYTES_MAX)
}

fn freshness(message: &JsonObject<'_>) -> Result<Freshness, FieldError> {
    match message.text(&["freshness"])?.as_deref() {
        None | Some("fresh") => Ok(Freshness::Fresh),
        Some("stale") => Ok(Freshness::Stale),
        Some("lost") => Ok(Freshness::Lost),
        Some(_) => Err(FieldError::new("freshness", "must be fresh, stale or lost")),
    }
}
