//! Joins the text of content blocks: adjacent texts form one paragraph, anything between them, such as a tool call or a
//! thought, starts a new one.

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct JoinedText {
    text: String,
    at_break: bool,
}

impl JoinedText {
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

    /// Ends the current paragraph.
    pub(super) fn break_paragraph(&mut self) {
        self.at_break = true;
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

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
