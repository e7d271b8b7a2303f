//! The codexd behind `/v1/codex`: an independent service that is asked over HTTP, one call for each of ours.
//!
//! Invariant: nothing is kept here but how many calls are under way. Neither the caller's token nor any other header of
//! it is passed on, no redirect is followed and no proxy asked, and no answer is longer in bytes or time than the
//! settings say.

mod call;
pub mod settings;
mod upstream_path;

pub use call::{CodexCallError, CodexResponse};
pub use upstream_path::UpstreamPath;

use settings::CodexSettings;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// One configured codexd.
#[derive(Debug)]
pub struct CodexdClient {
    /// Its address without a slash at the end.
    base: String,
    timeout: Duration,
    response_bytes_max: usize,
    /// One permit for each call that may be under way.
    permits: Semaphore,
}

impl CodexdClient {
    /// The codexd of the settings; nothing when they name none.
    pub fn new(settings: &CodexSettings) -> Option<Self> {
        // An address that cannot be read did not pass the check of the settings.
        let base = Url::parse(settings.base_url.as_deref()?).ok()?;
        Some(CodexdClient {
            base: base.as_str().trim_end_matches('/').to_owned(),
            timeout: Duration::from_millis(settings.timeout_ms),
            response_bytes_max: settings.max_response_bytes,
            permits: Semaphore::new(settings.max_calls),
        })
    }

    /// Its address, as callers are told.
    pub fn base(&self) -> &str {
        &self.base
    }
}
