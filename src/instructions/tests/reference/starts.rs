//! What a line begins, in the order in which CommonMark tries it.

use super::{Container, cursor::Cursor, definitions, html};

/// A block that holds lines.
#[derive(Debug, Default)]
pub(super) enum Leaf {
    #[default]
    None,
    Paragraph(Vec<String>),
    Indented,
    /// An HTML block of one of the seven kinds.
    Html(u8),
    Fence {
        sign: char,
        length: usize,
        indent: usize,
    },
}

/// What begins at a place of a line.
pub(super) enum Start {
    Container(Container),
    /// A leaf that takes the rest of the line; [`Leaf::None`] for one that is a single line.
    Leaf(Leaf),
    Nothing,
}

/// Takes the mark of a block quote.
pub(super) fn quote_marker(cursor: &mut Cursor) -> bool {
    let indent = cursor.indent();
    if indent > 3 || !cursor.rest_trimmed().starts_with('>') {
        return false;
    }
    cursor.skip(indent + 1);
    cursor.skip_up_to(1);
    true
}

/// Finds what begins here. `in_paragraph`: a paragraph of this container would be interrupted; `lazy`: one of a
/// container that did not go on.
pub(super) fn start(cursor: &mut Cursor, in_paragraph: bool, lazy: bool, leaf: &Leaf) -> Start {
    if cursor.is_blank() {
        return Start::Nothing;
    }
    let indent = cursor.indent();
    if indent >= 4 {
        if in_paragraph || lazy {
            return Start::Nothing;
        }
        cursor.skip(4);
        return Start::Leaf(Leaf::Indented);
    }
    if quote_marker(cursor) {
        return Start::Container(Container::Quote);
    }
    let mut ahead = cursor.clone();
    ahead.skip(indent);
    let text = ahead.rest();
    let trimmed = text.trim_end_matches([' ', '\t']);
    if is_heading(&text) {
        return Start::Leaf(Leaf::None);
    }
    if let Some((sign, length)) = fence(&text) {
        ahead.skip(length);
        *cursor = ahead;
        return Start::Leaf(Leaf::Fence { sign, length, indent });
    }
    if let Some(kind) = html::begins(&text, !in_paragraph && !lazy) {
        *cursor = ahead;
        return Start::Leaf(Leaf::Html(kind));
    }
    if in_paragraph && is_underline(trimmed) && has_text(leaf) {
        return Start::Leaf(Leaf::None);
    }
    if is_break(trimmed) {
        return Start::Leaf(Leaf::None);
    }
    item(cursor, in_paragraph).map_or(Start::Nothing, Start::Container)
}

fn is_heading(text: &str) -> bool {
    let level = text.chars().take_while(|c| *c == '#').count();
    (1..=6).contains(&level) && text[level..].chars().next().is_none_or(|c| c == ' ' || c == '\t')
}

fn fence(text: &str) -> Option<(char, usize)> {
    let sign = text.chars().next().filter(|c| *c == '`' || *c == '~')?;
    let length = text.chars().take_while(|c| *c == sign).count();
    let is_code_span = sign == '`' && text[length..].contains('`');
    (length >= 3 && !is_code_span).then_some((sign, length))
}

fn is_underline(trimmed: &str) -> bool {
    !trimmed.is_empty() && (trimmed.chars().all(|c| c == '=') || trimmed.chars().all(|c| c == '-'))
}

/// Whether a paragraph is more than link reference definitions.
fn has_text(leaf: &Leaf) -> bool {
    let Leaf::Paragraph(lines) = leaf else { return false };
    !definitions::behind(&lines.join("\n")).is_empty()
}

fn is_break(trimmed: &str) -> bool {
    let signs: Vec<char> = trimmed.chars().filter(|c| *c != ' ' && *c != '\t').collect();
    signs.len() >= 3 && "*-_".contains(signs[0]) && signs.iter().all(|c| *c == signs[0])
}

/// Takes the mark of a list item.
fn item(cursor: &mut Cursor, in_paragraph: bool) -> Option<Container> {
    let indent = cursor.indent();
    let mut ahead = cursor.clone();
    ahead.skip(indent);
    let text = ahead.rest();
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (width, is_first) = match text.chars().nth(digits)? {
        '-' | '+' | '*' if digits == 0 => (1, true),
        '.' | ')' if (1..=9).contains(&digits) => (digits + 1, text[..digits].parse() == Ok(1)),
        _ => return None,
    };
    ahead.skip(width);
    if !matches!(ahead.sign(), None | Some(' ' | '\t')) || (in_paragraph && (!is_first || ahead.is_blank())) {
        return None;
    }
    let spaces = ahead.indent();
    let padding = if ahead.is_blank() || spaces > 4 { 1 } else { spaces };
    ahead.skip_up_to(padding);
    *cursor = ahead;
    Some(Container::Item { content: indent + width + padding, is_empty: true })
}
