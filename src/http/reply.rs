//! What a handler answers, and how that becomes a response: the envelope, its headers, and a body that knows when it was
//! written.

use super::error::ApiError;
use crate::{
    api::envelope::FailureEnvelope,
    host::Presence,
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

/// The id of an exchange: the caller's own or ours.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bodies shorter than this are copied into their envelope.
const COPY_BELOW: usize = 16 << 10;

/// What a handler answers.
pub enum Reply {
    /// A success.
    Success(Success),
    /// The same, with what must not be let go before it is written.
    Held(Success, Waiting),
    /// A stream of server-sent events.
    Stream(BoxBody),
    /// A response that is complete: a protocol switch.
    Whole(HttpResponse),
}

/// Who waits for an answer: a stop waits for them too.
#[derive(Debug)]
pub enum Waiting {
    /// The caller of a browser request.
    Request(RequestCaller),
    /// The caller of a host operation.
    Operation(Presence),
}

/// A whole envelope of a success. Its data is written into it, not copied there; a large body at its end is not even
/// copied once.
pub struct Success {
    head: String,
    body: Option<RawJson>,
}

/// What closes the data and the envelope.
const CLOSING: &[u8] = b"}}";

impl Success {
    /// An envelope that still lacks its data, of about `bytes`. `id`: of the exchange.
    pub(super) fn begin(id: &str, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + id.len() + 48);
        text.push_str("{\"ok\":true,\"request_id\":");
        json::write(&mut text, &id);
        text.push_str(",\"data\":");
        text
    }

    /// The envelope, once its data was written.
    pub(super) fn end(mut text: String) -> Self {
        text.push('}');
        Success { head: text, body: None }
    }

    /// The envelope, once its data was written, with `body` as the last field of it.
    pub(super) fn end_with(mut text: String, field: &str, body: RawJson) -> Self {
        if body.len() < COPY_BELOW {
            body.splice_into(&mut text, field);
            return Self::end(text);
        }
        text.pop();
        for part in [",\"", field, "\":"] {
            text.push_str(part);
        }
        Success { head: text, body: Some(body) }
    }

    /// The body of the response. A short answer is written within the poll that made it; a long one may take many, and
    /// who waits for it is held until then.
    fn into_body(self, waiting: Option<Waiting>) -> BoxBody {
        let head = Bytes::from(self.head);
        match self.body {
            None if head.len() < COPY_BELOW => BoxBody::new(head),
            None => BoxBody::new(Parts { parts: vec![head], _waiting: waiting }),
            Some(body) => {
                let parts = [Bytes::from_static(CLOSING), body.into_bytes(), head];
                BoxBody::new(Parts { parts: parts.into(), _waiting: waiting })
            }
        }
    }
}

/// Seals an answer with the id of its exchange.
pub(super) fn respond(result: Result<Reply, ApiError>, id: &str) -> HttpResponse {
    match result {
        Ok(Reply::Success(success)) => response(StatusCode::OK, success.into_body(None), id),
        Ok(Reply::Held(success, waiting)) => response(StatusCode::OK, success.into_body(Some(waiting)), id),
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
    let envelope = FailureEnvelope {
        ok: false,
        request_id: id.into(),
        error: error.name().into(),
        message: error.message().into(),
        details: Cow::Borrowed(error.details()),
    };
    let text = serde_json::to_string(&envelope).expect("our own values have string keys");
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, BoxBody::new(text), id);
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

fn response(status: StatusCode, body: BoxBody, id: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    with_id(&mut response, id);
    response.body(body)
}

/// Names the exchange.
pub(super) fn with_id(response: &mut HttpResponseBuilder, id: &str) {
    // An id is visible ASCII: our own, or checked where it was taken over.
    if let Ok(value) = HeaderValue::from_str(id) {
        response.insert_header((REQUEST_ID, value));
    }
}

/// A body in parts that holds who waits for it until it was taken.
struct Parts {
    /// The next one last.
    parts: Vec<Bytes>,
    _waiting: Option<Waiting>,
}

impl MessageBody for Parts {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.parts.iter().map(|part| part.len() as u64).sum())
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().parts.pop().map(Ok))
    }
}
