//! The client of codexd, an independent HTTP service behind `/v1/codex`. Each request to the daemon is one call.
//!
//! Invariants: the only state is the number of calls in progress. No header of the caller is forwarded, its token least of
//! all; no redirect is followed and no proxy used; size and duration of a response are bounded by settings.

mod call;
pub mod settings;
mod upstream_path;

pub use call::{CodexCallError, CodexResponse};
pub use upstream_path::UpstreamPath;

use settings::CodexSettings;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// A client of the configured codexd.
#[derive(Debug)]
pub struct CodexdClient {
    /// The base address, without a trailing slash.
    base: String,
    timeout: Duration,
    response_bytes_max: usize,
    /// One permit per concurrent call.
    permits: Semaphore,
}

impl CodexdClient {
    /// Creates the client; `None` when no `codex.base_url` is configured.
    pub fn new(settings: &CodexSettings) -> Option<Self> {
        // Validation of the settings rejects an address that cannot be parsed.
        let base = Url::parse(settings.base_url.as_deref()?).ok()?;
        Some(CodexdClient {
            base: base.as_str().trim_end_matches('/').to_owned(),
            timeout: Duration::from_millis(settings.timeout_ms),
            response_bytes_max: settings.max_response_bytes,
            permits: Semaphore::new(settings.max_calls),
        })
    }

    /// Returns the base address.
    pub fn base(&self) -> &str {
        &self.base
    }
}
