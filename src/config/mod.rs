//! The configuration: joins the sections, each of which lives beside its consumer, loads them in layers, and explains
//! where every value came from.
//!
//! ```text
//! defaults < $XDG_CONFIG_HOME/baa-conductor/conductor.toml < --config FILE < environment < options
//! ```
//!
//! Invariant: a [`Loaded`] configuration has passed every section's `validate`, so that its readers need not doubt it.
//! Only [`sources`] touches files and the process's environment; everything else is pure.

pub mod explain;
pub mod layers;
pub(crate) mod path;
pub(crate) mod section;
pub mod sources;

pub use layers::{Fault, Loaded, Origin, Origins, load};
pub use section::{Faults, Found};
pub use sources::{Options, Sources};

use crate::{
    bridge::settings::{Bridge, LoginState},
    codex::settings::Codex,
    host::settings::HostOps,
    http::settings::{Auth, LocalTrust, Server},
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
    pub server: Server,
    pub auth: Auth,
    pub store: StoreSettings,
    pub bridge: Bridge,
    pub login_state: LoginState,
    pub policy: PolicySettings,
    pub platforms: PlatformsSettings,
    pub instructions: InstructionSettings,
    pub host_ops: HostOps,
    pub codex: Codex,
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
    pub fn validate(&self, faults: &mut Faults) {
        faults.within("server", |faults| self.server.validate(faults));
        faults.within("auth", |faults| self.auth.validate(faults));
        faults.within("store", |faults| self.store.validate(faults));
        faults.within("bridge", |faults| self.bridge.validate(faults));
        faults.within("login_state", |faults| self.login_state.validate(faults));
        self.store.hold(&self.bridge, &self.login_state, faults);
        faults.within("platforms", |faults| PlatformRegistry::checked(&self.platforms, faults));
        // A platform that is there but faulty has its own fault.
        let registered = |name: &str| self.platforms.0.contains_key(name);
        faults.within("policy", |faults| self.policy.validate(faults, registered));
        faults.within("instructions", |faults| self.instructions.validate(faults, registered));
        faults.within("host_ops", |faults| self.host_ops.validate(faults));
        faults.within("codex", |faults| self.codex.validate(faults));
        faults.within("log", |faults| self.log.validate(faults));
        faults.within("node", |faults| self.node.validate(faults));
    }

    /// Draws the consequences that one value has for another; says which key changed because of which. `trust_is_default`:
    /// no source has a value of `auth.local_trust`.
    fn settle(&mut self, host_name: &str, trust_is_default: bool) -> Option<(&'static str, &'static str)> {
        self.node.named(host_name);
        let because = if self.server.is_remote() {
            "server.listen and server.status_listen"
        } else if trust_is_default && self.server.names_others() {
            "server.allowed_hosts"
        } else {
            return None;
        };
        let before = std::mem::replace(&mut self.auth.local_trust, LocalTrust::None);
        (before != LocalTrust::None).then_some(("auth.local_trust", because))
    }

    /// Returns what there is to say about a trust in local callers that is written out although the daemon is configured
    /// to be reached from elsewhere.
    pub fn doubtful_trust(&self) -> Option<String> {
        let trust = match self.auth.local_trust {
            LocalTrust::SameUser => "same_user",
            LocalTrust::Loopback => "loopback",
            LocalTrust::None => return None,
        };
        self.server.names_others().then(|| {
            format!(
                "auth.local_trust = \"{trust}\" although server.allowed_hosts names other hosts: whoever comes by a raw TCP \
                 tunnel (ssh -R, socat) that runs as this user passes for this user and needs no token"
            )
        })
    }
}

#[cfg(test)]
mod tests;
