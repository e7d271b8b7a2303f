//! The sandbox of instructions. It is decided with their batch, shown for approval, part of the digest, and compared with
//! the configured sandbox before the batch runs. Pure.

use super::{
    screen::{InstructionAuthority, InstructionTool},
    stored_plan,
};
use crate::{
    host::{self, settings::SandboxLevel},
    store::batches::{BatchOrigin, BatchSummary},
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SandboxLevels {
    /// `host_ops.sandbox`.
    pub(super) operator: SandboxLevel,
    /// `instructions.sandbox`.
    pub(super) model: SandboxLevel,
}

/// On whose authority a batch runs, and in which sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchConfinement {
    pub(super) authority: InstructionAuthority,
    pub(super) origin: host::OperationOrigin,
    pub(super) level: SandboxLevel,
}

/// The confinement as stored with each instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredConfinement {
    /// On whose authority it runs; absent in rows of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) authority: Option<InstructionAuthority>,
    /// The sandbox, for tools that access the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sandbox: Option<SandboxLevel>,
}

/// The configured sandbox differs from the one that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was decided for the sandbox {}, but {} is configured now", .decided.name(), .in_force.name())]
pub struct SandboxMismatch {
    decided: SandboxLevel,
    in_force: SandboxLevel,
}

impl SandboxLevels {
    /// Decides the confinement of a batch. A model's instructions run in `instructions.sandbox`; submitted ones that await
    /// approval never run in a weaker sandbox than the operator's own calls.
    pub(super) fn of(self, authority: InstructionAuthority, is_live: bool) -> BatchConfinement {
        let origin = match authority {
            InstructionAuthority::Operator => host::OperationOrigin::Operator,
            InstructionAuthority::Model if self.model == SandboxLevel::Off && !is_live => {
                host::OperationOrigin::Operator
            }
            InstructionAuthority::Model => host::OperationOrigin::Model,
        };
        let level = match origin {
            host::OperationOrigin::Operator => self.operator,
            host::OperationOrigin::Model => self.model,
        };
        BatchConfinement { authority, origin, level }
    }

    /// Decides the confinement of a stored batch. Without a stored authority, it counts as a model's.
    ///
    /// # Errors
    ///
    /// The configured sandbox differs from the one that was decided.
    pub(super) fn of_stored(self, row: &BatchSummary, plan: &str) -> Result<BatchConfinement, SandboxMismatch> {
        let kept: Vec<_> =
            stored_plan::read(plan).unwrap_or_default().into_iter().map(|entry| entry.confined).collect();
        let authority = kept.iter().find_map(|confined| confined.authority).unwrap_or(InstructionAuthority::Model);
        let confinement = self.of(authority, row.origin == BatchOrigin::Live.name());
        match kept.iter().filter_map(|confined| confined.sandbox).find(|level| *level != confinement.level) {
            Some(decided) => Err(SandboxMismatch { decided, in_force: confinement.level }),
            None => Ok(confinement),
        }
    }
}

impl BatchConfinement {
    /// Returns the confinement to store with an instruction for this tool.
    pub(super) fn of_tool(self, tool: InstructionTool) -> StoredConfinement {
        let reaches_machine =
            matches!(tool, InstructionTool::Exec | InstructionTool::FilesRead | InstructionTool::FilesWrite);
        StoredConfinement { authority: Some(self.authority), sandbox: reaches_machine.then_some(self.level) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_word_never_runs_in_less_than_was_meant_for_it() {
        use InstructionAuthority::{Model, Operator};
        use SandboxLevel::{Bubblewrap, Landlock, Off};
        for (operator, model, authority, is_live, origin, level) in [
            (Off, Landlock, Operator, false, host::OperationOrigin::Operator, Off),
            (Off, Landlock, Model, false, host::OperationOrigin::Model, Landlock),
            (Off, Landlock, Model, true, host::OperationOrigin::Model, Landlock),
            (Bubblewrap, Landlock, Model, false, host::OperationOrigin::Model, Landlock),
            (Landlock, Off, Model, false, host::OperationOrigin::Operator, Landlock),
            (Landlock, Off, Model, true, host::OperationOrigin::Model, Off),
            (Off, Off, Model, false, host::OperationOrigin::Operator, Off),
        ] {
            let found = SandboxLevels { operator, model }.of(authority, is_live);
            assert_eq!(
                found,
                BatchConfinement { authority, origin, level },
                "{operator:?} {model:?} {authority:?} {is_live}"
            );
        }
    }
}
