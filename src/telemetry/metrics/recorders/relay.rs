//! The recorder of browser requests: phases, outcomes, stream events.

use super::{
    super::{
        OTHER_LABEL,
        actor_gauges::{ActorGauges, AliveGauge, AliveGuard},
        families,
    },
    LabeledCounters,
};
use crate::{api::request_error_code::RequestErrorCode, ids::PlatformName};
use prometheus::{Histogram, IntCounter, IntGauge, Registry};
use std::sync::Arc;
use tokio::time::Instant;

/// Outcomes of a browser request.
const OUTCOMES: [&str; 3] = ["success", "failure", "cancelled"];
/// Phases of a browser request before it is done.
const PHASES: [&str; 4] = ["queued", "admitted", "dispatched", "streaming"];

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
        let requests = families::BROWSER_REQUESTS.counters(registry);
        let in_flight = families::IN_FLIGHT.registered_gauges(registry);
        let of = |name: &str| PlatformMetrics {
            outcomes: OUTCOMES.map(|outcome| requests.with_label_values(&[outcome, name])),
            in_flight: in_flight.with_label_values(&[name]),
        };
        let phases = families::PHASES.histograms(registry);
        let errors = families::STREAM_ERRORS.counters(registry);
        let codes = RequestErrorCode::ALL.map(RequestErrorCode::name);
        RelayMetrics(Arc::new(RelayCounters {
            exchanges: actors.kind("exchange"),
            platforms: platforms.iter().map(|name| (name.clone(), of(name.as_str()))).collect(),
            other: of(OTHER_LABEL),
            phases: PHASES.map(|phase| phases.with_label_values(&[phase])),
            events: families::STREAM_EVENTS.counter(registry),
            bytes: families::STREAM_BYTES.counter(registry),
            errors: LabeledCounters::new(&codes, |code| errors.with_label_values(&[code])),
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
            // This one begins with the name of a platform.
            let template = RequestErrorCode::TemplateUnavailable.name();
            self.relay.0.errors.of(if code.ends_with(template) { template } else { code }).inc();
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
