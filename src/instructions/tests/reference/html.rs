//! HTML blocks: the seven ways to begin one and where each ends.

/// Names that begin a block of kind 6, as far as the generator uses them.
const BLOCK_NAMES: [&str; 4] = ["div", "p", "table", "details"];
/// Names that begin a block of kind 1.
const RAW_NAMES: [&str; 4] = ["pre", "script", "style", "textarea"];

/// The kind of block that a line begins.
pub(super) fn begins(line: &str, may_be_any_tag: bool) -> Option<u8> {
    let lower = line.to_ascii_lowercase();
    let rest = lower.strip_prefix('<')?;
    let followed = |name: &str, ends: &[&str]| {
        rest.strip_prefix(name).is_some_and(|rest| rest.is_empty() || ends.iter().any(|end| rest.starts_with(end)))
    };
    if RAW_NAMES.iter().any(|name| followed(name, &[" ", "\t", ">"])) {
        return Some(1);
    }
    if rest.starts_with("!--") {
        return Some(2);
    }
    if rest.starts_with('?') {
        return Some(3);
    }
    if line.starts_with("<![CDATA[") {
        return Some(5);
    }
    if rest.strip_prefix('!').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())) {
        return Some(4);
    }
    let named =
        |name: &&str| followed(name, &[" ", "\t", ">", "/>"]) || followed(&format!("/{name}"), &[" ", "\t", ">", "/>"]);
    if BLOCK_NAMES.iter().any(named) {
        return Some(6);
    }
    (may_be_any_tag && is_one_tag(line)).then_some(7)
}

/// Whether a line is one whole tag without attributes other than plain names, and nothing else.
fn is_one_tag(line: &str) -> bool {
    let line = line.trim_end_matches([' ', '\t']);
    let Some(inside) = line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) else { return false };
    let name_end = |text: &str| {
        let length = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').count();
        if text.starts_with(|c: char| c.is_ascii_alphabetic()) { length } else { 0 }
    };
    if let Some(closing) = inside.strip_prefix('/') {
        let end = name_end(closing);
        return end > 0 && closing[end..].trim_matches([' ', '\t']).is_empty();
    }
    let end = name_end(inside);
    let attributes = inside[end..].strip_suffix('/').unwrap_or(&inside[end..]);
    let is_spaced = attributes.is_empty() || attributes.starts_with([' ', '\t']);
    let is_name = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c))
    };
    end > 0 && is_spaced && attributes.split([' ', '\t']).filter(|word| !word.is_empty()).all(is_name)
}

/// Whether a block of this kind ends with this line.
pub(super) fn ends(kind: u8, line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    match kind {
        1 => RAW_NAMES.iter().any(|name| lower.contains(&format!("</{name}>"))),
        2 => line.contains("-->"),
        3 => line.contains("?>"),
        4 => line.contains('>'),
        5 => line.contains("]]>"),
        _ => false,
    }
}
