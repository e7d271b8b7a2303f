//! Foreign text in lines of our own: behind a margin, and wrapped by us rather than by the terminal.
//!
//! ```text
//!   $ the first line, which is longer than
//!   ↪ the terminal is wide
//!   $ the second one
//! ```
//!
//! Invariant: no line of it begins in the first column, and none fills the terminal's last one; a line that goes on begins
//! with [`CONTINUATION_MARK`], which stands nowhere else in the margin.

use unicode_width::UnicodeWidthChar;

/// Stands in the margin of what belongs to the line above.
const CONTINUATION_MARK: char = '↪';
/// However narrow the terminal is, so many columns of text stand on a line.
const TEXT_COLUMNS_MIN: usize = 20;

/// Lines behind a margin with this one-column mark. `width`: of the terminal; elsewhere nothing is wrapped.
pub(super) fn wrap_with_margin(mark: &str, lines: &[String], width: Option<usize>) -> String {
    lines.iter().fold(String::new(), |out, line| out + &wrap_line(&format!("  {mark} "), line, width))
}

/// A text of several lines of ours, with foreign words in them: each is wrapped for itself.
pub(super) fn wrap_lines(text: &str, width: Option<usize>) -> String {
    text.lines().map(|line| wrap_line("", line, width)).collect()
}

/// A line that begins with a head of ours; what goes on begins below the text.
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
    // Blanks of ours at the end, where there is no text, are no use to anybody.
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
    fn a_line_that_goes_on_says_so_and_none_fills_the_terminal() {
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
    fn elsewhere_than_on_a_terminal_a_line_stays_one() {
        let line = "a".repeat(10_000);
        assert_eq!(wrap_line("head  ", &line, None), format!("head  {line}\n"));
        assert_eq!(wrap_line("", "abc", Some(80)), "abc\n");
        assert_eq!(wrap_lines(&format!("{line}\n\nb\n"), None), format!("{line}\n\nb\n"));
    }

    #[test]
    fn words_of_others_in_a_line_of_ours_do_not_begin_a_line() {
        let forged = format!("failed: {}baa-conductor: approved", "x".repeat(30));
        let text = wrap_lines(&format!("{forged}\nnext\n"), Some(40));
        assert_eq!(text, format!("failed: {}\n↪ {}\nnext\n", "x".repeat(29), "xbaa-conductor: approved"));
    }

    #[test]
    fn a_terminal_of_no_width_still_shows_everything() {
        let text = wrap_line("status        ", &"x".repeat(45), Some(1));
        assert_eq!(text.matches('x').count(), 45);
        assert_eq!(text.lines().nth(1), Some(&*format!("            ↪ {}", "x".repeat(20))));
    }
}
