//! Phrases that no comment, message or page of the project uses: they hide who acts on what.

use super::{assert_none, files};

/// The phrases, in lower case.
const BANNED: &[&str] = &[
    "anybody",
    "are told",
    "be told",
    "been told",
    "being told",
    "everybody",
    "is told",
    "nobody",
    "on whose word",
    "somebody",
    "tells of",
    "told of",
    "was told",
    "were told",
    "what became of",
    "whoever",
    "whomever",
];
/// Words that give the verb before them another meaning, as in `told apart`.
const EXEMPTING: &[&str] = &["apart", "from"];
/// Files and folders that are checked.
const CHECKED: &[&str] = &[
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "benches/",
    "config/",
    "docs/",
    "extension/",
    "src/",
    "tests/",
    "web/status-page/",
];
/// Files without prose of the project: this list, vendored and generated ones.
const EXEMPT: &[&str] =
    &["src/structure/prose.rs", "web/status-page/assets/uplot.js", "web/status-page/assets/uplot.css"];

/// Returns the words of a text in lower case, without the signs around them, each with the number of its line. The sign
/// of a comment is no word.
fn words(text: &str) -> Vec<(usize, String)> {
    let words = text.lines().enumerate().flat_map(|(at, line)| line.split_whitespace().map(move |word| (at + 1, word)));
    let plain = |(line, word): (usize, &str)| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        (line, word.strip_suffix("'s").unwrap_or(word).to_lowercase())
    };
    words.map(plain).filter(|(_, word)| !word.is_empty()).collect()
}

/// Returns the banned phrases of a text with their lines; a phrase may be wrapped.
fn banned(text: &str) -> Vec<(usize, &'static str)> {
    let words = words(text);
    let begins = |rest: &[(usize, String)], phrase: &str| {
        let length = phrase.split(' ').count();
        let is_exempt =
            phrase.ends_with("told") && rest.get(length).is_some_and(|(_, next)| EXEMPTING.contains(&next.as_str()));
        !is_exempt && rest.len() >= length && phrase.split(' ').zip(rest).all(|(word, (_, other))| word == other)
    };
    let mut found = Vec::new();
    for (at, (line, _)) in words.iter().enumerate() {
        found.extend(BANNED.iter().filter(|phrase| begins(&words[at..], phrase)).map(|phrase| (*line, *phrase)));
    }
    found
}

#[test]
fn no_text_uses_a_banned_phrase() {
    let mut objections = Vec::new();
    for (name, text) in files::all_texts() {
        let is_checked = CHECKED.iter().any(|checked| name.starts_with(checked)) && !EXEMPT.contains(&name.as_str());
        if is_checked && !name.ends_with(".json") {
            objections.extend(banned(&text).into_iter().map(|(line, phrase)| format!("{name}:{line}: \"{phrase}\"")));
        }
    }
    assert_none(&objections);
}

#[test]
fn a_phrase_is_found_across_lines_and_not_in_identifiers_or_distinctions() {
    let found = |text| banned(text);
    assert_eq!(found("/// The caller is\n/// told."), [(1, "is told")]);
    assert_eq!(found("Whoever asks, somebody's answer"), [(1, "whoever"), (1, "somebody")]);
    assert!(found("nobody_knows; they are told apart, and cannot be told from each other").is_empty());
}
