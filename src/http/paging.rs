//! The query parameters that lists share: `limit` and `before`.

use super::{endpoint::ApiCall, error::ApiError};

pub(super) use crate::api::paging::PageInfo;

/// How many entries a list returns.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageLimit {
    /// Without the parameter.
    pub(super) default: usize,
    /// At most.
    pub(super) max: usize,
}

impl PageLimit {
    /// Returns the value of `limit`.
    pub(super) fn requested(self, call: &ApiCall) -> Result<usize, ApiError> {
        let Some(text) = call.query(&["limit"]) else { return Ok(self.default) };
        let limit = text.parse().ok().filter(|limit| (1..=self.max).contains(limit));
        limit.ok_or_else(|| ApiError::field("limit", format!("\"limit\" must be from 1 to {}.", self.max)))
    }
}

/// Returns the value of `before`.
pub(super) fn before_cursor(call: &ApiCall) -> Result<Option<i64>, ApiError> {
    let fault = |_| ApiError::field("before", "\"before\" must be the \"next_before\" of an earlier response.");
    call.query(&["before"]).map(|text| text.parse().map_err(fault)).transpose()
}
