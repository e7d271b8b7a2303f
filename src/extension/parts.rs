//! What of `extension/` a browser loads. The build script reads this file too.

/// Its files and folders; everything else there is for whoever works on it.
pub(super) const PACKAGED_PATHS: &[&str] =
    &["manifest.json", "config.js", "wire.js", "background", "content", "platforms", "options", "icons"];
