//! How an admitted request ended, as far as the policy is concerned.

/// How an admitted request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The platform answered.
    Success,
    /// Nobody waits for the answer any more; says nothing about the platform.
    Cancelled,
    /// The platform or the way to it failed.
    Failure(LeaseFailure),
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFailure {
    /// The specific error code.
    pub error: String,
    /// The platform's own wish, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
}

/// Whether an upstream status means that the platform wants to be left alone. Other errors of the 4xx kind are the
/// caller's own.
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
