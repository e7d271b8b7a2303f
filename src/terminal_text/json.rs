//! Formats JSON text, compact or indented.
//!
//! Invariant: the value, the order of keys and the digits of numbers stay the same.

use super::{
    characters::{is_combining, is_hidden},
    escaping::MARKS_MAX,
};
use std::fmt::Write;

/// Deepest level with its own indentation.
const INDENTED_LEVELS_MAX: usize = 64;

/// Layout of formatted JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonLayout {
    /// One line without spaces.
    Compact,
    /// Indented.
    Pretty,
}

impl JsonLayout {
    /// Returns the layout for a terminal, or else for a program.
    pub fn of_terminal(is_terminal: bool) -> Self {
        if is_terminal { JsonLayout::Pretty } else { JsonLayout::Compact }
    }
}

/// Formats a valid JSON text. Hidden characters in strings become `\u…` escapes, as do excess combining marks.
pub fn json(text: &str, layout: JsonLayout) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let new_line = |out: &mut String, depth: usize| {
        if layout == JsonLayout::Pretty {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth.min(INDENTED_LEVELS_MAX)));
        }
    };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => rest = copy_string(&mut out, rest),
            '{' | '[' => {
                out.push(c);
                if let Some(behind) = rest.trim_start().strip_prefix(['}', ']']) {
                    out.push(if c == '{' { '}' } else { ']' });
                    rest = behind;
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' if layout == JsonLayout::Pretty => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Copies a string after its opening quote. Returns the rest of the text.
fn copy_string<'a>(out: &mut String, text: &'a str) -> &'a str {
    out.push('"');
    let (mut escaped, mut marks) = (false, 0);
    for (at, c) in text.char_indices() {
        copy_char(out, c, &mut marks);
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// Copies a character of a string; escapes it if it is hidden or an excess mark.
fn copy_char(out: &mut String, c: char, marks: &mut usize) {
    let is_mark = is_combining(c);
    *marks = if is_mark { *marks + 1 } else { 0 };
    if is_hidden(c) || (is_mark && *marks > MARKS_MAX) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").expect("a String takes everything");
        }
    } else {
        out.push(c);
    }
}

/// Escapes hidden characters in lines of JSON, where they can occur only in strings.
pub fn escaped_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        if c == '\n' { out.push(c) } else { copy_char(&mut out, c, &mut marks) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_layout_of_json_changes() {
        let text = " { \"b\" : [ 1.50 , { } , [ ] , \"x, y: {\\\" \\\\\" ] ,\n\"a\":null}\n";
        assert_eq!(json(text, JsonLayout::Compact), r#"{"b":[1.50,{},[],"x, y: {\" \\"],"a":null}"#);
        let pretty = "{\n  \"b\": [\n    1.50,\n    {},\n    [],\n    \"x, y: {\\\" \\\\\"\n  ],\n  \"a\": null\n}";
        assert_eq!(json(text, JsonLayout::Pretty), pretty);
        for scalar in ["1e400", "\"a b\"", "true", "\"\""] {
            assert_eq!(json(scalar, JsonLayout::Pretty), scalar);
        }
    }

    #[test]
    fn json_has_no_hidden_characters_and_the_same_value() {
        let stack = format!("e{}", "\u{301}".repeat(7));
        let value = serde_json::json!({"k\u{9b}": format!("\u{7f}\u{202e}\u{1b} ü\u{e0041}\u{200b}{stack}")});
        for text in [json(&value.to_string(), JsonLayout::Compact), escaped_json(&value.to_string())] {
            assert!(!text.contains(is_hidden) && !text.contains(&"\u{301}".repeat(5)), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn the_indentation_of_deep_json_is_bounded() {
        let text = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(json(&text, JsonLayout::Pretty).len() < 5_000 * 2 * (2 * INDENTED_LEVELS_MAX + 2));
    }
}
