//! The embedded extension has all files that a browser needs, the daemon's address, and nothing else.

use super::*;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Cursor, Read},
    path::Path,
};
use zip::ZipArchive;

mod folder;

pub(super) fn extension() -> Extension {
    Extension::new("ws://127.0.0.1:4999/ws/firefox").unwrap()
}

/// Returns the texts of the files by name.
pub(super) fn texts(extension: &Extension) -> BTreeMap<String, String> {
    let text = |file: ExtensionFile| (file.name.to_owned(), String::from_utf8_lossy(&file.bytes).into_owned());
    extension.files().map(text).collect()
}

/// Returns the texts of the files in a zip by name.
pub(super) fn unzipped(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut found = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        found.insert(file.name().unwrap().into_owned(), String::from_utf8_lossy(&bytes).into_owned());
    }
    found
}

fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/extension"))
}

fn manifest() -> Value {
    serde_json::from_str(&texts(&extension())[MANIFEST]).unwrap()
}

#[test]
fn its_manifest_has_this_version_and_its_id() {
    let manifest = manifest();
    assert_eq!(manifest["version"], crate::VERSION, "Cargo.toml and extension/manifest.json name one version");
    assert_eq!(manifest["browser_specific_settings"]["gecko"]["id"], ID);
}

#[test]
fn the_files_are_those_of_the_sources_and_only_the_address_differs() {
    let embedded = texts(&extension());
    for (name, text) in &embedded {
        let source = fs::read_to_string(sources().join(name)).unwrap();
        if name == CONFIG {
            let (other, line): (Vec<_>, Vec<_>) =
                source.lines().partition(|line| !line.starts_with(ADDRESS_LINE_START));
            assert_eq!(line.len(), 1, "one line sets the address");
            let (kept, set): (Vec<_>, Vec<_>) = text.lines().partition(|line| !line.starts_with(ADDRESS_LINE_START));
            assert_eq!(kept, other);
            assert_eq!(set, [r#"export const DAEMON_WS = "ws://127.0.0.1:4999/ws/firefox";"#]);
        } else {
            assert_eq!(*text, source, "{name}");
        }
    }
    assert!(FILES.is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn no_development_file_is_in_it_and_no_packaged_path_is_missing() {
    let embedded: BTreeSet<_> = FILES.iter().map(|(name, _)| *name).collect();
    for name in &embedded {
        let development = ["node_modules", "tests", "package", "eslint", ".test."];
        assert!(!development.iter().any(|word| name.contains(word)), "{name}");
        assert!(parts::PACKAGED_PATHS.contains(&name.split('/').next().unwrap()), "{name}");
    }
    let parts: BTreeSet<_> = embedded.iter().map(|name| name.split('/').next().unwrap()).collect();
    let there = parts::PACKAGED_PATHS.iter().copied().filter(|part| sources().join(part).exists());
    assert_eq!(parts, there.collect());
}

/// Returns the paths that a file lets the browser load: quoted relative modules, and in a page or the manifest all quoted
/// texts that look like file names.
fn referenced_paths(name: &str, text: &str) -> Vec<String> {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let base = Url::parse("file:///").unwrap().join(&format!("{folder}/")).unwrap();
    let is_module = |word: &&str| (word.starts_with("./") || word.starts_with("../")) && word.ends_with(".js");
    let is_file = |word: &&str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./_-".contains(&byte));
        plain && [".js", ".html", ".css", ".svg", ".png"].iter().any(|end| word.ends_with(end))
    };
    let words = text.split(['"', '\'']);
    let words: Vec<_> =
        if name.ends_with(".js") { words.filter(is_module).collect() } else { words.filter(is_file).collect() };
    words.iter().map(|word| base.join(word).unwrap().path().trim_start_matches('/').to_owned()).collect()
}

#[test]
fn every_referenced_file_is_in_it() {
    let embedded = texts(&extension());
    for (name, text) in embedded.iter().filter(|(name, _)| !name.ends_with(".svg") && !name.ends_with(".png")) {
        for path in referenced_paths(name, text) {
            assert!(embedded.contains_key(&path), "{name} refers to {path}: is it in PACKAGED_PATHS?");
        }
    }
    let referenced = |name: &str, text: &str| referenced_paths(name, text).join(" ");
    assert_eq!(referenced("a/b.js", r#"import x from "./c.js"; import("../d.js"); "e.js""#), "a/c.js d.js");
    assert_eq!(referenced("o/i.html", r#"<script src="o.js"></script><img src="../i.svg">"#), "o/o.js i.svg");
}

#[test]
fn the_xpi_holds_the_files_and_is_always_the_same() {
    let one = extension();
    assert_eq!(unzipped(&one.xpi()), texts(&one));
    assert_eq!(one.xpi(), extension().xpi());
    let other = Extension::new("ws://127.0.0.1:5000/ws/firefox").unwrap();
    assert_ne!(one.xpi(), other.xpi());
}

#[test]
fn the_xpi_has_no_times_and_no_modes_of_this_machine() {
    let bytes = extension().xpi();
    let mut archive = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    for at in 0..archive.len() {
        let file = archive.by_index(at).unwrap();
        assert_eq!(file.last_modified(), Some(zip::DateTime::DEFAULT));
        assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o644));
        assert_eq!(file.compression(), zip::CompressionMethod::Stored);
    }
}

#[test]
fn an_address_is_one_that_a_browser_can_connect_to() {
    for (given, set) in [
        ("ws://127.0.0.1:4317/ws/firefox", "ws://127.0.0.1:4317/ws/firefox"),
        ("ws://[::1]:4317/ws/firefox", "ws://[::1]:4317/ws/firefox"),
        ("ws://0.0.0.0:4317/ws/firefox", "ws://127.0.0.1:4317/ws/firefox"),
        ("ws://[::]:4317/ws/firefox", "ws://[::1]:4317/ws/firefox"),
        ("ws://127.0.0.1:80/ws/firefox", "ws://127.0.0.1/ws/firefox"),
        ("ws://localhost:1/a\"b", "ws://localhost:1/a%22b"),
    ] {
        let extension = Extension::new(given).unwrap();
        assert_eq!(extension.address(), set);
        assert!(texts(&extension)[CONFIG].contains(&format!("{ADDRESS_LINE_START}\"{set}\";\n")), "{given}");
    }
    for given in
        ["", "4317", "http://127.0.0.1:4317", "wss://a/b", "ws://", "ws://127.0.0.1:0/", "ws://a@b/", "ws://a/?b"]
    {
        let error = Extension::new(given).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{given:?} is not the address of a daemon's WebSocket: ")), "{error}");
    }
}
