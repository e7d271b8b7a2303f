//! The page is whole: what its files name is there, and what is there is named.

use super::*;
use std::collections::BTreeSet;

/// What stands between `open` and the next quote, wherever that is in the text.
fn quoted<'a>(text: &'a str, open: &str) -> Vec<&'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// What a file names of the others.
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
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/page/assets");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<_> = files.filter(|name| name != "index.html").collect();
    let served: BTreeSet<_> = ASSETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(served, files);
}

#[test]
fn what_the_page_names_is_there_and_every_module_is_named_by_the_page_itself() {
    let there: BTreeSet<_> = ASSETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let by_page: BTreeSet<_> = named("index.html", INDEX).into_iter().collect();
    // So that they are all asked for at once, and not one after the other.
    assert_eq!(by_page, there, "index.html links or preloads everything, and nothing else");
    for (name, _, text) in ASSETS {
        for link in named(name, text) {
            assert!(there.contains(&link), "{name} names {link}");
        }
    }
}

#[test]
fn nothing_of_the_page_stands_in_its_markup_that_its_policy_forbids() {
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
