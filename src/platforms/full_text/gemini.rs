//! Gemini: `)]}'` followed by frames, each a line with its length and a JSON array. Text in later frames replaces
//! earlier text; thoughts are left out.
//!
//! The lengths count UTF-16 units and are sometimes wrong; the end of each array is always right.

use super::AnswerDrift;
use crate::platforms::json;
use serde_json::value::RawValue;

const GUARD: &str = ")]}'";

/// Entries that go along with an answer.
const BESIDES: [&str; 3] = ["af.httprm", "di", "e"];

/// Most digits of a frame's length.
const LENGTH_DIGITS_MAX: usize = 10;

/// Returns the text of an answer. An incomplete last frame is ignored.
pub(super) fn read(text: &str) -> Result<String, AnswerDrift> {
    let text = text.trim_start();
    let mut answer = GeminiAnswer::default();
    let mut rest = match text.strip_prefix(GUARD) {
        Some(rest) => rest,
        None if GUARD.starts_with(text) => return answer.finish(),
        None => return Err(AnswerDrift("frames_begin")),
    };
    while let Some(begin) = after_length(rest.trim_start())? {
        let mut values = serde_json::Deserializer::from_str(begin).into_iter::<&RawValue>();
        let frame = match values.next() {
            Some(Ok(frame)) => frame.get(),
            Some(Err(error)) if !error.is_eof() => return Err(AnswerDrift("frame_not_json")),
            _ => break,
        };
        rest = &begin[values.byte_offset()..];
        answer.frame(frame)?;
    }
    answer.finish()
}

/// Where the next frame's array begins; nothing when the text is over.
fn after_length(text: &str) -> Result<Option<&str>, AnswerDrift> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let array = if digits == 0 {
        text
    } else {
        let rest = text.get(digits..).unwrap_or_default();
        let line = rest.strip_prefix('\r').unwrap_or(rest);
        if digits > LENGTH_DIGITS_MAX || !(line.is_empty() || line.starts_with('\n')) {
            return Err(AnswerDrift("frame_length"));
        }
        line.trim_start()
    };
    match array.as_bytes().first() {
        None => Ok(None),
        Some(b'[') => Ok(Some(array)),
        Some(_) => Err(AnswerDrift(if digits == 0 { "frame_length" } else { "frame_not_array" })),
    }
}

/// State of the answer after the frames so far.
#[derive(Default)]
struct GeminiAnswer {
    text: Option<String>,
    failed: bool,
    unknown: bool,
}

impl GeminiAnswer {
    fn frame(&mut self, frame: &str) -> Result<(), AnswerDrift> {
        json::each(frame, |entry| {
            let [name] = json::first(entry).map_err(|_| AnswerDrift("frame_entry"))?;
            match &*json::string(name).ok_or(AnswerDrift("frame_entry"))? {
                "wrb.fr" => self.answer(entry)?,
                "er" => self.failed = true,
                name if BESIDES.contains(&name) => {}
                _ => self.unknown = true,
            }
            Ok(())
        })
    }

    fn answer(&mut self, entry: &str) -> Result<(), AnswerDrift> {
        let [_, parts @ ..] = json::first::<8>(entry)?;
        if let Some(inner) = parts.iter().find(|part| part.starts_with("\"[")) {
            return self.inner(&json::string(inner).ok_or(AnswerDrift("answer_shape"))?);
        }
        if parts[1].starts_with('"') {
            return Err(AnswerDrift("answer_shape"));
        }
        self.failed |= parts[4].starts_with('[');
        Ok(())
    }

    fn inner(&mut self, inner: &str) -> Result<(), AnswerDrift> {
        let [_, ids, _, _, candidates] = json::first(inner).map_err(|_| AnswerDrift("answer_shape"))?;
        if !is_nothing(ids) && !ids.starts_with('[') {
            return Err(AnswerDrift("answer_ids"));
        }
        if is_nothing(candidates) {
            return Ok(());
        }
        let [shown] = json::first(candidates).map_err(|_| AnswerDrift("candidates_shape"))?;
        if shown.is_empty() {
            return Ok(());
        }
        let [_, texts] = json::first(shown).map_err(|_| AnswerDrift("candidate_shape"))?;
        if is_nothing(texts) {
            return Ok(()); // still thinking
        }
        let [text] = json::first(texts).map_err(|_| AnswerDrift("candidate_text"))?;
        if !is_nothing(text) {
            self.text = Some(json::string(text).ok_or(AnswerDrift("candidate_text"))?.into_owned());
        }
        Ok(())
    }

    fn finish(self) -> Result<String, AnswerDrift> {
        match self.text {
            None if self.unknown && !self.failed => Err(AnswerDrift("unknown_frames")),
            text => Ok(text.unwrap_or_default()),
        }
    }
}

fn is_nothing(json: &str) -> bool {
    json.is_empty() || json == "null"
}
