//! Sections `bridge` and `login_state`: what a Firefox may send, how long it may take, and when a login counts as old.

use crate::config::section::{ValidationErrors, settings};
use serde::{Deserialize, Serialize};

settings! {
    /// The sockets of the Firefox extensions and the requests on them.
    BridgeSettings {
        /// Whether a client must be paired before it is used.
        pairing: PairingMode = PairingMode::Required,
        /// Milliseconds for which a pairing code is good; then the client shows another one.
        pairing_code_ms: u64 = 300_000,
        /// Wrong codes with which a client that waits for pairing is turned away.
        pairing_attempts: u64 = 5,
        /// Clients that may wait for pairing.
        max_unpaired: usize = 64,
        /// Milliseconds in which a paired client must have proved itself.
        proof_timeout_ms: u64 = 5_000,
        /// Milliseconds until a new socket must have said `hello`.
        hello_timeout_ms: u64 = 10_000,
        /// Milliseconds between pings; three without any frame close the socket.
        heartbeat_ms: u64 = 15_000,
        /// Bytes of one message, put together from its fragments.
        max_message_bytes: usize = 40 << 20,
        /// Bytes of one message before `hello_ack`.
        hello_max_message_bytes: usize = 64 << 10,
        /// Messages a second beyond which a client is read more slowly.
        max_messages_per_second: u64 = 5_000,
        /// Messages that may come at once before that rate counts.
        message_burst: u64 = 20_000,
        /// Milliseconds a buffered request may take from its dispatch, unless it says otherwise.
        request_timeout_ms: u64 = 20_000,
        /// Milliseconds an action may take, unless it says otherwise.
        action_timeout_ms: u64 = 10_000,
        /// Milliseconds to which `progress` can stretch a prompt's timeout.
        prompt_timeout_ms: u64 = 900_000,
        /// Milliseconds a cancelled request waits for the extension's word.
        cancel_grace_ms: u64 = 2_000,
        /// Bytes that may wait for a client that does not read.
        max_outbound_bytes: usize = 32 << 20,
        /// Bytes of a buffered answer.
        max_response_bytes: usize = 16 << 20,
        /// Bytes read from a socket ahead of what its connection has handled.
        inbound_window_bytes: usize = 64 << 10,
        /// Milliseconds between two snapshots to one client; 0 = one for each change.
        snapshot_interval_ms: u64 = 50,
        /// Bytes of final messages whose text is kept for each client; older ones keep their length alone.
        max_final_message_bytes: usize = 4 << 20,
        /// Clients that may be connected.
        max_clients: usize = 2_048,
    }
}

/// Whether an unknown client has to be paired by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingMode {
    /// It has to.
    Required,
    /// Any client that passes the handshake is used; for tests and the simulator.
    Off,
}

impl PairingMode {
    /// Its name, as the configuration and `hello_ack` have it.
    pub fn name(self) -> &'static str {
        match self {
            PairingMode::Required => "required",
            PairingMode::Off => "off",
        }
    }
}

settings! {
    /// When what a client said about a login counts as old.
    LoginStateSettings {
        /// Milliseconds since a credential was last seen after which it is `stale`.
        stale_after_ms: u64 = 300_000,
        /// Milliseconds since a credential was last seen after which it is `lost`.
        lost_after_ms: u64 = 1_800_000,
        /// Logins that are kept of each client; those longest untold leave.
        max_accounts: usize = 256,
        /// Endpoints that are kept of each login; those longest unseen leave.
        max_endpoints: usize = 512,
    }
}

impl BridgeSettings {
    /// Names every value that cannot be.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        errors.duration("pairing_code_ms", self.pairing_code_ms);
        errors.range("pairing_attempts", self.pairing_attempts, 1, 1_000);
        // Each has a code of its own, of which there are a million.
        errors.range("max_unpaired", self.max_unpaired as u64, 1, 10_000);
        errors.duration("proof_timeout_ms", self.proof_timeout_ms);
        errors.duration("hello_timeout_ms", self.hello_timeout_ms);
        errors.duration("heartbeat_ms", self.heartbeat_ms);
        // A `hello` with its names and a nonce has to fit.
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

impl LoginStateSettings {
    /// Names every value that cannot be.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        errors.duration("stale_after_ms", self.stale_after_ms);
        errors.duration("lost_after_ms", self.lost_after_ms);
        if self.lost_after_ms < self.stale_after_ms {
            errors.add_conflict("lost_after_ms", "stale_after_ms", "must not be less than login_state.stale_after_ms");
        }
        errors.count("max_accounts", self.max_accounts);
        errors.count("max_endpoints", self.max_endpoints);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    #[test]
    fn the_defaults_are_fine_and_zeros_are_faults() {
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

    #[test]
    fn a_login_is_not_lost_before_it_is_stale() {
        let state = LoginStateSettings { stale_after_ms: 10, lost_after_ms: 9, ..LoginStateSettings::default() };
        assert_eq!(validation_errors(|errors| state.validate(errors)).len(), 1);
        let state = LoginStateSettings { stale_after_ms: 10, lost_after_ms: 10, ..LoginStateSettings::default() };
        assert_eq!(validation_errors(|errors| state.validate(errors)), [""; 0]);
    }

    #[test]
    fn a_login_state_of_zeros_is_four_faults() {
        let zeros = LoginStateSettings { stale_after_ms: 0, lost_after_ms: 0, max_accounts: 0, max_endpoints: 0 };
        assert_eq!(validation_errors(|errors| zeros.validate(errors)).len(), 4);
    }
}
