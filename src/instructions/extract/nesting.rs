//! Bound on the parsing time. For each line the parser checks every open container, so nested quotes and lists over
//! many lines could keep it busy for minutes.

/// Most container checks over all lines; takes a fraction of a second.
const LOOKS_MAX: usize = 1 << 26;

/// Whether a text is nested too deeply for its number of lines.
pub(super) fn is_too_deep(text: &str) -> bool {
    let deepest = text.lines().map(columns).max().unwrap_or_default();
    text.lines().count().saturating_mul(deepest) > LOOKS_MAX
}

/// Returns the columns of blanks and container markers at the beginning of a line, an upper bound on the open
/// containers.
fn columns(line: &str) -> usize {
    let bytes = line.as_bytes();
    let is_blank = |at: usize| bytes.get(at).is_none_or(|b| matches!(b, b' ' | b'\t'));
    let (mut at, mut columns) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let (taken, width) = match byte {
            b'\t' => (1, 4),
            b' ' | b'>' => (1, 1),
            b'-' | b'+' | b'*' if is_blank(at + 1) => (1, 1),
            b'0'..=b'9' => {
                let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
                if !matches!(bytes.get(at + digits), Some(b'.' | b')')) || !is_blank(at + digits + 1) {
                    break;
                }
                (digits + 1, digits + 1)
            }
            _ => break,
        };
        at += taken;
        columns += width;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_marks_are_columns_until_text_begins() {
        for (line, expected) in [
            ("", 0),
            ("text > - ", 0),
            ("  x", 2),
            ("\t x", 5),
            ("> > - 12. + x", 12),
            (">>>", 3),
            ("- -", 3),
            ("-----", 0),
            ("12 x", 0),
            ("12.x", 0),
            ("* *x", 2),
            ("1)", 2),
        ] {
            assert_eq!(columns(line), expected, "{line:?}");
        }
    }

    #[test]
    fn depth_and_lines_count_together() {
        let text = |depth: usize, lines: usize| format!("{}\n{}", "> ".repeat(depth), "a\n".repeat(lines));
        assert!(!is_too_deep(&text(1_000, 1_000)));
        assert!(!is_too_deep(&text(1 << 18, 10)));
        assert!(!is_too_deep(&text(10, 1 << 18)));
        assert!(is_too_deep(&text(1 << 18, 1 << 18)));
        let indented: String = (0..1_400).map(|level| format!("{}- a\n", "\t".repeat(level / 2))).collect();
        assert!(is_too_deep(&(indented + &"a\n".repeat(1 << 18))));
    }
}
