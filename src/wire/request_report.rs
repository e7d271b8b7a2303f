//! Reports of the extension about a request: answers, stream events, progress. Bodies and events are slices of the
//! frame.

use super::{
    json_object::{FieldError, JsonObject},
    raw_json::RawJson,
};
use bytestring::ByteString;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Largest metadata value of a stream that is kept, in bytes.
const META_BYTES_MAX: usize = 4 << 10;

/// A report about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestReport {
    /// `api_response`: the whole answer.
    Answer(ApiResponse),
    /// `stream_open`: status and headers are there.
    Open {
        /// HTTP status of the app.
        status: u16,
        /// Metadata of the stream, passed on.
        meta: RawJson,
        /// The response headers that the daemon uses.
        headers: ResponseHeaders,
    },
    /// `stream_event`: one event.
    Event(StreamEvent),
    /// `stream_end`: the stream is complete.
    End {
        /// HTTP status of the app, if repeated.
        status: Option<u16>,
    },
    /// `stream_error`: the stream broke.
    Error {
        /// HTTP status of the app, if there was a response.
        status: Option<u16>,
        /// Error code.
        code: String,
        /// Error message.
        message: Option<String>,
    },
    /// `progress`: the request is still in progress.
    Progress,
}

impl RequestReport {
    /// Returns whether this is the last report about the request.
    pub fn is_last(&self) -> bool {
        matches!(self, RequestReport::Answer(_) | RequestReport::End { .. } | RequestReport::Error { .. })
    }
}

/// A whole response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiResponse {
    /// Returns whether the extension reports success; by default no error and no status of 400 or more.
    pub ok: bool,
    /// HTTP status of the app, if there was a response.
    pub status: Option<u16>,
    /// The body: text as a JSON string, JSON as itself.
    pub body: RawJson,
    /// Error text.
    pub error: Option<String>,
    /// The response headers that the daemon uses.
    pub headers: ResponseHeaders,
}

/// The response headers that the daemon uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// `content-type`.
    pub content_type: Option<String>,
    /// `retry-after`: seconds or a date.
    pub retry_after: Option<String>,
}

/// One event of a stream, as JSON slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Sequence number, from 1.
    pub seq: u64,
    /// Name of the event, as a JSON string.
    pub event: RawJson,
    /// Data of the event, any JSON.
    pub data: RawJson,
    /// Text of the event as in the stream, a JSON string or `null`.
    pub raw: RawJson,
}

fn cut(frame: &ByteString, part: Option<&RawValue>) -> RawJson {
    part.map(|part| RawJson::cut(frame, part)).unwrap_or_default()
}

/// Frames below this size, in bytes, are copied instead of kept alive by a waiting slice.
const COPY_BELOW: usize = 4 << 10;

/// Returns a part that is kept after the frame was handled. A slice of a short frame would keep the whole read buffer
/// alive until the caller has read it.
fn keep(frame: &ByteString, part: Option<&RawValue>) -> RawJson {
    match part {
        Some(part) if frame.len() < COPY_BELOW => RawJson::trusted(part.get().to_owned()),
        part => cut(frame, part),
    }
}

fn status(message: &JsonObject<'_>) -> Result<Option<u16>, FieldError> {
    const FAULT: &str = "must be an HTTP status from 100 to 999";
    message
        .integer(&["status"])?
        .filter(|status| *status != 0) // `fetch` reports 0 without a response
        .map(|status| {
            u16::try_from(status).ok().filter(|s| (100..=999).contains(s)).ok_or(FieldError::new("status", FAULT))
        })
        .transpose()
}

fn headers(message: &JsonObject<'_>) -> Result<ResponseHeaders, FieldError> {
    let Some(given) = message.object(&["headers"])? else { return Ok(ResponseHeaders::default()) };
    let mut headers = ResponseHeaders::default();
    for (name, value) in given.iter() {
        let slot = if name.eq_ignore_ascii_case("content-type") {
            &mut headers.content_type
        } else if name.eq_ignore_ascii_case("retry-after") {
            &mut headers.retry_after
        } else {
            continue;
        };
        *slot = super::raw_json::string(value.get()).map(Cow::into_owned);
    }
    Ok(headers)
}

