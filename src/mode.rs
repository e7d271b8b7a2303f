//! The daemon's mode, as peers and callers are told.

use serde::Serialize;

/// What the daemon does with work right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything.
    Running,
}

/// The `system` part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SystemView {
    /// The mode in force.
    pub mode: Mode,
}

impl SystemView {
    /// A daemon that does everything; the only mode yet.
    pub fn running() -> Self {
        SystemView { mode: Mode::Running }
    }
}
