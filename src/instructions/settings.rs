//! Section `instructions`: what is done with the instructions in a model's messages.

use crate::{
    config::section::{BYTES_MAX, COUNT, COUNT_MAX, DURATION, SettingsSection, ValidationErrors, settings},
    host::settings::SandboxLevel,
};
use serde::{Deserialize, Serialize};

settings! {
    /// Processing of the instructions in a model's messages.
    InstructionSettings {
        /// Whether instructions in observed messages are processed.
        live: bool = false,
        /// Rules of accepted live messages, `{ platform = "claude", client_id = "…", conversation_id = "…" }`, the last
        /// two optional; a `conversation_id` that ends with `*` accepts all with that prefix. All other messages are
        /// ignored.
        allow: Vec<AllowRule> = Vec::new(),
        /// Tool classes that run without approval: `"read"`, `"exec"`, `"file_read"`, `"file_write"`.
        auto_approve: Vec<ToolClass> = vec![ToolClass::Read],
        /// Commands that need no approval, each a prefix of an argument vector, such as `["git", "status"]`. A command
        /// with a character that a shell could interpret always needs it.
        exec_allow: Vec<Vec<String>> = Vec::new(),
        /// Milliseconds until a pending approval expires.
        approval_ttl_ms: u64 = 3_600_000 => DURATION,
        /// The sandbox of a model's commands and file tools, live or submitted for approval: `"landlock"`,
        /// `"bubblewrap"` or `"off"`.
        sandbox: SandboxLevel = SandboxLevel::Landlock,
        /// Live batches per minute beyond which every batch needs approval; 0 = always.
        max_live_batches_per_minute: usize = 6 => 0..=COUNT_MAX,
        /// Whether a failed instruction ends its batch.
        stop_on_failure: bool = false,
        /// Whether results are sent back as the next prompt: `"off"` or `"conversation"`.
        deliver: DeliveryMode = DeliveryMode::Off,
        /// Bytes of one instruction's output in a delivery.
        #[advanced]
        deliver_max_bytes: usize = 16 << 10 => 1..=BYTES_MAX,
        /// Deliveries per hour and conversation; 0 = none.
        deliver_max_rounds_per_hour: usize = 8 => 0..=COUNT_MAX,
        /// Batches that may wait for approval or for execution; more are refused.
        #[advanced]
        max_waiting: usize = 256 => COUNT,
        /// Observed messages that may wait to be processed; more are only stored.
        #[advanced]
        max_unread_messages: usize = 64 => COUNT,
        /// Bytes stored of each text in the result of an instruction or a direct operation.
        #[advanced]
        result_max_bytes: usize = 64 << 10 => 1..=BYTES_MAX,
        /// Bytes of results that a waiting caller receives complete; more are truncated as stored.
        #[advanced]
        answer_max_bytes: usize = 16 << 20 => 0..=BYTES_MAX,
    }
}

/// A rule that accepts live messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowRule {
    /// The platform.
    pub platform: String,
    /// The client; absent: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The conversation, or a prefix with a trailing `*`; absent: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
}

/// A class of tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolClass {
    /// Reads the state of the daemon.
    Read,
    /// Runs a command.
    Exec,
    /// Reads a file.
    FileRead,
    /// Writes a file.
    FileWrite,
}

/// Whether results are sent back into the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryMode {
    /// Results are not sent back.
    Off,
    /// As the next prompt of the same conversation.
    Conversation,
}

impl InstructionSettings {
    /// Adds an error for each invalid value; `registered` returns whether a platform exists.
    pub fn validate(&self, errors: &mut ValidationErrors, registered: impl Fn(&str) -> bool) {
        self.check_bounds(errors);
        for rule in &self.allow {
            rule.validate(errors, &registered);
        }
        for words in &self.exec_allow {
            if let Some(reason) = never_matches(words) {
                errors.add("exec_allow", format!("{words:?} {reason}"));
            }
        }
    }
}

