//! The recorders of the modules. Each is cheap to clone; a default one has a registry of its own that is never rendered.

mod relay;

pub use relay::{RelayMetrics, RequestMetrics};

use super::{
    OTHER_LABEL,
    actor_gauges::{ActorGauges, AliveGauge, AliveGuard},
    families,
};
use crate::wire;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// HTTP methods with a label value of their own.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"];
/// Kinds of delays, in the order of [`PolicyMetrics::admitted`].
const DELAYS: [&str; 4] = ["queue", "backoff", "rate_limit", "jitter"];
/// Statuses of instruction batches.
const BATCH_STATUSES: [&str; 11] = [
    "queued",
    "running",
    "no_instructions",
    "duplicate_only",
    "executed",
    "pending_approval",
    "planned",
    "rejected",
    "expired",
    "interrupted",
    "not_allowed",
];
/// Counters of one label: one per known value, and one for all others.
#[derive(Clone, Debug)]
struct LabeledCounters {
    named: Arc<[(&'static str, IntCounter)]>,
    other: IntCounter,
}

impl LabeledCounters {
    fn new(names: &[&'static str], counter: impl Fn(&'static str) -> IntCounter) -> Self {
        LabeledCounters {
            named: names.iter().map(|name| (*name, counter(name))).collect(),
            other: counter(OTHER_LABEL),
        }
    }

    fn of(&self, name: &str) -> &IntCounter {
        self.named.iter().find(|(known, _)| *known == name).map_or(&self.other, |(_, counter)| counter)
    }
}

/// Counts and times HTTP requests.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: Histogram,
}

impl HttpMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        HttpMetrics {
            requests: families::HTTP_REQUESTS.counters(registry),
            duration: families::HTTP_DURATION.histogram(registry),
        }
    }

    /// Records an answered request. `route`: the template of its path; `status`: the digits of its status.
    pub fn answered(&self, route: Option<&'static str>, method: &str, status: &str, since: Instant) {
        let method = METHODS.iter().find(|known| **known == method).copied().unwrap_or(OTHER_LABEL);
        self.requests.with_label_values(&[method, route.unwrap_or(OTHER_LABEL), status]).inc();
        self.duration.observe(since.elapsed().as_secs_f64());
    }
}

/// Records delays and revoked leases of the policy.
#[derive(Clone, Debug)]
pub struct PolicyMetrics {
    delays: [Histogram; 4],
    sweeps: IntCounter,
}

impl PolicyMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let delays = families::DELAYS.histograms(registry);
        PolicyMetrics {
            delays: DELAYS.map(|kind| delays.with_label_values(&[kind])),
            sweeps: families::SWEEPS.counter(registry),
        }
    }

    /// Records the delays of an admitted request, in milliseconds: queue, back-off, rate limit, jitter.
    #[expect(clippy::cast_precision_loss, reason = "a delay is far below 2^52 ms")]
    pub fn admitted(&self, delays_ms: [i64; 4]) {
        for (histogram, delay) in self.delays.iter().zip(delays_ms) {
            histogram.observe(delay as f64 / 1e3);
        }
    }

    /// Counts a revoked lease.
    pub fn swept(&self) {
        self.sweeps.inc();
    }
}

/// Counts messages on the extension's sockets.
#[derive(Clone, Debug)]
pub struct WireMetrics {
    sockets: AliveGauge,
    connections: AliveGauge,
    inbound: LabeledCounters,
    outbound: LabeledCounters,
    rejected: IntCounterVec,
}

impl WireMetrics {
    pub(super) fn new(registry: &Registry, actors: &ActorGauges) -> Self {
        let messages = families::MESSAGES.counters(registry);
        let rejected = families::REJECTED.counters(registry);
        for reason in
            ["invalid_json", "invalid_message", "unsupported_message_type", "hello_required", "foreign_request"]
        {
            rejected.with_label_values(&[reason]);
        }
        let of = |direction: &'static str, names| {
            LabeledCounters::new(names, |name| messages.with_label_values(&[direction, name]))
        };
        WireMetrics {
            sockets: actors.kind("socket"),
            connections: actors.kind("connection"),
            inbound: of("inbound", wire::SUPPORTS.inbound),
            outbound: of("outbound", wire::SUPPORTS.outbound),
            rejected,
        }
    }

    /// Counts a live socket until the guard is dropped.
    pub fn socket(&self) -> AliveGuard {
        self.sockets.increment()
    }

    /// Counts a live connection until the guard is dropped.
    pub fn connection(&self) -> AliveGuard {
        self.connections.increment()
    }

    /// Counts a received message; `None` if its type is unknown.
    pub fn received(&self, kind: Option<&str>) {
        self.inbound.of(kind.unwrap_or(OTHER_LABEL)).inc();
    }

    /// Counts a sent message. The daemon's frames begin with their type.
    pub fn sent(&self, frame: &str) {
        let kind = frame.strip_prefix("{\"type\":\"").and_then(|rest| rest.split('"').next());
        self.outbound.of(kind.unwrap_or(OTHER_LABEL)).inc();
    }

    /// Counts a refused message or a closed connection, by the daemon's reason.
    pub fn rejected(&self, reason: &'static str) {
        let reason = reason.split(':').next().unwrap_or(reason);
        self.rejected.with_label_values(&[reason]).inc();
    }
}

/// Times operations of the database.
#[derive(Clone, Debug)]
pub struct StoreMetrics(HistogramVec);

impl StoreMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let operations = families::STORE.histograms(registry);
        for op in ["run", "transact", "read", "read_now"] {
            operations.with_label_values(&[op]);
        }
        StoreMetrics(operations)
    }

    /// Records the duration of an operation.
    pub fn ended(&self, op: &'static str, took: Duration) {
        self.0.with_label_values(&[op]).observe(took.as_secs_f64());
    }
}

/// Counts instruction batches.
#[derive(Clone, Debug)]
pub struct InstructionMetrics(LabeledCounters);

impl InstructionMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let family = families::INSTRUCTIONS.counters(registry);
        InstructionMetrics(LabeledCounters::new(&BATCH_STATUSES, |status| family.with_label_values(&[status])))
    }

    /// Counts a batch that entered a status.
    pub fn entered(&self, status: &str) {
        self.0.of(status).inc();
    }
}

macro_rules! default_unregistered {
    ($($recorder:ident),*) => {$(
        impl Default for $recorder {
            fn default() -> Self {
                $recorder::new(&Registry::new())
            }
        }
    )*};
}

default_unregistered!(HttpMetrics, PolicyMetrics, StoreMetrics, InstructionMetrics);

impl Default for WireMetrics {
    fn default() -> Self {
        let registry = Registry::new();
        WireMetrics::new(&registry, &ActorGauges::new(&registry))
    }
}
