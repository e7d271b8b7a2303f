//! Reads the files of the repository.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// Folders without hand-written files.
const IGNORED_FOLDERS: &[&str] = &["target", "node_modules", ".git"];
/// Extensions and names of text files.
const TEXTS: &[&str] = &["rs", "md", "toml", "sql", "sh", "js", "mjs", "json", "html", "css", "run", "gitignore"];

/// A source file in `src/`.
pub(super) struct Source {
    /// Path from the root of the repository.
    pub(super) name: String,
    /// Path of its module from the root of the crate.
    pub(super) module: Vec<String>,
    /// Content.
    pub(super) text: String,
}

/// Returns the sources of the crate's modules, without `lib.rs` and the build script.
pub(super) fn crate_sources() -> Vec<Source> {
    let sources: Vec<_> = under("src", &["rs"])
        .into_iter()
        .filter(|(name, _)| !matches!(name.as_str(), "src/lib.rs" | "src/build.rs"))
        .map(|(name, text)| Source { module: module(&name), name, text })
        .collect();
    assert!(sources.len() > 50, "the sources are found");
    sources
}

fn module(name: &str) -> Vec<String> {
    let path = name.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').map(str::to_owned).collect()
}

/// Returns the names of the files and folders in the root of the repository.
pub(super) fn names_in_root() -> Vec<String> {
    let entries = fs::read_dir(root()).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Returns all text files of the repository.
pub(super) fn all_texts() -> Vec<(String, String)> {
    under("", TEXTS)
}

/// Returns the text files below a folder with one of these extensions or names, sorted by path.
pub(super) fn under(folder: &str, kinds: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root().join(folder), kinds, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, kinds: &[&str], found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() && !IGNORED_FOLDERS.contains(&&*name) {
            collect(&path, kinds, found);
        } else if kinds.contains(&name.rsplit('.').next().unwrap_or_default())
            && let Ok(text) = fs::read_to_string(&path)
        {
            let name = path.strip_prefix(root()).expect("it lies under the root").display().to_string();
            found.push((name, text));
        }
    }
}

/// Returns the relative links of a Markdown file that lead to no file, or out of the repository.
pub(super) fn dead_links(name: &str, text: &str) -> Vec<String> {
    let folder = Path::new(name).parent().expect("a file lies in a folder");
    let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    links
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .filter(|link| !inside(&folder.join(link)).is_some_and(|path| root().join(path).exists()))
        .map(|link| format!("{name}: {link} does not exist"))
        .collect()
}

/// The file that a relative link of a file leads to; an empty link leads to the file itself.
pub(super) fn target(name: &str, link: &str) -> Option<String> {
    if link.is_empty() {
        return Some(name.to_owned());
    }
    let folder = Path::new(name).parent()?;
    inside(&folder.join(link)).map(|path| path.display().to_string())
}

/// A path without its dots; nothing when it leads out of where it begins.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir if plain.pop() => {}
            _ => return None,
        }
    }
    Some(plain)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
