//! Metrics of the daemon in Prometheus format. Each daemon has a registry of its own; there is no global one.
//!
//! ```text
//! Metrics ─► HttpMetrics  RelayMetrics  PolicyMetrics  …     (recorders; each module is given its own)
//!    '────── render(GaugeValues) ─► the text of GET /metrics
//! ```
//!
//! A recorder holds its counters, so that counting is an atomic addition. Gauges (connected clients, waiting requests,
//! states of circuits) are read from their owners when the metrics are rendered.
//!
//! Every label has a bounded number of values: routes are templates of the route table, platforms those of the registry,
//! frame types those of the protocol, codes and reasons those of the daemon; anything else is `other`. One family has client
//! ids, bounded by `policy.max_targets`.

mod actor_gauges;
mod families;
mod recorders;

pub use actor_gauges::AliveGuard;
#[cfg(test)]
pub(crate) use families::{FAMILIES, MetricDescription};
pub use recorders::{
    HttpMetrics, InstructionMetrics, PolicyMetrics, RelayMetrics, RequestMetrics, StoreMetrics, WireMetrics,
};

use crate::ids::PlatformName;
use prometheus::{Encoder, Registry, TextEncoder, core::Collector, proto::MetricFamily};

/// Label value for everything that has no value of its own.
const OTHER_LABEL: &str = "other";
/// Upper bounds of the buckets of durations, in seconds: from the daemon's own work to the answer of a web app.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

/// The metrics cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be written: {0}")]
pub struct RenderError(#[from] prometheus::Error);

/// Values of the gauges at one moment.
#[derive(Clone, Debug, Default)]
pub struct GaugeValues {
    /// Number of connected clients.
    pub clients: usize,
    /// Number of requests that wait in the policy, by platform.
    pub waiting: Vec<(PlatformName, usize)>,
    /// Client, platform and state of every circuit: 0 closed, 1 half open, 2 open.
    pub circuits: Vec<(String, PlatformName, u8)>,
}

/// The registry and all recorders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// HTTP requests.
    pub http: HttpMetrics,
    /// Browser requests.
    pub relay: RelayMetrics,
    /// The policy.
    pub policy: PolicyMetrics,
    /// Messages on the extension's sockets.
    pub wire: WireMetrics,
    /// Operations of the database.
    pub store: StoreMetrics,
    /// Instruction batches.
    pub instructions: InstructionMetrics,
}

impl Metrics {
    /// Creates a registry with its recorders. `platforms`: the registered platforms.
    pub fn new<'a>(platforms: impl Iterator<Item = &'a PlatformName>) -> Self {
        let registry = Registry::new();
        let platforms: Vec<_> = platforms.cloned().collect();
        let actors = actor_gauges::ActorGauges::new(&registry);
        #[cfg(target_os = "linux")]
        add(&registry, prometheus::process_collector::ProcessCollector::for_self());
        Metrics {
            http: HttpMetrics::new(&registry),
            relay: RelayMetrics::new(&registry, &actors, &platforms),
            policy: PolicyMetrics::new(&registry),
            wire: WireMetrics::new(&registry, &actors),
            store: StoreMetrics::new(&registry),
            instructions: InstructionMetrics::new(&registry),
            registry,
        }
    }

    /// Returns the metrics in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    ///
    /// A family cannot be encoded.
    pub fn render(&self, values: &GaugeValues) -> Result<String, RenderError> {
        let mut families = self.registry.gather();
        families.extend(values.families());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::with_capacity(32 << 10);
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl GaugeValues {
    fn families(&self) -> Vec<MetricFamily> {
        let clients = families::CLIENTS.gauges();
        clients.with_label_values::<&str>(&[]).set(gauge_value(self.clients));
        let waiting = families::WAITING.gauges();
        for (platform, count) in &self.waiting {
            waiting.with_label_values(&[platform.as_str()]).add(gauge_value(*count));
        }
        let circuits = families::CIRCUITS.gauges();
        for (client, platform, state) in &self.circuits {
            circuits.with_label_values(&[client.as_str(), platform.as_str()]).set(i64::from(*state));
        }
        // The format does not allow a family without samples.
        let families = [clients.collect(), waiting.collect(), circuits.collect()].into_iter().flatten();
        families.filter(|family| !family.get_metric().is_empty()).collect()
    }
}

const WELL_FORMED: &str = "the names are constants, well formed and distinct";

fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn add(registry: &Registry, collector: impl Collector + 'static) {
    registry.register(Box::new(collector)).expect(WELL_FORMED);
}

#[cfg(test)]
mod tests;
