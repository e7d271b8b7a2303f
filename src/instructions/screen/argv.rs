//! Whether a command is one of those that need no approval. A shell will read it, so it must hold nothing to which a
//! shell gives a meaning of its own: plain words, blanks, and quotes around plain text.

use crate::instructions::{parse::InstructionParams, settings::is_plain};
use serde_json::Value;

/// Whether the command of these parameters begins with one of the argument vectors, and is provably nothing but an
/// argument vector.
pub(super) fn is_allowed(params: &InstructionParams, allowed: &[Vec<String>]) -> bool {
    let words = match params {
        InstructionParams::InlineString(line) | InstructionParams::Body(line) => words(line),
        InstructionParams::InlineJson(value) => only_command(value),
        InstructionParams::None => None,
    };
    words.is_some_and(|words| allowed.iter().any(|prefix| !prefix.is_empty() && words.starts_with(prefix)))
}

/// The argument vector of JSON that names nothing but the command.
fn only_command(value: &Value) -> Option<Vec<String>> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    match fields.get("command")? {
        Value::String(line) => words(line),
        Value::Array(items) => items.iter().map(argument).collect(),
        _ => None,
    }
}

/// An argument that no shell will read; what one would read otherwise asks for a person all the same.
fn argument(item: &Value) -> Option<String> {
    item.as_str().filter(|text| is_plain(text)).map(str::to_owned)
}

/// The words of a command line; nothing when a shell could make anything else of it.
fn words(line: &str) -> Option<Vec<String>> {
    // Within quotes, plain signs stay what they are.
    if !line.split(['\'', '"', '\t']).all(is_plain) {
        return None;
    }
    let words = shlex::split(line)?;
    // A first word such as `PATH=here` sets a variable for the second.
    (!words.first()?.contains('=')).then_some(words)
}
