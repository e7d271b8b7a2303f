//! The text as the reader of Markdown gets it: of the same length, and the same to CommonMark, but without what the
//! reader takes otherwise.

use std::borrow::Cow;

/// Stands for a character that is nothing special to CommonMark.
const PLAIN: u8 = 0x01;

/// The text with CRLF and CR read as LF.
pub(super) fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// A text of the same length whose lines mean to the reader what those of `text` mean to CommonMark:
///
/// - vertical tabs and form feeds, which are blanks to the reader alone, become plain characters;
/// - tabs after a closing fence, which are allowed but keep the reader from seeing it, become spaces.
pub(super) fn of(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        let fence = body.trim_end_matches(super::BLANKS);
        let after = &body[fence.len()..];
        let is_fence = fence.ends_with("```") || fence.ends_with("~~~");
        shape.extend(fence.chars().map(|c| if matches!(c, '\x0b' | '\x0c') { char::from(PLAIN) } else { c }));
        shape.extend(after.chars().map(|c| if is_fence { ' ' } else { c }));
        shape.push_str(end);
    }
    shape
}
