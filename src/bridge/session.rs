//! What one client reported in its session, as a value: logins, endpoints, shell tabs, final messages, its last action.
//! No actor and no clock. Everything is bounded: of what a client reports without end, the entry that was reported
//! longest ago is evicted first.

use super::{
    action::ActionReport,
    view::{CredentialEntry, FinalMessageEntry, HookEntry, SessionView},
};
use crate::{
    clock::WallMs,
    wire::{ApiEndpoints, Credentials, FinalMessage, PlatformStatus, ShellRuntime},
};
use lru::LruCache;
use sha2::{Digest, Sha256};
use std::{collections::VecDeque, hash::Hash, num::NonZeroUsize};

/// Final messages that are kept for the snapshot.
const FINAL_MESSAGES_MAX: usize = 10;
/// Logins, endpoint lists and drift counts of one client.
pub(super) const ENTRIES_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
/// Shell tabs of one client.
const TABS_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");
/// Bytes of all endpoint lists of one client; every snapshot to the client contains them.
const HOOKS_BYTES_MAX: usize = 1 << 20;

/// Platform and account; a login without an account sorts first.
type LoginKey = (String, Option<String>);

#[derive(Debug)]
pub(super) struct ClientSession {
    credentials: LruCache<LoginKey, CredentialEntry>,
    request_hooks: LruCache<LoginKey, HookEntry>,
    hooks_bytes: usize,
    shell_runtime: LruCache<String, ShellRuntime>,
    /// Newest last.
    final_messages: VecDeque<FinalMessageEntry>,
    last_action_result: Option<ActionReport>,
    drift: LruCache<String, u64>,
}

impl Default for ClientSession {
    fn default() -> Self {
        ClientSession {
            credentials: LruCache::sparse(ENTRIES_MAX),
            request_hooks: LruCache::sparse(ENTRIES_MAX),
            hooks_bytes: 0,
            shell_runtime: LruCache::sparse(TABS_MAX),
            final_messages: VecDeque::new(),
            last_action_result: None,
            drift: LruCache::sparse(ENTRIES_MAX),
        }
    }
}

impl ClientSession {
    /// Records a login. A sighting in the future counts as one at `now`, or the login would look fresh for too long.
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
        self.credentials.put((entry.platform.clone(), entry.account.clone()), entry.clone());
        entry
    }

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
        self.hooks_bytes += hook_bytes(&entry);
        let evicted = self.request_hooks.push((entry.platform.clone(), entry.account.clone()), entry.clone());
        self.hooks_bytes -= evicted.map_or(0, |(_, evicted)| hook_bytes(&evicted));
        // The newest list is always kept; the size of one message is bounded.
        while self.hooks_bytes > HOOKS_BYTES_MAX && self.request_hooks.len() > 1 {
            let Some((_, evicted)) = self.request_hooks.pop_lru() else { break };
            self.hooks_bytes -= hook_bytes(&evicted);
        }
        entry
    }

    pub(super) fn record_action(&mut self, entry: ActionReport) {
        self.last_action_result = Some(entry);
    }

    /// Records tabs. Returns those that changed; differences in times alone do not count.
    pub(super) fn record_tabs(&mut self, reported: Vec<ShellRuntime>) -> Vec<ShellRuntime> {
        let mut changed = Vec::new();
        for tab in reported {
            if self.shell_runtime.peek(&tab.platform).is_none_or(|known| !known.is_same_but_for_times(&tab)) {
                changed.push(tab.clone());
            }
            self.shell_runtime.put(tab.platform.clone(), tab);
        }
        changed
    }

    /// Records a completed message of an assistant. A known message is moved to the end. Keeps at most `text_bytes_max`
    /// bytes of texts, those of the newest messages first.
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
            // The newest text is always kept; the size of one message is bounded.
            if age > 0 && kept > text_bytes_max {
                message.raw_text = None;
            }
        }
        entry
    }

    /// Records how often the app's traffic did not match the extension's extractors.
    pub(super) fn record_drift(&mut self, reported: PlatformStatus) {
        self.drift.put(reported.platform, reported.extractor_drift);
    }

    /// Returns all reports; the texts of final messages only if `with_text`.
    pub(super) fn view(&self, with_text: bool) -> SessionView {
        let message = |entry: &FinalMessageEntry| {
            let raw_text = entry.raw_text.clone().filter(|_| with_text);
            FinalMessageEntry { raw_text, ..entry.clone() }
        };
        SessionView {
            credentials: sorted_by_key(&self.credentials),
            request_hooks: sorted_by_key(&self.request_hooks),
            shell_runtime: sorted_by_key(&self.shell_runtime),
            final_messages: self.final_messages.iter().map(message).collect(),
            last_action_result: self.last_action_result.clone(),
            extractor_drift: self.drift.iter().map(|(platform, drift)| (platform.clone(), *drift)).collect(),
        }
    }
}

