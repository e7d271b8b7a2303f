//! The state of the daemon in numbers, and its nodes.

use super::{browser::BridgeStatus, fields::request_fields, paging::PageInfo, policy::PolicySummary};
use crate::{clock::WallMs, ids::ClientId, mode::Mode};
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

request_fields! {
    /// Part of the list of controllers.
    ControllerListParameters {
        required {}
        optional {
            /// Maximum number of entries, 1 to 100; default 20.
            limit: usize,
        }
    }
}

/// List of the nodes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ControllerList<'a> {
    /// The nodes: this one alone.
    pub controllers: Vec<Controller<'a>>,
    /// Number of entries.
    #[serde(flatten)]
    pub page_info: PageInfo,
}

/// A node.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Controller<'a> {
    /// Name of the node.
    pub controller_id: Cow<'a, str>,
    /// Name of its host.
    pub host: Cow<'a, str>,
    /// Role of the node.
    pub role: Cow<'a, str>,
    /// Version of the program.
    pub version: Cow<'static, str>,
    /// Always `active`.
    pub status: Cow<'static, str>,
    /// Start of the node, in Unix milliseconds.
    pub started_at: WallMs,
    /// Time of this answer, in Unix milliseconds.
    pub last_heartbeat_at: WallMs,
    /// Always true.
    pub is_leader: bool,
}
