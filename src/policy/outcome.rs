//! Outcome of an admitted request, as far as it concerns the policy.

/// Outcome of an admitted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The platform answered.
    Success,
    /// The request was cancelled, which says nothing about the platform.
    Cancelled,
    /// The platform or the connection to it failed.
    Failure(LeaseFailure),
}

/// A failure of the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFailure {
    /// Specific error code.
    pub error: String,
    /// Milliseconds after which the platform asks to be called again.
    pub retry_after_ms: Option<u64>,
}

/// Whether an upstream status counts as a failure of the platform. Other 4xx statuses are errors of the caller.
pub fn is_failure(upstream_status: u16) -> bool {
    matches!(upstream_status, 401 | 403 | 408 | 425 | 429) || upstream_status >= 500
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_client_errors_are_failures() {
        for status in [401, 403, 408, 425, 429, 500, 502, 503, 599] {
            assert!(is_failure(status), "{status}");
        }
        for status in [200, 204, 301, 400, 404, 409, 410, 422, 451] {
            assert!(!is_failure(status), "{status}");
        }
    }
}
