//! `baa-conductor audit`: shows and verifies the audit trail. It reads the database directly, so it works with and without
//! a running daemon, and writes nothing.

#[cfg(test)]
mod tests;

use super::{
    CommandContext,
    text::{self, JsonLayout},
};
use crate::{
    api::paging::PageInfo,
    clock::WallMs,
    store::{
        audit::{AuditSubject, AuditTrail, AuditVerdict, ChainLink},
        tasks::{RowPage, logs::LogRow},
    },
};
use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use std::{fmt::Write, process::ExitCode};

/// Default number of listed lines.
const LIST_LIMIT_DEFAULT: u32 = 50;
/// Maximum number of listed lines.
const LIST_LIMIT_MAX: i64 = 10_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor audit verify
  baa-conductor audit list --limit 20
  baa-conductor audit show task_01J…

The database is read directly; no running daemon is needed.

Exit codes: 0 success; 1 the chain is broken or the trail cannot be read.")]
pub(super) struct AuditArguments {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    /// Verify the hash chain of the trail; if it is broken, name the line and exit 1.
    Verify {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show the newest lines of the trail, newest first.
    List {
        /// Maximum number of lines.
        #[arg(long, value_name = "N", default_value_t = LIST_LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=LIST_LIMIT_MAX))]
        limit: u32,
        /// Only lines with a smaller number.
        #[arg(long, value_name = "NUMBER")]
        before: Option<i64>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show a task, its runs and their status changes.
    Show {
        /// Id of a task, run, batch or line.
        #[arg(value_name = "ID")]
        id: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

impl AuditCommand {
    fn json(&self) -> bool {
        match self {
            AuditCommand::Verify { json } | AuditCommand::List { json, .. } | AuditCommand::Show { json, .. } => *json,
        }
    }
}

/// Runs the command.
pub(super) fn run(context: CommandContext, arguments: AuditArguments) -> anyhow::Result<ExitCode> {
    let settings = &context.config.store;
    let mut trail = AuditTrail::open(&settings.file(&context.state_dir), settings.busy_timeout_ms)?;
    let json = arguments.command.json();
    let (text, code) = execute(&mut trail, arguments.command)?;
    if json {
        super::print(&text)?
    } else {
        super::print_lines(&text)?
    };
    Ok(code)
}

fn execute(trail: &mut AuditTrail, command: AuditCommand) -> anyhow::Result<(String, ExitCode)> {
    match command {
        AuditCommand::Verify { json } => {
            let verdict = trail.verify()?;
            let code = if verdict.broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            Ok((if json { pretty(&verdict) } else { render_verdict(&verdict) }, code))
        }
        AuditCommand::List { limit, before, json } => {
            let page = trail.lines(before, limit as usize)?;
            let shown = AuditPage { logs: &page.rows, page_info: page.page_info() };
            Ok((if json { pretty(&shown) } else { render_list(&page) }, ExitCode::SUCCESS))
        }
        AuditCommand::Show { id, json } => {
            let subject = trail
                .subject(&id)?
                .with_context(|| format!("the audit trail has no task, run, batch or line {id:?}"))?;
            Ok((if json { pretty(&subject) } else { render_subject(&subject) }, ExitCode::SUCCESS))
        }
    }
}

fn pretty(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("texts and numbers serialize");
    text::json(&text, JsonLayout::Pretty) + "\n"
}

#[derive(Serialize)]
struct AuditPage<'a> {
    logs: &'a [LogRow],
    #[serde(flatten)]
    page_info: PageInfo,
}

fn render_verdict(verdict: &AuditVerdict) -> String {
    let mut out = match &verdict.broken {
        None => format!("the audit trail is intact: {}\n", line_count(verdict.lines)),
        Some(broken) => format!("{broken}\n{} before it are intact\n", line_count(verdict.lines)),
    };
    let mut end = |what: &str, link: &Option<ChainLink>| {
        if let Some(ChainLink { number, hash }) = link {
            out.push_str(&format!("{what} {number}, hash {}\n", text::line(hash)));
        }
    };
    end("last line removed by age:", &verdict.anchor);
    end("last line written:", &verdict.head);
    out
}

fn line_count(lines: u64) -> String {
    if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
}

fn render_list(page: &RowPage<LogRow>) -> String {
    let mut out = String::new();
    for row in &page.rows {
        write_line(&mut out, row, &row.task_id);
    }
    if let Some(before) = page.next_before {
        out.push_str(&format!("for older lines, use --before {before}\n"));
    }
    if out.is_empty() { "the audit trail is empty\n".to_owned() } else { out }
}

/// Writes one line of the trail; `about` comes between the time and the message.
fn write_line(out: &mut String, row: &LogRow, about: &str) {
    let (at, level) = (format_time(row.at), text::line(&row.level));
    let (about, message) = (text::line(about), text::line(&row.message));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{:>6}  {at}  {level:<5}  {about}  {message}", row.id);
}

fn render_subject(subject: &AuditSubject) -> String {
    let mut out = String::new();
    let mut row = |cells: &[&str]| {
        let cells: Vec<_> = cells.iter().filter(|cell| !cell.is_empty()).map(|cell| text::line(cell)).collect();
        out.push_str(&(cells.join("  ") + "\n"));
    };
    if let Some(batch) = &subject.batch {
        let message = &batch.message;
        let conversation = message.conversation_id.as_deref().unwrap_or("-");
        let from = format!("{}/{conversation}/{}", message.platform, message.assistant_message_id);
        let decided = batch.approval.decided_by.as_ref().map(|by| format!("decided by {by}")).unwrap_or_default();
        let delivery = format!("delivery {}", batch.delivery);
        row(&[&batch.batch_id, &batch.status, &batch.origin, &from, &delivery, &decided]);
    }
    if let Some(task) = &subject.task {
        row(&[&task.task_id, &task.status, &task.title]);
    }
    for run in &subject.runs {
        row(&["", &format!("{:>3}", run.position), &run.run_id, &run.status, &run.tool]);
    }
    for log in &subject.logs {
        let run = subject.runs.iter().find(|run| Some(&run.run_id) == log.run_id.as_ref());
        write_line(&mut out, log, &run.map_or_else(|| "  -".to_owned(), |run| format!("{:>3}", run.position)));
    }
    out
}

/// Formats a time in UTC.
fn format_time(at: WallMs) -> String {
    match DateTime::from_timestamp_millis(at) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => at.to_string(),
    }
}
