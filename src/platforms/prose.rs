//! A text put together from blocks: those side by side are one text; something else between them, a tool or a thought,
//! parts them.

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Prose {
    text: String,
    parted: bool,
}

impl Prose {
    /// Goes on with this text.
    pub(super) fn add(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.parted && !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.parted = false;
        self.text.push_str(text);
    }

    /// Something else stands here.
    pub(super) fn part(&mut self) {
        self.parted = true;
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
        let mut prose = Prose::default();
        prose.part();
        for text in ["a", "", "b"] {
            prose.add(text);
        }
        prose.part();
        prose.part();
        prose.add("");
        prose.add("c");
        prose.part();
        assert_eq!(prose.into_text(), "ab\n\nc");
    }
}
