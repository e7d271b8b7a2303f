//! What was printed so far, which cannot be taken back.

use super::response::ResponseStyle;
use crate::cli::text::StreamedText;

/// Turns what is to be read into what is printed for it.
#[derive(Debug)]
pub(super) struct OutputBuffer {
    style: ResponseStyle,
    /// What a terminal is shown of the text that grows.
    prose: StreamedText,
    at_line_start: bool,
    is_empty: bool,
    holds_raw: bool,
    /// The text that came as a whole, to tell what of the next one is new.
    last_whole: String,
}

impl OutputBuffer {
    pub(super) fn new(style: ResponseStyle) -> Self {
        OutputBuffer {
            style,
            prose: StreamedText::default(),
            at_line_start: true,
            is_empty: true,
            holds_raw: false,
            last_whole: String::new(),
        }
    }

    /// More text.
    pub(super) fn append(&mut self, text: &str) -> String {
        let shown = if self.style.terminal { self.prose.add(text) } else { text.to_owned() };
        self.track(shown)
    }

    /// The text so far. Only what is new of it is printed; another text stands on a new line, whole.
    pub(super) fn replace(&mut self, whole: &str) -> String {
        match whole.strip_prefix(&*self.last_whole) {
            Some("") => String::new(),
            Some(new) => {
                self.last_whole.push_str(new);
                self.append(new)
            }
            // What was said is taken back, and nothing else said yet.
            None if whole.is_empty() => String::new(),
            None => {
                whole.clone_into(&mut self.last_whole);
                let line_end = self.end_line();
                line_end + &self.append(whole)
            }
        }
    }

    /// What is no text of anybody's, on a line of its own.
    pub(super) fn append_raw(&mut self, text: &str) -> String {
        self.holds_raw = true;
        let line_end = self.end_line();
        self.track(format!("{line_end}{}\n", self.style.text(text)))
    }

    /// Ends a line that was begun.
    pub(super) fn end_line(&mut self) -> String {
        let mut rest = self.prose.end();
        if !std::mem::replace(&mut self.at_line_start, true) || !rest.is_empty() {
            rest.push('\n');
        }
        rest
    }

    /// What has to be said beside an answer that stands here. `why`: what was not understood.
    pub(super) fn warning(&self, why: Option<&str>) -> Option<String> {
        if self.holds_raw {
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            return Some(format!("the answer is not of a known form{why}: what is not understood stands as it came"));
        }
        self.is_empty.then(|| "the answer holds no text".to_owned())
    }

    fn track(&mut self, text: String) -> String {
        if let Some(end) = text.chars().next_back() {
            (self.at_line_start, self.is_empty) = (end == '\n', false);
        }
        text
    }
}
