//! What was printed so far, which cannot be taken back.

use super::answer::Style;
use crate::cli::text::Prose;

/// Turns what is to be read into what is printed for it.
#[derive(Debug)]
pub(super) struct Sheet {
    style: Style,
    /// What a terminal is shown of the text that grows.
    prose: Prose,
    at_line_start: bool,
    is_empty: bool,
    holds_raw: bool,
    /// The text that came as a whole, to tell what of the next one is new.
    whole: String,
}

impl Sheet {
    pub(super) fn new(style: Style) -> Self {
        Sheet {
            style,
            prose: Prose::default(),
            at_line_start: true,
            is_empty: true,
            holds_raw: false,
            whole: String::new(),
        }
    }

    /// More text.
    pub(super) fn add(&mut self, text: &str) -> String {
        let shown = if self.style.terminal { self.prose.add(text) } else { text.to_owned() };
        self.printed(shown)
    }

    /// The text so far. Only what is new of it is printed; another text stands on a new line, whole.
    pub(super) fn replaced_by(&mut self, whole: &str) -> String {
        match whole.strip_prefix(&*self.whole) {
            Some("") => String::new(),
            Some(new) => {
                self.whole.push_str(new);
                self.add(new)
            }
            // What was said is taken back, and nothing else said yet.
            None if whole.is_empty() => String::new(),
            None => {
                whole.clone_into(&mut self.whole);
                let line_end = self.end();
                line_end + &self.add(whole)
            }
        }
    }

    /// What is no text of anybody's, on a line of its own.
    pub(super) fn raw(&mut self, text: &str) -> String {
        self.holds_raw = true;
        let line_end = self.end();
        self.printed(format!("{line_end}{}\n", self.style.text(text)))
    }

    /// Ends a line that was begun.
    pub(super) fn end(&mut self) -> String {
        let mut rest = self.prose.end();
        if !std::mem::replace(&mut self.at_line_start, true) || !rest.is_empty() {
            rest.push('\n');
        }
        rest
    }

    /// What has to be said beside an answer that stands here. `why`: what was not understood.
    pub(super) fn remark(&self, why: Option<&str>) -> Option<String> {
        if self.holds_raw {
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            return Some(format!("the answer is not of a known form{why}: what is not understood stands as it came"));
        }
        self.is_empty.then(|| "the answer holds no text".to_owned())
    }

    fn printed(&mut self, text: String) -> String {
        if let Some(end) = text.chars().next_back() {
            (self.at_line_start, self.is_empty) = (end == '\n', false);
        }
        text
    }
}
