//! Stage `route`: reads the parameters of a tool as typed values and selects the operation.
//!
//! Unknown fields are ignored, as over HTTP; a known field of the wrong type rejects the batch.

mod fields;

#[cfg(test)]
mod tests;

use super::{
    parse::InstructionParams,
    rejection::{PipelineStage, Rejection, RejectionCode},
    screen::{InstructionTool, ScreenedInstruction},
};
pub use crate::api::instructions::InstructionRoute;
use crate::{
    host::{ExecInput, FileEncoding, FileReadInput, FileWriteInput, READ_BYTES_DEFAULT, input},
    records::{LIMIT_DEFAULT, LIMIT_MAX, LoginStatus, RecordFilter},
};
use fields::{ParamFault, ParamFields};
use serde::{Deserialize, Serialize};

/// The operation of an instruction. Its stored JSON deserializes to the same value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", content = "input", rename_all = "snake_case")]
pub enum InstructionPlan {
    /// Describes the daemon.
    Describe(DescribeSurface),
    /// Shows the daemon's status.
    Status,
    /// Shows the browsers' status, as visible without the token.
    BrowserStatus(RecordFilter),
    /// Runs a command.
    Exec(ExecInput),
    /// Reads a file.
    FilesRead(FileReadInput),
    /// Writes a file.
    FilesWrite(FileWriteInput),
}

/// A part of the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DescribeSurface {
    /// The whole description.
    Whole,
    /// The part for applications.
    Business,
    /// The part for the operator.
    Control,
}

/// An instruction that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutedInstruction {
    /// The screened instruction.
    pub screened: ScreenedInstruction,
    /// Its operation.
    pub plan: InstructionPlan,
}

impl InstructionTool {
    /// Returns the equivalent HTTP route.
    pub fn route(self) -> InstructionRoute {
        let (key, method, path) = match self {
            InstructionTool::Describe => ("local.describe", "GET", "/describe"),
            InstructionTool::DescribeBusiness => ("local.describe.business", "GET", "/describe/business"),
            InstructionTool::DescribeControl => ("local.describe.control", "GET", "/describe/control"),
            InstructionTool::Status => ("local.status", "GET", "/v1/status"),
            InstructionTool::BrowserStatus => ("local.browser.status", "GET", "/v1/browser"),
            InstructionTool::Exec => ("local.exec", "POST", "/v1/exec"),
            InstructionTool::FilesRead => ("local.files.read", "POST", "/v1/files/read"),
            InstructionTool::FilesWrite => ("local.files.write", "POST", "/v1/files/write"),
        };
        InstructionRoute { key: key.into(), method: method.into(), path: path.into() }
    }
}

/// Reads the parameters and selects the operation.
pub fn route(screened: ScreenedInstruction) -> Result<RoutedInstruction, Rejection> {
    let params = &screened.instruction.params;
    let fixed = |plan| match params {
        InstructionParams::None => Ok(plan),
        _ => Err(ParamFault::new("it takes none")),
    };
    let plan = match screened.tool {
        InstructionTool::Describe => fixed(InstructionPlan::Describe(DescribeSurface::Whole)),
        InstructionTool::DescribeBusiness => fixed(InstructionPlan::Describe(DescribeSurface::Business)),
        InstructionTool::DescribeControl => fixed(InstructionPlan::Describe(DescribeSurface::Control)),
        InstructionTool::Status => fixed(InstructionPlan::Status),
        InstructionTool::BrowserStatus => filter(params).map(InstructionPlan::BrowserStatus),
        InstructionTool::Exec => exec(params).map(InstructionPlan::Exec),
        InstructionTool::FilesRead => files_read(params).map(InstructionPlan::FilesRead),
        InstructionTool::FilesWrite => files_write(params).map(InstructionPlan::FilesWrite),
    };
    let index = screened.instruction.block_index;
    let refused = |ParamFault(why): ParamFault| {
        let message = format!("the parameters of {}: {why}", screened.tool.name());
        Rejection::block(PipelineStage::Route, index, RejectionCode::InvalidParams, message)
    };
    let plan = plan.map_err(refused)?;
    Ok(RoutedInstruction { screened, plan })
}

fn filter(params: &InstructionParams) -> Result<RecordFilter, ParamFault> {
    let mut filter = RecordFilter { limit: LIMIT_DEFAULT, ..RecordFilter::default() };
    if *params == InstructionParams::None {
        return Ok(filter);
    }
    let fields = ParamFields::of(params)?;
    filter.platform = fields.text(&["platform"])?;
    filter.account = fields.text(&["account"])?;
    filter.client_id = fields.text(&["client_id", "clientId"])?;
    filter.host = fields.text(&["host"])?;
    let unknown = || ParamFault::new("\"status\" must be fresh, stale or lost");
    filter.status =
        fields.text(&["status"])?.map(|name| name.parse::<LoginStatus>().map_err(|_| unknown())).transpose()?;
    if let Some(limit) = fields.number(&["limit"], 1..=LIMIT_MAX as u64)? {
        filter.limit = limit as usize;
    }
    filter.before = fields.number(&["before"], 0..=i64::MAX as u64)?.map(|before| before as i64);
    Ok(filter)
}

fn exec(params: &InstructionParams) -> Result<ExecInput, ParamFault> {
    match params.text() {
        Some(line) => Ok(ExecInput::plain(input::parse_shell(line)?)),
        None => Ok(input::parse_exec(ParamFields::of(params)?.all())?),
    }
}

fn files_read(params: &InstructionParams) -> Result<FileReadInput, ParamFault> {
    let Some(line) = params.text() else { return Ok(input::parse_file_read(ParamFields::of(params)?.all())?) };
    if line.contains('\n') {
        return Err(ParamFault::new("a path is one line"));
    }
    let path = input::parse_path("path", line)?;
    Ok(FileReadInput { path, cwd: None, encoding: FileEncoding::Utf8, offset: 0, max_bytes: READ_BYTES_DEFAULT })
}

fn files_write(params: &InstructionParams) -> Result<FileWriteInput, ParamFault> {
    Ok(input::parse_file_write(ParamFields::of(params)?.all())?)
}
