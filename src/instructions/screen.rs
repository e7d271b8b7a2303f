//! Stage `screen`, to the outside `policy`: which tools there are, of which class each is, and what runs without a
//! person.
//!
//! The answer to what cannot be decided is that a person decides.

mod allow;
mod argv;

#[cfg(test)]
mod tests;

use super::{
    dedupe::Instruction,
    rejection::{Code, Rejection, Stage},
    settings::{Class, Instructions},
};
use serde::{Deserialize, Serialize};

pub use allow::{Observed, is_allowed};

/// The targets; all have the same tools.
const TARGETS: [&str; 2] = ["conductor", "system"];

/// A tool that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `describe`.
    Describe,
    /// `describe/business`.
    DescribeBusiness,
    /// `describe/control`.
    DescribeControl,
    /// `status`.
    Status,
    /// `browser/status`.
    BrowserStatus,
    /// `exec`.
    Exec,
    /// `files/read`.
    FilesRead,
    /// `files/write`.
    FilesWrite,
}

/// Whose word an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// The operator's own: whoever holds the token and does not ask for approval.
    Operator,
    /// A model's, however it came here.
    Model,
}

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It runs at once.
    Runs,
    /// It waits for a person, and its whole batch with it.
    NeedsApproval,
}

/// An instruction for a tool that there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Screened {
    /// The instruction.
    pub instruction: Instruction,
    /// Its tool.
    pub tool: Tool,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Tool {
    const ALL: [Tool; 8] = [
        Tool::Describe,
        Tool::DescribeBusiness,
        Tool::DescribeControl,
        Tool::Status,
        Tool::BrowserStatus,
        Tool::Exec,
        Tool::FilesRead,
        Tool::FilesWrite,
    ];

    /// As it is written in a header.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Describe => "describe",
            Tool::DescribeBusiness => "describe/business",
            Tool::DescribeControl => "describe/control",
            Tool::Status => "status",
            Tool::BrowserStatus => "browser/status",
            Tool::Exec => "exec",
            Tool::FilesRead => "files/read",
            Tool::FilesWrite => "files/write",
        }
    }

    /// What it may do.
    pub fn class(self) -> Class {
        match self {
            Tool::Describe | Tool::DescribeBusiness | Tool::DescribeControl | Tool::Status | Tool::BrowserStatus => {
                Class::Read
            }
            Tool::Exec => Class::Exec,
            Tool::FilesRead => Class::FileRead,
            Tool::FilesWrite => Class::FileWrite,
        }
    }
}

/// Finds the tool of an instruction and whether it needs a person.
pub fn screen(instruction: Instruction, settings: &Instructions, authority: Authority) -> Result<Screened, Rejection> {
    let index = instruction.block_index;
    let refused = |code, message| Err(Rejection::block(Stage::Policy, index, code, message));
    if !TARGETS.contains(&instruction.target.as_str()) {
        return refused(Code::UnsupportedTarget, format!("there is no target {:?}", instruction.target));
    }
    let Some(tool) = Tool::ALL.into_iter().find(|tool| tool.name() == instruction.tool) else {
        return refused(Code::UnsupportedTool, format!("there is no tool {:?}", instruction.tool));
    };
    let runs = authority == Authority::Operator
        || settings.auto_approve.contains(&tool.class())
        || (tool == Tool::Exec && argv::is_allowed(&instruction.params, &settings.exec_allow));
    let verdict = if runs { Verdict::Runs } else { Verdict::NeedsApproval };
    Ok(Screened { instruction, tool, verdict })
}
