//! Events `request`: the phases of each request and its end.
//!
//! Invariant: a request published as queued is published as done once, and as nothing afterwards.

use super::{
    journal,
    request::{RelayRequest, ResponseMode},
};
use crate::{
    clock::WallMs,
    events::EventBus,
    ids::{ClientId, PlatformName, RequestId},
    telemetry::metrics,
};
use serde::Serialize;
use std::{borrow::Cow, sync::Arc};

/// Publishes and counts the phases of one request.
#[derive(Debug)]
pub(super) struct RequestEvents {
    events: EventBus,
    /// Set from the event `queued` to the event `done`.
    under_way: Option<Arc<EventSubject>>,
    metrics: metrics::RelayMetrics,
    /// The request in the metrics.
    counted: Option<metrics::RequestMetrics>,
}

/// Fields common to all events of a request, shared between them.
#[derive(Debug, Serialize)]
struct EventSubject {
    request_id: RequestId,
    platform: PlatformName,
    /// Client that was selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    response_mode: &'static str,
}

/// Event: a request has reached a phase.
#[derive(Serialize)]
struct PhaseReached<T> {
    #[serde(flatten)]
    subject: Arc<EventSubject>,
    phase: &'static str,
    at: WallMs,
    #[serde(flatten)]
    details: T,
}

/// The call, a detail of `queued`.
#[derive(Serialize)]
struct CallSummary {
    method: Cow<'static, str>,
    path: String,
}

/// No further fields.
#[derive(Serialize)]
struct NoDetails {}

/// The end of a request.
#[derive(Debug, Serialize)]
pub(super) struct RequestDone {
    /// `success`, `failure` or `cancelled`.
    pub(super) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_code: Option<Cow<'static, str>>,
    /// HTTP status of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    pub(super) event_count: u64,
    pub(super) bytes: u64,
}

impl RequestEvents {
    pub(super) fn new(events: EventBus, metrics: metrics::RelayMetrics) -> Self {
        RequestEvents { events, under_way: None, metrics, counted: None }
    }

    /// Counts the exchange as alive until the returned value is dropped.
    pub(super) fn alive(&self) -> metrics::AliveGuard {
        self.metrics.exchange()
    }

    /// Publishes `queued`; `client` is the selected client, if any.
    pub(super) fn queued(&mut self, request: &RelayRequest, client: Option<&ClientId>, at: WallMs) {
        self.under_way = Some(Arc::new(EventSubject {
            request_id: request.id.clone(),
            platform: request.platform.clone(),
            response_mode: request.mode.name(),
            client_id: client.cloned(),
        }));
        self.counted = Some(self.metrics.begin(&request.platform));
        let (method, path) = (request.call.method.clone(), journal::kept_path(&request.call.path));
        self.reached("queued", at, CallSummary { method, path });
    }

    pub(super) fn admitted(&mut self, at: WallMs) {
        self.count(metrics::RequestMetrics::admitted);
        self.reached("admitted", at, NoDetails {});
    }

    pub(super) fn dispatched(&mut self, at: WallMs) {
        self.count(metrics::RequestMetrics::dispatched);
        self.reached("dispatched", at, NoDetails {});
    }

    pub(super) fn streaming(&mut self, at: WallMs) {
        self.count(metrics::RequestMetrics::streaming);
        self.reached("streaming", at, NoDetails {});
    }

    pub(super) fn event(&self, bytes: u64) {
        self.metrics.event(bytes);
    }

    pub(super) fn done(&mut self, at: WallMs, done: RequestDone) {
        if let (Some(counted), Some(subject)) = (self.counted.take(), &self.under_way) {
            let is_stream = subject.response_mode == ResponseMode::Sse.name();
            counted.done(done.outcome, done.error_code.as_deref().filter(|_| is_stream));
        }
        self.reached("done", at, done);
        self.under_way = None;
    }

