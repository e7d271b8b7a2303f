//! `/v1/codex`: passes calls on to codexd and its answers back, without an envelope of ours around them.

use super::{
    endpoint::Call,
    error::{ApiError, Code},
    origins,
    reply::{self, Reply},
};
use crate::codex::{Answer, CallError, Codexd, Place};
use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
};

/// What is not ours must not act as a page of ours, whatever its content type says.
const AS_DATA: &str = "default-src 'none'; sandbox";

/// `GET /v1/codex`.
pub(super) async fn status(call: Call) -> Result<Reply, ApiError> {
    get(&call, &Place::status()).await
}

/// `GET /v1/codex/sessions`.
pub(super) async fn list(call: Call) -> Result<Reply, ApiError> {
    get(&call, &Place::sessions()).await
}

/// `POST /v1/codex/sessions`.
pub(super) async fn create(call: Call) -> Result<Reply, ApiError> {
    post(call, &Place::sessions()).await
}

/// `GET /v1/codex/sessions/{id}`.
pub(super) async fn read(call: Call) -> Result<Reply, ApiError> {
    // From the path as it came: the router's own parts are decoded by half.
    let raw = call.request.uri().path().rsplit('/').next().unwrap_or_default();
    let place = Place::session(raw).ok_or_else(|| ApiError::field("id", "\"id\" must be the id of a session."))?;
    get(&call, &place).await
}

/// `POST /v1/codex/turn`.
pub(super) async fn turn(call: Call) -> Result<Reply, ApiError> {
    post(call, &Place::turn()).await
}

async fn get(call: &Call, place: &Place) -> Result<Reply, ApiError> {
    let codexd = configured(call)?;
    let answer = codexd.get(place, call.request.query_string()).await;
    answer.map(|answer| passed(answer, &call.id)).map_err(|error| unavailable(codexd, &error))
}

async fn post(call: Call, place: &Place) -> Result<Reply, ApiError> {
    let codexd = configured(&call)?;
    // A body that is not there reads as an empty object; it is not made one for codexd.
    let body = origins::has_body(call.request.headers()).then(|| call.body.clone());
    let answer = codexd.post(place, call.request.query_string(), body).await;
    answer.map(|answer| passed(answer, &call.id)).map_err(|error| unavailable(codexd, &error))
}

fn configured(call: &Call) -> Result<&Codexd, ApiError> {
    call.core
        .codex
        .as_ref()
        .ok_or_else(|| ApiError::new(Code::CodexdNotConfigured, "No codexd is configured: codex.base_url is not set."))
}

fn passed(answer: Answer, id: &str) -> Reply {
    let mut response = HttpResponse::build(answer.status);
    for header in answer.headers {
        response.insert_header(header);
    }
    response
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(AS_DATA)))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    reply::with_id(&mut response, id);
    Reply::Whole(response.body(answer.body))
}

fn unavailable(codexd: &Codexd, error: &CallError) -> ApiError {
    match error {
        CallError::Busy => ApiError::new(Code::Overloaded, "Too many calls to codexd are under way.").retry_after(1),
        CallError::TooLong => ApiError::new(Code::InvalidRequest, "The path is too long to be passed on to codexd."),
        error => {
            let message = format!("The codexd at {} does not answer as it should: {error}.", codexd.base());
            ApiError::new(Code::CodexdUnavailable, message).with("target_base_url", codexd.base())
        }
    }
}
