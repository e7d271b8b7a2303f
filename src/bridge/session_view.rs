//! What a client has told, as it is shown: names, counts and fingerprints only.

pub use crate::api::browser::{CredentialEntry, FinalMessageEntry, HookEntry, SessionView};
use crate::wire::ShellRuntime;

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