impl AllowRule {
    fn validate(&self, errors: &mut ValidationErrors, registered: impl Fn(&str) -> bool) {
        if !registered(&self.platform) {
            errors.add("allow", format!("{:?} is not a registered platform", self.platform));
        }
        for (name, value) in [("client_id", &self.client_id), ("conversation_id", &self.conversation_id)] {
            if value.as_deref().is_some_and(|text| text.trim().is_empty()) {
                errors.add("allow", format!("an empty {name} matches nothing; leave it out for any"));
            }
        }
        let conversation = self.conversation_id.as_deref().unwrap_or_default();
        if conversation.strip_suffix('*').unwrap_or(conversation).contains('*') {
            errors.add("allow", format!("{conversation:?} may have a * at its end alone"));
        }
        if self.client_id.as_deref().is_some_and(|client| client.contains('*')) {
            errors.add("allow", "client_id is a whole name, without *");
        }
    }
}

/// Returns whether an argument is only ASCII letters, digits, spaces and characters that no shell interprets.
pub(super) fn is_plain(argument: &str) -> bool {
    argument.bytes().all(|b| b.is_ascii_alphanumeric() || b" _-./:,@%+=".contains(&b))
}

/// Returns why a prefix matches no command, or every one.
fn never_matches(words: &[String]) -> Option<&'static str> {
    let Some(program) = words.first().filter(|program| !program.is_empty()) else {
        return Some("names no program and would match every command");
    };
    if program.contains([' ', '=']) {
        return Some("begins with no program: each argument is a text of its own");
    }
    let plain = words.iter().all(|word| is_plain(word));
    (!plain).then_some("holds a sign that a shell could read, and what holds one always needs approval")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    fn errors(text: &str) -> Vec<String> {
        let instructions: InstructionSettings = toml::from_str(text).unwrap();
        validation_errors(|errors| instructions.validate(errors, |name| name == "claude"))
    }

    #[test]
    fn what_can_be_has_no_faults() {
        let text = "exec_allow = [[\"git\", \"status\"], [\"ls\", \"a b\"]]\nmax_live_batches_per_minute = 0\n\
             allow = [{ platform = \"claude\", client_id = \"c\", conversation_id = \"c*\" }, \
             { platform = \"claude\", conversation_id = \"*\" }]\nauto_approve = []\ndeliver_max_rounds_per_hour = 0";
        assert!(errors(text).is_empty(), "{:?}", errors(text));
        assert!(errors("").is_empty());
    }

    #[test]
    fn every_impossible_value_is_named_at_once() {
        let text = "approval_ttl_ms = 0\ndeliver_max_bytes = 0\nmax_live_batches_per_minute = 2_000_000_000\n\
             deliver_max_rounds_per_hour = 2_000_000_000\nmax_waiting = 0\nmax_unread_messages = 0\n\
             result_max_bytes = 0\nexec_allow = [[], [\"\"], [\"git status\"], [\"A=b\", \"c\"], \
             [\"sh\", \"-c\", \"a; b\"]]\nallow = [{ platform = \"x\" }, { platform = \"claude\", client_id = \"\" }, \
             { platform = \"claude\", conversation_id = \" \" }, { platform = \"claude\", conversation_id = \"a*b\" }, \
             { platform = \"claude\", client_id = \"c*\" }]";
        let found = errors(text);
        for (key, times) in [
            ("allow", 5),
            ("exec_allow", 5),
            ("approval_ttl_ms", 1),
            ("deliver_max_bytes", 1),
            ("max_live_batches_per_minute", 1),
            ("deliver_max_rounds_per_hour", 1),
            ("max_waiting", 1),
            ("max_unread_messages", 1),
            ("result_max_bytes", 1),
        ] {
            assert_eq!(found.iter().filter(|fault| fault.starts_with(&format!("{key}: "))).count(), times, "{found:?}");
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for text in [
            "allow = [{ platform = \"claude\", clientid = \"c\" }]",
            "auto_approve = [\"write\"]",
            "sandbox = \"none\"",
            "deliver = \"everywhere\"",
            "live = \"yes\"",
        ] {
            assert!(toml::from_str::<InstructionSettings>(text).is_err(), "{text}");
        }
    }
}
