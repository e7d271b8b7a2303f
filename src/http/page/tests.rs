//! The page is complete: the files that it references exist, and no others.

use super::*;
use std::collections::BTreeSet;

/// Returns the texts between each `open` and the next quote.
fn quoted<'a>(text: &'a str, open: &str) -> Vec<&'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Returns the files that a file references.
fn named(name: &str, text: &str) -> Vec<String> {
    let links = match name.rsplit('.').next() {
        Some("html") => [quoted(text, "src=\""), quoted(text, "href=\"")].concat(),
        Some("js") => [quoted(text, "from \"./"), quoted(text, "import \"./")].concat(),
        _ => Vec::new(),
    };
    let own = format!("{PATH}/");
    links
        .iter()
        .filter_map(|link| link.strip_prefix(&own).or((name != "index.html").then_some(link)))
        .map(|link| (*link).to_owned())
        .collect()
}

#[test]
fn every_file_of_the_page_is_in_the_binary() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web/status-page/assets");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<_> = files.filter(|name| name != "index.html").collect();
    let served: BTreeSet<_> = ASSETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(served, files);
}

#[test]
fn referenced_files_exist_and_the_page_references_every_module() {
    let there: BTreeSet<_> = ASSETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let by_page: BTreeSet<_> = named("index.html", INDEX).into_iter().collect();
    // All in `index.html`, so that the browser loads them in parallel.
    assert_eq!(by_page, there, "index.html links or preloads everything, and nothing else");
    for (name, _, text) in ASSETS {
        for link in named(name, text) {
            assert!(there.contains(&link), "{name} names {link}");
        }
    }
}

#[test]
fn the_page_contains_nothing_that_its_policy_forbids() {
    assert!(!INDEX.contains(" style=") && !INDEX.contains("<style") && !INDEX.contains(" on"), "inline");
    assert_eq!(INDEX.matches("<script").count(), INDEX.matches("<script src=").count());
    let own = ASSETS.iter().filter(|(name, ..)| !name.starts_with("uplot"));
    for (name, _, text) in own.map(|asset| (asset.0, asset.1, asset.2)).chain([("index.html", "", INDEX)]) {
        for forbidden in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://", "style.cssText"]
        {
            assert!(!text.contains(forbidden), "{name}: {forbidden}");
        }
        assert!(
            !text.contains("http://") || text.matches("http://").count() == text.matches("http://www.w3.org/").count(),
            "{name}: an address"
        );
    }
}
