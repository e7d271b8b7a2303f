//! What a handler answers, and how that becomes a response: the envelope, its headers, and a body that knows when it was
//! written.

use super::{error::ApiError, sse_body::SseBody};
use crate::{relay::Caller as RequestCaller, wire::Raw};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::{BodySize, MessageBody},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use bytes::Bytes;
use serde::Serialize;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// What a handler answers.
pub enum Reply {
    /// The `data` of a success, as JSON text.
    Data(String),
    /// The same, with the caller that must not be let go before it is written.
    Held(String, RequestCaller),
    /// A stream.
    Stream(SseBody),
    /// A response that is complete: a protocol switch.
    Whole(HttpResponse),
}

impl Reply {
    /// A success with this data.
    pub fn data(data: &impl Serialize) -> Self {
        Reply::Data(serde_json::to_string(data).expect("our own values have string keys"))
    }
}

/// Seals an answer with the id of its exchange.
pub(super) fn respond(result: Result<Reply, ApiError>, id: &str) -> HttpResponse {
    match result {
        Ok(Reply::Data(data)) => json(StatusCode::OK, success(id, &data), id, None),
        Ok(Reply::Held(data, caller)) => json(StatusCode::OK, success(id, &data), id, Some(caller)),
        Ok(Reply::Whole(response)) => response,
        Ok(Reply::Stream(body)) => {
            let mut response = HttpResponse::Ok();
            response
                .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")))
                .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
                .insert_header(("x-accel-buffering", HeaderValue::from_static("no")));
            with_id(&mut response, id);
            response.body(body)
        }
        Err(error) => failure(&error, id),
    }
}

fn failure(error: &ApiError, id: &str) -> HttpResponse {
    #[derive(Serialize)]
    struct Envelope<'a> {
        ok: bool,
        request_id: &'a str,
        error: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
        details: &'a serde_json::Map<String, serde_json::Value>,
    }
    let envelope = Envelope {
        ok: false,
        request_id: id,
        error: error.code().name(),
        message: error.message(),
        details: error.details(),
    };
    let text = serde_json::to_string(&envelope).expect("our own values have string keys");
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, text, id, None);
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

fn success(id: &str, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + id.len() + 48);
    text.push_str("{\"ok\":true,\"request_id\":");
    text.push_str(Raw::of(&id).text());
    text.push_str(",\"data\":");
    text.push_str(data);
    text.push('}');
    text
}

fn json(status: StatusCode, text: String, id: &str, caller: Option<RequestCaller>) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    with_id(&mut response, id);
    match caller {
        None => response.body(text),
        Some(caller) => response.body(Written { bytes: Some(text.into()), _caller: caller }),
    }
}

fn with_id(response: &mut HttpResponseBuilder, id: &str) {
    // An id is visible ASCII: our own, or checked where it was taken over.
    if let Ok(value) = HeaderValue::from_str(id) {
        response.insert_header(("x-request-id", value));
    }
}

/// A body that holds its caller until it was taken.
struct Written {
    bytes: Option<Bytes>,
    _caller: RequestCaller,
}

impl MessageBody for Written {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().bytes.take().map(Ok))
    }
}
