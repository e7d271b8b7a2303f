//! `baa-conductor audit`: the trail of what the daemon was given to do, read from the database itself, so that it works
//! with a daemon and without one. Nothing is written.

#[cfg(test)]
mod tests;

use super::{
    Context,
    text::{self, Layout},
};
use crate::{
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

/// Lines that are listed unless told otherwise.
const LINES: u32 = 50;
/// Most lines that are listed at once.
const LINES_MAX: i64 = 10_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor audit verify
  baa-conductor audit list --limit 20
  baa-conductor audit show task_01J…

It reads the database itself, with a daemon or without one. Exit codes: 0 read; 1 the chain is broken, or it cannot be
read.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check the hash chain of the trail; exits 1 when it breaks, and says where.
    Verify {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show the newest lines of the trail, newest first.
    List {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = LINES, value_parser = clap::value_parser!(u32).range(1..=LINES_MAX))]
        limit: u32,
        /// Only those with a smaller number.
        #[arg(long, value_name = "NUMBER")]
        before: Option<i64>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show a task, its runs and what happened to them.
    Show {
        /// A task, a run, a batch or a line.
        #[arg(value_name = "ID")]
        id: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    fn json(&self) -> bool {
        match self {
            Command::Verify { json } | Command::List { json, .. } | Command::Show { json, .. } => *json,
        }
    }
}

/// Prints it to stdout.
pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let settings = &context.config.store;
    let mut trail = AuditTrail::open(&settings.file(&context.state_dir), settings.busy_timeout_ms)?;
    let json = arguments.command.json();
    let (text, code) = answer(&mut trail, arguments.command)?;
    if json {
        super::say(&text)?
    } else {
        super::tell(&text)?
    };
    Ok(code)
}

fn answer(trail: &mut AuditTrail, command: Command) -> anyhow::Result<(String, ExitCode)> {
    match command {
        Command::Verify { json } => {
            let verdict = trail.verify()?;
            let code = if verdict.broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            Ok((if json { pretty(&verdict) } else { verified(&verdict) }, code))
        }
        Command::List { limit, before, json } => {
            let page = trail.lines(before, limit as usize)?;
            Ok((if json { pretty(&Lines::of(&page)) } else { listed(&page) }, ExitCode::SUCCESS))
        }
        Command::Show { id, json } => {
            let subject = trail.subject(&id)?.with_context(|| format!("the trail knows nothing of {id:?}"))?;
            Ok((if json { pretty(&subject) } else { shown(&subject) }, ExitCode::SUCCESS))
        }
    }
}

fn pretty(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("texts and numbers serialize");
    text::json(&text, Layout::Pretty) + "\n"
}

#[derive(Serialize)]
struct Lines<'a> {
    logs: &'a [LogRow],
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
}

impl<'a> Lines<'a> {
    fn of(page: &'a RowPage<LogRow>) -> Self {
        Lines { logs: &page.rows, count: page.rows.len(), next_before: page.next_before }
    }
}

fn verified(verdict: &AuditVerdict) -> String {
    let mut said = match &verdict.broken {
        None => format!("the audit trail is whole: {}\n", counted(verdict.lines)),
        Some(broken) => format!("{broken}\n{} before it hold together\n", counted(verdict.lines)),
    };
    let mut end = |what: &str, link: &Option<ChainLink>| {
        if let Some(ChainLink { number, hash }) = link {
            said.push_str(&format!("{what} {number}, hash {}\n", text::line(hash)));
        }
    };
    end("the last that left by age was line", &verdict.anchor);
    end("the last that was written is line", &verdict.head);
    said
}

fn counted(lines: u64) -> String {
    if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
}

fn listed(page: &RowPage<LogRow>) -> String {
    let mut said = String::new();
    for row in &page.rows {
        line(&mut said, row, &row.task_id);
    }
    if let Some(before) = page.next_before {
        said.push_str(&format!("older ones: --before {before}\n"));
    }
    if said.is_empty() { "nothing has happened yet\n".to_owned() } else { said }
}

/// One line of the trail; `about` stands between when and what.
fn line(said: &mut String, row: &LogRow, about: &str) {
    let (at, level) = (moment(row.at), text::line(&row.level));
    let (about, message) = (text::line(about), text::line(&row.message));
    // A String takes everything.
    let _ = writeln!(said, "{:>6}  {at}  {level:<5}  {about}  {message}", row.id);
}

fn shown(subject: &AuditSubject) -> String {
    let mut said = String::new();
    let mut row = |cells: &[&str]| {
        let cells: Vec<_> = cells.iter().filter(|cell| !cell.is_empty()).map(|cell| text::line(cell)).collect();
        said.push_str(&(cells.join("  ") + "\n"));
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
        line(&mut said, log, &run.map_or_else(|| "  -".to_owned(), |run| format!("{:>3}", run.position)));
    }
    said
}

/// A time in UTC, so that it reads the same everywhere.
fn moment(at: WallMs) -> String {
    match DateTime::from_timestamp_millis(at) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => at.to_string(),
    }
}
