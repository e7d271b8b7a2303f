//! What the documentation must keep: the README's length and first command, links and their anchors, the index of
//! decisions.

use super::{assert_none, files};
use std::collections::{BTreeMap, BTreeSet};

/// Most words of the README.
const README_WORDS_MAX: usize = 700;
/// Folder of the decisions.
const DECISIONS: &str = "docs/decisions/";
/// Name of their index.
const INDEX: &str = "README.md";

/// Returns the Markdown files of the repository.
fn pages() -> BTreeMap<String, String> {
    files::all_texts().into_iter().filter(|(name, _)| name.ends_with(".md")).collect()
}

/// Returns the commands of the `sh` blocks of a page.
fn commands(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_readme_is_short_begins_with_the_demo_and_names_the_test_command() {
    let readme = &pages()["README.md"];
    let words = readme.split_whitespace().count();
    assert!(words <= README_WORDS_MAX, "README.md has {words} words, more than {README_WORDS_MAX}");
    let commands = commands(readme);
    assert_eq!(commands.first(), Some(&"cargo run -- demo"));
    assert!(commands.contains(&"bash tests/run"), "{commands:?}");
}

/// Returns the anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if is_code || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let repeated = (1..).map(|n| format!("{anchor}-{n}"));
        let free = std::iter::once(anchor.clone()).chain(repeated).find(|anchor| !found.contains(anchor));
        found.extend(free);
    }
    found
}

/// Returns the links of a page to headings, as pairs of a file and an anchor.
fn links_to_headings(name: &str, text: &str) -> Vec<(String, String)> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()?.split_once('#'));
    let own = links.filter(|(file, _)| !file.contains("://"));
    own.filter_map(|(file, anchor)| Some((files::target(name, file)?, anchor.to_owned()))).collect()
}

#[test]
fn every_link_to_a_heading_leads_to_one() {
    let pages = pages();
    let anchors: BTreeMap<_, _> = pages.iter().map(|(name, text)| (name.as_str(), anchors(text))).collect();
    let mut objections = Vec::new();
    for (name, text) in &pages {
        for (file, anchor) in links_to_headings(name, text) {
            if anchors.get(file.as_str()).is_some_and(|known| !known.contains(&anchor)) {
                objections.push(format!("{name}: {file} has no heading #{anchor}"));
            }
        }
    }
    assert_none(&objections);
}

#[test]
fn anchors_are_those_of_headings_outside_of_code() {
    let text = "# `hello_ack`, and more\n```sh\n# no heading\n```\n## Limits\n### Limits\n";
    assert_eq!(Vec::from_iter(anchors(text)), ["hello_ack-and-more", "limits", "limits-1"]);
}

/// A decision, as its file or its row in the index describes it.
#[derive(Debug, PartialEq, Eq)]
struct DecisionEntry {
    number: String,
    title: String,
    status: String,
}

/// Reads a decision's heading `# NNN: Title` and its line `Status: …`.
fn decision(text: &str) -> Option<DecisionEntry> {
    let (number, title) = text.lines().next()?.strip_prefix("# ")?.split_once(": ")?;
    let status = text.lines().find_map(|line| line.strip_prefix("Status: "))?;
    Some(DecisionEntry { number: number.to_owned(), title: title.to_owned(), status: status.to_owned() })
}

/// Whether a status is `accepted (DATE)`, perhaps with `, amended by NNN, NNN`, or `superseded by NNN (DATE)`.
fn is_status(status: &str, numbers: &BTreeSet<String>) -> bool {
    let (state, amended) = status.split_once(", amended by ").unwrap_or((status, ""));
    let Some((state, date)) = state.strip_suffix(')').and_then(|state| state.split_once(" (")) else { return false };
    let successor = state.strip_prefix("superseded by ");
    let mut others = amended.split(", ").filter(|number| !number.is_empty()).chain(successor);
    let is_date = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_date && (state == "accepted" || successor.is_some()) && others.all(|number| numbers.contains(number))
}

/// Reads the rows of the index, `| [NNN](FILE) | title | status | one line |`.
fn index_rows(index: &str) -> BTreeMap<String, DecisionEntry> {
    let rows = index.lines().filter(|line| line.starts_with("| ["));
    let of = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [link, title, status, about] = cells[..] else { return None };
        let (number, file) = link.strip_prefix('[')?.strip_suffix(')')?.split_once("](")?;
        let [number, title, status] = [number, title, status].map(str::to_owned);
        (!about.is_empty()).then(|| (file.to_owned(), DecisionEntry { number, title, status }))
    };
    rows.map(|line| of(line).unwrap_or_else(|| panic!("no row of the index of decisions: {line}"))).collect()
}

#[test]
fn the_index_of_decisions_and_the_files_agree() {
    let pages = pages();
    let decisions = pages.iter().filter_map(|(name, text)| Some((name.strip_prefix(DECISIONS)?, text)));
    let (mut found, mut objections) = (BTreeMap::new(), Vec::new());
    for (file, text) in decisions.filter(|(file, _)| *file != INDEX) {
        match decision(text) {
            Some(entry) if file.starts_with(&format!("{}-", entry.number)) => {
                found.insert(file.to_owned(), entry);
            }
            other => {
                objections.push(format!("{file}: no heading \"# NNN: Title\" or no line \"Status: …\": {other:?}"))
            }
        }
    }
    let numbers: BTreeSet<_> = found.values().map(|entry| entry.number.clone()).collect();
    if numbers.len() != found.len() {
        objections.push("two decisions have the same number".to_owned());
    }
    let bad = found.iter().filter(|(_, entry)| !is_status(&entry.status, &numbers));
    objections.extend(bad.map(|(file, entry)| format!("{file}: {:?} is no status", entry.status)));
    let listed = index_rows(&pages[&format!("{DECISIONS}{INDEX}")]);
    for file in found.keys().chain(listed.keys()).collect::<BTreeSet<_>>() {
        if found.get(file) != listed.get(file) {
            objections.push(format!("{file}: the file says {:?}, the index {:?}", found.get(file), listed.get(file)));
        }
    }
    assert_none(&objections);
}

#[test]
fn a_status_has_a_date_and_names_decisions_that_there_are() {
    let numbers = BTreeSet::from(["001", "002"].map(str::to_owned));
    for status in
        ["accepted (2026-11-20)", "accepted (2026-11-20), amended by 001, 002", "superseded by 002 (2026-11-20)"]
    {
        assert!(is_status(status, &numbers), "{status}");
    }
    for status in
        ["accepted", "accepted (today)", "superseded by 003 (2026-11-20)", "accepted (2026-11-20), amended by 9"]
    {
        assert!(!is_status(status, &numbers), "{status}");
    }
}
