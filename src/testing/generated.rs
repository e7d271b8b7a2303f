//! Generated files of the repository: compares them with what they should be, or renews them.
//! `BAA_UPDATE_DOCS=1 cargo nextest run --lib generated` renews all of them.

use std::{env, fmt::Write, fs, path::PathBuf};

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- /generated -->";

/// Asserts that a file, by its path in the repository, is what `wanted` makes of it, or renews it.
pub(crate) fn hold(path: &str, wanted: impl FnOnce(&str) -> String) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = fs::read_to_string(&file).unwrap_or_default();
    let wanted = wanted(&found);
    if env::var_os("BAA_UPDATE_DOCS").is_some() {
        fs::write(&file, wanted).unwrap();
    } else {
        assert!(found == wanted, "{path} is stale; BAA_UPDATE_DOCS=1 cargo nextest run --lib generated renews it");
    }
}

/// Returns a page with each part between `<!-- generated: NAME -->` and `<!-- /generated -->` replaced.
pub(crate) fn with_parts(page: &str, mut generate: impl FnMut(&str) -> String) -> String {
    let mut parts = page.split(BEGIN);
    let mut renewed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->").expect("a marker is closed");
        let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{name} has no {END}"));
        let _ = write!(renewed, "{BEGIN}{name} -->\n{}{END}{after}", generate(name));
    }
    renewed
}
