//! Escapes an answer that is printed piece by piece while it arrives.

use super::{
    characters::{is_combining, is_hidden, is_shown_with},
    escaping::{MARKS_MAX, escape_char},
};

/// Escapes hidden characters, but keeps line ends, tabs and spaces.
///
/// The pieces belong to one text: a stack of marks may be split over several pieces.
#[derive(Clone, Debug, Default)]
pub struct StreamedText {
    marks: usize,
    before: Option<char>,
    /// Whether the previous piece ended with CR, which is a line end if LF follows.
    cr: bool,
}

impl StreamedText {
    /// Escapes the next piece.
    pub fn add(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            if std::mem::take(&mut self.cr) && c != '\n' {
                escape_char(&mut out, '\r');
            }
            if c == '\r' {
                self.cr = true;
                continue;
            }
            let before = self.before.replace(c);
            if is_shown_with(c, before) {
                out.push(c);
                continue;
            }
            let is_mark = is_combining(c);
            self.marks = if is_mark { self.marks + 1 } else { 0 };
            if (is_hidden(c) && c != '\n' && c != '\t') || (is_mark && self.marks > MARKS_MAX) {
                escape_char(&mut out, c);
            } else {
                out.push(c);
            }
        }
        out
    }

    /// Returns the rest at the end of the text.
    pub fn end(&mut self) -> String {
        let mut out = String::new();
        if std::mem::take(&mut self.cr) {
            escape_char(&mut out, '\r');
        }
        out
    }

    /// Escapes a whole text.
    pub fn whole(text: &str) -> String {
        let mut streamed = StreamedText::default();
        let mut out = streamed.add(text);
        out.push_str(&streamed.end());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_and_control_characters_are_escaped() {
        for (text, shown) in [
            ("plain, ümlaut, 你好\n\tcode", "plain, ümlaut, 你好\n\tcode"),
            ("a\r\nb\rc\r", "a\nb\\rc\\r"),
            (
                "\u{1b}[31mred\u{7}\u{9b}2J\u{7f}\u{202e}\u{200b}",
                "\\u{1b}[31mred\\u{7}\\u{9b}2J\\u{7f}\\u{202e}\\u{200b}",
            ),
            ("e\u{301}", "e\u{301}"),
            ("\u{26a0}\u{fe0f} a\u{fe0f}", "\u{26a0}\u{fe0f} a\\u{fe0f}"),
        ] {
            assert_eq!(StreamedText::whole(text), shown, "{text:?}");
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_pieces() {
        let text = format!("a\r\ne{}\r\u{1b}[2J", "\u{301}".repeat(9));
        let mut streamed = StreamedText::default();
        let mut shown: String = text.chars().map(|c| streamed.add(c.encode_utf8(&mut [0; 4]))).collect();
        shown.push_str(&streamed.end());
        assert_eq!(shown, StreamedText::whole(&text));
        assert_eq!(shown, format!("a\ne{}{}\\r\\u{{1b}}[2J", "\u{301}".repeat(4), "\\u{301}".repeat(5)));
    }
}
