//! `GET /metrics`: counters, histograms and current gauges.

use super::{
    endpoint::ApiCall,
    error::{ApiError, Code},
    reply::{self, ApiReply},
};
use crate::{policy::CircuitState, telemetry::metrics::GaugeValues};
use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET /metrics`.
pub(super) async fn show(call: ApiCall) -> Result<ApiReply, ApiError> {
    let core = &call.core;
    let targets = core.policy.targets().await;
    let state = |state| match state {
        CircuitState::Closed => 0,
        CircuitState::HalfOpen => 1,
        CircuitState::Open => 2,
    };
    let none = core.registry.names().map(|name| (name.clone(), 0));
    let waiting = targets.iter().map(|target| (target.platform.clone(), target.waiting + target.held_back));
    let levels = GaugeValues {
        clients: core.bridge.count().0,
        waiting: none.chain(waiting).collect(),
        circuits: targets
            .iter()
            .map(|target| (target.client_id.to_string(), target.platform.clone(), state(target.circuit_state)))
            .collect(),
    };
    let text = core.metrics.render(&levels).map_err(|error| ApiError::new(Code::InternalError, error.to_string()))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, TEXT))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    reply::set_request_id(&mut response, &call.id);
    Ok(ApiReply::Raw(response.body(text)))
}
