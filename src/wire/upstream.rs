//! What the extension tells about a request it performs: answers, streams, signs of life. Bodies and events are slices
//! of the frame.

use super::{
    object::{BadField, Object},
    raw::Raw,
};
use bytestring::ByteString;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Most bytes of a value about a stream that are kept.
const META_BYTES_MAX: usize = 4 << 10;

/// One report about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// `api_response`: the whole answer.
    Answer(Answer),
    /// `stream_open`: status and headers are there.
    Open {
        /// The web app's HTTP status.
        status: u16,
        /// What the extension says about the stream, passed on.
        meta: Raw,
        /// Of the response headers those that somebody here looks at.
        headers: Headers,
    },
    /// `stream_event`: one event.
    Event(Event),
    /// `stream_end`: the stream is complete.
    End {
        /// The web app's HTTP status, where repeated.
        status: Option<u16>,
    },
    /// `stream_error`: the stream broke.
    Error {
        /// The web app's HTTP status, where there was one.
        status: Option<u16>,
        /// What happened.
        code: String,
        /// A sentence about it.
        message: Option<String>,
    },
    /// `progress`: the request is still worked on.
    Progress,
}

impl Upstream {
    /// Whether the extension will say nothing more about this request.
    pub fn is_last(&self) -> bool {
        matches!(self, Upstream::Answer(_) | Upstream::End { .. } | Upstream::Error { .. })
    }
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether the extension calls it a success; where it does not say: no error, and no status of 400 or more.
    pub ok: bool,
    /// The web app's HTTP status, where there was one.
    pub status: Option<u16>,
    /// The body: text as a JSON string, JSON as itself.
    pub body: Raw,
    /// What went wrong.
    pub error: Option<String>,
    /// Of the response headers those that somebody here looks at.
    pub headers: Headers,
}

/// The response headers that somebody here looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `content-type`.
    pub content_type: Option<String>,
    /// `retry-after`: seconds or a date.
    pub retry_after: Option<String>,
}

/// One event of a stream, as JSON slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 1.
    pub seq: u64,
    /// Its name, a JSON string.
    pub event: Raw,
    /// Its data, any JSON.
    pub data: Raw,
    /// Its text as it stood in the stream, a JSON string or `null`.
    pub raw: Raw,
}

fn cut(frame: &ByteString, part: Option<&RawValue>) -> Raw {
    part.map(|part| Raw::cut(frame, part)).unwrap_or_default()
}

/// Frames shorter than this are not kept alive by what waits for a caller: its slice is copied.
const COPY_BELOW: usize = 4 << 10;

/// A part that outlives its frame's way through the actors. A slice of a short frame would keep the whole read buffer
/// alive for as long as its caller takes to read.
fn keep(frame: &ByteString, part: Option<&RawValue>) -> Raw {
    match part {
        Some(part) if frame.len() < COPY_BELOW => Raw::trusted(part.get().to_owned()),
        part => cut(frame, part),
    }
}

fn status(message: &Object<'_>) -> Result<Option<u16>, BadField> {
    const FAULT: &str = "must be an HTTP status from 100 to 999";
    message
        .integer(&["status"])?
        .filter(|status| *status != 0) // what fetch says when it never got there
        .map(|status| {
            u16::try_from(status).ok().filter(|s| (100..=999).contains(s)).ok_or(BadField::new("status", FAULT))
        })
        .transpose()
}

fn headers(message: &Object<'_>) -> Result<Headers, BadField> {
    let Some(given) = message.object(&["headers"])? else { return Ok(Headers::default()) };
    let mut headers = Headers::default();
    for (name, value) in given.iter() {
        let slot = if name.eq_ignore_ascii_case("content-type") {
            &mut headers.content_type
        } else if name.eq_ignore_ascii_case("retry-after") {
            &mut headers.retry_after
        } else {
            continue;
        };
        *slot = super::raw::string(value.get()).map(Cow::into_owned);
    }
    Ok(headers)
}

