//! Gemini: `)]}'` followed by frames, each a line with its length and a JSON array. Text in later frames replaces
//! earlier text; thoughts are left out.
//!
//! The lengths are sometimes wrong and not used; the end of each array is always right.

use super::AnswerDrift;
use crate::platforms::json;
use serde_json::value::RawValue;

const GUARD: &str = ")]}'";

/// Entries that go along with an answer.
const BESIDES: [&str; 3] = ["af.httprm", "di", "e"];

/// Where the text lies in an answer's inner array: the first text of the first candidate. Each step is an index and the
/// drift if its value is not an array.
const TEXT_PATH: [(usize, AnswerDrift); 4] = [
    (4, AnswerDrift("answer_shape")),
    (0, AnswerDrift("candidates_shape")),
    (1, AnswerDrift("candidate_shape")),
    (0, AnswerDrift("candidate_text")),
];

/// Returns the text of an answer. An incomplete last frame is ignored.
pub(super) fn read(text: &str) -> Result<String, AnswerDrift> {
    let text = text.trim_start();
    let mut rest = match text.strip_prefix(GUARD) {
        Some(rest) => rest,
        None if GUARD.starts_with(text) => return Ok(String::new()),
        None => return Err(AnswerDrift("frames_begin")),
    };
    let (mut said, mut failed, mut unknown) = (None, false, false);
    loop {
        let frame = rest.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        if !frame.is_empty() && !frame.starts_with('[') {
            return Err(AnswerDrift("frame_not_array"));
        }
        let mut values = serde_json::Deserializer::from_str(frame).into_iter::<&RawValue>();
        let entries = match values.next() {
            Some(Ok(entries)) => entries.get(),
            Some(Err(error)) if !error.is_eof() => return Err(AnswerDrift("frame_not_json")),
            _ => break,
        };
        rest = &frame[values.byte_offset()..];
        json::each(entries, |entry| {
            let [name, parts @ ..] = json::first::<8>(entry).map_err(|_| AnswerDrift("frame_entry"))?;
            match &*json::string(name).ok_or(AnswerDrift("frame_entry"))? {
                "wrb.fr" => match parts.iter().find(|part| part.starts_with("\"[")) {
                    Some(inner) => said = text_of(&json::string(inner).unwrap_or_default())?.or(said.take()),
                    None if parts[1].starts_with('"') => return Err(AnswerDrift("answer_shape")),
                    None => failed |= parts[4].starts_with('['),
                },
                "er" => failed = true,
                name => unknown |= !BESIDES.contains(&name),
            }
            Ok(())
        })?;
    }
    match said {
        None if unknown && !failed => Err(AnswerDrift("unknown_frames")),
        said => Ok(said.unwrap_or_default()),
    }
}

/// Returns the text in an answer's inner array; `None` if it contains none, as while the model thinks.
fn text_of(inner: &str) -> Result<Option<String>, AnswerDrift> {
    let mut at = inner;
    for (index, drift) in TEXT_PATH {
        at = json::first::<5>(at).map_err(|_| drift)?[index];
        if matches!(at, "" | "null") {
            return Ok(None);
        }
    }
    json::string(at).map(|text| Some(text.into_owned())).ok_or(AnswerDrift("candidate_text"))
}
