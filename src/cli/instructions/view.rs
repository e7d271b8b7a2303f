//! Batches as text. A model wrote what is shown here: everything of it is shown, nothing of it steers the terminal, and
//! each line of it stands behind a mark, so that none of it passes for something that the daemon says.

use crate::{
    cli::{passage, text},
    clock::WallMs,
};
use chrono::{DateTime, SecondsFormat};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;

/// A page of batches.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct List {
    batches: Vec<Batch>,
    next_before: Option<i64>,
}

/// A batch, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Batch {
    batch_id: Option<String>,
    status: Option<String>,
    origin: Option<String>,
    platform: Option<String>,
    conversation_id: Option<String>,
    created_at: Option<WallMs>,
    expires_at: Option<WallMs>,
    client_id: Option<String>,
    reason: Option<String>,
    delivery: Option<String>,
    pub(super) digest: Option<String>,
    instructions: Vec<Instruction>,
    executions: Vec<Execution>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Instruction {
    block_index: usize,
    instruction_id: Option<String>,
    target: String,
    tool: String,
    verdict: Option<String>,
    /// What it runs in, where it reaches the machine.
    sandbox: Option<String>,
    plan: Value,
    duplicate_of: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Execution {
    block_index: usize,
    ok: bool,
    error: Option<String>,
    message: Option<String>,
    data: Value,
}

impl Batch {
    /// Whether everything that ran did what it was for.
    pub(super) fn is_well(&self) -> bool {
        let ended = ["executed", "no_instructions", "duplicate_only", "planned", "pending_approval", "queued"];
        self.status.as_deref().is_some_and(|status| ended.contains(&status)) && self.executions.iter().all(|one| one.ok)
    }
}

/// How a batch stands.
pub(super) fn status(batch: &Batch) -> &str {
    batch.status.as_deref().unwrap_or("unknown")
}

/// Whether it waits for a person's word.
pub(super) fn is_pending(batch: &Batch) -> bool {
    batch.status.as_deref() == Some("pending_approval")
}

/// A page of batches, one a line.
pub(super) fn list(list: &List, width: Option<usize>) -> String {
    let mut said = String::new();
    for batch in &list.batches {
        let word = |word: &Option<String>| text::line(word.as_deref().unwrap_or("-")).into_owned();
        let (at, id) = (moment(batch.created_at), word(&batch.batch_id));
        let from = format!("{}/{}", word(&batch.platform), word(&batch.conversation_id));
        let status = text::line(status(batch));
        let line = format!("{at}  {id}  {status:<16}  {:<4}  {from}", word(&batch.origin));
        said.push_str(&passage::wrapped("", &line, width));
    }
    if let Some(before) = list.next_before {
        // A String takes everything.
        let _ = writeln!(said, "there are older ones, before {before}");
    }
    if said.is_empty() { "no batches\n".to_owned() } else { said }
}

/// A batch with what it runs and what came of it.
pub(super) fn batch(batch: &Batch, width: Option<usize>) -> String {
    let mut said = String::new();
    let mut row = |name: &str, value: &str| {
        said.push_str(&passage::wrapped(&format!("{name:<14}"), &text::line(value), width));
    };
    row("batch", batch.batch_id.as_deref().unwrap_or("none is kept"));
    row("status", status(batch));
    for (name, value) in [
        ("from", &batch.origin),
        ("platform", &batch.platform),
        ("conversation", &batch.conversation_id),
        ("client", &batch.client_id),
        ("because", &batch.reason),
        ("digest", &batch.digest),
        ("delivery", &batch.delivery),
    ] {
        if let Some(value) = value {
            row(name, value);
        }
    }
    if batch.expires_at.is_some() && is_pending(batch) {
        row("expires", &moment(batch.expires_at));
    }
    for one in &batch.instructions {
        let done = batch.executions.iter().find(|done| done.block_index == one.block_index);
        instruction(&mut said, one, done, width);
    }
    said
}

/// What an approval lets run, counted: "2 instructions, 14 lines".
pub(super) fn extent(batch: &Batch) -> String {
    let runs: Vec<_> = batch.instructions.iter().filter(|one| one.duplicate_of.is_none()).collect();
    let lines: usize = runs.iter().flat_map(|one| rows(&one.plan["input"])).map(|row| row.lines()).sum();
    format!("{}, {}", counted(runs.len(), "instruction"), counted(lines, "line"))
}

fn instruction(said: &mut String, one: &Instruction, done: Option<&Execution>, width: Option<usize>) {
    let note = match (&one.duplicate_of, one.verdict.as_deref()) {
        (Some(batch), _) => format!("  does not run: it is in {batch}"),
        (None, Some("needs_approval")) => "  needs approval".to_owned(),
        _ => String::new(),
    };
    let confined = match one.sandbox.as_deref() {
        Some("off") => "  runs in no sandbox".to_owned(),
        Some(level) => format!("  runs in {level}"),
        None => String::new(),
    };
    let id = one.instruction_id.as_deref().unwrap_or_default();
    let head = format!("@{}::{}  {id}{confined}{note}", one.target, one.tool);
    said.push('\n');
    said.push_str(&passage::wrapped(&format!("{}  ", one.block_index), &text::line(&head), width));
    let input = &one.plan["input"];
    let parts = rows(if input.is_null() { &one.plan } else { input });
    for row in &parts {
        let lines = match row.lines() {
            1 => String::new(),
            lines => format!(", {lines} lines"),
        };
        let name = format!("{}{lines}, {}", text::line(&row.name), counted(row.text.len(), "byte"));
        said.push_str(&passage::wrapped("  ", &name, width));
        said.push_str(&passage::behind(if row.name == "command" { "$" } else { ":" }, &text::lines(&row.text), width));
    }
    if parts.iter().any(|row| text::runs_right_to_left(&row.name) || text::runs_right_to_left(&row.text)) {
        let note = "it holds letters that run from right to left, which a terminal may show in another order";
        said.push_str(&passage::wrapped("  ", &format!("({note})"), width));
    }
    let Some(done) = done else { return };
    let word = if done.ok { "done" } else { "failed" };
    let why = [&done.error, &done.message].into_iter().flatten().cloned().collect::<Vec<_>>().join(": ");
    let why = format!("{word}{}{}", if why.is_empty() { "" } else { ": " }, text::line(&why));
    said.push_str(&passage::wrapped("  ", &why, width));
    let result = &done.data["result"];
    for name in ["stdout", "stderr", "content"] {
        if let Some(output) = result[name].as_str().filter(|output| !output.is_empty()) {
            said.push_str(&passage::behind("|", &text::lines(output), width));
        }
    }
    if !result.is_object() && !done.data.is_null() {
        said.push_str(&passage::behind("|", &text::lines(&pretty(&done.data)), width));
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A part of what runs.
struct Row {
    name: String,
    text: String,
}

impl Row {
    fn lines(&self) -> usize {
        self.text.lines().count().max(1)
    }
}

/// The parts of a plan that are there, what is within named with its way: `env.PATH`.
fn rows(plan: &Value) -> Vec<Row> {
    fn collect(value: &Value, name: &str, rows: &mut Vec<Row>) {
        match value {
            Value::Null => {}
            Value::Object(parts) => {
                for (part, value) in parts {
                    collect(value, &if name.is_empty() { part.clone() } else { format!("{name}.{part}") }, rows);
                }
            }
            Value::String(text) => rows.push(Row { name: name.to_owned(), text: text.clone() }),
            other => rows.push(Row { name: name.to_owned(), text: pretty(other) }),
        }
    }
    let mut rows = Vec::new();
    collect(plan, "", &mut rows);
    // What runs stands first, whatever else it is given.
    rows.sort_by_key(|row| !matches!(row.name.as_str(), "command" | "path"));
    rows
}

fn pretty(value: &Value) -> String {
    text::json(&value.to_string(), text::Layout::Pretty)
}

/// A time in UTC, so that it reads the same everywhere.
fn moment(at: Option<WallMs>) -> String {
    let time = at.and_then(DateTime::from_timestamp_millis);
    time.map_or_else(|| "-".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