fn json_string<'a>(message: &Object<'a>, names: &[&'static str]) -> Result<Option<&'a RawValue>, BadField> {
    match message.get(names) {
        Some(raw) if !raw.get().starts_with('"') => Err(BadField::new(names[0], "must be a string")),
        found => Ok(found),
    }
}

pub(super) fn api_response(frame: &ByteString, message: &Object<'_>) -> Result<Upstream, BadField> {
    let status = status(message)?;
    let error = message.text(&["error"])?.map(Cow::into_owned);
    Ok(Upstream::Answer(Answer {
        ok: message.boolean(&["ok"])?.unwrap_or(error.is_none() && status.is_none_or(|s| s < 400)),
        status,
        body: keep(frame, message.raw("body")),
        error,
        headers: headers(message)?,
    }))
}

pub(super) fn stream_open(message: &Object<'_>) -> Result<Upstream, BadField> {
    let status = status(message)?.unwrap_or(200);
    // A stream does not break for what only the policy looks at.
    Ok(Upstream::Open { status, meta: meta(message), headers: headers(message).unwrap_or_default() })
}

/// What a stream says about itself: plain values alone, and none whose name sounds like a credential. A header that was
/// put there by mistake goes no further.
fn meta(message: &Object<'_>) -> Raw {
    let Ok(Some(given)) = message.object(&["meta"]) else { return Raw::default() };
    let known: serde_json::Map<_, _> = given
        .iter()
        .filter(|(name, value)| !sounds_secret(name) && value.get().len() <= META_BYTES_MAX)
        .filter_map(|(name, value)| Some((name.to_owned(), serde_json::from_str(value.get()).ok()?)))
        .filter(|(_, value): &(_, serde_json::Value)| !value.is_object() && !value.is_array())
        .collect();
    if known.is_empty() { Raw::default() } else { Raw::of(&known) }
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "credential", "csrf", "header", "password", "secret", "session", "token"]
        .iter()
        .any(|word| name.contains(word))
}

pub(super) fn stream_event(frame: &ByteString, message: &Object<'_>) -> Result<Upstream, BadField> {
    let seq = message.count(&["seq"])?.filter(|seq| *seq > 0 && *seq <= i64::MAX.unsigned_abs());
    let event = json_string(message, &["event"])?.map_or_else(unnamed, |name| Raw::cut(frame, name));
    Ok(Upstream::Event(Event {
        seq: seq.ok_or(BadField::new("seq", "must be a positive integer"))?,
        event,
        data: cut(frame, message.raw("data")),
        raw: cut(frame, json_string(message, &["raw", "chunk"])?),
    }))
}

/// How our own extension writes an event: `type` first, `snake_case`, nothing that is not listed here. A stream has
/// hundreds of them, and this reading is much cheaper than the general one.
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

/// How such a frame begins.
const PLAIN_EVENT: &str = "{\"type\":\"stream_event\",";

/// An event in its plain form. Everything else, also what is wrong with an event, is for the general reading.
pub(super) fn plain_event(frame: &ByteString) -> Option<(&str, Event)> {
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
    let event = plain.event.map_or_else(unnamed, |name| Raw::cut(frame, name));
    let (data, raw) = (cut(frame, plain.data), cut(frame, plain.raw));
    Some((plain.id, Event { seq: plain.seq, event, data, raw }))
}

fn unnamed() -> Raw {
    Raw::trusted(ByteString::from_static("\"message\""))
}

pub(super) fn stream_end(message: &Object<'_>) -> Result<Upstream, BadField> {
    Ok(Upstream::End { status: status(message)? })
}

pub(super) fn stream_error(message: &Object<'_>) -> Result<Upstream, BadField> {
    Ok(Upstream::Error {
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
        let meta = |json: &str| meta(&Object::parse(&format!("{{\"meta\":{json}}}")).unwrap()).text().to_owned();
        assert_eq!(meta(r#"{"method":"GET", "n":1, "ok":true}"#), r#"{"method":"GET","n":1,"ok":true}"#);
        let planted =
            r#"{"url":"/x","headers":{"a":"S"},"list":["S"],"Set-Cookie":"S","x-csrf-token":"S","Authorization":"S"}"#;
        assert_eq!(meta(planted), r#"{"url":"/x"}"#);
        for nothing in ["7", "\"S\"", "[\"S\"]", "{}", r#"{"cookie":"S"}"#] {
            assert_eq!(meta(nothing), Raw::default().text(), "{nothing}");
        }
    }
}