fn hook_bytes(entry: &HookEntry) -> usize {
    entry.endpoints.iter().map(String::len).sum::<usize>()
        + entry.endpoint_metadata.iter().map(|endpoint| endpoint.method.len() + endpoint.path.len()).sum::<usize>()
}

fn sorted_by_key<K: Ord + Hash + Eq, V: Clone>(cache: &LruCache<K, V>) -> Vec<V> {
    let mut entries: Vec<_> = cache.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries.into_iter().map(|(_, value)| value.clone()).collect()
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
    fn the_ten_newest_messages_are_kept_and_a_known_one_is_not_duplicated() {
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
    fn texts_of_older_messages_are_dropped_beyond_the_limit() {
        let mut session = ClientSession::default();
        for i in 0..4 {
            session.record_final_message(message(&format!("m{i}"), "0123456789"), i, 20);
        }
        let shown = session.view(true).final_messages;
        let kept: Vec<_> = shown.iter().map(|m| (m.raw_length, m.raw_text.is_some())).collect();
        assert_eq!(kept, [(10, false), (10, false), (10, true), (10, true)]);
    }

    #[test]
    fn a_repeated_message_is_the_newest_and_adds_no_text() {
        let mut session = ClientSession::default();
        for id in ["m0", "m1", "m2", "m0", "m1"] {
            session.record_final_message(message(id, "0123456789"), 0, 20);
        }
        let shown = session.view(true).final_messages;
        let kept: Vec<_> = shown.iter().map(|m| (m.assistant_message_id.as_str(), m.raw_text.is_some())).collect();
        assert_eq!(kept, [("m2", false), ("m0", true), ("m1", true)]);
    }

    fn endpoints(account: &str, bytes: usize) -> ApiEndpoints {
        ApiEndpoints {
            platform: "claude".into(),
            account: Some(account.into()),
            credential_fingerprint: None,
            endpoints: vec!["x".repeat(bytes)],
            endpoint_metadata: Vec::new(),
            updated_at: None,
            prompt_template: false,
            prompt_accepted: false,
            shell_runtime: Vec::new(),
        }
    }

    fn accounts(session: &ClientSession) -> String {
        session.view(false).request_hooks.iter().filter_map(|entry| entry.account.as_deref()).collect()
    }

    #[test]
    fn endpoint_lists_are_bounded_in_bytes_and_the_newest_is_always_kept() {
        let mut session = ClientSession::default();
        for (account, tenths, expected) in
            [("b", 4, "b"), ("a", 4, "ab"), ("b", 5, "ab"), ("c", 2, "bc"), ("d", 11, "d"), ("e", 1, "e")]
        {
            session.record_endpoints(endpoints(account, HOOKS_BYTES_MAX * tenths / 10), 0);
            assert_eq!(accounts(&session), expected, "after {account}");
        }
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
        assert_eq!(shown.len(), ENTRIES_MAX.get());
        assert_eq!(shown.last().unwrap().account.as_deref(), Some("0999"));
    }
}
