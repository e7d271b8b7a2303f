//! Stage `route`: the parameters of a tool as typed values, and what the instruction runs.
//!
//! Fields that a tool does not know are passed over, as they are over HTTP; a known one of the wrong kind refuses the
//! batch.

mod fields;

#[cfg(test)]
mod tests;

use super::{
    parse::Params,
    rejection::{Code, Rejection, Stage},
    screen::{Screened, Tool},
};
use crate::{
    host::{Encoding, Exec, FilesRead, FilesWrite, READ_BYTES_DEFAULT, input},
    records::{Filter, LIMIT_DEFAULT, LIMIT_MAX, Status},
};
use fields::{Fault, Fields};
use serde::{Deserialize, Serialize};

/// The route whose operation an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Its name.
    pub key: &'static str,
    /// Its method.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
}

/// What an instruction runs. What was kept of it as JSON is read back as the same value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", content = "input", rename_all = "snake_case")]
pub enum Plan {
    /// A description of the daemon.
    Describe(Surface),
    /// The daemon's status.
    Status,
    /// The browsers' status, as a caller without the token sees it.
    BrowserStatus(Filter),
    /// A command.
    Exec(Exec),
    /// Reads a file.
    FilesRead(FilesRead),
    /// Writes a file.
    FilesWrite(FilesWrite),
}

/// A part of the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// All of it.
    Whole,
    /// What serves applications.
    Business,
    /// What serves the operator.
    Control,
}

/// An instruction that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// The instruction, its tool and what becomes of it.
    pub screened: Screened,
    /// What it runs.
    pub plan: Plan,
}

impl Tool {
    /// The route that does the same.
    pub fn route(self) -> Route {
        let (key, method, path) = match self {
            Tool::Describe => ("local.describe", "GET", "/describe"),
            Tool::DescribeBusiness => ("local.describe.business", "GET", "/describe/business"),
            Tool::DescribeControl => ("local.describe.control", "GET", "/describe/control"),
            Tool::Status => ("local.status", "GET", "/v1/status"),
            Tool::BrowserStatus => ("local.browser.status", "GET", "/v1/browser"),
            Tool::Exec => ("local.exec", "POST", "/v1/exec"),
            Tool::FilesRead => ("local.files.read", "POST", "/v1/files/read"),
            Tool::FilesWrite => ("local.files.write", "POST", "/v1/files/write"),
        };
        Route { key, method, path }
    }
}

/// Reads the parameters.
pub fn route(screened: Screened) -> Result<Routed, Rejection> {
    let params = &screened.instruction.params;
    let plan = match screened.tool {
        Tool::Describe => nothing(params).map(|()| Plan::Describe(Surface::Whole)),
        Tool::DescribeBusiness => nothing(params).map(|()| Plan::Describe(Surface::Business)),
        Tool::DescribeControl => nothing(params).map(|()| Plan::Describe(Surface::Control)),
        Tool::Status => nothing(params).map(|()| Plan::Status),
        Tool::BrowserStatus => filter(params).map(Plan::BrowserStatus),
        Tool::Exec => exec(params).map(Plan::Exec),
        Tool::FilesRead => files_read(params).map(Plan::FilesRead),
        Tool::FilesWrite => files_write(params).map(Plan::FilesWrite),
    };
    let index = screened.instruction.block_index;
    let refused = |Fault(why): Fault| {
        let message = format!("the parameters of {}: {why}", screened.tool.name());
        Rejection::block(Stage::Route, index, Code::InvalidParams, message)
    };
    match plan {
        Ok(plan) => Ok(Routed { screened, plan }),
        Err(fault) => Err(refused(fault)),
    }
}

fn nothing(params: &Params) -> Result<(), Fault> {
    match params {
        Params::None => Ok(()),
        _ => Err(Fault::new("it takes none")),
    }
}

fn filter(params: &Params) -> Result<Filter, Fault> {
    let mut filter = Filter { limit: LIMIT_DEFAULT, ..Filter::default() };
    if *params == Params::None {
        return Ok(filter);
    }
    let fields = Fields::of(params)?;
    filter.platform = fields.text(&["platform"])?;
    filter.account = fields.text(&["account"])?;
    filter.client_id = fields.text(&["client_id", "clientId"])?;
    filter.host = fields.text(&["host"])?;
    let unknown = || Fault::new("\"status\" must be fresh, stale or lost");
    filter.status = fields.text(&["status"])?.map(|name| Status::named(&name).ok_or_else(unknown)).transpose()?;
    if let Some(limit) = fields.number(&["limit"], 1..=LIMIT_MAX as u64)? {
        filter.limit = limit as usize;
    }
    filter.before = fields.number(&["before"], 0..=i64::MAX as u64)?.map(|before| before as i64);
    Ok(filter)
}

fn exec(params: &Params) -> Result<Exec, Fault> {
    match params.text() {
        Some(line) => Ok(Exec::plain(input::shell(line)?)),
        None => Ok(input::exec(Fields::of(params)?.all())?),
    }
}

fn files_read(params: &Params) -> Result<FilesRead, Fault> {
    let Some(line) = params.text() else { return Ok(input::files_read(Fields::of(params)?.all())?) };
    if line.contains('\n') {
        return Err(Fault::new("a path is one line"));
    }
    let path = input::path("path", line)?;
    Ok(FilesRead { path, cwd: None, encoding: Encoding::Utf8, offset: 0, max_bytes: READ_BYTES_DEFAULT })
}

fn files_write(params: &Params) -> Result<FilesWrite, Fault> {
    Ok(input::files_write(Fields::of(params)?.all())?)
}
