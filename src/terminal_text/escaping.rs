//! Escapes characters that are invisible or indistinguishable. The status page does the same in `words.js`.
//!
//! ```text
//! hidden character       \u{202e}, \t \n \r          repeated hidden character  \u{200b}␣5000 times␣
//! run of blanks          ␣5000 blanks␣               run of empty lines         ␣40 empty lines␣
//! mark without a base, or the fifth on one: \u{301}
//! ```
//!
//! [`COUNT_MARK`] encloses each count. In foreign text it is escaped itself, so that no text can imitate a count.

use super::characters::{self, is_combining, is_hidden, is_shown_with};
use std::borrow::Cow;

/// Encloses a count.
const COUNT_MARK: char = '␣';
/// Consecutive spaces that are shown unchanged.
const BLANKS_MAX: usize = 32;
/// Consecutive empty lines that are shown unchanged.
const EMPTY_LINES_MAX: usize = 2;
/// Consecutive escapes of the same character; beyond them the repetitions are counted.
const REPEATED_ESCAPES_MAX: usize = 8;
/// Combining marks per character that are shown unchanged.
pub(super) const MARKS_MAX: usize = 4;
/// A character that an emoji selector makes two columns wide.
const WIDENED_SIGN: char = '⚠';
/// The escape sequences that the command line itself prints; all others are escaped.
const COLOURS: [&str; 5] = ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];

/// Escapes a text for one line, line ends included.
pub fn line(text: &str) -> Cow<'_, str> {
    let is_plain =
        |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~')) && !text.contains(&" ".repeat(BLANKS_MAX));
    if is_plain(text) { Cow::Borrowed(text) } else { Cow::Owned(escape_line(text, false)) }
}

/// Escapes the lines of a text that a person decides on. Shows every character, even spaces at the end of a line.
pub fn lines(text: &str) -> Vec<String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let is_empty = |line: &&str| line.bytes().all(|b| b == b' ');
    let mut shown = Vec::new();
    let mut rest = text.split('\n').peekable();
    while let Some(line) = rest.next() {
        if !is_empty(&line) {
            shown.push(escape_line(line, true));
            continue;
        }
        let mut run = vec![line];
        while let Some(next) = rest.next_if(is_empty) {
            run.push(next);
        }
        if run.len() <= EMPTY_LINES_MAX {
            shown.extend(run.into_iter().map(|line| escape_line(line, true)));
        } else {
            let what = if run.iter().all(|line| line.is_empty()) { "empty lines" } else { "lines of blanks" };
            shown.push(format!("{COUNT_MARK}{} {what}{COUNT_MARK}", run.len()));
        }
    }
    shown
}

/// Escapes control characters in output, except line ends, tabs and the command line's own colours.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| is_hidden(c) && c != '\n' && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    // The text may be a piece of a longer one, whose previous piece may end with a widened character.
    let (mut rest, mut before) = (text, Some(WIDENED_SIGN));
    while let Some(c) = rest.chars().next() {
        if let Some(colour) = COLOURS.iter().find(|colour| rest.starts_with(**colour)) {
            out.push_str(colour);
            rest = &rest[colour.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let last = before.replace(c);
        if is_hidden(c) && c != '\n' && c != '\t' && !is_shown_with(c, last) {
            escape_char(&mut out, c)
        } else {
            out.push(c)
        }
    }
    Cow::Owned(out)
}

/// Returns whether a text contains right-to-left letters, which a terminal may reorder.
pub fn runs_right_to_left(text: &str) -> bool {
    text.contains(characters::runs_right_to_left)
}

/// Appends the escape of a character.
pub(super) fn escape_char(out: &mut String, c: char) {
    match c {
        '\n' | '\r' | '\t' => out.extend(c.escape_default()),
        c => out.extend(c.escape_unicode()),
    }
}

/// Escapes one line. `to_the_end`: spaces at its end are counted too.
fn escape_line(line: &str, to_the_end: bool) -> String {
    let mut out = String::with_capacity(line.len() + 16);
    // Marks on the previous character; `None` if it cannot have any.
    let mut marks = None;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let behind = rest.trim_start_matches(c);
        let run = (rest.len() - behind.len()) / c.len_utf8();
        if c == ' ' {
            if run > BLANKS_MAX || (to_the_end && behind.is_empty()) {
                let what = if run == 1 { "blank" } else { "blanks" };
                out.push_str(&format!("{COUNT_MARK}{run} {what}{COUNT_MARK}"));
            } else {
                out.push_str(&rest[..run]);
            }
            (rest, marks) = (behind, None);
            continue;
        }
        let stacked = is_combining(c) && marks.is_none_or(|marks| marks >= MARKS_MAX);
        if c == COUNT_MARK || is_hidden(c) || stacked {
            if run > REPEATED_ESCAPES_MAX {
                escape_char(&mut out, c);
                out.push_str(&format!("{COUNT_MARK}{run} times{COUNT_MARK}"));
            } else {
                (0..run).for_each(|_| escape_char(&mut out, c));
            }
            // A following mark combines with the escape.
            (rest, marks) = (behind, if stacked { marks } else { Some(0) });
            continue;
        }
        out.push(c);
        marks = if is_combining(c) { marks.map(|marks| marks + 1) } else { Some(0) };
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// A text and its form on the command line and the status page.
    #[derive(Deserialize)]
    struct RenderedCase {
        text: String,
        /// Repetitions of the text.
        #[serde(default = "once")]
        times: usize,
        #[serde(default)]
        before: String,
        #[serde(default)]
        after: String,
        line: String,
        lines: Vec<String>,
    }

    fn once() -> usize {
        1
    }

    #[test]
    fn every_text_has_the_same_form_as_on_the_status_page() {
        let cases: Vec<RenderedCase> =
            serde_json::from_str(include_str!("../../tests/fixtures/text/shown.json")).unwrap();
        assert!(cases.len() > 20);
        for case in cases {
            let text = format!("{}{}{}", case.before, case.text.repeat(case.times), case.after);
            assert_eq!(line(&text), case.line, "{text:?}");
            assert_eq!(lines(&text), case.lines, "{text:?}");
        }
    }

    #[test]
    fn no_hidden_character_and_no_stack_of_marks_remains() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let text = format!("a{c}{c}{c}{c}{c}b{c}");
            let shown = line(&text);
            assert!(!shown.contains(is_hidden), "{text:?}");
            assert!(shown.split(|c| !is_combining(c)).all(|stack| stack.chars().count() <= MARKS_MAX), "{text:?}");
            assert!(lines(&text).iter().all(|line| !line.contains(is_hidden)), "{text:?}");
        }
    }

    #[test]
    fn guarded_output_keeps_the_own_colours_alone() {
        assert_eq!(guarded("\x1b[1mHEAD\x1b[0m\n\tplain ␣40 blanks␣"), "\x1b[1mHEAD\x1b[0m\n\tplain ␣40 blanks␣");
        assert_eq!(guarded("\u{fe0f}\u{26a0}\u{fe0f}\n\u{fe0f}"), "\u{fe0f}\u{26a0}\u{fe0f}\n\\u{fe0f}");
        let hostile = "\x1b[8mhidden\x1b[2J\x1b]0;t\x07\r\u{9b}31m\u{202e}";
        let shown = "\\u{1b}[8mhidden\\u{1b}[2J\\u{1b}]0;t\\u{7}\\r\\u{9b}31m\\u{202e}";
        assert_eq!(guarded(hostile), shown);
        assert!(matches!(guarded("plain\n"), Cow::Borrowed(_)));
    }
}
