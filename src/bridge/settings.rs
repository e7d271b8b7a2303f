//! Section `bridge`: limits and timeouts of the extension's connections.

use crate::config::section::{ValidationErrors, settings};
use serde::{Deserialize, Serialize};

settings! {
    /// Connections of the Firefox extension and the requests on them.
    BridgeSettings {
        /// Whether a client must be paired: `required` or `off`.
        pairing: PairingMode = PairingMode::Required,
        /// Milliseconds for which a pairing code is valid; then the client shows another one.
        pairing_code_ms: u64 = 300_000,
        /// Wrong codes after which a client that waits for pairing is disconnected.
        pairing_attempts: u64 = 5,
        /// Clients that may wait for pairing.
        max_unpaired: usize = 64,
        /// Milliseconds within which a paired client must prove its identity.
        proof_timeout_ms: u64 = 5_000,
        /// Milliseconds within which a new socket must send `hello`.
        hello_timeout_ms: u64 = 10_000,
        /// Milliseconds between pings; after three intervals without a frame the socket is closed.
        heartbeat_ms: u64 = 15_000,
        /// Bytes of one message, over all its fragments.
        max_message_bytes: usize = 40 << 20,
        /// Bytes of one message before `hello_ack`.
        hello_max_message_bytes: usize = 64 << 10,
        /// Messages per second beyond which a client is read more slowly.
        max_messages_per_second: u64 = 5_000,
        /// Messages that may arrive at once before that rate applies.
        message_burst: u64 = 20_000,
        /// Milliseconds that a buffered request may take from its dispatch, unless it has its own timeout.
        request_timeout_ms: u64 = 20_000,
        /// Milliseconds that an action may take, unless it has its own timeout.
        action_timeout_ms: u64 = 10_000,
        /// Milliseconds to which `progress` can extend the timeout of a prompt.
        prompt_timeout_ms: u64 = 900_000,
        /// Milliseconds that a cancelled request waits for the extension's answer.
        cancel_grace_ms: u64 = 2_000,
        /// Bytes that may wait to be sent to a client; beyond them it is disconnected.
        max_outbound_bytes: usize = 32 << 20,
        /// Bytes of a buffered answer.
        max_response_bytes: usize = 16 << 20,
        /// Bytes that are read from a socket before its connection has handled them.
        inbound_window_bytes: usize = 64 << 10,
        /// Milliseconds between two snapshots to one client; 0 = one for each change.
        snapshot_interval_ms: u64 = 50,
        /// Bytes of the texts of final messages that are kept for each client; of older messages only the length is kept.
        max_final_message_bytes: usize = 4 << 20,
        /// Clients that may be connected.
        max_clients: usize = 2_048,
    }
}

/// Whether a client must be paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PairingMode {
    /// The operator must approve a client before it is used.
    Required,
    /// Any client that passes the handshake is used. For tests and the simulator.
    Off,
}

impl PairingMode {
    /// Returns its name in the configuration and in `hello_ack`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl BridgeSettings {
    /// Adds an error for each invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        errors.duration("pairing_code_ms", self.pairing_code_ms);
        errors.range("pairing_attempts", self.pairing_attempts, 1, 1_000);
        // Each waiting client has a code of its own; there are a million codes.
        errors.range("max_unpaired", self.max_unpaired as u64, 1, 10_000);
        errors.duration("proof_timeout_ms", self.proof_timeout_ms);
        errors.duration("hello_timeout_ms", self.hello_timeout_ms);
        errors.duration("heartbeat_ms", self.heartbeat_ms);
        // A `hello` with its names and nonce must fit.
        errors.bytes("max_message_bytes", self.max_message_bytes, 1_024);
        errors.bytes("hello_max_message_bytes", self.hello_max_message_bytes, 1_024);
        errors.range("max_messages_per_second", self.max_messages_per_second, 1, 1_000_000_000);
        errors.range("message_burst", self.message_burst, 1, 1_000_000_000);
        errors.duration("request_timeout_ms", self.request_timeout_ms);
        errors.duration("action_timeout_ms", self.action_timeout_ms);
        errors.duration("prompt_timeout_ms", self.prompt_timeout_ms);
        errors.delay("cancel_grace_ms", self.cancel_grace_ms);
        errors.bytes("max_outbound_bytes", self.max_outbound_bytes, 1_024);
        errors.bytes("max_response_bytes", self.max_response_bytes, 1);
        errors.bytes("inbound_window_bytes", self.inbound_window_bytes, 1_024);
        errors.delay("snapshot_interval_ms", self.snapshot_interval_ms);
        errors.bytes("max_final_message_bytes", self.max_final_message_bytes, 1);
        errors.count("max_clients", self.max_clients);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    #[test]
    fn the_defaults_are_valid_and_zeros_are_errors() {
        assert_eq!(validation_errors(|errors| BridgeSettings::default().validate(errors)), [""; 0]);
        let zeros = BridgeSettings {
            pairing_code_ms: 0,
            pairing_attempts: 0,
            max_unpaired: 0,
            proof_timeout_ms: 0,
            hello_timeout_ms: 0,
            heartbeat_ms: 0,
            max_message_bytes: 0,
            hello_max_message_bytes: 0,
            max_messages_per_second: 0,
            message_burst: 0,
            request_timeout_ms: 0,
            action_timeout_ms: 0,
            prompt_timeout_ms: 0,
            cancel_grace_ms: 0,
            max_outbound_bytes: 0,
            max_response_bytes: 0,
            inbound_window_bytes: 0,
            snapshot_interval_ms: 0,
            max_final_message_bytes: 0,
            max_clients: 0,
            pairing: PairingMode::Off,
        };
        assert_eq!(
            validation_errors(|errors| zeros.validate(errors)).len(),
            18,
            "a grace and an interval of 0 have a meaning"
        );
    }
}
