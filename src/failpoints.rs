//! Faults on demand, for tests from outside: points in the code where a test can have the daemon panic or stand still.
//!
//! A build with debug assertions looks, where `BAA_TEST_FAULTS` names a folder, for a file of the point's name there; the
//! file holds what is to happen, and goes before it does, so that it happens once. Other builds have no such points.

/// Where a point asks for nothing unless a test wants it to: `panic` in the file panics, `hang` never goes on.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::{env, fs, path::PathBuf, sync::OnceLock};

    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(folder) = FOLDER.get_or_init(|| env::var_os("BAA_TEST_FAULTS").map(PathBuf::from)) else { return };
    let file = folder.join(name);
    let Ok(fault) = fs::read_to_string(&file) else { return };
    if fs::remove_file(&file).is_err() {
        return; // another thread was first
    }
    match fault.trim() {
        "panic" => panic!("a test asked for it"),
        "hang" => loop {
            std::thread::park();
        },
        _ => tracing::warn!(name, "no such fault"),
    }
}

/// Nothing, in a build without debug assertions.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &str) {}
