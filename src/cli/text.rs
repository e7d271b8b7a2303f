//! Text from elsewhere as it may be shown: without characters that steer a terminal, and JSON laid out.
//!
//! Invariant: what [`line()`] and [`block`] give back moves no cursor and changes no colour, whatever went in; [`json`]
//! changes the spelling of a JSON text, never its value, the order of its keys or the digits of its numbers.

use std::{borrow::Cow, fmt::Write};

/// No level is indented further than this one.
const INDENTED_LEVELS_MAX: usize = 64;

/// Whether a character would steer the terminal or turn round the text next to it.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line: everything that steers is spelled out, line ends too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    spelled_out(text, steers)
}

/// Text of several lines: what steers is spelled out, but not line ends and tabs.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") {
        return Cow::Owned(block(&text.replace("\r\n", "\n")).into_owned());
    }
    spelled_out(text, |c| steers(c) && c != '\n' && c != '\t')
}

fn spelled_out(text: &str, wanted: impl Fn(char) -> bool + Copy) -> Cow<'_, str> {
    if !text.contains(wanted) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if wanted(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// On one line.
    Compact,
    /// For people.
    Pretty,
}

/// A valid JSON text in another layout. Characters in it that steer a terminal become `\u…` escapes.
pub(crate) fn json(text: &str, layout: Layout) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let new_line = |out: &mut String, depth: usize| {
        if layout == Layout::Pretty {
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
            ':' if layout == Layout::Pretty => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Copies a string whose opening quote was read; answers what stands behind it.
fn copy_string<'a>(out: &mut String, text: &'a str) -> &'a str {
    out.push('"');
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if steers(c) {
            // All of them have four digits.
            write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
        } else {
            out.push(c);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        for (text, one_line, several) in [
            ("plain, ümlaut, 你好", "plain, ümlaut, 你好", "plain, ümlaut, 你好"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\tb\nc\r\nd\re", "a\\tb\\nc\\r\\nd\\re", "a\tb\nc\nd\\re"),
            ("\u{9b}2J \u{7f} \u{202e}abc", "\\u{9b}2J \\u{7f} \\u{202e}abc", "\\u{9b}2J \\u{7f} \\u{202e}abc"),
        ] {
            assert_eq!((&*line(text), &*block(text)), (one_line, several), "{text:?}");
        }
    }

    #[test]
    fn json_changes_its_layout_and_nothing_else() {
        let text = " { \"b\" : [ 1.50 , { } , [ ] , \"x, y: {\\\" \\\\\" ] ,\n\"a\":null}\n";
        assert_eq!(json(text, Layout::Compact), r#"{"b":[1.50,{},[],"x, y: {\" \\"],"a":null}"#);
        let pretty = "{\n  \"b\": [\n    1.50,\n    {},\n    [],\n    \"x, y: {\\\" \\\\\"\n  ],\n  \"a\": null\n}";
        assert_eq!(json(text, Layout::Pretty), pretty);
        for scalar in ["1e400", "\"a b\"", "true", "\"\""] {
            assert_eq!(json(scalar, Layout::Pretty), scalar);
        }
    }

    #[test]
    fn json_holds_no_character_that_steers_and_means_the_same() {
        let value = serde_json::json!({"k\u{9b}": "\u{7f}\u{202e}\u{1b} ü"});
        let text = json(&value.to_string(), Layout::Compact);
        assert!(!text.contains(steers), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn deep_json_does_not_grow_without_bound() {
        let text = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(json(&text, Layout::Pretty).len() < 5_000 * 2 * (2 * INDENTED_LEVELS_MAX + 2));
    }
}
