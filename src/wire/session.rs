//! What the extension tells about itself: who it is, which logins it has seen, what it heard on the pages.

use super::{
    json_object::{FieldError, JsonObject},
    kept_path::without_values,
    shell_runtime::{self, ShellRuntime},
};
use crate::ids::ClientId;
use serde::Serialize;
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
    /// Who it is.
    pub client_id: ClientId,
    /// `browser`.
    pub node_type: Option<String>,
    /// `proxy`.
    pub node_category: Option<String>,
    /// `firefox`.
    pub node_platform: Option<String>,
    /// The protocol it speaks; a missing one counts as ours.
    pub protocol: Option<String>,
    /// The extension's version.
    pub extension_version: Option<String>,
    /// Its random value for the proof of a paired client.
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

/// How the extension itself judges a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Seen and used lately.
    #[default]
    Fresh,
    /// Not seen for a while.
    Stale,
    /// Logged out, or refused by the app.
    Lost,
}

/// `credentials`: a login was seen. Header values never get this far: only their number does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Of which platform.
    pub platform: String,
    /// Of which account, where the page shows it.
    pub account: Option<String>,
    /// Salted digest of the credential, made by the extension.
    pub credential_fingerprint: Option<String>,
    /// The extension's own judgement.
    pub freshness: Freshness,
    /// When it was captured, in Unix milliseconds.
    pub captured_at: Option<i64>,
    /// When it was last seen, in Unix milliseconds.
    pub last_seen_at: Option<i64>,
    /// How many headers it consists of.
    pub header_count: usize,
    /// When the message was written, in Unix milliseconds.
    pub timestamp: Option<i64>,
    /// The state of shell tabs.
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

/// `api_endpoints`: which requests the page itself was seen to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiEndpoints {
    /// Of which platform.
    pub platform: String,
    /// Of which account.
    pub account: Option<String>,
    /// Salted digest of the credential in use.
    pub credential_fingerprint: Option<String>,
    /// When the list changed, in Unix milliseconds.
    pub updated_at: Option<i64>,
    /// `"METHOD /path"`, ids replaced by `{id}`.
    pub endpoints: Vec<String>,
    /// When each was seen.
    pub endpoint_metadata: Vec<EndpointMetadata>,
    /// Whether the extension has learned a prompt template.
    pub prompt_template: bool,
    /// Whether the app has taken a prompt that was sent by it.
    pub prompt_accepted: bool,
    /// The state of shell tabs.
    pub shell_runtime: Vec<ShellRuntime>,
}

/// One endpoint of a platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointMetadata {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// In Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen_at: Option<i64>,
    /// In Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<i64>,
}

impl ApiEndpoints {
    pub(super) fn read(message: &JsonObject<'_>) -> Result<Self, FieldError> {
        let metadata = message.array(&["endpoint_metadata"], LIST_MAX)?.unwrap_or_default();
        Ok(ApiEndpoints {
            platform: required(message, &["platform"])?,
            account: owned(message, "account")?,
            credential_fingerprint: fingerprint(message)?,
            updated_at: message.time(&["updated_at"])?,
            endpoints: endpoints(message)?,
            endpoint_metadata: metadata.into_iter().map(|raw| endpoint(raw.get())).collect::<Result<_, _>>()?,
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

fn endpoint(json: &str) -> Result<EndpointMetadata, FieldError> {
    let fault = |why: String| FieldError::new("endpoint_metadata", format!("holds an entry whose {why}"));
    let entry = JsonObject::parse(json)
        .map_err(|e| FieldError::new("endpoint_metadata", format!("holds an entry that {e}")))?;
    let read = || {
        Ok::<_, FieldError>(EndpointMetadata {
            method: required(&entry, &["method"])?,
            path: entry
                .short_text(&["path"], ENDPOINT_BYTES_MAX)?
                .map(kept_endpoint)
                .ok_or_else(|| FieldError::new("path", "is required"))?,
            first_seen_at: entry.time(&["first_seen_at"])?,
            last_seen_at: entry.time(&["last_seen_at"])?,
        })
    };
    read().map_err(|e| fault(e.to_string()))
}

/// `platform_status`: how well the extension's extractors still fit the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformStatus {
    /// Of which platform.
    pub platform: String,
    /// How often the app's traffic did not look as expected.
    pub extractor_drift: u64,
    /// When it last did not, in Unix milliseconds.
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
    /// On which platform.
    pub platform: String,
    /// In which conversation, where the page shows it.
    pub conversation_id: Option<String>,
    /// The app's id of the message, or a synthetic one.
    pub assistant_message_id: String,
    /// The whole text.
    pub raw_text: String,
    /// When it was complete, in Unix milliseconds.
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
        // The text belongs to nobody's log.
        write!(f, "FinalMessage({} {}, {} bytes)", self.platform, self.assistant_message_id, self.raw_text.len())
    }
}

fn owned(message: &JsonObject<'_>, name: &'static str) -> Result<Option<String>, FieldError> {
    message.short_text(&[name], NAME_BYTES_MAX)
}

fn required(message: &JsonObject<'_>, names: &[&'static str]) -> Result<String, FieldError> {
    message.short_text(names, NAME_BYTES_MAX)?.ok_or_else(|| FieldError::new(names[0], "is required"))
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
