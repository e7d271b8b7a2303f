//! The event stream of the daemon.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Data of a `gap` event: the reader missed events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventGap {
    /// Number of missed events; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
    /// Id of the next event.
    #[serde(default)]
    pub next_id: u64,
}

/// Events of the stream. The data of each is an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DaemonEvent {
    /// A request reaches a phase.
    Request,
    /// A client said `hello`.
    ClientConnected,
    /// A client is disconnected.
    ClientDisconnected,
    /// A client waits for pairing or shows a new code; was approved or rejected, left, or was forgotten.
    Pairing,
    /// A client reported a login, or its endpoints.
    LoginState,
    /// A shell tab changed.
    ShellRuntime,
    /// A client reported the result of an action.
    ActionResult,
    /// A client reported a final message.
    FinalMessage,
    /// A batch of instructions entered a status, or its results were delivered.
    Instruction,
    /// The mode was changed.
    System,
    /// The state of a target, or of a platform's queue, changed.
    Policy,
    /// Events were missed; it has no id.
    Gap,
}
