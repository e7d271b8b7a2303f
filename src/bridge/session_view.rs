//! A client's reports as they are shown: names, counts and fingerprints only.

pub use crate::api::browser::{CredentialEntry, FinalMessageEntry, HookEntry, SessionView};
use crate::wire::ShellRuntime;

impl SessionView {
    /// Returns the login of a platform that was seen last.
    pub fn newest_credentials(&self, platform: &str) -> Option<&CredentialEntry> {
        let of_it = self.credentials.iter().filter(|entry| entry.platform == platform);
        of_it.max_by_key(|entry| entry.last_seen_at)
    }

    /// Returns the endpoint list of a platform that changed last.
    pub fn newest_hooks(&self, platform: &str) -> Option<&HookEntry> {
        self.request_hooks.iter().filter(|entry| entry.platform == platform).max_by_key(|entry| entry.updated_at)
    }

    /// Returns the shell tab of a platform.
    pub fn tab(&self, platform: &str) -> Option<&ShellRuntime> {
        self.shell_runtime.iter().find(|tab| tab.platform == platform)
    }
}
