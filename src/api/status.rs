//! The state of the daemon in numbers.

use super::{browser::BridgeStatus, policy::PolicySummary};
use crate::{ids::ClientId, mode::Mode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// State of the daemon.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStatus {
    /// Current mode.
    pub mode: Mode,
    /// Version of the program.
    pub version: Cow<'static, str>,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Runs in progress; `null` if the database cannot be read.
    pub active_runs: Option<i64>,
    /// Tasks that wait for a run; `null` if the database cannot be read.
    pub queued_tasks: Option<i64>,
    /// Accepted browser requests that are not finished.
    pub in_flight_requests: usize,
    /// The connected clients.
    pub bridge: BridgeSummary,
    /// State of the database.
    pub store: StoreSummary,
    /// State of the instructions.
    pub instructions: InstructionsSummary,
    /// Numbers of the policy.
    pub policy: PolicySummary,
}

/// The connected clients in numbers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BridgeSummary {
    /// Whether any client is connected.
    pub status: BridgeStatus,
    /// Number of connected clients.
    pub client_count: usize,
    /// The client whose `hello` came last.
    pub active_client_id: Option<ClientId>,
}

/// State of the database.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StoreSummary {
    /// `ok` or `unavailable`.
    pub status: Cow<'static, str>,
    /// Failures that last.
    pub faults: Vec<String>,
}

/// State of the instructions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct InstructionsSummary {
    /// `on`, or `off`: the record of executed instructions was lost, and an operator has to enable them.
    pub status: Cow<'static, str>,
}
