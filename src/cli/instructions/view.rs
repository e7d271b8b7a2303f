//! Batches as text. A model wrote what is shown here: nothing of it steers the terminal, and a command is shown as a
//! whole, each line of it marked, so that none of it passes for something that the daemon says.

use crate::{cli::text, clock::WallMs};
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
pub(super) fn status(batch: &Batch) -> String {
    text::line(batch.status.as_deref().unwrap_or("unknown")).into_owned()
}

/// A page of batches, one a line.
pub(super) fn list(list: &List) -> String {
    let mut said = String::new();
    for batch in &list.batches {
        let word = |word: &Option<String>| text::line(word.as_deref().unwrap_or("-")).into_owned();
        let (at, id) = (moment(batch.created_at), word(&batch.batch_id));
        let from = format!("{}/{}", word(&batch.platform), word(&batch.conversation_id));
        // A String takes everything.
        let _ = writeln!(said, "{at}  {id}  {:<16}  {:<4}  {from}", status(batch), word(&batch.origin));
    }
    if let Some(before) = list.next_before {
        let _ = writeln!(said, "there are older ones, before {before}");
    }
    if said.is_empty() { "no batches\n".to_owned() } else { said }
}

/// A batch with what it runs and what came of it.
pub(super) fn batch(batch: &Batch) -> String {
    let mut said = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(said, "{name:<12}  {}", text::line(value));
    };
    row("batch", batch.batch_id.as_deref().unwrap_or("none is kept"));
    row("status", batch.status.as_deref().unwrap_or("unknown"));
    for (name, value) in [
        ("from", &batch.origin),
        ("platform", &batch.platform),
        ("conversation", &batch.conversation_id),
        ("because", &batch.reason),
        ("digest", &batch.digest),
        ("delivery", &batch.delivery),
    ] {
        if let Some(value) = value {
            row(name, value);
        }
    }
    if batch.expires_at.is_some() && batch.status.as_deref() == Some("pending_approval") {
        row("expires", &moment(batch.expires_at));
    }
    for one in &batch.instructions {
        instruction(&mut said, one, batch.executions.iter().find(|done| done.block_index == one.block_index));
    }
    said
}

fn instruction(said: &mut String, one: &Instruction, done: Option<&Execution>) {
    let note = match (&one.duplicate_of, one.verdict.as_deref()) {
        (Some(batch), _) => format!("  does not run: it is in {batch}"),
        (None, Some("needs_approval")) => "  needs approval".to_owned(),
        _ => String::new(),
    };
    let id = one.instruction_id.as_deref().unwrap_or_default();
    let head = format!("{}  @{}::{}  {id}{note}", one.block_index, one.target, one.tool);
    let _ = writeln!(said, "\n{}", text::line(&head));
    let input = &one.plan["input"];
    match input["command"].as_str() {
        Some(command) => {
            marked(said, "$", command);
            if let Some(rest) = rest(input) {
                marked(said, " ", &rest);
            }
        }
        None if input.is_null() => {}
        None => marked(said, " ", &pretty(input)),
    }
    let Some(done) = done else { return };
    let word = if done.ok { "done" } else { "failed" };
    let why = [&done.error, &done.message].into_iter().flatten().cloned().collect::<Vec<_>>().join(": ");
    let _ = writeln!(said, "  {word}{}{}", if why.is_empty() { "" } else { ": " }, text::line(&why));
    let result = &done.data["result"];
    for name in ["stdout", "stderr", "content"] {
        if let Some(output) = result[name].as_str().filter(|output| !output.is_empty()) {
            marked(said, "|", output);
        }
    }
    if !result.is_object() && !done.data.is_null() {
        marked(said, "|", &pretty(&done.data));
    }
}

/// What a command is given beside itself, where that is not the usual.
fn rest(input: &Value) -> Option<String> {
    let unusual = |name: &&str| match *name {
        "env" => input["env"].as_object().is_some_and(|env| !env.is_empty()),
        name => !input[name].is_null(),
    };
    let named = ["cwd", "env", "stdin"].into_iter().filter(unusual);
    let shown: Vec<_> = named.map(|name| format!("{name}: {}", input[name])).collect();
    (!shown.is_empty()).then(|| shown.join("\n"))
}

fn pretty(value: &Value) -> String {
    text::json(&value.to_string(), text::Layout::Pretty)
}

/// Text of several lines, each behind a mark.
fn marked(said: &mut String, mark: &str, text: &str) {
    for line in text::block(text).lines() {
        let _ = writeln!(said, "  {mark} {line}");
    }
}

/// A time in UTC, so that it reads the same everywhere.
fn moment(at: Option<WallMs>) -> String {
    let time = at.and_then(DateTime::from_timestamp_millis);
    time.map_or_else(|| "-".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
