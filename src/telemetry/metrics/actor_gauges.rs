//! Gauges of live actors that are started for callers and peers. A value above zero without callers and peers is a leak.

use super::families;
use prometheus::{IntGauge, IntGaugeVec, Registry};

/// The gauges of live actors, by kind. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ActorGauges(IntGaugeVec);

impl ActorGauges {
    pub(super) fn new(registry: &Registry) -> Self {
        ActorGauges(families::ACTORS.registered_gauges(registry))
    }

    pub(super) fn kind(&self, kind: &'static str) -> AliveGauge {
        AliveGauge(self.0.with_label_values(&[kind]))
    }
}

/// The gauge of one kind of actor.
#[derive(Clone, Debug)]
pub(super) struct AliveGauge(IntGauge);

impl AliveGauge {
    pub(super) fn increment(&self) -> AliveGuard {
        self.0.inc();
        AliveGuard(self.0.clone())
    }
}

/// Held by an actor, which counts as live until this is dropped.
#[derive(Debug)]
pub struct AliveGuard(IntGauge);

impl Drop for AliveGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