fn json_string<'a>(message: &JsonObject<'a>, names: &[&'static str]) -> Result<Option<&'a RawValue>, FieldError> {
    match message.get(names) {
        Some(raw) if !raw.get().starts_with('"') => Err(FieldError::new(names[0], "must be a string")),
        found => Ok(found),
    }
}

pub(super) fn api_response(frame: &ByteString, message: &JsonObject<'_>) -> Result<RequestReport, FieldError> {
    let status = status(message)?;
    let error = message.text(&["error"])?.map(Cow::into_owned);
    Ok(RequestReport::Answer(ApiResponse {
        ok: message.boolean(&["ok"])?.unwrap_or(error.is_none() && status.is_none_or(|s| s < 400)),
        status,
        body: keep(frame, message.raw("body")),
        error,
        headers: headers(message)?,
    }))
}

pub(super) fn stream_open(message: &JsonObject<'_>) -> Result<RequestReport, FieldError> {
    let status = status(message)?.unwrap_or(200);
    // Invalid headers, which only the policy uses, do not end the stream.
    Ok(RequestReport::Open { status, meta: meta(message), headers: headers(message).unwrap_or_default() })
}

/// Returns the metadata of a stream: scalar values only, and none with a name that suggests a credential, so that a
/// header sent by mistake goes no further.
fn meta(message: &JsonObject<'_>) -> RawJson {
    let Ok(Some(given)) = message.object(&["meta"]) else { return RawJson::default() };
    let known: serde_json::Map<_, _> = given
        .iter()
        .filter(|(name, value)| !sounds_secret(name) && value.get().len() <= META_BYTES_MAX)
        .filter_map(|(name, value)| Some((name.to_owned(), serde_json::from_str(value.get()).ok()?)))
        .filter(|(_, value): &(_, serde_json::Value)| !value.is_object() && !value.is_array())
        .collect();
    if known.is_empty() { RawJson::default() } else { RawJson::of(&known) }
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "credential", "csrf", "header", "password", "secret", "session", "token"]
        .iter()
        .any(|word| name.contains(word))
}

pub(super) fn stream_event(frame: &ByteString, message: &JsonObject<'_>) -> Result<RequestReport, FieldError> {
    let seq = message.count(&["seq"])?.filter(|seq| *seq > 0 && *seq <= i64::MAX.unsigned_abs());
    let event = json_string(message, &["event"])?.map_or_else(unnamed, |name| RawJson::cut(frame, name));
    Ok(RequestReport::Event(StreamEvent {
        seq: seq.ok_or(FieldError::new("seq", "must be a positive integer"))?,
        event,
        data: cut(frame, message.raw("data")),
        raw: cut(frame, json_string(message, &["raw", "chunk"])?),
    }))
}

/// An event in the form that our own extension writes: `type` first, `snake_case`, no other fields. A stream has hundreds
/// of them, and this form is much cheaper to parse than the general one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainEvent<'a> {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
    id: &'a str,
    #[serde(rename = "stream_id")]
    _stream_id: Option<IgnoredAny>,
    seq: u64,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
}

const PLAIN_EVENT: &str = "{\"type\":\"stream_event\",";

/// Reads an event in its plain form. Everything else, including invalid events, is left to the general reader.
pub(super) fn plain_event(frame: &ByteString) -> Option<(&str, StreamEvent)> {
    if !frame.starts_with(PLAIN_EVENT) {
        return None;
    }
    let plain = serde_json::from_str::<PlainEvent<'_>>(frame).ok()?;
    let is_name = |id: &str| crate::ids::check_name(id).is_ok();
    let is_string = |part: Option<&RawValue>| part.is_none_or(|part| part.get().starts_with('"'));
    let seq_fits = (1..=i64::MAX.unsigned_abs()).contains(&plain.seq);
    if !is_name(plain.id) || !seq_fits || !is_string(plain.event) || !is_string(plain.raw) {
        return None;
    }
    let event = plain.event.map_or_else(unnamed, |name| RawJson::cut(frame, name));
    let (data, raw) = (cut(frame, plain.data), cut(frame, plain.raw));
    Some((plain.id, StreamEvent { seq: plain.seq, event, data, raw }))
}

fn unnamed() -> RawJson {
    RawJson::trusted(ByteString::from_static("\"message\""))
}

pub(super) fn stream_end(message: &JsonObject<'_>) -> Result<RequestReport, FieldError> {
    Ok(RequestReport::End { status: status(message)? })
}

pub(super) fn stream_error(message: &JsonObject<'_>) -> Result<RequestReport, FieldError> {
    Ok(RequestReport::Error {
        status: status(message)?,
        code: message.text(&["code", "error"])?.map_or_else(|| "browser_bridge_error".to_owned(), Cow::into_owned),
        message: message.text(&["message"])?.map(Cow::into_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_says_about_itself_holds_no_header() {
        let meta = |json: &str| meta(&JsonObject::parse(&format!("{{\"meta\":{json}}}")).unwrap()).text().to_owned();
        assert_eq!(meta(r#"{"method":"GET", "n":1, "ok":true}"#), r#"{"method":"GET","n":1,"ok":true}"#);
        let planted =
            r#"{"url":"/x","headers":{"a":"S"},"list":["S"],"Set-Cookie":"S","x-csrf-token":"S","Authorization":"S"}"#;
        assert_eq!(meta(planted), r#"{"url":"/x"}"#);
        for nothing in ["7", "\"S\"", "[\"S\"]", "{}", r#"{"cookie":"S"}"#] {
            assert_eq!(meta(nothing), RawJson::default().text(), "{nothing}");
        }
    }
}
