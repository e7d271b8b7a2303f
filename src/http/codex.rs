//! `/v1/codex`: forwards calls to codexd and its responses back, without an envelope.

use super::{
    endpoint::ApiCall,
    error::{ApiError, Code},
    origin_policy,
    reply::{self, ApiReply},
};
use crate::codex::{CodexCallError, CodexResponse, CodexdClient, UpstreamPath};
use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
};

/// Keeps a forwarded response from acting as a page of this origin, whatever its content type.
const DATA_ONLY_CSP: &str = "default-src 'none'; sandbox";

/// `GET /v1/codex`.
pub(super) async fn status(call: ApiCall) -> Result<ApiReply, ApiError> {
    get(&call, &UpstreamPath::status()).await
}

/// `GET /v1/codex/sessions`.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    get(&call, &UpstreamPath::sessions()).await
}

/// `POST /v1/codex/sessions`.
pub(super) async fn create(call: ApiCall) -> Result<ApiReply, ApiError> {
    post(call, &UpstreamPath::sessions()).await
}

/// `GET /v1/codex/sessions/{id}`.
pub(super) async fn read(call: ApiCall) -> Result<ApiReply, ApiError> {
    // From the raw path: the router decodes its parameters only partly.
    let raw = call.request.uri().path().rsplit('/').next().unwrap_or_default();
    let place =
        UpstreamPath::session(raw).ok_or_else(|| ApiError::field("id", "\"id\" must be the id of a session."))?;
    get(&call, &place).await
}

/// `POST /v1/codex/turn`.
pub(super) async fn turn(call: ApiCall) -> Result<ApiReply, ApiError> {
    post(call, &UpstreamPath::turn()).await
}

async fn get(call: &ApiCall, place: &UpstreamPath) -> Result<ApiReply, ApiError> {
    let codexd = configured_codexd(call)?;
    let answer = codexd.get(place, call.request.query_string()).await;
    answer.map(|answer| forward_response(answer, &call.id)).map_err(|error| codexd_error(codexd, &error))
}

async fn post(call: ApiCall, place: &UpstreamPath) -> Result<ApiReply, ApiError> {
    let codexd = configured_codexd(&call)?;
    // A missing body stays missing for codexd; `call.body` would be an empty object.
    let body = origin_policy::has_body(call.request.headers()).then(|| call.body.clone());
    let answer = codexd.post(place, call.request.query_string(), body).await;
    answer.map(|answer| forward_response(answer, &call.id)).map_err(|error| codexd_error(codexd, &error))
}

fn configured_codexd(call: &ApiCall) -> Result<&CodexdClient, ApiError> {
    call.core
        .codex
        .as_ref()
        .ok_or_else(|| ApiError::new(Code::CodexdNotConfigured, "No codexd is configured: codex.base_url is not set."))
}

fn forward_response(answer: CodexResponse, id: &str) -> ApiReply {
    let mut response = HttpResponse::build(answer.status);
    for header in answer.headers {
        response.insert_header(header);
    }
    response
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DATA_ONLY_CSP)))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    reply::set_request_id(&mut response, id);
    ApiReply::Raw(response.body(answer.body))
}

fn codexd_error(codexd: &CodexdClient, error: &CodexCallError) -> ApiError {
    match error {
        CodexCallError::Busy => {
            ApiError::new(Code::Overloaded, "Too many calls to codexd are in progress.").retry_after(1)
        }
        CodexCallError::TooLong => {
            ApiError::new(Code::InvalidRequest, "The path is too long to be forwarded to codexd.")
        }
        error => {
            let message = format!("The call to codexd at {} failed: {error}.", codexd.base());
            ApiError::new(Code::CodexdUnavailable, message).with("target_base_url", codexd.base())
        }
    }
}
