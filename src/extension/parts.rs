//! The paths in `extension/` that a browser loads. The build script reads this file too.

/// Files and folders that are packaged; the others are for development.
pub(super) const PACKAGED_PATHS: &[&str] =
    &["manifest.json", "config.js", "wire.js", "background", "content", "platforms", "options", "icons"];
