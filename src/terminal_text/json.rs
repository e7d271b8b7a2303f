//! JSON laid out for people, or on one line.
//!
//! Invariant: the spelling of a JSON text changes, never its value, the order of its keys or the digits of its numbers.

use super::{
    characters::{is_combining, is_hidden},
    escaping::MARKS_MAX,
};
use std::fmt::Write;

/// No level is indented further than this one.
const INDENTED_LEVELS_MAX: usize = 64;

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonLayout {
    /// On one line.
    Compact,
    /// For people.
    Pretty,
}

/// A valid JSON text in another layout. Hidden characters in its strings become `\u…` escapes, and so do marks of a stack.
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

/// Copies a string whose opening quote was read; answers what stands behind it.
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

/// Copies a character of a string, as an escape where it is hidden or one mark too many.
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

/// Lines of JSON as they are, with every hidden character as an escape: such characters stand in strings alone.
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
    fn json_changes_its_layout_and_nothing_else() {
        let text = " { \"b\" : [ 1.50 , { } , [ ] , \"x, y: {\\\" \\\\\" ] ,\n\"a\":null}\n";
        assert_eq!(json(text, JsonLayout::Compact), r#"{"b":[1.50,{},[],"x, y: {\" \\"],"a":null}"#);
        let pretty = "{\n  \"b\": [\n    1.50,\n    {},\n    [],\n    \"x, y: {\\\" \\\\\"\n  ],\n  \"a\": null\n}";
        assert_eq!(json(text, JsonLayout::Pretty), pretty);
        for scalar in ["1e400", "\"a b\"", "true", "\"\""] {
            assert_eq!(json(scalar, JsonLayout::Pretty), scalar);
        }
    }

    #[test]
    fn json_holds_nothing_hidden_and_means_the_same() {
        let stack = format!("e{}", "\u{301}".repeat(7));
        let value = serde_json::json!({"k\u{9b}": format!("\u{7f}\u{202e}\u{1b} ü\u{e0041}\u{200b}{stack}")});
        for text in [json(&value.to_string(), JsonLayout::Compact), escaped_json(&value.to_string())] {
            assert!(!text.contains(is_hidden) && !text.contains(&"\u{301}".repeat(5)), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn deep_json_does_not_grow_without_bound() {
        let text = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(json(&text, JsonLayout::Pretty).len() < 5_000 * 2 * (2 * INDENTED_LEVELS_MAX + 2));
    }
}
