//! Tracks the printed part of a growing text, in the output format of the caller.

use crate::cli::text::{JsonLayout, StreamedText};

/// The output format of responses.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseStyle {
    /// Print the daemon's JSON.
    pub(super) json: bool,
    /// Format for a terminal.
    pub(super) terminal: bool,
}

impl ResponseStyle {
    pub(super) fn layout(self) -> JsonLayout {
        if self.terminal { JsonLayout::Pretty } else { JsonLayout::Compact }
    }

    pub(super) fn text(self, text: &str) -> String {
        if self.terminal { StreamedText::whole(text) } else { text.to_owned() }
    }
}

/// Turns updates of a growing text into the text to print. Printed text cannot be withdrawn.
#[derive(Debug)]
pub(super) struct OutputBuffer {
    style: ResponseStyle,
    /// Escapes the text for a terminal.
    prose: StreamedText,
    at_line_start: bool,
    is_empty: bool,
    holds_raw: bool,
    /// The last whole text, to find the new part of the next one.
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

    pub(super) fn append(&mut self, text: &str) -> String {
        let shown = if self.style.terminal { self.prose.add(text) } else { text.to_owned() };
        self.track(shown)
    }

    /// Replaces the text. Only its new part is printed; a different text is printed whole, on a new line.
    pub(super) fn replace(&mut self, whole: &str) -> String {
        match whole.strip_prefix(&*self.last_whole) {
            Some("") => String::new(),
            Some(new) => {
                self.last_whole.push_str(new);
                self.append(new)
            }
            // The app withdrew its text without a replacement so far.
            None if whole.is_empty() => String::new(),
            None => {
                whole.clone_into(&mut self.last_whole);
                let line_end = self.end_line();
                line_end + &self.append(whole)
            }
        }
    }

    /// Appends data in an unknown format, on a line of its own.
    pub(super) fn append_raw(&mut self, text: &str) -> String {
        self.holds_raw = true;
        let line_end = self.end_line();
        self.track(format!("{line_end}{}\n", self.style.text(text)))
    }

    /// Ends the current line, if one was begun.
    pub(super) fn end_line(&mut self) -> String {
        let mut rest = self.prose.end();
        if !std::mem::replace(&mut self.at_line_start, true) || !rest.is_empty() {
            rest.push('\n');
        }
        rest
    }

    /// Returns a warning about the printed response. `why` names the unknown part.
    pub(super) fn warning(&self, why: Option<&str>) -> Option<String> {
        if self.holds_raw {
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            return Some(format!("the response has an unknown format{why}; its unknown parts are printed as received"));
        }
        self.is_empty.then(|| "the response contains no text".to_owned())
    }

    fn track(&mut self, text: String) -> String {
        if let Some(end) = text.chars().next_back() {
            (self.at_line_start, self.is_empty) = (end == '\n', false);
        }
        text
    }
}
