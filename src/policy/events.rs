//! What the policy tells of its targets and platforms.

use super::admission::CircuitState;
use crate::{
    clock::WallMs,
    events::EventBus,
    ids::{ClientId, PlatformName},
};
use serde::Serialize;

/// A target has changed in what an operator wants to see.
#[derive(Serialize)]
pub(super) struct TargetChanged {
    pub(super) client_id: ClientId,
    pub(super) platform: PlatformName,
    pub(super) circuit_state: CircuitState,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backoff_until: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) circuit_retry_at: Option<WallMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_error: Option<String>,
}

/// That by which a change is known. How many requests are out is not part of it: that follows from theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PublishedTargetState {
    pub(super) circuit_state: CircuitState,
    pub(super) waiting: usize,
    pub(super) consecutive_failures: u32,
}

impl TargetChanged {
    pub(super) fn publish(self, events: &EventBus) {
        events.publish("policy", self);
    }
}

/// The line of a platform has changed.
#[derive(Serialize)]
pub(super) struct PlatformChanged {
    pub(super) platform: PlatformName,
    /// Requests that wait for their turn.
    pub(super) waiting: usize,
}

impl PlatformChanged {
    pub(super) fn publish(self, events: &EventBus) {
        events.publish("policy", self);
    }
}
