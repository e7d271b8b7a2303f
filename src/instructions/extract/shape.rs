//! Text as given to the Markdown parser: of the same length and the same meaning to CommonMark, without what the parser
//! reads differently.

use std::borrow::Cow;

/// Replaces a character without a meaning to CommonMark.
const PLAIN: u8 = 0x01;

/// Returns the text with CRLF and CR replaced by LF.
pub(super) fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Returns a text of the same length in which the parser's reading agrees with CommonMark:
///
/// - vertical tabs and form feeds, which only the parser treats as blanks, become ordinary characters;
/// - tabs after a closing fence, which are allowed but hide it from the parser, become spaces.
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
