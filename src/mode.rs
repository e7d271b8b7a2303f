//! The daemon's mode, as peers and callers are told.

use crate::clock::WallMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the daemon does with work right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything.
    Running,
    /// What callers ask for; live instructions wait.
    Paused,
    /// What it has taken on already, and no new browser request.
    Draining,
}

impl Mode {
    const ALL: [Mode; 3] = [Mode::Running, Mode::Paused, Mode::Draining];

    /// The mode as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Running => "running",
            Mode::Paused => "paused",
            Mode::Draining => "draining",
        }
    }

    /// The mode that is written so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// The mode that an action leads to: `pause`, `resume` or `drain`.
    pub fn for_action(action: &str) -> Option<Self> {
        match action {
            "pause" => Some(Mode::Paused),
            "resume" => Some(Mode::Running),
            "drain" => Some(Mode::Draining),
            _ => None,
        }
    }
}

/// The mode with its history: the `system` part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SystemView {
    /// The mode in force.
    pub mode: Mode,
    /// When somebody last asked for a mode, in Unix milliseconds; before the first time, when the daemon first started.
    pub changed_at: WallMs,
    /// Why, where a reason was given.
    pub reason: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_written_as_it_is_shown_and_read_back() {
        for mode in Mode::ALL {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
            assert_eq!(Mode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(Mode::from_name("Running"), None);
    }

    #[test]
    fn three_actions_lead_to_the_three_modes() {
        let reached = ["pause", "resume", "drain", "stop"].map(Mode::for_action);
        assert_eq!(reached, [Some(Mode::Paused), Some(Mode::Running), Some(Mode::Draining), None]);
    }
}
