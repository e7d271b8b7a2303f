//! The build script: passes the commit and the list of the extension's files to the crate, and rebuilds it after a new
//! migration.

#[path = "extension/parts.rs"]
mod parts;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Extensions of the files that are embedded.
const FILE_EXTENSIONS: &[&str] = &["js", "json", "html", "css", "svg", "png"];

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=src/build.rs");
    println!("cargo:rerun-if-changed=src/extension/parts.rs");
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    // A source archive has no repository.
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=BAA_GIT_COMMIT={commit}");
    extension().expect("the files in extension/ can be listed");
}

/// Writes the list of the extension's files as Rust source: name and bytes of each, sorted by name.
fn extension() -> io::Result<()> {
    let variable = |name| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let root = variable("CARGO_MANIFEST_DIR").join("extension");
    let mut files = Vec::new();
    for part in parts::PACKAGED_PATHS.iter().map(|part| root.join(part)) {
        // Covers files that are added to or removed from a folder, and paths that do not exist yet.
        println!("cargo:rerun-if-changed={}", part.display());
        if part.exists() {
            collect(&part, &mut files)?;
        }
    }
    files.sort();
    let mut text = String::from("&[\n");
    for path in &files {
        let name = path.strip_prefix(&root).expect("it lies under its root");
        text.push_str(&format!("    ({name:?}, include_bytes!({path:?})),\n"));
    }
    text.push_str("]\n");
    fs::write(variable("OUT_DIR").join("extension.rs"), text)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.extension().is_some_and(|kind| FILE_EXTENSIONS.iter().any(|known| kind == *known)) {
        files.push(path.to_owned());
    }
    Ok(())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}
