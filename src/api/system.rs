//! The mode of the daemon, and the node that it runs on.

use super::{fields::request_fields, paging::PageInfo};
use crate::{clock::WallMs, mode::SystemView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The mode, and the work in progress.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"mode":"paused","changed_at":1795184470407,"reason":"lunch","active_runs":0,
    "queued_tasks":2,"in_flight_requests":1,"leader":true,"node":{"id":"box","host":"box","role":"primary"}}"#))]
pub struct SystemState<'a> {
    /// The mode.
    #[serde(flatten)]
    pub system: SystemView,
    /// Open work.
    #[serde(flatten)]
    pub work: WorkCounts,
    /// Browser requests in progress.
    pub in_flight_requests: usize,
    /// Always true: one daemon owns a state folder.
    pub leader: bool,
    /// This node.
    pub node: SystemNode<'a>,
}

/// A node, as configured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SystemNode<'a> {
    /// Name of the node.
    pub id: Cow<'a, str>,
    /// Name of its host.
    pub host: Cow<'a, str>,
    /// Role of the node.
    pub role: Cow<'a, str>,
}

/// Counts of open work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkCounts {
    /// Running runs.
    pub active_runs: i64,
    /// Queued tasks.
    pub queued_tasks: i64,
}

/// Nodes; this one only.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ControllerList<'a> {
    /// The nodes.
    pub controllers: [Controller<'a>; 1],
    /// The part of the list.
    #[serde(flatten)]
    pub page_info: PageInfo,
}

/// A node with its daemon. Times are Unix milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Controller<'a> {
    /// Name of the node.
    pub controller_id: Cow<'a, str>,
    /// Name of its host.
    pub host: Cow<'a, str>,
    /// Role of the node.
    pub role: Cow<'a, str>,
    /// Version of the daemon.
    pub version: Cow<'a, str>,
    /// Always `active`.
    pub status: Cow<'a, str>,
    /// Start of the daemon.
    pub started_at: WallMs,
    /// Time of the answer.
    pub last_heartbeat_at: WallMs,
    /// Always true.
    pub is_leader: bool,
}

request_fields! {
    /// Change of the mode.
    #[derive(Default)]
    ModeChangeRequest { required {} optional {
        /// Reason, of at most 500 characters.
        reason: String,
    } }
}
request_fields! {
    /// Part of the list of controllers.
    ControllerListParameters { required {} optional {
        /// Maximum number of controllers, 1 to 100.
        limit: usize,
    } }
}
