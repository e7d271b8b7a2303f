//! Events that the policy publishes about targets and platforms.

use super::admission::CircuitState;
use crate::{
    clock::WallMs,
    ids::{ClientId, PlatformName},
};
use serde::Serialize;

/// Event `policy`: the state of a target has changed.
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

/// The part of a target's state whose change is published. The number of dispatched requests is not part of it, because
/// the events of the requests already show that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PublishedTargetState {
    pub(super) circuit_state: CircuitState,
    pub(super) waiting: usize,
    pub(super) consecutive_failures: u32,
}

/// Event `policy`: the number of requests that wait for a platform's pacing has changed.
#[derive(Serialize)]
pub(super) struct PlatformChanged {
    pub(super) platform: PlatformName,
    /// Requests waiting for their turn.
    pub(super) waiting: usize,
}
