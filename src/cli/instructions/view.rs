//! Renders batches as text. The content was written by a model: all of it is shown, control characters are escaped, and
//! each of its lines stands behind a mark, so that none of it can imitate output of the daemon.

use crate::{
    cli::{line_wrap, text},
    clock::WallMs,
};
use chrono::{DateTime, SecondsFormat};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;

/// A page of batches.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BatchList {
    batches: Vec<BatchView>,
    next_before: Option<i64>,
}

/// The fields of a batch that are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BatchView {
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
    instructions: Vec<InstructionView>,
    executions: Vec<ExecutionView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InstructionView {
    block_index: usize,
    instruction_id: Option<String>,
    target: String,
    tool: String,
    verdict: Option<String>,
    /// The sandbox, for operations on this machine.
    sandbox: Option<String>,
    plan: Value,
    duplicate_of: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExecutionView {
    block_index: usize,
    ok: bool,
    error: Option<String>,
    message: Option<String>,
    data: Value,
}

impl BatchView {
    /// Whether the batch ended normally and every executed instruction succeeded.
    pub(super) fn has_succeeded(&self) -> bool {
        let ended = ["executed", "no_instructions", "duplicate_only", "planned", "pending_approval", "queued"];
        self.status.as_deref().is_some_and(|status| ended.contains(&status)) && self.executions.iter().all(|one| one.ok)
    }
}

/// The status of a batch.
pub(super) fn status(batch: &BatchView) -> &str {
    batch.status.as_deref().unwrap_or("unknown")
}

/// Whether a batch waits for approval.
pub(super) fn is_pending(batch: &BatchView) -> bool {
    batch.status.as_deref() == Some("pending_approval")
}

/// Renders a page of batches, one per line.
pub(super) fn render_list(list: &BatchList, width: Option<usize>) -> String {
    let mut out = String::new();
    for batch in &list.batches {
        let cell = |value: &Option<String>| text::line(value.as_deref().unwrap_or("-")).into_owned();
        let (at, id) = (format_time(batch.created_at), cell(&batch.batch_id));
        let from = format!("{}/{}", cell(&batch.platform), cell(&batch.conversation_id));
        let status = text::line(status(batch));
        let line = format!("{at}  {id}  {status:<16}  {:<4}  {from}", cell(&batch.origin));
        out.push_str(&line_wrap::wrap_line("", &line, width));
    }
    if let Some(before) = list.next_before {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "older batches exist, before {before}");
    }
    if out.is_empty() { "no batches\n".to_owned() } else { out }
}

/// Renders a batch: what it runs exactly, and the results.
pub(super) fn render_batch(batch: &BatchView, width: Option<usize>) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        out.push_str(&line_wrap::wrap_line(&format!("{name:<14}"), &text::line(value), width));
    };
    row("batch", batch.batch_id.as_deref().unwrap_or("not stored"));
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
        row("expires", &format_time(batch.expires_at));
    }
    for one in &batch.instructions {
        let done = batch.executions.iter().find(|done| done.block_index == one.block_index);
        render_instruction(&mut out, one, done, width);
    }
    out
}

/// Describes how much an approval lets run, such as "2 instructions, 14 lines".
pub(super) fn approval_extent(batch: &BatchView) -> String {
    let runs: Vec<_> = batch.instructions.iter().filter(|one| one.duplicate_of.is_none()).collect();
    let lines: usize = runs.iter().flat_map(|one| plan_fields(&one.plan["input"])).map(|row| row.lines()).sum();
    format!("{}, {}", count_of(runs.len(), "instruction"), count_of(lines, "line"))
}

fn render_instruction(out: &mut String, one: &InstructionView, done: Option<&ExecutionView>, width: Option<usize>) {
    let note = match (&one.duplicate_of, one.verdict.as_deref()) {
        (Some(batch), _) => format!("  does not run: already in {batch}"),
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
    out.push('\n');
    out.push_str(&line_wrap::wrap_line(&format!("{}  ", one.block_index), &text::line(&head), width));
    let input = &one.plan["input"];
    let parts = plan_fields(if input.is_null() { &one.plan } else { input });
    for row in &parts {
        let lines = match row.lines() {
            1 => String::new(),
            lines => format!(", {lines} lines"),
        };
        let name = format!("{}{lines}, {}", text::line(&row.name), count_of(row.text.len(), "byte"));
        out.push_str(&line_wrap::wrap_line("  ", &name, width));
        out.push_str(&line_wrap::wrap_with_margin(
            if row.name == "command" { "$" } else { ":" },
            &text::lines(&row.text),
            width,
        ));
    }
    if parts.iter().any(|row| text::runs_right_to_left(&row.name) || text::runs_right_to_left(&row.text)) {
        let note = "contains right-to-left text, which a terminal may display in another order";
        out.push_str(&line_wrap::wrap_line("  ", &format!("({note})"), width));
    }
    let Some(done) = done else { return };
    let result = if done.ok { "done" } else { "failed" };
    let why = [&done.error, &done.message].into_iter().flatten().cloned().collect::<Vec<_>>().join(": ");
    let why = format!("{result}{}{}", if why.is_empty() { "" } else { ": " }, text::line(&why));
    out.push_str(&line_wrap::wrap_line("  ", &why, width));
    let result = &done.data["result"];
    for name in ["stdout", "stderr", "content"] {
        if let Some(output) = result[name].as_str().filter(|output| !output.is_empty()) {
            out.push_str(&line_wrap::wrap_with_margin("|", &text::lines(output), width));
        }
    }
    if !result.is_object() && !done.data.is_null() {
        out.push_str(&line_wrap::wrap_with_margin("|", &text::lines(&pretty(&done.data)), width));
    }
}

fn count_of(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A field of a plan.
struct PlanField {
    name: String,
    text: String,
}

impl PlanField {
    fn lines(&self) -> usize {
        self.text.lines().count().max(1)
    }
}

/// Returns the fields of a plan that are set; nested ones are named by their path, such as `env.PATH`.
fn plan_fields(plan: &Value) -> Vec<PlanField> {
    fn collect(value: &Value, name: &str, rows: &mut Vec<PlanField>) {
        match value {
            Value::Null => {}
            Value::Object(parts) => {
                for (part, value) in parts {
                    collect(value, &if name.is_empty() { part.clone() } else { format!("{name}.{part}") }, rows);
                }
            }
            Value::String(text) => rows.push(PlanField { name: name.to_owned(), text: text.clone() }),
            other => rows.push(PlanField { name: name.to_owned(), text: pretty(other) }),
        }
    }
    let mut rows = Vec::new();
    collect(plan, "", &mut rows);
    // The command or the path comes first.
    rows.sort_by_key(|row| !matches!(row.name.as_str(), "command" | "path"));
    rows
}

fn pretty(value: &Value) -> String {
    text::json(&value.to_string(), text::JsonLayout::Pretty)
}

/// Formats a time in UTC.
fn format_time(at: Option<WallMs>) -> String {
    let time = at.and_then(DateTime::from_timestamp_millis);
    time.map_or_else(|| "-".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
