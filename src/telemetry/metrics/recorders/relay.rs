//! The recorder of browser requests: phases, outcomes, stream events.

use super::{
    super::{
        OTHER_LABEL,
        actor_gauges::{ActorGauges, AliveGauge, AliveGuard},
        add, counters, gauges, histograms,
    },
    LabeledCounters,
};
use crate::ids::PlatformName;
use prometheus::{Histogram, IntCounter, IntGauge, Registry};
use std::sync::Arc;
use tokio::time::Instant;

/// Outcomes of a browser request.
const OUTCOMES: [&str; 3] = ["success", "failure", "cancelled"];
/// Phases of a browser request before it is done.
const PHASES: [&str; 4] = ["queued", "admitted", "dispatched", "streaming"];
/// Error codes of streams that the daemon assigns; the extension may send others.
const STREAM_ERRORS: [&str; 24] = [
    "no_active_client",
    "client_not_found",
    "claude_credentials_unavailable",
    "browser_upstream_invalid_response",
    "not_found",
    "circuit_open",
    "waiter_timeout",
    "queue_full",
    "backoff",
    "lease_swept",
    "client_disconnected",
    "client_replaced",
    "send_failed",
    "service_stopped",
    "request_cancelled",
    "downstream_disconnected",
    "stream_buffer_overflow",
    "request_timeout",
    "stream_open_timeout",
    "stream_idle_timeout",
    "browser_upstream_error",
    "browser_response_too_large",
    "browser_bridge_error",
    "internal_error",
];

/// Counts and times browser requests.
#[derive(Clone, Debug)]
pub struct RelayMetrics(Arc<RelayCounters>);

#[derive(Debug)]
struct RelayCounters {
    exchanges: AliveGauge,
    platforms: foldhash::HashMap<PlatformName, PlatformMetrics>,
    other: PlatformMetrics,
    phases: [Histogram; 4],
    events: IntCounter,
    bytes: IntCounter,
    errors: LabeledCounters,
}

#[derive(Debug)]
struct PlatformMetrics {
    outcomes: [IntCounter; 3],
    in_flight: IntGauge,
}

impl RelayMetrics {
    pub(in super::super) fn new(registry: &Registry, actors: &ActorGauges, platforms: &[PlatformName]) -> Self {
        let labels = ["platform", "outcome"];
        let requests = counters(registry, "baa_browser_requests_total", "Browser requests that ended.", &labels);
        let in_flight = gauges("baa_browser_in_flight", "Browser requests in flight.", &["platform"]);
        add(registry, in_flight.clone());
        let of = |name: &str| PlatformMetrics {
            outcomes: OUTCOMES.map(|outcome| requests.with_label_values(&[name, outcome])),
            in_flight: in_flight.with_label_values(&[name]),
        };
        let text = "Time that browser requests spent in a phase.";
        let phases = histograms(registry, "baa_browser_request_phase_seconds", text, &["phase"]);
        let events = counters(registry, "baa_stream_events_total", "Stream events that were relayed.", &[]);
        let bytes = counters(registry, "baa_stream_bytes_total", "Bytes of the relayed stream events.", &[]);
        let errors = counters(registry, "baa_stream_errors_total", "Streams that ended with an error.", &["code"]);
        RelayMetrics(Arc::new(RelayCounters {
            exchanges: actors.kind("exchange"),
            platforms: platforms.iter().map(|name| (name.clone(), of(name.as_str()))).collect(),
            other: of(OTHER_LABEL),
            phases: PHASES.map(|phase| phases.with_label_values(&[phase])),
            events: events.with_label_values::<&str>(&[]),
            bytes: bytes.with_label_values::<&str>(&[]),
            errors: LabeledCounters::new(&STREAM_ERRORS, |code| errors.with_label_values(&[code])),
        }))
    }

    /// Counts a live exchange until the guard is dropped.
    pub fn exchange(&self) -> AliveGuard {
        self.0.exchanges.increment()
    }

    /// Starts to record a queued request.
    pub fn begin(&self, platform: &PlatformName) -> RequestMetrics {
        let relay = self.clone();
        RequestMetrics { relay, platform: platform.clone(), phase: 0, since: Instant::now(), is_out: false }
    }

    /// Counts a stream event that was relayed.
    pub fn event(&self, bytes: u64) {
        self.0.events.inc();
        self.0.bytes.inc_by(bytes);
    }
}

/// The recorder of one browser request.
#[derive(Debug)]
pub struct RequestMetrics {
    relay: RelayMetrics,
    platform: PlatformName,
    phase: usize,
    since: Instant,
    is_out: bool,
}

impl RequestMetrics {
    fn platform(&self) -> &PlatformMetrics {
        self.relay.0.platforms.get(&self.platform).unwrap_or(&self.relay.0.other)
    }

    /// Records the admission by the policy.
    pub fn admitted(&mut self) {
        self.reached(1);
    }

    /// Records a dispatch.
    pub fn dispatched(&mut self) {
        self.reached(2);
        if !std::mem::replace(&mut self.is_out, true) {
            self.platform().in_flight.inc();
        }
    }

    /// Records the start of the stream.
    pub fn streaming(&mut self) {
        self.reached(3);
    }

    /// Records the end of the request. `stream_error`: the code of a failed stream.
    pub fn done(mut self, outcome: &str, stream_error: Option<&str>) {
        self.reached(self.phase);
        let ended = OUTCOMES.iter().position(|known| *known == outcome);
        if let Some(ended) = ended {
            self.platform().outcomes[ended].inc();
        }
        if let Some(code) = stream_error {
            self.relay.0.errors.of(code).inc();
        }
    }

    fn reached(&mut self, phase: usize) {
        let now = Instant::now();
        self.relay.0.phases[self.phase].observe((now - self.since).as_secs_f64());
        (self.phase, self.since) = (phase, now);
    }
}

impl Drop for RequestMetrics {
    fn drop(&mut self) {
        if self.is_out {
            self.platform().in_flight.dec();
        }
    }
}

impl Default for RelayMetrics {
    fn default() -> Self {
        let registry = Registry::new();
        RelayMetrics::new(&registry, &ActorGauges::new(&registry), &[])
    }
}
