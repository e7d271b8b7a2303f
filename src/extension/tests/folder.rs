//! Writing to a new folder, over an earlier output, and to folders with other files.

use super::{super::folder::WriteError, *};
use std::{env, os::unix::fs::symlink, path::PathBuf};

/// A temporary folder that is removed when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        let path = env::temp_dir().join(format!("baa-conductor-extension-{}", crate::ids::RequestId::generate()));
        fs::create_dir(&path).unwrap();
        Temporary(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Returns the texts of all files below a folder by name; of the `.xpi` only its length.
fn found(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let text = if name == XPI { bytes.len().to_string() } else { String::from_utf8_lossy(&bytes).into_owned() };
            all.insert(name, text);
        }
    }
    all
}

fn expected() -> BTreeMap<String, String> {
    let mut files = texts(&extension());
    files.insert(XPI.to_owned(), extension().xpi().len().to_string());
    files
}

#[test]
fn a_new_folder_gets_every_file_and_the_xpi() {
    let temporary = Temporary::new();
    let (new, empty) = (temporary.at("a/b/c"), temporary.at("empty"));
    fs::create_dir(&empty).unwrap();
    for folder in [&new, &empty] {
        extension().write(folder).unwrap();
        assert_eq!(found(folder), expected());
        assert_eq!(unzipped(&fs::read(folder.join(XPI)).unwrap()), texts(&extension()));
    }
}

#[test]
fn an_earlier_output_is_replaced_and_other_files_are_kept() {
    let temporary = Temporary::new();
    let folder = temporary.at("out");
    Extension::new("ws://127.0.0.1:1/ws/firefox").unwrap().write(&folder).unwrap();
    fs::create_dir_all(folder.join("background/old")).unwrap();
    for name in ["background/gone.js", "background/old/gone.js", "notes.txt"] {
        fs::write(folder.join(name), "x").unwrap();
    }
    extension().write(&folder).unwrap();
    let mut files = expected();
    files.insert("notes.txt".into(), "x".into());
    assert_eq!(found(&folder), files);
}

#[test]
fn files_of_an_interrupted_run_do_not_matter() {
    let temporary = Temporary::new();
    let left = temporary.at("out/.baa-conductor-new/background");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("half.js"), "x").unwrap();
    extension().write(&temporary.at("out")).unwrap();
    assert_eq!(found(&temporary.at("out")), expected());
}

#[test]
fn a_folder_with_other_files_is_refused_and_unchanged() {
    let temporary = Temporary::new();
    for (name, file, text) in [
        ("letters", "letter.txt", "Dear"),
        ("other", MANIFEST, r#"{"browser_specific_settings":{"gecko":{"id":"other@localhost"}}}"#),
        ("broken", MANIFEST, "{"),
    ] {
        let folder = temporary.at(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
        let error = extension().write(&folder).unwrap_err();
        assert!(matches!(&error, WriteError::Foreign(path) if *path == folder), "{error}");
        assert_eq!(found(&folder), BTreeMap::from([(file.to_owned(), text.to_owned())]));
    }
}

#[test]
fn the_sources_are_never_overwritten() {
    let temporary = Temporary::new();
    let folder = temporary.at("extension");
    fs::create_dir(&folder).unwrap();
    fs::copy(sources().join(MANIFEST), folder.join(MANIFEST)).unwrap();
    fs::write(folder.join("package.json"), "{}").unwrap();
    let before = found(&folder);
    assert!(matches!(extension().write(&folder), Err(WriteError::Sources(_))));
    assert_eq!(found(&folder), before);
}

#[test]
fn a_link_in_an_earlier_output_is_replaced_and_not_followed() {
    let temporary = Temporary::new();
    let (folder, elsewhere) = (temporary.at("out"), temporary.at("elsewhere"));
    extension().write(&folder).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("mine.js"), "x").unwrap();
    fs::remove_file(folder.join(CONFIG)).unwrap();
    symlink(elsewhere.join("mine.js"), folder.join(CONFIG)).unwrap();
    drop(fs::remove_dir_all(folder.join("background")));
    symlink(&elsewhere, folder.join("background")).unwrap();
    extension().write(&folder).unwrap();
    assert_eq!(found(&folder), expected());
    assert_eq!(found(&elsewhere), BTreeMap::from([("mine.js".to_owned(), "x".to_owned())]));
}

#[test]
fn a_failed_write_names_the_path_and_changes_nothing() {
    let temporary = Temporary::new();
    let file = temporary.at("file");
    fs::write(&file, "x").unwrap();
    let error = extension().write(&file).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not a folder", file.display()));
    let error = extension().write(&file.join("below")).unwrap_err();
    assert!(matches!(error, WriteError::Unchanged { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot write to {}", file.join("below").display())), "{error}");
    assert_eq!(found(&temporary.0), BTreeMap::from([("file".to_owned(), "x".to_owned())]));
}
