//! What the policy lets others count.

use super::admission::{Admission, Refusal};
use crate::telemetry::metrics;
use std::{fmt, sync::Arc};

/// Something that is worth counting.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// A request may go out, after the delays that it says.
    Admitted(&'a Admission),
    /// A request may not go out.
    Refused(&'a Refusal),
    /// A lease was taken back.
    Swept,
}

/// Is told of what is worth counting, on the request's path: it must be quick. Cheap to clone.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(Observation<'_>) + Send + Sync>);

impl Observer {
    /// One that does `count`.
    pub fn new(count: impl Fn(Observation<'_>) + Send + Sync + 'static) -> Self {
        Observer(Arc::new(count))
    }

    /// One that counts into the metrics.
    pub fn counting(metrics: metrics::Policy) -> Self {
        Observer::new(move |observation| match observation {
            Observation::Admitted(a) => {
                metrics.admitted([a.queue_delay_ms, a.backoff_delay_ms, a.rate_limit_delay_ms, a.jitter_delay_ms]);
            }
            Observation::Refused(_) => {} // its request ends, and is counted there
            Observation::Swept => metrics.swept(),
        })
    }

    pub(super) fn tell(&self, observation: Observation<'_>) {
        (self.0)(observation);
    }
}

impl Default for Observer {
    /// One that counts nothing.
    fn default() -> Self {
        Observer::new(|_| {})
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}
