//! The table of metric families. `docs/http.md` shows it.

use super::{SECONDS, WELL_FORMED, add};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// A metric family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetricDescription {
    pub(crate) name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    #[cfg(test)]
    pub(crate) kind: &'static str,
    pub(crate) labels: &'static [&'static str],
    pub(crate) meaning: &'static str,
}

macro_rules! metric_families {
    ($($family:ident = $kind:ident $name:ident [$($label:ident),*] $meaning:literal;)*) => {
        $(pub(super) const $family: MetricDescription = MetricDescription {
            name: stringify!($name),
            #[cfg(test)]
            kind: stringify!($kind),
            labels: &[$(stringify!($label)),*],
            meaning: $meaning,
        };)*

        /// Every family, sorted by name.
        #[cfg(test)]
        pub(crate) const FAMILIES: &[MetricDescription] = &[$($family),*];
    };
}

metric_families! {
    ACTORS = gauge baa_actors [kind] "Actors that are alive, of those that come and go: socket, connection or exchange. \
        None is left when no caller and no client is connected.";
    CLIENTS = gauge baa_bridge_clients [] "Clients that are connected.";
    IN_FLIGHT = gauge baa_browser_in_flight [platform] "Browser requests in flight.";
    PHASES = histogram baa_browser_request_phase_seconds [phase] "Time that browser requests spent in a phase.";
    BROWSER_REQUESTS = counter baa_browser_requests_total [outcome, platform] "Browser requests that ended.";
    HTTP_DURATION = histogram baa_http_request_duration_seconds [] "Time until the start of the answer.";
    HTTP_REQUESTS = counter baa_http_requests_total [method, route, status] "HTTP requests that were answered; a stream \
        counts when its head is sent.";
    INSTRUCTIONS = counter baa_instructions_total [status] "Instruction batches, by each status that they entered.";
    CIRCUITS = gauge baa_policy_circuit_state [client_id, platform] "Circuits: 0 closed, 1 half open, 2 open.";
    DELAYS = histogram baa_policy_delay_seconds [kind] "Delays of requests before their dispatch: queue, backoff, \
        rate_limit or jitter.";
    SWEEPS = counter baa_policy_stale_sweeps_total [] "Leases that were revoked.";
    WAITING = gauge baa_policy_waiting [platform] "Requests that wait in the policy.";
    STORE = histogram baa_store_operation_seconds [op] "Duration of database operations, including their wait.";
    STREAM_BYTES = counter baa_stream_bytes_total [] "Bytes of the relayed stream events.";
    STREAM_ERRORS = counter baa_stream_errors_total [code] "Streams that ended with an error.";
    STREAM_EVENTS = counter baa_stream_events_total [] "Stream events that were relayed.";
    MESSAGES = counter baa_ws_messages_total [direction, type] "Messages of the extension's sockets.";
    REJECTED = counter baa_ws_rejected_total [reason] "Messages that were refused and connections that were closed \
        because of an error.";
}

impl MetricDescription {
    pub(super) fn counters(&self, registry: &Registry) -> IntCounterVec {
        let family = IntCounterVec::new(Opts::new(self.name, self.meaning), self.labels).expect(WELL_FORMED);
        add(registry, family.clone());
        family
    }

    /// Returns the only counter of a family without labels.
    pub(super) fn counter(&self, registry: &Registry) -> IntCounter {
        self.counters(registry).with_label_values::<&str>(&[])
    }

    /// Returns gauges that are not registered.
    pub(super) fn gauges(&self) -> IntGaugeVec {
        IntGaugeVec::new(Opts::new(self.name, self.meaning), self.labels).expect(WELL_FORMED)
    }

    pub(super) fn registered_gauges(&self, registry: &Registry) -> IntGaugeVec {
        let family = self.gauges();
        add(registry, family.clone());
        family
    }

    pub(super) fn histograms(&self, registry: &Registry) -> HistogramVec {
        let opts = HistogramOpts::new(self.name, self.meaning).buckets(SECONDS.to_vec());
        let family = HistogramVec::new(opts, self.labels).expect(WELL_FORMED);
        add(registry, family.clone());
        family
    }

    /// Returns the only histogram of a family without labels.
    pub(super) fn histogram(&self, registry: &Registry) -> Histogram {
        self.histograms(registry).with_label_values::<&str>(&[])
    }
}
