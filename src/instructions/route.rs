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
use crate::records::{Filter, LIMIT_DEFAULT, LIMIT_MAX, Status};
use fields::{Fault, Fields, path, program, text};
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest time a command may take, in milliseconds.
pub const TIMEOUT_MS_MAX: u64 = 600_000;
/// Most bytes of a command's output that may be asked for, for each stream.
pub const OUTPUT_BYTES_MAX: u64 = 16 << 20;
/// Highest file mode: permissions and the three special bits.
const MODE_MAX: u32 = 0o7777;

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

/// What an instruction runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// All of it.
    Whole,
    /// What serves applications.
    Business,
    /// What serves the operator.
    Control,
}

/// A command to run. What is absent has the default of the HTTP route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exec {
    /// What is run.
    pub command: Command,
    /// In which folder.
    pub cwd: Option<String>,
    /// With which variables besides the usual ones.
    pub env: BTreeMap<String, String>,
    /// With which input.
    pub stdin: Option<String>,
    /// For how many milliseconds at most.
    pub timeout_ms: Option<u64>,
    /// Bytes kept of each stream of its output.
    pub max_output_bytes: Option<u64>,
}

/// How a command is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Command {
    /// For a shell; may have several lines.
    Shell(String),
    /// A program and its arguments, run directly.
    Argv(Vec<String>),
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilesRead {
    /// Which file.
    pub path: String,
    /// Where a relative path begins.
    pub cwd: Option<String>,
    /// How its bytes become text.
    pub encoding: Encoding,
    /// From which byte on.
    pub offset: Option<u64>,
    /// How many bytes at most.
    pub max_bytes: Option<u64>,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilesWrite {
    /// Which file.
    pub path: String,
    /// Where a relative path begins.
    pub cwd: Option<String>,
    /// What to write.
    pub content: String,
    /// How that becomes bytes.
    pub encoding: Encoding,
    /// What becomes of a file that is there.
    pub overwrite: bool,
    /// Whether missing folders are made.
    pub create_parents: bool,
    /// The file's permissions.
    pub mode: Option<u32>,
}

/// How bytes stand in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As UTF-8.
    #[default]
    Utf8,
    /// As base64.
    Base64,
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
    let plain = |command| Exec {
        command,
        cwd: None,
        env: BTreeMap::new(),
        stdin: None,
        timeout_ms: None,
        max_output_bytes: None,
    };
    if let Some(line) = params.text() {
        return Ok(plain(Command::Shell(program(line)?)));
    }
    let fields = Fields::of(params)?;
    Ok(Exec {
        command: fields.command()?,
        cwd: fields.path(&["cwd"])?,
        env: fields.variables("env")?,
        stdin: fields.text(&["stdin"])?,
        timeout_ms: fields.number(&["timeout_ms", "timeoutMs"], 1..=TIMEOUT_MS_MAX)?,
        max_output_bytes: fields.number(&["max_output_bytes", "maxBufferBytes"], 0..=OUTPUT_BYTES_MAX)?,
    })
}

fn files_read(params: &Params) -> Result<FilesRead, Fault> {
    if let Some(line) = params.text() {
        if line.contains('\n') {
            return Err(Fault::new("a path is one line"));
        }
        let path = path(line)?;
        return Ok(FilesRead { path, cwd: None, encoding: Encoding::Utf8, offset: None, max_bytes: None });
    }
    let fields = Fields::of(params)?;
    Ok(FilesRead {
        path: fields.required_path()?,
        cwd: fields.path(&["cwd"])?,
        encoding: fields.encoding()?,
        offset: fields.number(&["offset"], 0..=i64::MAX as u64)?,
        max_bytes: fields.number(&["max_bytes", "maxBytes"], 1..=i64::MAX as u64)?,
    })
}

fn files_write(params: &Params) -> Result<FilesWrite, Fault> {
    let fields = Fields::of(params)?;
    Ok(FilesWrite {
        path: fields.required_path()?,
        cwd: fields.path(&["cwd"])?,
        content: text(fields.required("content")?, "content")?,
        encoding: fields.encoding()?,
        overwrite: fields.flag(&["overwrite"])?,
        create_parents: fields.flag(&["create_parents", "createParents"])?,
        mode: fields.mode(MODE_MAX)?,
    })
}
