//! What confines an instruction. It is decided with its batch, shown to whoever approves that, part of the digest, and
//! compared with what is in force before anything runs. Pure.

use super::{
    screen::{InstructionAuthority, InstructionTool},
    stored_plan,
};
use crate::{
    host::{self, settings::SandboxLevel},
    store::batches::{BatchOrigin, BatchRow},
};
use serde::{Deserialize, Serialize};

/// The sandboxes that are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    /// `host_ops.sandbox`.
    pub(super) operator: SandboxLevel,
    /// `instructions.sandbox`.
    pub(super) model: SandboxLevel,
}

/// On whose word a batch runs, and whose sandbox that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confinement {
    pub(super) authority: InstructionAuthority,
    pub(super) origin: host::OperationOrigin,
    pub(super) level: SandboxLevel,
}

/// The same as it is kept with each instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Confined {
    /// On whose word it runs. One that an earlier version kept does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) authority: Option<InstructionAuthority>,
    /// What it runs in, where it reaches the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sandbox: Option<SandboxLevel>,
}

/// The sandbox in force is not the one that was decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was decided about for the sandbox {}, and {} is in force now", .decided.name(), .in_force.name())]
pub struct OtherSandbox {
    decided: SandboxLevel,
    in_force: SandboxLevel,
}

impl Levels {
    /// What holds for a batch. A model's word runs in `instructions.sandbox`, however it came here; what is handed in for
    /// approval never in less than the operator's own calls.
    pub(super) fn of(self, authority: InstructionAuthority, is_live: bool) -> Confinement {
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
        Confinement { authority, origin, level }
    }

    /// What holds now for a batch that was kept. One that does not say on whose word it runs is taken for a model's.
    ///
    /// # Errors
    ///
    /// Another sandbox is in force than the one that was decided about.
    pub(super) fn of_kept(self, row: &BatchRow, plan: &str) -> Result<Confinement, OtherSandbox> {
        let kept: Vec<_> =
            stored_plan::read(plan).unwrap_or_default().into_iter().map(|entry| entry.confined).collect();
        let authority = kept.iter().find_map(|confined| confined.authority).unwrap_or(InstructionAuthority::Model);
        let confinement = self.of(authority, row.origin == BatchOrigin::Live.name());
        match kept.iter().filter_map(|confined| confined.sandbox).find(|level| *level != confinement.level) {
            Some(decided) => Err(OtherSandbox { decided, in_force: confinement.level }),
            None => Ok(confinement),
        }
    }
}

impl Confinement {
    /// As it is kept with an instruction for this tool.
    pub(super) fn of_tool(self, tool: InstructionTool) -> Confined {
        let reaches_machine =
            matches!(tool, InstructionTool::Exec | InstructionTool::FilesRead | InstructionTool::FilesWrite);
        Confined { authority: Some(self.authority), sandbox: reaches_machine.then_some(self.level) }
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
            let found = Levels { operator, model }.of(authority, is_live);
            assert_eq!(
                found,
                Confinement { authority, origin, level },
                "{operator:?} {model:?} {authority:?} {is_live}"
            );
        }
    }
}
