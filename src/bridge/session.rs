//! What one client has told about itself, as a value: logins, endpoints, shell tabs, final messages, its last action.
//! No actor, no clock; names, counts and fingerprints only.

use super::{
    action::ActionReport,
    session_view::{CredentialEntry, FinalMessageEntry, HookEntry, SessionView},
    told::Told,
};
use crate::{
    clock::WallMs,
    wire::{ApiEndpoints, Credentials, FinalMessage, PlatformStatus, ShellRuntime},
};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// Final messages that are kept for the snapshot.
const FINAL_MESSAGES_MAX: usize = 10;
/// Logins, endpoint lists and drifts that one client may report.
pub(super) const ENTRIES_MAX: usize = 256;
/// Shell tabs that one client may report.
const TABS_MAX: usize = 64;
/// Bytes of all endpoint lists of one client: every snapshot to it holds them.
const HOOKS_BYTES_MAX: usize = 1 << 20;

/// (platform, account); no account sorts first.
type Login = (String, Option<String>);

/// What one client has reported.
#[derive(Debug)]
pub(super) struct ClientSession {
    credentials: Told<Login, CredentialEntry>,
    request_hooks: Told<Login, HookEntry>,
    shell_runtime: Told<String, ShellRuntime>,
    final_messages: VecDeque<FinalMessageEntry>,
    last_action_result: Option<ActionReport>,
    drift: Told<String, u64>,
}

impl Default for ClientSession {
    fn default() -> Self {
        ClientSession {
            credentials: Told::new(ENTRIES_MAX, usize::MAX),
            request_hooks: Told::new(ENTRIES_MAX, HOOKS_BYTES_MAX),
            shell_runtime: Told::new(TABS_MAX, usize::MAX),
            final_messages: VecDeque::new(),
            last_action_result: None,
            drift: Told::new(ENTRIES_MAX, usize::MAX),
        }
    }
}

impl ClientSession {
    /// A login was seen. A sighting of the future counts as one of now: it would stay fresh for too long.
    pub(super) fn record_credentials(&mut self, reported: Credentials, now: WallMs) -> CredentialEntry {
        let seen = reported.last_seen_at.or(reported.timestamp).unwrap_or(now).min(now);
        let entry = CredentialEntry {
            platform: reported.platform,
            account: reported.account,
            credential_fingerprint: reported.credential_fingerprint,
            freshness: reported.freshness,
            captured_at: reported.captured_at.unwrap_or(seen).min(now),
            last_seen_at: seen,
            header_count: reported.header_count,
        };
        self.credentials.insert((entry.platform.clone(), entry.account.clone()), entry.clone(), 1);
        entry
    }

    /// The page's own requests were seen.
    pub(super) fn record_endpoints(&mut self, reported: ApiEndpoints, now: WallMs) -> HookEntry {
        let entry = HookEntry {
            platform: reported.platform,
            account: reported.account,
            credential_fingerprint: reported.credential_fingerprint,
            endpoint_count: reported.endpoints.len(),
            endpoints: reported.endpoints,
            endpoint_metadata: reported.endpoint_metadata,
            last_verified_at: now,
            updated_at: reported.updated_at.unwrap_or(now).min(now),
            prompt_template: reported.prompt_template,
        };
        let weight = entry.endpoints.iter().map(String::len).sum::<usize>()
            + entry.endpoint_metadata.iter().map(|reported| reported.method.len() + reported.path.len()).sum::<usize>();
        self.request_hooks.insert((entry.platform.clone(), entry.account.clone()), entry.clone(), weight);
        entry
    }

    /// An action is done, or not.
    pub(super) fn record_action(&mut self, entry: ActionReport) {
        self.last_action_result = Some(entry);
    }

    /// Tabs were reported; answers those that are not as they were, whenever they were seen.
    pub(super) fn record_tabs(&mut self, reported: Vec<ShellRuntime>) -> Vec<ShellRuntime> {
        let mut changed = Vec::new();
        for tab in reported {
            if self.shell_runtime.get(&tab.platform).is_none_or(|known| !known.is_same_but_for_times(&tab)) {
                changed.push(tab.clone());
            }
            self.shell_runtime.insert(tab.platform.clone(), tab, 1);
        }
        changed
    }

