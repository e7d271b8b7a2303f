//! The configuration: combines the sections, each of which is declared beside its consumer, loads them in layers, and
//! explains the origin of every value.
//!
//! ```text
//! defaults < $XDG_CONFIG_HOME/baa-conductor/conductor.toml < --config FILE < environment < options
//! ```
//!
//! Invariant: a [`LoadedConfig`] has passed the `validate` of every section, so that its readers need no further checks.
//! Only [`sources`] reads files and the process's environment; everything else is pure.

pub mod explain;
pub mod layers;
pub(crate) mod path;
pub(crate) mod section;
pub mod sources;

pub use layers::{ConfigError, LoadedConfig, ValueOrigin, ValueOrigins, load};
pub use section::{ValidationError, ValidationErrors};
pub use sources::{ConfigOptions, ConfigSources};

use crate::{
    bridge::settings::BridgeSettings,
    codex::settings::CodexSettings,
    host::settings::HostOpsSettings,
    http::settings::{AuthSettings, LocalTrust, ServerSettings},
    instructions::settings::InstructionSettings,
    platforms::registry::{PlatformRegistry, PlatformsSettings},
    policy::settings::PolicySettings,
    store::settings::{LoginStateSettings, StoreSettings},
    system::settings::NodeSettings,
    telemetry::settings::LogSettings,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All settings of the daemon; each field is the section of the same name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the type of each field is documented")]
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
    /// Files that the configuration was read from.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

impl Config {
    /// Creates the registry of the configured platforms.
    pub fn registry(&self) -> PlatformRegistry {
        PlatformRegistry::new(&self.platforms)
    }

    /// Adds an error for each invalid value, with its full key.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        errors.in_section("server", |errors| self.server.validate(errors));
        errors.in_section("auth", |errors| self.auth.validate(errors));
        errors.in_section("store", |errors| self.store.validate(errors));
        errors.in_section("bridge", |errors| self.bridge.validate(errors));
        errors.in_section("login_state", |errors| self.login_state.validate(errors));
        self.store.hold(&self.bridge, &self.login_state, errors);
        errors.in_section("platforms", |errors| PlatformRegistry::checked(&self.platforms, errors));
        // A registered but invalid platform has its own error.
        let registered = |name: &str| self.platforms.0.contains_key(name);
        errors.in_section("policy", |errors| self.policy.validate(errors, registered));
        errors.in_section("instructions", |errors| self.instructions.validate(errors, registered));
        errors.in_section("host_ops", |errors| self.host_ops.validate(errors));
        errors.in_section("codex", |errors| self.codex.validate(errors));
        errors.in_section("log", |errors| self.log.validate(errors));
        errors.in_section("node", |errors| self.node.validate(errors));
    }

    /// Sets values that others imply. Returns the changed key and the reason. `trust_is_default`: whether no source sets
    /// `auth.local_trust`.
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

    /// Returns a warning if `auth.local_trust` is set explicitly although `server.allowed_hosts` names other hosts.
    pub fn local_trust_warning(&self) -> Option<String> {
        let trust = self.auth.local_trust;
        (trust != LocalTrust::None && self.server.has_foreign_hosts()).then(|| {
            let trust: &str = trust.into();
            format!(
                "auth.local_trust = \"{trust}\" although server.allowed_hosts names other hosts: a caller behind a raw TCP \
                 tunnel (ssh -R, socat) that runs as this user is taken for this user and needs no token"
            )
        })
    }
}

#[cfg(test)]
mod tests;
