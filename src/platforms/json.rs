//! JSON of a web app, read only as far as it is asked for. Nothing here recurses or keeps a list, so that neither depth
//! nor number of what a body holds can cost more than the body itself.

use crate::wire::{JsonObject, RawJson};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The text is not a JSON array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAnArray;

/// Returns the JSON of a body, also if it is encoded as a string.
pub(super) fn of(body: &RawJson) -> Cow<'_, str> {
    match body.string() {
        Some(Cow::Borrowed(text)) => Cow::Borrowed(text.trim()),
        Some(Cow::Owned(text)) => Cow::Owned(text.trim().to_owned()),
        None => Cow::Borrowed(body.text().trim()),
    }
}

/// Returns `json` as an object.
pub(super) fn object(json: &str) -> Option<JsonObject<'_>> {
    json.starts_with('{').then(|| JsonObject::parse(json).ok()).flatten()
}

/// Returns a field as JSON; `null` counts as absent.
pub(super) fn field<'a>(object: &JsonObject<'a>, name: &str) -> Option<&'a str> {
    object.get(&[name]).map(RawValue::get)
}

/// Returns a field as JSON, including `null`.
pub(super) fn own<'a>(object: &JsonObject<'a>, name: &str) -> Option<&'a str> {
    object.iter().filter(|(given, _)| *given == name).last().map(|(_, value)| value.get())
}

/// Returns the string that `json` is. Other values are not parsed, because a parse error costs more than this check.
pub(super) fn string(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    json.starts_with('"').then(|| serde_json::from_str(json).ok()).flatten().map(|Text(text)| text)
}

/// Returns the first of these fields that is a string.
pub(super) fn text<'a>(object: &JsonObject<'a>, names: &[&str]) -> Option<Cow<'a, str>> {
    names.iter().find_map(|name| field(object, name).and_then(string))
}

/// Calls `visit` for each element of an array until it returns an error.
pub(super) fn each<'a, E: From<NotAnArray>>(
    json: &'a str,
    visit: impl FnMut(&'a str) -> Result<(), E>,
) -> Result<(), E> {
    if !json.starts_with('[') {
        return Err(NotAnArray.into());
    }
    let mut objection = None;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let visited = Elements { visit, objection: &mut objection }.deserialize(&mut deserializer);
    match (visited.and_then(|()| deserializer.end()), objection) {
        (_, Some(objection)) => Err(objection),
        (Err(_), None) => Err(NotAnArray.into()),
        (Ok(()), None) => Ok(()),
    }
}

/// Returns the first `N` elements of an array; missing ones are empty.
pub(super) fn first<const N: usize>(json: &str) -> Result<[&str; N], NotAnArray> {
    let (mut found, mut at) = ([""; N], 0);
    each(json, |element| {
        if let Some(place) = found.get_mut(at) {
            *place = element;
        }
        at += 1;
        Ok(())
    })
    .map(|()| found)
}

struct Elements<'o, F, E> {
    visit: F,
    objection: &'o mut Option<E>,
}

impl<'de, F: FnMut(&'de str) -> Result<(), E>, E> DeserializeSeed<'de> for Elements<'_, F, E> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&'de str) -> Result<(), E>, E> Visitor<'de> for Elements<'_, F, E> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<S: SeqAccess<'de>>(mut self, mut elements: S) -> Result<(), S::Error> {
        while let Some(element) = elements.next_element::<&'de RawValue>()? {
            if let Err(objection) = (self.visit)(element.get()) {
                *self.objection = Some(objection);
                return Err(S::Error::custom("objected to"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_in_order_until_one_is_objected_to() {
        #[derive(Debug, PartialEq)]
        enum Stop {
            NoArray,
            At(usize),
        }
        impl From<NotAnArray> for Stop {
            fn from(_: NotAnArray) -> Self {
                Stop::NoArray
            }
        }
        for (json, ended, seen) in [
            ("[1, [2,\"]\"] ,{}]", Ok(()), 3),
            ("[]", Ok(()), 0),
            ("[1,\"stop\",3]", Err(Stop::At(1)), 1),
            ("[1,2", Err(Stop::NoArray), 2),
            ("[1] 2", Err(Stop::NoArray), 1),
            ("{}", Err(Stop::NoArray), 0),
            ("", Err(Stop::NoArray), 0),
        ] {
            let mut count = 0;
            let result = each(json, |element| {
                if element == "\"stop\"" {
                    return Err(Stop::At(count));
                }
                count += 1;
                Ok(())
            });
            assert_eq!((result, count), (ended, seen), "{json}");
        }
    }

    #[test]
    fn of_an_array_the_first_are_there_and_the_rest_is_passed_over() {
        assert_eq!(first("[ 1 ,\"b\",3]"), Ok(["1", "\"b\""]));
        assert_eq!(first("[1]"), Ok(["1", "", ""]));
        assert_eq!(first::<1>("7"), Err(NotAnArray));
        let deep = format!("[{}{},2]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(first::<2>(&deep).unwrap()[1], "2");
    }

    #[test]
    fn a_body_is_read_also_when_it_came_as_text() {
        assert_eq!(of(&RawJson::trusted("[1]")), "[1]");
        assert_eq!(of(&RawJson::of(&" {\"a\":\"b\"}\n")), "{\"a\":\"b\"}");
        assert_eq!(of(&RawJson::default()), "null");
    }

    #[test]
    fn the_first_field_that_is_a_string_counts() {
        let found = object(r#"{"a":null,"b":7,"c":"\u0063","d":"d"}"#).unwrap();
        assert_eq!(text(&found, &["a", "b", "c", "d"]).unwrap(), "c");
        assert_eq!(text(&found, &["a", "b"]), None);
        assert_eq!((field(&found, "a"), own(&found, "a"), own(&found, "x")), (None, Some("null"), None));
        assert!(object("[]").is_none() && object("{broken").is_none());
        assert_eq!(string(r#""\ud800""#), None, "half a character is no text");
    }
}
