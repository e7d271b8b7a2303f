//! The recorders: what each module counts, with the counters found ahead. Each is cheap to clone; one that is made by
//! default counts for nobody.

use super::{OTHER, add, counters, gauges, histograms};
use crate::{ids::PlatformName, wire};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Methods that stand in a label under their own name.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"];
/// How a browser request ends.
const OUTCOMES: [&str; 3] = ["success", "failure", "cancelled"];
/// What a browser request goes through before it is done.
const PHASES: [&str; 4] = ["queued", "admitted", "dispatched", "streaming"];
/// Why a request is held up, in the order of [`Policy::admitted`].
const DELAYS: [&str; 4] = ["queue", "backoff", "rate_limit", "jitter"];
/// How a batch of instructions can stand.
const STATUSES: [&str; 11] = [
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
/// The codes of broken streams that the daemon words itself; the extension may send any.
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

/// Counters of a label with one of these values each, and one for all else.
#[derive(Clone, Debug)]
struct Known {
    named: Arc<[(&'static str, IntCounter)]>,
    other: IntCounter,
}

impl Known {
    fn new(names: &[&'static str], counter: impl Fn(&'static str) -> IntCounter) -> Self {
        Known { named: names.iter().map(|name| (*name, counter(name))).collect(), other: counter(OTHER) }
    }

    fn of(&self, name: &str) -> &IntCounter {
        self.named.iter().find(|(known, _)| *known == name).map_or(&self.other, |(_, counter)| counter)
    }
}

/// Counts HTTP exchanges.
#[derive(Clone, Debug)]
pub struct Http {
    requests: IntCounterVec,
    duration: Histogram,
}

impl Http {
    pub(super) fn new(registry: &Registry) -> Self {
        let labels = ["route", "method", "status"];
        let requests = counters(registry, "baa_http_requests_total", "HTTP requests that were answered.", &labels);
        let text = "Time until an answer began.";
        let duration = histograms(registry, "baa_http_request_duration_seconds", text, &[]);
        Http { requests, duration: duration.with_label_values::<&str>(&[]) }
    }

    /// An exchange was answered. `route`: the template of its path; `status`: in digits.
    pub fn answered(&self, route: Option<&'static str>, method: &str, status: &str, since: Instant) {
        let method = METHODS.iter().find(|known| **known == method).copied().unwrap_or(OTHER);
        self.requests.with_label_values(&[route.unwrap_or(OTHER), method, status]).inc();
        self.duration.observe(since.elapsed().as_secs_f64());
    }
}

/// Counts browser requests.
#[derive(Clone, Debug)]
pub struct Relay(Arc<Relayed>);

#[derive(Debug)]
struct Relayed {
    platforms: foldhash::HashMap<PlatformName, Platform>,
    other: Platform,
    phases: [Histogram; 4],
    events: IntCounter,
    bytes: IntCounter,
    errors: Known,
}

#[derive(Debug)]
struct Platform {
    outcomes: [IntCounter; 3],
    in_flight: IntGauge,
}

impl Relay {
    pub(super) fn new(registry: &Registry, platforms: &[PlatformName]) -> Self {
        let labels = ["platform", "outcome"];
        let requests = counters(registry, "baa_browser_requests_total", "Browser requests that ended.", &labels);
        let in_flight = gauges("baa_browser_in_flight", "Browser requests that are out.", &["platform"]);
        add(registry, in_flight.clone());
        let of = |name: &str| Platform {
            outcomes: OUTCOMES.map(|outcome| requests.with_label_values(&[name, outcome])),
            in_flight: in_flight.with_label_values(&[name]),
        };
        let text = "Time that browser requests spent in a phase.";
        let phases = histograms(registry, "baa_browser_request_phase_seconds", text, &["phase"]);
        let events = counters(registry, "baa_stream_events_total", "Events of streams that were passed on.", &[]);
        let bytes = counters(registry, "baa_stream_bytes_total", "Bytes of these events.", &[]);
        let errors = counters(registry, "baa_stream_errors_total", "Streams that ended with an error.", &["code"]);
        Relay(Arc::new(Relayed {
            platforms: platforms.iter().map(|name| (name.clone(), of(name.as_str()))).collect(),
            other: of(OTHER),
            phases: PHASES.map(|phase| phases.with_label_values(&[phase])),
            events: events.with_label_values::<&str>(&[]),
            bytes: bytes.with_label_values::<&str>(&[]),
            errors: Known::new(&STREAM_ERRORS, |code| errors.with_label_values(&[code])),
        }))
    }

    /// A request begins to wait.
    pub fn begin(&self, platform: &PlatformName) -> Request {
        let relay = self.clone();
        Request { relay, platform: platform.clone(), phase: 0, since: Instant::now(), is_out: false }
    }

    /// An event of a stream was passed on.
    pub fn event(&self, bytes: u64) {
        self.0.events.inc();
        self.0.bytes.inc_by(bytes);
    }
}

/// One browser request that is being counted.
#[derive(Debug)]
pub struct Request {
    relay: Relay,
    platform: PlatformName,
    phase: usize,
    since: Instant,
    is_out: bool,
}

impl Request {
    fn platform(&self) -> &Platform {
        self.relay.0.platforms.get(&self.platform).unwrap_or(&self.relay.0.other)
    }

    /// The policy lets it pass.
    pub fn admitted(&mut self) {
        self.reached(1);
    }

    /// It went out.
    pub fn dispatched(&mut self) {
        self.reached(2);
        if !std::mem::replace(&mut self.is_out, true) {
            self.platform().in_flight.inc();
        }
    }

    /// Its stream is open.
    pub fn streaming(&mut self) {
        self.reached(3);
    }

    /// It has ended. `stream_error`: the code of a stream that broke.
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

impl Drop for Request {
    fn drop(&mut self) {
        if self.is_out {
            self.platform().in_flight.dec();
        }
    }
}

/// Counts what the policy does.
#[derive(Clone, Debug)]
pub struct Policy {
    delays: [Histogram; 4],
    sweeps: IntCounter,
}

impl Policy {
    pub(super) fn new(registry: &Registry) -> Self {
        let text = "How long requests were held up before they went out.";
        let delays = histograms(registry, "baa_policy_delay_seconds", text, &["kind"]);
        let sweeps = counters(registry, "baa_policy_stale_sweeps_total", "Leases that were taken back.", &[]);
        let delays = DELAYS.map(|kind| delays.with_label_values(&[kind]));
        Policy { delays, sweeps: sweeps.with_label_values::<&str>(&[]) }
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
pub struct Wire {
    inbound: Known,
    outbound: Known,
    rejected: IntCounterVec,
}

impl Wire {
    pub(super) fn new(registry: &Registry) -> Self {
        let labels = ["direction", "type"];
        let messages = counters(registry, "baa_ws_messages_total", "Messages of the extension's sockets.", &labels);
        let text = "Messages that were refused and connections that were closed for a fault.";
        let rejected = counters(registry, "baa_ws_rejected_total", text, &["reason"]);
        for reason in
            ["invalid_json", "invalid_message", "unsupported_message_type", "hello_required", "foreign_request"]
        {
            rejected.with_label_values(&[reason]);
        }
        let of =
            |direction: &'static str, names| Known::new(names, |name| messages.with_label_values(&[direction, name]));
        Wire {
            inbound: of("inbound", wire::SUPPORTS.inbound),
            outbound: of("outbound", wire::SUPPORTS.outbound),
            rejected,
        }
    }

    /// A message of this type came; nothing: of none that is known.
    pub fn received(&self, kind: Option<&str>) {
        self.inbound.of(kind.unwrap_or(OTHER)).inc();
    }

    /// This message goes out; our own frames begin with their type.
    pub fn sent(&self, frame: &str) {
        let kind = frame.strip_prefix("{\"type\":\"").and_then(|rest| rest.split('"').next());
        self.outbound.of(kind.unwrap_or(OTHER)).inc();
    }

    /// A message was refused or a connection closed, for a reason that the daemon words.
    pub fn rejected(&self, reason: &'static str) {
        let reason = reason.split(':').next().unwrap_or(reason);
        self.rejected.with_label_values(&[reason]).inc();
    }
}

/// Times what is asked of the database.
#[derive(Clone, Debug)]
pub struct Store(HistogramVec);

impl Store {
    pub(super) fn new(registry: &Registry) -> Self {
        let text = "Time that operations of the database took, their wait included.";
        let operations = histograms(registry, "baa_store_operation_seconds", text, &["op"]);
        for op in ["run", "transact", "read", "read_now"] {
            operations.with_label_values(&[op]);
        }
        Store(operations)
    }

    /// An operation of this kind ended.
    pub fn ended(&self, op: &'static str, took: Duration) {
        self.0.with_label_values(&[op]).observe(took.as_secs_f64());
    }
}

/// Counts batches of instructions.
#[derive(Clone, Debug)]
pub struct Instructions(Known);

impl Instructions {
    pub(super) fn new(registry: &Registry) -> Self {
        let family = counters(
            registry,
            "baa_instructions_total",
            "Batches of instructions, by each status that they entered.",
            &["status"],
        );
        Instructions(Known::new(&STATUSES, |status| family.with_label_values(&[status])))
    }

    /// A batch entered this status.
    pub fn entered(&self, status: &str) {
        self.0.of(status).inc();
    }
}

macro_rules! counting_for_nobody {
    ($($recorder:ident),*) => {$(
        impl Default for $recorder {
            fn default() -> Self {
                $recorder::new(&Registry::new())
            }
        }
    )*};
}

counting_for_nobody!(Http, Policy, Wire, Store, Instructions);

impl Default for Relay {
    fn default() -> Self {
        Relay::new(&Registry::new(), &[])
    }
}