    /// An assistant's message was completed. One that is known leaves, and is the newest again.
    /// `text_bytes_max`: of texts that are kept, the newest first.
    pub(super) fn record_final_message(
        &mut self,
        reported: FinalMessage,
        now: WallMs,
        text_bytes_max: usize,
    ) -> FinalMessageEntry {
        let entry = FinalMessageEntry {
            platform: reported.platform,
            conversation_id: reported.conversation_id,
            assistant_message_id: reported.assistant_message_id,
            observed_at: reported.observed_at.unwrap_or(now),
            raw_length: reported.raw_text.chars().count(),
            digest: Sha256::digest(&reported.raw_text).into(),
            raw_text: Some(reported.raw_text.into()),
        };
        let same = |known: &FinalMessageEntry| {
            known.platform == entry.platform
                && known.conversation_id == entry.conversation_id
                && known.assistant_message_id == entry.assistant_message_id
                && known.digest == entry.digest
        };
        match self.final_messages.iter().position(same) {
            Some(known) => drop(self.final_messages.remove(known)),
            None if self.final_messages.len() == FINAL_MESSAGES_MAX => drop(self.final_messages.pop_front()),
            None => {}
        }
        self.final_messages.push_back(entry.clone());
        let mut kept = 0;
        for (age, message) in self.final_messages.iter_mut().rev().enumerate() {
            kept += message.raw_text.as_ref().map_or(0, |text| text.len());
            // The newest is kept in any case; a message alone is bounded by what a client may send.
            if age > 0 && kept > text_bytes_max {
                message.raw_text = None;
            }
        }
        entry
    }

    /// The extension's extractors were judged.
    pub(super) fn record_drift(&mut self, reported: PlatformStatus) {
        self.drift.insert(reported.platform, reported.extractor_drift, 1);
    }

    /// Everything reported; the texts of final messages only when asked for.
    pub(super) fn view(&self, with_text: bool) -> SessionView {
        let message = |entry: &FinalMessageEntry| {
            let raw_text = entry.raw_text.clone().filter(|_| with_text);
            FinalMessageEntry { raw_text, ..entry.clone() }
        };
        SessionView {
            credentials: self.credentials.values().cloned().collect(),
            request_hooks: self.request_hooks.values().cloned().collect(),
            shell_runtime: self.shell_runtime.values().cloned().collect(),
            final_messages: self.final_messages.iter().map(message).collect(),
            last_action_result: self.last_action_result.clone(),
            extractor_drift: self.drift.iter().map(|(platform, drift)| (platform.clone(), *drift)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Freshness;

    const MAX: usize = 1 << 20;

    fn message(id: &str, text: &str) -> FinalMessage {
        FinalMessage {
            platform: "claude".into(),
            conversation_id: None,
            assistant_message_id: id.into(),
            raw_text: text.into(),
            observed_at: None,
        }
    }

    #[test]
    fn the_ten_newest_messages_are_kept_and_a_known_one_is_not_doubled() {
        let mut session = ClientSession::default();
        for i in 0..12 {
            session.record_final_message(message(&format!("m{i}"), "text"), i, MAX);
        }
        session.record_final_message(message("m5", "text"), 99, MAX);
        session.record_final_message(message("m5", "another text"), 100, MAX);
        let shown = session.view(false).final_messages;
        assert_eq!(shown.len(), 10);
        assert_eq!(shown.iter().filter(|m| m.assistant_message_id == "m5").count(), 2);
        assert_eq!(shown.last().unwrap().observed_at, 100);
        assert!(shown.iter().all(|m| m.raw_text.is_none()));
        assert!(session.view(true).final_messages.iter().all(|m| m.raw_text.is_some()));
    }

    #[test]
    fn the_texts_of_older_messages_go_when_all_are_too_long() {
        let mut session = ClientSession::default();
        for i in 0..4 {
            session.record_final_message(message(&format!("m{i}"), "0123456789"), i, 20);
        }
        let shown = session.view(true).final_messages;
        let kept: Vec<_> = shown.iter().map(|m| (m.raw_length, m.raw_text.is_some())).collect();
        assert_eq!(kept, [(10, false), (10, false), (10, true), (10, true)]);
    }

    #[test]
    fn a_message_that_is_told_again_is_the_newest_and_brings_no_more_text() {
        let mut session = ClientSession::default();
        for id in ["m0", "m1", "m2", "m0", "m1"] {
            session.record_final_message(message(id, "0123456789"), 0, 20);
        }
        let shown = session.view(true).final_messages;
        let kept: Vec<_> = shown.iter().map(|m| (m.assistant_message_id.as_str(), m.raw_text.is_some())).collect();
        assert_eq!(kept, [("m2", false), ("m0", true), ("m1", true)]);
    }

    #[test]
    fn a_flood_of_accounts_is_bounded() {
        let mut session = ClientSession::default();
        for i in 0..1_000 {
            let credentials = Credentials {
                platform: "claude".into(),
                account: Some(format!("{i:04}")),
                credential_fingerprint: None,
                freshness: Freshness::Fresh,
                captured_at: None,
                last_seen_at: None,
                header_count: 1,
                timestamp: None,
                shell_runtime: Vec::new(),
            };
            session.record_credentials(credentials, i);
        }
        let shown = session.view(false).credentials;
        assert_eq!(shown.len(), ENTRIES_MAX);
        assert_eq!(shown.last().unwrap().account.as_deref(), Some("0999"));
    }
}
