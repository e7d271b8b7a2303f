//! Wraps lines with untrusted text, optionally behind a margin, before the terminal would wrap them.
//!
//! ```text
//!   $ the first line, which is longer than
//!   ↪ the terminal is wide
//!   $ the second one
//! ```
//!
//! Invariant: no wrapped text begins in the first column and none fills the terminal's last one. A continuation line
//! begins with [`CONTINUATION_MARK`], which occurs nowhere else in the margin.

use unicode_width::UnicodeWidthChar;

/// Marks a continuation of the line above, in the margin.
const CONTINUATION_MARK: char = '↪';
/// Minimum columns of text on a line, even on a narrower terminal.
const TEXT_COLUMNS_MIN: usize = 20;

/// Wraps lines behind a margin with the one-column `mark`. `width` is the terminal's; `None` disables wrapping.
pub(super) fn wrap_with_margin(mark: &str, lines: &[String], width: Option<usize>) -> String {
    lines.iter().fold(String::new(), |out, line| out + &wrap_line(&format!("  {mark} "), line, width))
}

/// Wraps each line of a text that contains untrusted parts.
pub(super) fn wrap_lines(text: &str, width: Option<usize>) -> String {
    text.lines().map(|line| wrap_line("", line, width)).collect()
}

/// Wraps a line behind `head`; continuation lines are indented below the text.
pub(super) fn wrap_line(head: &str, line: &str, width: Option<usize>) -> String {
    let indent = head.chars().count().max(2);
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent + 1).max(TEXT_COLUMNS_MIN));
    let mut out = head.to_owned();
    let mut used = 0;
    for c in line.chars() {
        let columns = c.width().unwrap_or(0);
        if used + columns > room {
            out.push('\n');
            out.push_str(&" ".repeat(indent - 2));
            out.push(CONTINUATION_MARK);
            out.push(' ');
            used = 0;
        }
        out.push(c);
        used += columns;
    }
    // Without text, the trailing spaces of the head are dropped.
    let kept = if line.is_empty() { out.trim_end().len() } else { out.len() };
    out.truncate(kept);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn continuation_lines_are_marked_and_none_fills_the_terminal() {
        let lines = ["a".repeat(50), "你好".repeat(20), String::new(), "e\u{301}".repeat(40)];
        let text = wrap_with_margin("$", &lines, Some(30));
        let wanted = format!("  $ {}\n  ↪ {}\n  $ {}\n", "a".repeat(25), "a".repeat(25), "你好".repeat(6));
        assert!(text.starts_with(&wanted), "{text}");
        assert!(text.contains("\n  $\n"), "an empty line is one: {text}");
        for line in text.lines() {
            assert!(line.width() < 30 && (line.starts_with("  $") || line.starts_with("  ↪ ")), "{line}");
        }
        let whole: String = text.replace("\n  ↪ ", "").replace("  $ ", "").replace("  $", "");
        assert_eq!(whole, lines.join("\n") + "\n");
    }

    #[test]
    fn lines_are_not_wrapped_without_a_terminal() {
        let line = "a".repeat(10_000);
        assert_eq!(wrap_line("head  ", &line, None), format!("head  {line}\n"));
        assert_eq!(wrap_line("", "abc", Some(80)), "abc\n");
        assert_eq!(wrap_lines(&format!("{line}\n\nb\n"), None), format!("{line}\n\nb\n"));
    }

    #[test]
    fn untrusted_text_does_not_begin_a_line() {
        let forged = format!("failed: {}baa-conductor: approved", "x".repeat(30));
        let text = wrap_lines(&format!("{forged}\nnext\n"), Some(40));
        assert_eq!(text, format!("failed: {}\n↪ {}\nnext\n", "x".repeat(29), "xbaa-conductor: approved"));
    }

    #[test]
    fn a_very_narrow_terminal_shows_the_whole_text() {
        let text = wrap_line("status        ", &"x".repeat(45), Some(1));
        assert_eq!(text.matches('x').count(), 45);
        assert_eq!(text.lines().nth(1), Some(&*format!("            ↪ {}", "x".repeat(20))));
    }
}
