//! Link reference definitions: a paragraph of nothing else cannot become a heading.

/// What is left of the text of a paragraph behind the definitions that it begins with.
pub(super) fn behind(text: &str) -> &str {
    let mut rest = text;
    while let Some(behind) = definition(rest) {
        rest = behind;
    }
    rest
}

/// `[label]: destination "title"`; what stands behind its line.
fn definition(text: &str) -> Option<&str> {
    let rest = label(text)?.strip_prefix(':')?;
    let rest = destination(break_once(rest))?;
    let titled = title(break_once(rest)).filter(|_| break_once(rest).len() < rest.len()).and_then(end_of_line);
    titled.or_else(|| end_of_line(rest))
}

fn label(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = unescaped(inside, &['[', ']'])?;
    let (name, rest) = inside.split_at(end);
    let is_one = !name.trim_matches([' ', '\t', '\n']).is_empty() && name.chars().count() <= 999;
    rest.strip_prefix(']').filter(|_| is_one)
}

fn destination(text: &str) -> Option<&str> {
    if let Some(inside) = text.strip_prefix('<') {
        let end = unescaped(inside, &['<', '>', '\n'])?;
        return inside[end..].strip_prefix('>');
    }
    let (mut depth, mut is_escaped, mut end) = (0, false, text.len());
    for (at, c) in text.char_indices() {
        if c == ' ' || c.is_ascii_control() {
            end = at;
            break;
        }
        match c {
            _ if is_escaped && c.is_ascii_punctuation() => is_escaped = false,
            '\\' => is_escaped = true,
            '(' => depth += 1,
            ')' if depth == 0 => return None,
            ')' => depth -= 1,
            _ => is_escaped = false,
        }
    }
    (end > 0 && depth == 0).then(|| &text[end..])
}

fn title(text: &str) -> Option<&str> {
    let (signs, close): (&[char], char) = match text.chars().next()? {
        '"' => (&['"'], '"'),
        '\'' => (&['\''], '\''),
        '(' => (&['(', ')'], ')'),
        _ => return None,
    };
    let inside = &text[1..];
    inside[unescaped(inside, signs)?..].strip_prefix(close)
}

/// Where the first of `signs` stands that no backslash precedes.
fn unescaped(text: &str, signs: &[char]) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if is_escaped && c.is_ascii_punctuation() {
            is_escaped = false;
            continue;
        }
        if signs.contains(&c) {
            return Some(at);
        }
        is_escaped = c == '\\';
    }
    None
}

/// Without the blanks at its beginning, one end of a line among them.
fn break_once(text: &str) -> &str {
    let rest = text.trim_start_matches([' ', '\t']);
    rest.strip_prefix('\n').map_or(rest, |rest| rest.trim_start_matches([' ', '\t']))
}

/// What follows the line, if nothing is left of it.
fn end_of_line(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches([' ', '\t']);
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('\n') }
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn definitions_are_taken_off_and_nothing_else() {
        for (text, left) in [
            ("[a]: /x", ""),
            ("[a]:\n/x", ""),
            ("[a\nb]: /x", ""),
            ("[^1]: note", ""),
            ("[a]: <b c>", ""),
            ("[a]: <>", ""),
            ("[a]:\n[", ""),
            ("[a]: /x \"t\"", ""),
            ("[a]: /x\n't\nu'", ""),
            ("[a]: /x\n(t)\n[b]: y\ntext", "text"),
            ("[a]: /x\n\"t\" u", "\"t\" u"),
            ("[a]: /x \"t\" u", "[a]: /x \"t\" u"),
            ("[a]: /x\"t\"", ""),
            ("[a]: <b>\"t\"", "[a]: <b>\"t\""),
            ("[a]: /x y", "[a]: /x y"),
            ("[a]:", "[a]:"),
            ("[]: /x", "[]: /x"),
            ("[ \n]: /x", "[ \n]: /x"),
            ("[a[]: /x", "[a[]: /x"),
            ("[a\\]]: /x", ""),
            ("[a]: (x", "[a]: (x"),
            ("[a]: (x)\\(", ""),
            ("[a] : /x", "[a] : /x"),
            ("text\n[a]: /x", "text\n[a]: /x"),
        ] {
            assert_eq!(behind(text), left, "{text:?}");
        }
    }
}
