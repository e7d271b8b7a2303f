//! What the policy lets others count.

use super::admission::{Admission, PolicyRefusal};
use crate::telemetry::metrics;
use std::{fmt, sync::Arc};

/// Something that is worth counting.
#[derive(Clone, Copy, Debug)]
pub enum PolicyObservation<'a> {
    /// A request may go out, after the delays that it says.
    Admitted(&'a Admission),
    /// A request may not go out.
    Refused(&'a PolicyRefusal),
    /// A lease was taken back.
    Swept,
}

/// Is told of what is worth counting, on the request's path: it must be quick. Cheap to clone.
#[derive(Clone)]
pub struct PolicyObserver(Arc<dyn Fn(PolicyObservation<'_>) + Send + Sync>);

impl PolicyObserver {
    /// One that does `count`.
    pub fn new(count: impl Fn(PolicyObservation<'_>) + Send + Sync + 'static) -> Self {
        PolicyObserver(Arc::new(count))
    }

    /// One that counts into the metrics.
    pub fn counting(metrics: metrics::Policy) -> Self {
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
    /// One that counts nothing.
    fn default() -> Self {
        PolicyObserver::new(|_| {})
    }
}

impl fmt::Debug for PolicyObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}
