//! Reading a request body: JSON, bounded in bytes, time and depth.

use super::error::{ApiError, Code};
use crate::wire::{DEPTH_MAX, JsonObject, NotAnObject, too_deep};
use actix_web::{
    http::header::{self, HeaderMap},
    web::Payload,
};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::StreamExt;
use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    pub(super) bytes_max: usize,
    /// Time from the head to the last byte.
    pub(super) timeout: Duration,
}

/// Reads a complete body; an empty one becomes `{}`.
pub(super) async fn read(headers: &HeaderMap, payload: Payload, limits: BodyLimits) -> Result<ByteString, ApiError> {
    if !super::origin_policy::has_body(headers) {
        return Ok(ByteString::from_static("{}"));
    }
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limits.bytes_max) {
        return Err(too_large(limits.bytes_max));
    }
    let bytes = with_timeout(limits.timeout, collect(payload, limits.bytes_max))
        .await
        .ok_or_else(|| ApiError::new(Code::BodyTimeout, "The body did not arrive in time."))??;
    let text =
        ByteString::try_from(bytes).map_err(|_| ApiError::new(Code::InvalidRequest, "The body is not valid UTF-8."))?;
    if too_deep(&text) {
        let message = format!("The body nests deeper than {DEPTH_MAX} levels.");
        return Err(ApiError::new(Code::InvalidRequest, message));
    }
    Ok(if text.trim().is_empty() { ByteString::from_static("{}") } else { text })
}

/// Runs `work`; returns `None` if it takes longer than `timeout`. A body is usually complete at the second poll, since
/// it arrives together with its head, so the timer is created only after that.
async fn with_timeout<T>(timeout: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut polled = false;
    let first_polls = poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if std::mem::replace(&mut polled, true) => Poll::Ready(None),
        Poll::Pending => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match first_polls.await {
        Some(done) => Some(done),
        None => tokio::time::timeout(timeout, work).await.ok(),
    }
}

async fn collect(mut payload: Payload, bytes_max: usize) -> Result<Bytes, ApiError> {
    let read_error = |_| ApiError::new(Code::InvalidRequest, "The body ended early.");
    let Some(first) = payload.next().await.transpose().map_err(read_error)? else { return Ok(Bytes::new()) };
    // Checked here too, so that the rest of an oversized body is not awaited.
    if first.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    let mut whole = BytesMut::new();
    let mut last = first;
    // A body in one chunk, as most are, is not copied.
    while let Some(chunk) = payload.next().await.transpose().map_err(read_error)? {
        whole.extend_from_slice(&last);
        if whole.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        last = chunk;
    }
    if whole.is_empty() {
        return Ok(last);
    }
    whole.extend_from_slice(&last);
    Ok(whole.freeze())
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::new(Code::PayloadTooLarge, format!("The body is larger than {bytes_max} bytes."))
}

/// Parses a body as a JSON object.
pub(super) fn parse_object(body: &str) -> Result<JsonObject<'_>, ApiError> {
    JsonObject::parse(body).map_err(|error| match error {
        NotAnObject::Json(_) => ApiError::new(Code::InvalidRequest, format!("The body is {error}.")),
        _ => ApiError::new(Code::InvalidRequest, format!("The body {error}.")),
    })
}
