//! Shapes a whole answer for the caller: JSON as such, even if it came as text; event-stream text as events; other text
//! as a string. Pure.

use crate::{
    clock::WallMs,
    platforms::{
        full_text::{self, AnswerDrift},
        registry::FinalMessageExtractor,
    },
    wire::{ApiResponse, RawJson, too_deep},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, time::UNIX_EPOCH};

mod event_stream;

/// Most bytes shown of an upstream's error body.
const ERROR_BODY_MAX: usize = 64 << 10;

/// The answer exceeds the size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AnswerTooLarge;

#[derive(Debug)]
pub(super) struct ShapedAnswer {
    pub(super) shown: RawJson,
    /// Why `full_text` is missing.
    pub(super) drift: Option<AnswerDrift>,
}

impl From<RawJson> for ShapedAnswer {
    fn from(shown: RawJson) -> Self {
        ShapedAnswer { shown, drift: None }
    }
}

/// Shapes an answer of at most `max` bytes, measured on its text or its JSON. `assistant`: the app whose answer format is
/// read, and no other; without one, text deltas of any known shape are joined.
pub(super) fn shape_answer(
    answer: &ApiResponse,
    max: usize,
    assistant: Option<FinalMessageExtractor>,
) -> Result<ShapedAnswer, AnswerTooLarge> {
    let body = &answer.body;
    let Some(text) = body.string() else {
        return if body.len() > max { Err(AnswerTooLarge) } else { Ok(body.clone().into()) };
    };
    if text.len() > max {
        return Err(AnswerTooLarge);
    }
    if text.is_empty() {
        return Ok(RawJson::default().into());
    }
    if is_event_stream(answer.headers.content_type.as_deref(), &text) {
        return Ok(event_stream::render(&text, assistant));
    }
    // Answers that are not event streams are parsed as well, so that changes of their format are noticed.
    let frames = assistant.filter(|app| full_text::FullTextReader::of(*app).is_none());
    let drift = frames.and_then(|app| full_text::full_text(app, &text)).and_then(Result::err);
    Ok(ShapedAnswer { shown: json(&text).unwrap_or_else(|| body.clone()), drift })
}

fn is_event_stream(content_type: Option<&str>, text: &str) -> bool {
    match content_type {
        Some(kind) if kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("text/event-stream")) => {
            true
        }
        _ => ["event:", "data:", "id:", ":"].iter().any(|field| text.starts_with(field)),
    }
}

/// Returns `text` as JSON, if it is valid JSON.
fn json(text: &str) -> Option<RawJson> {
    let begins = text.trim_start().as_bytes().first()?;
    if !matches!(begins, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') {
        return None;
    }
    let value = serde_json::from_str::<&RawValue>(text).ok()?;
    (!too_deep(value.get())).then(|| RawJson::trusted(value.get().to_owned()))
}

/// Returns an upstream's error body as shown: parsed JSON if it came as text; longer bodies as a string of their first
/// 64 KiB.
pub(super) fn cut(body: RawJson) -> RawJson {
    let text = match body.string() {
        Some(text) if text.is_empty() => return RawJson::default(),
        Some(text) if text.len() <= ERROR_BODY_MAX => return json(&text).unwrap_or_else(|| body.clone()),
        None if body.len() <= ERROR_BODY_MAX => return RawJson::trusted(body.text().to_owned()),
        Some(text) => text,
        None => Cow::Borrowed(body.text()),
    };
    RawJson::of(&&text[..text.floor_char_boundary(ERROR_BODY_MAX)])
}

/// Parses `retry-after`, given in seconds or as an HTTP date, into milliseconds from `now`. Returns `None` for anything
/// else.
pub(super) fn retry_after_ms(header: &str, now: WallMs) -> Option<u64> {
    let header = header.trim();
    if header.bytes().all(|byte| byte.is_ascii_digit()) {
        return header.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1_000));
    }
    let date = httpdate::parse_http_date(header).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let date = WallMs::try_from(date.as_millis()).ok()?;
    Some(u64::try_from(date.saturating_sub(now)).unwrap_or(0)) // a past one is now
}

#[cfg(test)]
mod tests;
