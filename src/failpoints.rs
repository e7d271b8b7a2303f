//! Failpoints for tests of the whole daemon: named points in the code at which a test can make a thread panic or hang.
//!
//! If `BAA_TEST_FAULTS` names a folder, a build with debug assertions looks there for a file with the failpoint's name. The
//! file contains the failure; it is removed first, so that it happens once. Other builds have no failpoints.

/// Fails if a test requests it: `panic` in the file panics, `hang` blocks the thread forever.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::{env, fs, path::PathBuf, sync::OnceLock};

    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(folder) = FOLDER.get_or_init(|| env::var_os("BAA_TEST_FAULTS").map(PathBuf::from)) else { return };
    let file = folder.join(name);
    let Ok(fault) = fs::read_to_string(&file) else { return };
    if fs::remove_file(&file).is_err() {
        return; // another thread removed it first
    }
    match fault.trim() {
        "panic" => panic!("a test requested it"),
        "hang" => loop {
            std::thread::park();
        },
        _ => tracing::warn!(name, "unknown failure requested at a failpoint"),
    }
}

/// Does nothing in a build without debug assertions.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &str) {}
