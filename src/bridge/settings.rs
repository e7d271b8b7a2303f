//! Section `bridge`: limits and timeouts of the extension's connections.

use crate::config::section::{BYTES_MAX, COUNT, DELAY, DURATION, SettingsSection, ValidationErrors, settings};
use serde::{Deserialize, Serialize};

settings! {
    /// Connections of the Firefox extension and the requests on them.
    BridgeSettings {
        /// Whether a Firefox must be paired before it is used: `"required"` or `"off"`.
        pairing: PairingMode = PairingMode::Required,
        /// Milliseconds for which a pairing code is valid; then the client shows another one.
        pairing_code_ms: u64 = 300_000 => DURATION,
        /// Wrong codes after which a client that waits for pairing is disconnected.
        #[advanced]
        pairing_attempts: u64 = 5 => 1..=1_000,
        /// Clients that may wait for pairing; each has a code of its own, of a million.
        #[advanced]
        max_unpaired: usize = 64 => 1..=10_000,
        /// Milliseconds within which a paired client must prove its identity.
        #[advanced]
        proof_timeout_ms: u64 = 5_000 => DURATION,
        /// Milliseconds within which a new socket must send `hello`.
        hello_timeout_ms: u64 = 10_000 => DURATION,
        /// Milliseconds between pings; after three intervals without a frame the socket is closed.
        heartbeat_ms: u64 = 15_000 => DURATION,
        /// Bytes of one message, over all its fragments.
        max_message_bytes: usize = 40 << 20 => 1_024..=BYTES_MAX,
        /// Bytes of one message before the client is known.
        #[advanced]
        hello_max_message_bytes: usize = 64 << 10 => 1_024..=BYTES_MAX,
        /// Messages per second beyond which a client is read more slowly.
        #[advanced]
        max_messages_per_second: u64 = 5_000 => COUNT,
        /// Messages that may arrive at once before that rate applies.
        #[advanced]
        message_burst: u64 = 20_000 => COUNT,
        /// Milliseconds that a buffered request may take from its dispatch, unless it has its own timeout.
        request_timeout_ms: u64 = 20_000 => DURATION,
        /// Milliseconds that an action may take, unless it has its own timeout.
        action_timeout_ms: u64 = 10_000 => DURATION,
        /// Milliseconds to which progress can extend the timeout of a prompt's whole answer; a longer `timeout_ms` of
        /// the caller takes precedence.
        prompt_timeout_ms: u64 = 900_000 => DURATION,
        /// Milliseconds that a cancelled request waits for the extension's answer.
        cancel_grace_ms: u64 = 2_000 => DELAY,
        /// Bytes that may wait to be sent to a client; beyond them it is disconnected.
        #[advanced]
        max_outbound_bytes: usize = 32 << 20 => 1_024..=BYTES_MAX,
        /// Bytes of a buffered answer.
        max_response_bytes: usize = 16 << 20 => 1..=BYTES_MAX,
        /// Bytes that are read from a socket before its connection has handled them.
        #[advanced]
        inbound_window_bytes: usize = 64 << 10 => 1_024..=BYTES_MAX,
        /// Milliseconds between two snapshots to one client; 0 = one for each change.
        #[advanced]
        snapshot_interval_ms: u64 = 50 => DELAY,
        /// Bytes of the texts of final messages that are kept for each client; of older messages only the length is kept.
        #[advanced]
        max_final_message_bytes: usize = 4 << 20 => 1..=BYTES_MAX,
        /// Clients that may be connected.
        max_clients: usize = 2_048 => COUNT,
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
        self.check_bounds(errors);
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
