//! Commands that run without approval. A shell will read them, so they must contain nothing with a meaning to a shell:
//! only plain words, blanks, and quotes around plain text.

use crate::instructions::{parse::InstructionParams, settings::is_plain};
use serde_json::Value;

/// Whether the command is provably a plain argument vector and begins with one of the allowed ones.
pub(super) fn is_allowed(params: &InstructionParams, allowed: &[Vec<String>]) -> bool {
    let words = match params {
        InstructionParams::InlineString(line) | InstructionParams::Body(line) => words(line),
        InstructionParams::InlineJson(value) => only_command(value),
        InstructionParams::None => None,
    };
    words.is_some_and(|words| allowed.iter().any(|prefix| !prefix.is_empty() && words.starts_with(prefix)))
}

/// Returns the argument vector of JSON that contains nothing but the command.
fn only_command(value: &Value) -> Option<Vec<String>> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    match fields.get("command")? {
        Value::String(line) => words(line),
        Value::Array(items) => items.iter().map(argument).collect(),
        _ => None,
    }
}

/// Returns a plain argument. No shell reads it, but arguments with a meaning to a shell need approval as well.
fn argument(item: &Value) -> Option<String> {
    item.as_str().filter(|text| is_plain(text)).map(str::to_owned)
}

/// Returns the words of a command line, or `None` if a shell could read it differently.
fn words(line: &str) -> Option<Vec<String>> {
    // Plain characters keep their meaning within quotes.
    if !line.split(['\'', '"', '\t']).all(is_plain) {
        return None;
    }
    let words = shlex::split(line)?;
    // A first word such as `PATH=here` would set a variable.
    (!words.first()?.contains('=')).then_some(words)
}