    /// Publishes an internal error if the exchange ended without `done`.
    pub(super) fn gone(&mut self, at: impl FnOnce() -> WallMs) {
        if self.under_way.is_some() {
            let error_code = Some(Cow::Borrowed("internal_error"));
            let done = RequestDone { outcome: "failure", error_code, status: None, event_count: 0, bytes: 0 };
            self.done(at(), done);
        }
    }

    fn count(&mut self, reached: impl FnOnce(&mut metrics::RequestMetrics)) {
        if let Some(counted) = &mut self.counted {
            reached(counted);
        }
    }

    fn reached(&self, phase: &'static str, at: WallMs, details: impl Serialize + Send + Sync + 'static) {
        if let Some(subject) = &self.under_way {
            self.events.publish("request", PhaseReached { subject: Arc::clone(subject), phase, at, details });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::ResumePoint,
        relay::{RequestWork, ResponseMode, UpstreamCall},
    };
    use serde_json::json;

    fn phases(bus: &EventBus) -> RequestEvents {
        RequestEvents::new(bus.clone(), metrics::RelayMetrics::default())
    }

    fn call(path: &str) -> RelayRequest {
        RelayRequest {
            id: RequestId::trusted("r"),
            platform: PlatformName::trusted("claude"),
            client_id: None,
            mode: ResponseMode::Sse,
            work: RequestWork::Call,
            call: UpstreamCall { method: "GET".into(), path: path.to_owned(), ..UpstreamCall::default() },
            timeout: None,
        }
    }

    #[test]
    fn each_phase_says_what_is_known_by_then() {
        let bus = EventBus::new(1, 16);
        let mut reader = bus.subscribe(ResumePoint::Live);
        let mut phases = phases(&bus);
        phases.queued(&call("/p"), Some(&ClientId::trusted("ff")), 1);
        phases.admitted(2);
        phases.dispatched(3);
        phases.streaming(4);
        phases
            .done(5, RequestDone { outcome: "success", error_code: None, status: Some(200), event_count: 7, bytes: 8 });
        let told: Vec<_> = reader.told().into_iter().map(|(_, data)| data).collect();
        let common = |phase: &str, at: i64| json!({"request_id": "r", "platform": "claude", "client_id": "ff", "response_mode": "sse", "phase": phase, "at": at});
        let with = |mut data: serde_json::Value, more: serde_json::Value| {
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            data
        };
        let expected = [
            with(common("queued", 1), json!({"method": "GET", "path": "/p"})),
            common("admitted", 2),
            common("dispatched", 3),
            common("streaming", 4),
            with(common("done", 5), json!({"outcome": "success", "status": 200, "event_count": 7, "bytes": 8})),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn one_that_vanishes_is_done_and_one_that_ended_is_done_once() {
        let bus = EventBus::new(1, 16);
        let mut reader = bus.subscribe(ResumePoint::Live);
        phases(&bus).gone(|| 0);
        assert!(reader.told().is_empty(), "it never began");
        let mut phases = phases(&bus);
        phases.queued(&call("/p"), None, 1);
        phases.gone(|| 2);
        phases.gone(|| 3);
        phases.streaming(4);
        let told = reader.told();
        assert_eq!(told.len(), 2, "{told:?}");
        let done = &told[1].1;
        assert_eq!((&done["phase"], &done["outcome"]), (&json!("done"), &json!("failure")));
        assert_eq!((&done["error_code"], done.get("client_id")), (&json!("internal_error"), None));
    }

    #[test]
    fn a_long_path_is_cut_as_in_the_journal() {
        let bus = EventBus::new(1, 16);
        let mut reader = bus.subscribe(ResumePoint::Live);
        phases(&bus).queued(&call(&"/ü".repeat(1_000)), None, 1);
        let (_, data) = reader.told().remove(0);
        assert_eq!(data["path"].as_str().unwrap(), journal::kept_path(&"/ü".repeat(1_000)));
    }
}
