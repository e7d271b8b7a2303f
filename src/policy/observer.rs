//! Observer of the policy's decisions, for metrics.

use super::admission::{Admission, PolicyRefusal};
use crate::telemetry::metrics;
use std::{fmt, sync::Arc};

/// An observed decision.
#[derive(Clone, Copy, Debug)]
pub enum PolicyObservation<'a> {
    /// A request was admitted, after the given delays.
    Admitted(&'a Admission),
    /// A request was refused.
    Refused(&'a PolicyRefusal),
    /// An idle lease was revoked.
    Swept,
}

/// A callback that receives observations. It runs on the path of requests and must be quick. Cheap to clone.
#[derive(Clone)]
pub struct PolicyObserver(Arc<dyn Fn(PolicyObservation<'_>) + Send + Sync>);

impl PolicyObserver {
    /// Creates an observer that calls `count`.
    pub fn new(count: impl Fn(PolicyObservation<'_>) + Send + Sync + 'static) -> Self {
        PolicyObserver(Arc::new(count))
    }

    /// Creates an observer that records metrics.
    pub fn counting(metrics: metrics::PolicyMetrics) -> Self {
        PolicyObserver::new(move |observation| match observation {
            PolicyObservation::Admitted(a) => {
                metrics.admitted([a.queue_delay_ms, a.backoff_delay_ms, a.rate_limit_delay_ms, a.jitter_delay_ms]);
            }
            PolicyObservation::Refused(_) => {} // its request ends, and is counted there
            PolicyObservation::Swept => metrics.swept(),
        })
    }

    pub(super) fn notify(&self, observation: PolicyObservation<'_>) {
        (self.0)(observation);
    }
}

impl Default for PolicyObserver {
    /// Creates an observer that ignores everything.
    fn default() -> Self {
        PolicyObserver::new(|_| {})
    }
}

impl fmt::Debug for PolicyObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyObserver").finish_non_exhaustive()
    }
}
