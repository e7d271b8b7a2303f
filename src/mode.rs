//! The daemon's mode, as peers and callers see it.

use crate::clock::WallMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which work the daemon accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// All work.
    Running,
    /// Requests of callers; live instructions wait.
    Paused,
    /// Only accepted work is completed; new browser requests are refused.
    Draining,
}

impl Mode {
    /// Returns the name of the mode.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the mode that an action sets: `pause`, `resume` or `drain`.
    pub fn for_action(action: &str) -> Option<Self> {
        match action {
            "pause" => Some(Mode::Paused),
            "resume" => Some(Mode::Running),
            "drain" => Some(Mode::Draining),
            _ => None,
        }
    }
}

/// The mode and its last change; the `system` part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemView {
    /// Current mode.
    pub mode: Mode,
    /// Time of the last change request, in Unix milliseconds; of the daemon's first start if there was none.
    pub changed_at: WallMs,
    /// Reason of the change, if given.
    pub reason: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::VariantArray;

    #[test]
    fn every_mode_is_found_by_its_serialized_name() {
        for &mode in Mode::VARIANTS {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        assert!("Running".parse::<Mode>().is_err());
    }

    #[test]
    fn three_actions_set_the_three_modes() {
        let reached = ["pause", "resume", "drain", "stop"].map(Mode::for_action);
        assert_eq!(reached, [Some(Mode::Paused), Some(Mode::Running), Some(Mode::Draining), None]);
    }
}
