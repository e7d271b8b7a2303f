//! What a client has told, as it is shown: names, counts and fingerprints only.

use super::action::ActionEntry;
use crate::{
    clock::WallMs,
    wire::{EndpointMetadata, Freshness, ShellRuntime},
};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// A login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialEntry {
    /// Of which platform.
    pub platform: String,
    /// Of which account, where the page shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Salted digest of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookEntry {
    /// Of which platform.
    pub platform: String,
    /// Of which account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Salted digest of the credential in use.
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FinalMessageEntry {
    /// On which platform.
    pub platform: String,
    /// In which conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Which message.
    pub assistant_message_id: String,
    /// In Unix milliseconds.
    pub observed_at: WallMs,
    /// Length of the text in characters.
    pub raw_length: usize,
    /// Tells texts apart also when they are kept no longer.
    #[serde(skip)]
    pub(super) digest: [u8; 32],
    /// The text, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_text: Option<Arc<str>>,
}

/// Everything told, for showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    pub last_action_result: Option<ActionEntry>,
    /// How often the app's traffic did not look as expected, by platform.
    #[serde(skip)]
    pub extractor_drift: BTreeMap<String, u64>,
}

impl SessionView {
    /// The login for a platform that was seen last.
    pub fn newest_credentials(&self, platform: &str) -> Option<&CredentialEntry> {
        let of_it = self.credentials.iter().filter(|entry| entry.platform == platform);
        of_it.max_by_key(|entry| entry.last_seen_at)
    }

    /// The endpoints of a platform that were told last.
    pub fn newest_hooks(&self, platform: &str) -> Option<&HookEntry> {
        self.request_hooks.iter().filter(|entry| entry.platform == platform).max_by_key(|entry| entry.updated_at)
    }

    /// The tab of a platform.
    pub fn tab(&self, platform: &str) -> Option<&ShellRuntime> {
        self.shell_runtime.iter().find(|tab| tab.platform == platform)
    }
}
