//! Renders batches as text. The content was written by a model: all of it is shown, control characters are escaped, and
//! each of its lines stands behind a mark, so that none of it can imitate output of the daemon.

use crate::{
    api::instructions::{
        BatchInstruction, BatchList, BatchSummary, InstructionBatch, InstructionExecution, InstructionSubmission,
    },
    cli::{line_wrap, text},
    clock::WallMs,
};
use chrono::{DateTime, SecondsFormat};
use serde_json::Value;
use std::fmt::Write;

/// Returns the batch of a submitted message, as far as the answer shows it.
pub(super) fn submitted_batch(done: InstructionSubmission) -> InstructionBatch {
    let InstructionSubmission { batch_id, status, parts, executions } = done;
    let summary = BatchSummary { batch_id: batch_id.unwrap_or_default(), status, ..BatchSummary::default() };
    InstructionBatch { summary, parts, executions, ..InstructionBatch::default() }
}

/// Whether the batch ended normally and every executed instruction succeeded.
pub(super) fn has_succeeded(batch: &InstructionBatch) -> bool {
    let ended = ["executed", "no_instructions", "duplicate_only", "planned", "pending_approval", "queued"];
    ended.contains(&&*batch.summary.status) && batch.executions.iter().all(|one| one.done.ok)
}

/// The status of a batch.
pub(super) fn status(batch: &BatchSummary) -> &str {
    or_default(&batch.status, "unknown")
}

fn or_default<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

/// Whether a batch waits for approval.
pub(super) fn is_pending(batch: &BatchSummary) -> bool {
    batch.status == "pending_approval"
}

/// Renders a page of batches, one per line.
pub(super) fn render_list(list: &BatchList, width: Option<usize>) -> String {
    let mut out = String::new();
    for batch in &list.batches {
        let cell = |value: &str| text::line(or_default(value, "-")).into_owned();
        let (at, id) = (format_time(batch.created_at), cell(&batch.batch_id));
        let conversation = batch.message.conversation_id.as_deref().unwrap_or_default();
        let from = format!("{}/{}", cell(&batch.message.platform), cell(conversation));
        let status = text::line(status(batch));
        let line = format!("{at}  {id}  {status:<16}  {:<4}  {from}", cell(&batch.origin));
        out.push_str(&line_wrap::wrap_line("", &line, width));
    }
    if let Some(before) = list.page_info.next_before {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "older batches exist, before {before}");
    }
    if out.is_empty() { "no batches\n".to_owned() } else { out }
}

/// Renders a batch: what it runs exactly, and the results.
pub(super) fn render_batch(batch: &InstructionBatch, width: Option<usize>) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        out.push_str(&line_wrap::wrap_line(&format!("{name:<14}"), &text::line(value), width));
    };
    let BatchSummary { message, approval, .. } = &batch.summary;
    row("batch", or_default(&batch.summary.batch_id, "not stored"));
    row("status", status(&batch.summary));
    for (name, value) in [
        ("from", Some(&batch.summary.origin)),
        ("platform", Some(&message.platform)),
        ("conversation", message.conversation_id.as_ref()),
        ("client", message.client_id.as_ref()),
        ("because", approval.reason.as_ref()),
        ("digest", batch.summary.digest.as_ref()),
        ("delivery", Some(&batch.summary.delivery)),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            row(name, value);
        }
    }
    if let Some(expires_at) = approval.expires_at.filter(|_| is_pending(&batch.summary)) {
        row("expires", &format_time(expires_at));
    }
    for one in &batch.parts.instructions {
        let done = batch.executions.iter().find(|done| done.block_index == one.block_index);
        render_instruction(&mut out, one, done, width);
    }
    out
}

/// Describes how much an approval lets run, such as "2 instructions, 14 lines".
pub(super) fn approval_extent(batch: &InstructionBatch) -> String {
    let runs: Vec<_> = batch.parts.instructions.iter().filter(|one| one.duplicate_of.is_none()).collect();
    let lines: usize = runs.iter().flat_map(|one| plan_fields(&one.plan["input"])).map(|row| row.lines()).sum();
    format!("{}, {}", count_of(runs.len(), "instruction"), count_of(lines, "line"))
}

fn render_instruction(
    out: &mut String,
    one: &BatchInstruction,
    done: Option<&InstructionExecution>,
    width: Option<usize>,
) {
    let note = match (&one.duplicate_of, &*one.verdict) {
        (Some(batch), _) => format!("  does not run: already in {batch}"),
        (None, "needs_approval") => "  needs approval".to_owned(),
        _ => String::new(),
    };
    let confined = match one.sandbox.as_deref() {
        Some("off") => "  runs in no sandbox".to_owned(),
        Some(level) => format!("  runs in {level}"),
        None => String::new(),
    };
    let head = format!("@{}::{}  {}{confined}{note}", one.target, one.tool, one.instruction_id);
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
    let Some(InstructionExecution { done, .. }) = done else { return };
    let data = done.data.as_ref().unwrap_or(&Value::Null);
    let result = if done.ok { "done" } else { "failed" };
    let why = [&done.error, &done.message].into_iter().flatten().cloned().collect::<Vec<_>>().join(": ");
    let why = format!("{result}{}{}", if why.is_empty() { "" } else { ": " }, text::line(&why));
    out.push_str(&line_wrap::wrap_line("  ", &why, width));
    let result = &data["result"];
    for name in ["stdout", "stderr", "content"] {
        if let Some(output) = result[name].as_str().filter(|output| !output.is_empty()) {
            out.push_str(&line_wrap::wrap_with_margin("|", &text::lines(output), width));
        }
    }
    if !result.is_object() && !data.is_null() {
        out.push_str(&line_wrap::wrap_with_margin("|", &text::lines(&pretty(data)), width));
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

/// Formats a time in UTC; `-` without one.
fn format_time(at: WallMs) -> String {
    let time = Some(at).filter(|at| *at > 0).and_then(DateTime::from_timestamp_millis);
    time.map_or_else(|| "-".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
