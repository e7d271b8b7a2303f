//! HTML blocks that begin with `<script>` and its like. CommonMark ends them at the first line with the end tag of any
//! of the four, in any case; the reader waits for the end tag of the same name in small letters. What follows is text
//! to the one and HTML to the other, so a fence could be hidden from one of them.

/// Tag names that begin such a block.
const NAMES: [&str; 4] = ["pre", "script", "style", "textarea"];

/// Whether the HTML block that the parser found ends earlier according to CommonMark.
pub(super) fn is_ambiguous(block: &str) -> bool {
    let lower = block.to_ascii_lowercase();
    let mut lines = lower.lines();
    opens(&lower) && lines.any(|line| NAMES.iter().any(|name| ends(line, name))) && lines.next().is_some()
}

fn opens(block: &str) -> bool {
    let Some(tag) = block.trim_start_matches(super::BLANKS).strip_prefix('<') else { return false };
    NAMES
        .iter()
        .filter_map(|name| tag.strip_prefix(name))
        .any(|rest| matches!(rest.chars().next(), None | Some(' ' | '\t' | '\n' | '>')))
}

fn ends(line: &str, name: &str) -> bool {
    line.match_indices("</")
        .any(|(at, tag)| line[at + tag.len()..].strip_prefix(name).is_some_and(|rest| rest.starts_with('>')))
}
