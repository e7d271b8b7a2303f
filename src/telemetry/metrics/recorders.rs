//! The recorders: what each module counts, with the counters found ahead. Each is cheap to clone; one that is made by
//! default counts for nobody.

mod relay;

pub use relay::{RelayMetrics, RequestMetrics};

use super::{
    OTHER_LABEL,
    actor_gauges::{ActorGauges, AliveGauge, AliveGuard},
    counters, histograms,
};
use crate::wire;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Methods that stand in a label under their own name.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"];
/// Why a request is held up, in the order of [`PolicyMetrics::admitted`].
const DELAYS: [&str; 4] = ["queue", "backoff", "rate_limit", "jitter"];
/// How a batch of instructions can stand.
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
/// Counters of a label with one of these values each, and one for all else.
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

/// Counts HTTP exchanges.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: Histogram,
}

impl HttpMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let labels = ["route", "method", "status"];
        let requests = counters(registry, "baa_http_requests_total", "HTTP requests that were answered.", &labels);
        let text = "Time until an answer began.";
        let duration = histograms(registry, "baa_http_request_duration_seconds", text, &[]);
        HttpMetrics { requests, duration: duration.with_label_values::<&str>(&[]) }
    }

    /// An exchange was answered. `route`: the template of its path; `status`: in digits.
    pub fn answered(&self, route: Option<&'static str>, method: &str, status: &str, since: Instant) {
        let method = METHODS.iter().find(|known| **known == method).copied().unwrap_or(OTHER_LABEL);
        self.requests.with_label_values(&[route.unwrap_or(OTHER_LABEL), method, status]).inc();
        self.duration.observe(since.elapsed().as_secs_f64());
    }
}

/// Counts what the policy does.
#[derive(Clone, Debug)]
pub struct PolicyMetrics {
    delays: [Histogram; 4],
    sweeps: IntCounter,
}

impl PolicyMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let text = "How long requests were held up before they went out.";
        let delays = histograms(registry, "baa_policy_delay_seconds", text, &["kind"]);
        let sweeps = counters(registry, "baa_policy_stale_sweeps_total", "Leases that were taken back.", &[]);
        let delays = DELAYS.map(|kind| delays.with_label_values(&[kind]));
        PolicyMetrics { delays, sweeps: sweeps.with_label_values::<&str>(&[]) }
    }

    /// A request was admitted after these delays, in milliseconds: for a slot, the back-off, the rate limit, at random.
    #[expect(clippy::cast_precision_loss, reason = "a delay is far below 2^52 ms")]
    pub fn admitted(&self, delays_ms: [i64; 4]) {
        for (histogram, delay) in self.delays.iter().zip(delays_ms) {
            histogram.observe(delay as f64 / 1e3);
        }
    }

    /// A lease was taken back.
    pub fn swept(&self) {
        self.sweeps.inc();
    }
}

/// Counts frames of the extension's sockets.
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
        let labels = ["direction", "type"];
        let messages = counters(registry, "baa_ws_messages_total", "Messages of the extension's sockets.", &labels);
        let text = "Messages that were refused and connections that were closed for a fault.";
        let rejected = counters(registry, "baa_ws_rejected_total", text, &["reason"]);
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

    /// One more socket is alive, until what is returned is dropped.
    pub fn socket(&self) -> AliveGuard {
        self.sockets.increment()
    }

    /// One more connection is alive, until what is returned is dropped.
    pub fn connection(&self) -> AliveGuard {
        self.connections.increment()
    }

    /// A message of this type came; nothing: of none that is known.
    pub fn received(&self, kind: Option<&str>) {
        self.inbound.of(kind.unwrap_or(OTHER_LABEL)).inc();
    }

    /// This message goes out; our own frames begin with their type.
    pub fn sent(&self, frame: &str) {
        let kind = frame.strip_prefix("{\"type\":\"").and_then(|rest| rest.split('"').next());
        self.outbound.of(kind.unwrap_or(OTHER_LABEL)).inc();
    }

    /// A message was refused or a connection closed, for a reason that the daemon words.
    pub fn rejected(&self, reason: &'static str) {
        let reason = reason.split(':').next().unwrap_or(reason);
        self.rejected.with_label_values(&[reason]).inc();
    }
}

/// Times what is asked of the database.
#[derive(Clone, Debug)]
pub struct StoreMetrics(HistogramVec);

impl StoreMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let text = "Time that operations of the database took, their wait included.";
        let operations = histograms(registry, "baa_store_operation_seconds", text, &["op"]);
        for op in ["run", "transact", "read", "read_now"] {
            operations.with_label_values(&[op]);
        }
        StoreMetrics(operations)
    }

    /// An operation of this kind ended.
    pub fn ended(&self, op: &'static str, took: Duration) {
        self.0.with_label_values(&[op]).observe(took.as_secs_f64());
    }
}

/// Counts batches of instructions.
#[derive(Clone, Debug)]
pub struct InstructionMetrics(LabeledCounters);

impl InstructionMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let family = counters(
            registry,
            "baa_instructions_total",
            "Batches of instructions, by each status that they entered.",
            &["status"],
        );
        InstructionMetrics(LabeledCounters::new(&BATCH_STATUSES, |status| family.with_label_values(&[status])))
    }

    /// A batch entered this status.
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
