//! Replies of handlers, and how they become responses: the envelope, its headers, and bodies that hold a guard until
//! they are sent.

use super::error::ApiError;
use crate::{
    api::envelope::FailureEnvelope,
    host::ShutdownGuard,
    relay::CallerGuard as RequestCaller,
    wire::{RawJson, json},
};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::{BodySize, BoxBody, MessageBody},
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use bytes::Bytes;
use std::{
    borrow::Cow,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// The header with the request's id, from the caller or generated.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bodies shorter than this are copied into their envelope.
const COPY_BYTES_MAX: usize = 16 << 10;

/// The reply of a handler.
pub enum ApiReply {
    /// A success.
    Success(SuccessEnvelope),
    /// A success, with a guard that is held until the response is sent.
    Guarded(SuccessEnvelope, ResponseGuard),
    /// A stream of server-sent events.
    Stream(BoxBody),
    /// A complete response, without the envelope.
    Raw(HttpResponse),
}

/// A guard that makes a shutdown wait until the response is sent.
#[derive(Debug)]
pub enum ResponseGuard {
    /// The caller of a browser request.
    Request(RequestCaller),
    /// The caller of a host operation.
    Operation(ShutdownGuard),
}

/// The complete envelope of a success. Its data is serialized into it; a large body at its end is not copied at all.
pub struct SuccessEnvelope {
    head: String,
    body: Option<RawJson>,
}

/// Closes the data and the envelope.
const CLOSING_BRACES: &[u8] = b"}}";

impl SuccessEnvelope {
    /// Begins an envelope with room for about `bytes` of data. `id` is the request's.
    pub(super) fn begin(id: &str, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + id.len() + 48);
        text.push_str("{\"ok\":true,\"request_id\":");
        json::write(&mut text, &id);
        text.push_str(",\"data\":");
        text
    }

    /// Completes an envelope after its data was written.
    pub(super) fn end(mut text: String) -> Self {
        text.push('}');
        SuccessEnvelope { head: text, body: None }
    }

    /// Completes an envelope whose data ends with `body` as the field `field`.
    pub(super) fn end_with(mut text: String, field: &str, body: RawJson) -> Self {
        if body.len() < COPY_BYTES_MAX {
            body.splice_into(&mut text, field);
            return Self::end(text);
        }
        text.pop();
        for part in [",\"", field, "\":"] {
            text.push_str(part);
        }
        SuccessEnvelope { head: text, body: Some(body) }
    }

    /// Returns the response body. A short one is sent within the same poll; a long one may take many, and holds the
    /// guard until then.
    fn into_body(self, guard: Option<ResponseGuard>) -> BoxBody {
        let head = Bytes::from(self.head);
        match self.body {
            None if head.len() < COPY_BYTES_MAX => BoxBody::new(head),
            None => BoxBody::new(BodyParts { parts: vec![head], _guard: guard }),
            Some(body) => {
                let parts = [Bytes::from_static(CLOSING_BRACES), body.into_bytes(), head];
                BoxBody::new(BodyParts { parts: parts.into(), _guard: guard })
            }
        }
    }
}

pub(super) fn into_response(result: Result<ApiReply, ApiError>, id: &str) -> HttpResponse {
    match result {
        Ok(ApiReply::Success(success)) => json_response(StatusCode::OK, success.into_body(None), id),
        Ok(ApiReply::Guarded(success, guard)) => json_response(StatusCode::OK, success.into_body(Some(guard)), id),
        Ok(ApiReply::Raw(response)) => response,
        Ok(ApiReply::Stream(body)) => {
            let mut response = HttpResponse::Ok();
            response
                .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")))
                .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
                .insert_header(("x-accel-buffering", HeaderValue::from_static("no")));
            set_request_id(&mut response, id);
            response.body(body)
        }
        Err(error) => error_response(&error, id),
    }
}

fn error_response(error: &ApiError, id: &str) -> HttpResponse {
    let envelope = FailureEnvelope {
        ok: false,
        request_id: id.into(),
        error: error.name().into(),
        message: error.message().into(),
        details: Cow::Borrowed(error.details()),
    };
    let text = serde_json::to_string(&envelope).expect("our own values have string keys");
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, BoxBody::new(text), id);
    let headers = response.headers_mut();
    if let Some(seconds) = error.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(methods) = error.allowed_methods() {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Bearer realm=\"baa-conductor\"");
        headers.insert(header::WWW_AUTHENTICATE, realm);
    }
    response
}

fn json_response(status: StatusCode, body: BoxBody, id: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    set_request_id(&mut response, id);
    response.body(body)
}

pub(super) fn set_request_id(response: &mut HttpResponseBuilder, id: &str) {
    // An id is visible ASCII: generated, or checked when it was read.
    if let Ok(value) = HeaderValue::from_str(id) {
        response.insert_header((REQUEST_ID, value));
    }
}

/// A body in parts, which holds a guard until the last part was taken.
struct BodyParts {
    /// In reverse order.
    parts: Vec<Bytes>,
    _guard: Option<ResponseGuard>,
}

impl MessageBody for BodyParts {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.parts.iter().map(|part| part.len() as u64).sum())
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().parts.pop().map(Ok))
    }
}
