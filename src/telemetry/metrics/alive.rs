//! Actors that come and go with what callers and peers do, counted for as long as they live: what is left of them when
//! nobody is there any more is a leak.

use super::{add, gauges};
use prometheus::{IntGauge, IntGaugeVec, Registry};

/// The gauge of them, by kind. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Actors(IntGaugeVec);

impl Actors {
    pub(super) fn new(registry: &Registry) -> Self {
        let actors = gauges("baa_actors", "Actors that are alive, of those that come and go.", &["kind"]);
        add(registry, actors.clone());
        Actors(actors)
    }

    pub(super) fn kind(&self, kind: &'static str) -> Living {
        Living(self.0.with_label_values(&[kind]))
    }
}

/// The living actors of one kind.
#[derive(Clone, Debug)]
pub(super) struct Living(IntGauge);

impl Living {
    pub(super) fn one_more(&self) -> Alive {
        self.0.inc();
        Alive(self.0.clone())
    }
}

/// Kept by an actor: it counts as alive until this is dropped.
#[derive(Debug)]
pub struct Alive(IntGauge);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.dec();
    }
}
