//! The configuration: joins the sections, each of which lives beside its consumer, loads them in layers, and explains
//! where every value came from.
//!
//! ```text
//! defaults < $XDG_CONFIG_HOME/baa-conductor/conductor.toml < --config FILE < environment < options
//! ```
//!
//! Invariant: a [`LoadedConfig`] configuration has passed every section's `validate`, so that its readers need not doubt it.
//! Only [`sources`] touches files and the process's environment; everything else is pure.

pub mod explain;
pub mod layers;
pub(crate) mod path;
pub(crate) mod section;
pub mod sources;

pub use layers::{ConfigError, LoadedConfig, ValueOrigin, ValueOrigins, load};
pub use section::{ValidationError, ValidationErrors};
pub use sources::{ConfigOptions, ConfigSources};

use crate::{
    bridge::settings::{BridgeSettings, LoginStateSettings},
    codex::settings::CodexSettings,
    host::settings::HostOpsSettings,
    http::settings::{AuthSettings, LocalTrust, ServerSettings},
    instructions::settings::InstructionSettings,
    platforms::registry::{PlatformRegistry, PlatformsSettings},
    policy::settings::PolicySettings,
    store::settings::StoreSettings,
    system::settings::NodeSettings,
    telemetry::settings::LogSettings,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Every setting of the daemon; a field is a section of the same name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each field's type says what it is")]
pub struct Config {
    pub server: ServerSettings,
    pub auth: AuthSettings,
    pub store: StoreSettings,
    pub bridge: BridgeSettings,
    pub login_state: LoginStateSettings,
    pub policy: PolicySettings,
    pub platforms: PlatformsSettings,
    pub instructions: InstructionSettings,
    pub host_ops: HostOpsSettings,
    pub codex: CodexSettings,
    pub log: LogSettings,
    pub node: NodeSettings,
    /// The files that it was read from.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

impl Config {
    /// The registry of its platforms.
    pub fn registry(&self) -> PlatformRegistry {
        PlatformRegistry::new(&self.platforms)
    }

    /// Names every value that cannot be, by its whole key.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        errors.in_section("server", |errors| self.server.validate(errors));
        errors.in_section("auth", |errors| self.auth.validate(errors));
        errors.in_section("store", |errors| self.store.validate(errors));
        errors.in_section("bridge", |errors| self.bridge.validate(errors));
        errors.in_section("login_state", |errors| self.login_state.validate(errors));
        self.store.hold(&self.bridge, &self.login_state, errors);
        errors.in_section("platforms", |errors| PlatformRegistry::checked(&self.platforms, errors));
        // A platform that is there but faulty has its own fault.
        let registered = |name: &str| self.platforms.0.contains_key(name);
        errors.in_section("policy", |errors| self.policy.validate(errors, registered));
        errors.in_section("instructions", |errors| self.instructions.validate(errors, registered));
        errors.in_section("host_ops", |errors| self.host_ops.validate(errors));
        errors.in_section("codex", |errors| self.codex.validate(errors));
        errors.in_section("log", |errors| self.log.validate(errors));
        errors.in_section("node", |errors| self.node.validate(errors));
    }

    /// Draws the consequences that one value has for another; says which key changed because of which. `trust_is_default`:
    /// no source has a value of `auth.local_trust`.
    fn apply_implications(&mut self, host_name: &str, trust_is_default: bool) -> Option<(&'static str, &'static str)> {
        self.node.named(host_name);
        let because = if self.server.is_remote() {
            "server.listen and server.status_listen"
        } else if trust_is_default && self.server.has_foreign_hosts() {
            "server.allowed_hosts"
        } else {
            return None;
        };
        let before = std::mem::replace(&mut self.auth.local_trust, LocalTrust::None);
        (before != LocalTrust::None).then_some(("auth.local_trust", because))
    }

    /// Returns what there is to say about a trust in local callers that is written out although the daemon is configured
    /// to be reached from elsewhere.
    pub fn local_trust_warning(&self) -> Option<String> {
        let trust = match self.auth.local_trust {
            LocalTrust::SameUser => "same_user",
            LocalTrust::Loopback => "loopback",
            LocalTrust::None => return None,
        };
        self.server.has_foreign_hosts().then(|| {
            format!(
                "auth.local_trust = \"{trust}\" although server.allowed_hosts names other hosts: whoever comes by a raw TCP \
                 tunnel (ssh -R, socat) that runs as this user passes for this user and needs no token"
            )
        })
    }
}

#[cfg(test)]
mod tests;
