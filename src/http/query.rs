//! Parameters that several lists have in common.

use super::{endpoint::Call, error::ApiError};

/// How many entries are wanted: from 1 to `max`, `usual` unless it is said.
pub(super) fn limit(call: &Call, usual: usize, max: usize) -> Result<usize, ApiError> {
    match call.query(&["limit"]).map(|text| text.parse()) {
        None => Ok(usual),
        Some(Ok(limit)) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(ApiError::field("limit", format!("\"limit\" must be an integer from 1 to {max}."))),
    }
}

/// Where the wanted entries begin: after the last one of an earlier answer.
pub(super) fn before(call: &Call) -> Result<Option<i64>, ApiError> {
    let fault = |_| ApiError::field("before", "\"before\" must be the \"next_before\" of an earlier answer.");
    call.query(&["before"]).map(|text| text.parse().map_err(fault)).transpose()
}
