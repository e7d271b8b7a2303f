//! Stage `screen`, called `policy` in the API: the known tools, their classes, and which of them run without approval.
//!
//! In doubt, approval is required.

mod allow;
mod argv;

#[cfg(test)]
mod tests;

use super::{
    dedupe::Instruction,
    rejection::{PipelineStage, Rejection, RejectionCode},
    settings::{InstructionSettings, ToolClass},
};
use serde::{Deserialize, Serialize};

pub use allow::{ObservedMessage, is_allowed};

/// The known targets; all have the same tools.
const TARGETS: [&str; 2] = ["conductor", "system"];

/// A known tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum InstructionTool {
    /// `describe`.
    Describe,
    /// `describe/business`.
    #[strum(serialize = "describe/business")]
    DescribeBusiness,
    /// `describe/control`.
    #[strum(serialize = "describe/control")]
    DescribeControl,
    /// `status`.
    Status,
    /// `browser/status`.
    #[strum(serialize = "browser/status")]
    BrowserStatus,
    /// `exec`.
    Exec,
    /// `files/read`.
    #[strum(serialize = "files/read")]
    FilesRead,
    /// `files/write`.
    #[strum(serialize = "files/write")]
    FilesWrite,
}

/// On whose authority an instruction runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstructionAuthority {
    /// The operator, who has the token and needs no approval.
    Operator,
    /// A model, in any way the message arrived.
    Model,
}

/// Decision about an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScreenVerdict {
    /// It runs without approval.
    Runs,
    /// It waits for approval, with its whole batch.
    NeedsApproval,
}

/// An instruction for a known tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenedInstruction {
    /// The instruction.
    pub instruction: Instruction,
    /// Its tool.
    pub tool: InstructionTool,
    /// The decision about it.
    pub verdict: ScreenVerdict,
}

impl InstructionTool {
    /// Returns the name of the tool in a header.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the class of the tool.
    pub fn class(self) -> ToolClass {
        match self {
            InstructionTool::Describe
            | InstructionTool::DescribeBusiness
            | InstructionTool::DescribeControl
            | InstructionTool::Status
            | InstructionTool::BrowserStatus => ToolClass::Read,
            InstructionTool::Exec => ToolClass::Exec,
            InstructionTool::FilesRead => ToolClass::FileRead,
            InstructionTool::FilesWrite => ToolClass::FileWrite,
        }
    }
}

/// Finds the tool of an instruction and decides whether it needs approval.
pub fn screen(
    instruction: Instruction,
    settings: &InstructionSettings,
    authority: InstructionAuthority,
) -> Result<ScreenedInstruction, Rejection> {
    let index = instruction.block_index;
    let refused = |code, message| Err(Rejection::block(PipelineStage::Policy, index, code, message));
    if !TARGETS.contains(&instruction.target.as_str()) {
        return refused(RejectionCode::UnsupportedTarget, format!("there is no target {:?}", instruction.target));
    }
    let Ok(tool) = instruction.tool.parse::<InstructionTool>() else {
        return refused(RejectionCode::UnsupportedTool, format!("there is no tool {:?}", instruction.tool));
    };
    let runs = authority == InstructionAuthority::Operator
        || settings.auto_approve.contains(&tool.class())
        || (tool == InstructionTool::Exec && argv::is_allowed(&instruction.params, &settings.exec_allow));
    let verdict = if runs { ScreenVerdict::Runs } else { ScreenVerdict::NeedsApproval };
    Ok(ScreenedInstruction { instruction, tool, verdict })
}
