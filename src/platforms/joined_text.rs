//! A text put together from blocks: those side by side are one text; something else between them, a tool or a thought,
//! parts them.

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct JoinedText {
    text: String,
    at_break: bool,
}

impl JoinedText {
    /// Goes on with this text.
    pub(super) fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.at_break && !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.at_break = false;
        self.text.push_str(text);
    }

    /// Something else stands here.
    pub(super) fn break_paragraph(&mut self) {
        self.at_break = true;
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_two_texts_parts_them() {
        let mut joined = JoinedText::default();
        joined.break_paragraph();
        for text in ["a", "", "b"] {
            joined.push(text);
        }
        joined.break_paragraph();
        joined.break_paragraph();
        joined.push("");
        joined.push("c");
        joined.break_paragraph();
        assert_eq!(joined.into_text(), "ab\n\nc");
    }
}
