//! Finds the list in an answer and reads the common fields of its entries.

use super::AppId;
use crate::{platforms::json, wire::JsonObject};

/// Most bytes of a name or title that are kept.
const WORDS_BYTES_MAX: usize = 1_024;

/// Fields of which one that is `true` marks an entry.
pub(super) type MarkFields = &'static [&'static str];

/// Returns `body` if it is an array, else the array in the first of the fields `names` that holds one, directly or in an
/// object with such a field.
pub(super) fn list<'a>(body: &'a str, names: &[&str]) -> Option<&'a str> {
    let array = |json: &'a str| json.starts_with('[').then_some(json);
    let within = |json: &'a str| {
        let object = json::object(json)?;
        names.iter().find_map(|name| json::field(&object, name).and_then(array))
    };
    let object = || {
        let object = json::object(body)?;
        names
            .iter()
            .find_map(|name| json::field(&object, name).and_then(|value| array(value).or_else(|| within(value))))
    };
    array(body).or_else(object)
}

/// Returns the first of these fields that is a usable id.
pub(super) fn id(entry: &JsonObject<'_>, names: &[&str]) -> Option<AppId> {
    names.iter().find_map(|name| AppId::parse(&json::text(entry, &[name])?).ok())
}

/// Returns the first of these fields that is not blank, truncated if very long.
pub(super) fn words(entry: &JsonObject<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let text = json::text(entry, &[name])?;
        let text = text.trim();
        (!text.is_empty()).then(|| text[..text.floor_char_boundary(WORDS_BYTES_MAX)].to_owned())
    })
}

/// Returns whether one of these fields is `true`.
pub(super) fn is_marked(entry: &JsonObject<'_>, marks: MarkFields) -> bool {
    marks.iter().any(|mark| json::field(entry, mark) == Some("true"))
}
