//! Sections whose consumers are still to come: their keys are read and checked already, so that one file serves every
//! version.

use crate::config::section::{Faults, settings};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

settings! {
    /// What is done with the instructions in a model's messages.
    Instructions {
        /// Whether observed final messages are processed at all.
        live: bool = false,
        /// Which live messages count; the others are ignored.
        allow: Vec<Allowed> = Vec::new(),
        /// Classes that run at once; everything else waits for approval.
        auto_approve: Vec<Class> = vec![Class::Read],
        /// Commands that need no approval, each the beginning of an argument vector.
        exec_allow: Vec<Vec<String>> = Vec::new(),
        /// Milliseconds until what waits for approval expires.
        approval_ttl_ms: u64 = 3_600_000,
        /// What the commands and file tools of live batches run in.
        sandbox: Sandbox = Sandbox::Landlock,
        /// Live batches a minute beyond which approval is needed whatever the class.
        max_live_batches_per_minute: usize = 6,
        /// Whether an instruction that fails ends its batch.
        stop_on_failure: bool = false,
        /// Whether results go back into the conversation.
        deliver: Deliver = Deliver::Off,
        /// Bytes of one instruction's output in a delivery.
        deliver_max_bytes: usize = 16 << 10,
        /// Deliveries an hour and conversation.
        deliver_max_rounds_per_hour: usize = 8,
    }
}

/// Live messages that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Of this platform.
    pub platform: String,
    /// Seen by this client; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Of this conversation, or with a trailing `*` of those that begin so; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
}

/// What an instruction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Asks the daemon itself.
    Read,
    /// Runs a command.
    Exec,
    /// Reads a file.
    FileRead,
    /// Writes a file.
    FileWrite,
}

/// What commands and file tools run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// Nothing.
    Off,
    /// The kernel's Landlock.
    Landlock,
    /// Bubblewrap.
    Bubblewrap,
}

/// Whether results go back into the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deliver {
    /// They do not.
    Off,
    /// As the next prompt of the same conversation.
    Conversation,
}

settings! {
    /// Commands and files of this machine.
    HostOps {
        /// Whether the routes exist.
        enabled: bool = true,
        /// Folders beneath which files may be read and written; empty = everywhere.
        roots: Vec<PathBuf> = Vec::new(),
        /// Environment variables that commands get besides the usual ones.
        env_allow: Vec<String> = Vec::new(),
        /// Commands at once; more wait.
        max_concurrent: usize = 4,
        /// What the operator's own commands run in.
        sandbox: Sandbox = Sandbox::Off,
        /// Whether commands may run while the daemon runs as root.
        allow_root: bool = false,
    }
}

impl Instructions {
    /// Names every value that cannot be; `registered` tells which platforms there are.
    pub fn validate(&self, faults: &mut Faults, registered: impl Fn(&str) -> bool) {
        for rule in &self.allow {
            if !registered(&rule.platform) {
                faults.add("allow", format!("{:?} is not a registered platform", rule.platform));
            }
        }
        if self.exec_allow.iter().any(|words| words.first().is_none_or(|program| program.is_empty())) {
            faults.add("exec_allow", "an entry without a program would match every command");
        }
        faults.duration("approval_ttl_ms", self.approval_ttl_ms);
        faults.bytes("deliver_max_bytes", self.deliver_max_bytes, 1);
        faults.range("max_live_batches_per_minute", self.max_live_batches_per_minute as u64, 0, 1_000_000);
        faults.range("deliver_max_rounds_per_hour", self.deliver_max_rounds_per_hour as u64, 0, 1_000_000);
    }
}

impl HostOps {
    /// Names every value that cannot be.
    pub fn validate(&self, faults: &mut Faults) {
        for root in self.roots.iter().filter(|root| !root.is_absolute()) {
            faults.add("roots", format!("{root:?} must be an absolute path"));
        }
        for name in &self.env_allow {
            if name.is_empty() || name.contains(['=', '\0']) {
                faults.add("env_allow", format!("{name:?} is not the name of a variable"));
            } else if name.starts_with("BAA_") {
                faults.add("env_allow", format!("{name:?} may hold a secret of the daemon and is never handed on"));
            }
        }
        faults.count("max_concurrent", self.max_concurrent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::faults_of;

    #[test]
    fn instructions_name_registered_platforms_and_programs() {
        let text = "exec_allow = [[\"git\", \"status\"], []]\nallow = [{ platform = \"claude\", conversation_id = \"c*\" }, { platform = \"x\" }]";
        let instructions: Instructions = toml::from_str(text).unwrap();
        let found = faults_of(|faults| instructions.validate(faults, |name| name == "claude"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(toml::from_str::<Instructions>("allow = [{ platform = \"claude\", clientid = \"c\" }]").is_err());
    }

    #[test]
    fn host_operations_take_absolute_roots_and_none_of_our_own_variables() {
        let host: HostOps =
            toml::from_str("roots = [\"x\"]\nenv_allow = [\"BAA_SHARED_TOKEN\", \"\", \"OK\"]\nmax_concurrent = 0")
                .unwrap();
        assert_eq!(faults_of(|faults| host.validate(faults)).len(), 4);
    }
}
