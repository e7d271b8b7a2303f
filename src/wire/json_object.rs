//! A JSON object from outside, parsed once: its top-level fields as slices, found by name afterwards.
//!
//! Outside parties may write every field in `snake_case` or `camelCase`, some have further aliases, and the first
//! spelling given here wins when several are there. `serde`'s own `alias` calls that a duplicate field, `flatten` and
//! internal tags cannot hold raw values, so the fields are found here and typed one by one. One pass reads a frame,
//! whatever its type, and fields that are not used are never parsed.

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Most fields that one object may have.
pub(super) const FIELDS_MAX: usize = 256;

/// A field that is missing or has an invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field \"{field}\" {reason}")]
pub struct FieldError {
    /// Name of the field in `snake_case`.
    pub field: Cow<'static, str>,
    /// What is wrong with the field, as the rest of a sentence that begins with its name.
    pub reason: Cow<'static, str>,
}

impl FieldError {
    /// Creates an error about `field`.
    pub fn new(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        FieldError { field: field.into(), reason: reason.into() }
    }
}

/// Why a text is not an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    /// The text is not JSON.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// The text is another kind of JSON value.
    #[error("must be a JSON object")]
    Kind,
    /// The object has more than 256 fields.
    #[error("must not have more than {FIELDS_MAX} fields")]
    Fields,
}

/// The fields of an object, each a slice of the text.
#[derive(Debug, Default)]
pub struct JsonObject<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> JsonObject<'a> {
    /// Reads the fields of an object.
    pub fn parse(text: &'a str) -> Result<Self, NotAnObject> {
        let fault = match serde_json::from_str::<JsonObject<'a>>(text) {
            Ok(object) => return Ok(object),
            Err(fault) => fault,
        };
        Err(match serde_json::from_str::<&RawValue>(text) {
            Err(_) => NotAnObject::Json(fault.to_string()),
            Ok(value) if value.get().starts_with('{') => NotAnObject::Fields,
            Ok(_) => NotAnObject::Kind,
        })
    }

    /// Returns the names as given, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| &**name)
    }

    /// Returns the fields as given, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.fields.iter().map(|(name, value)| (&**name, *value))
    }

    /// Returns the value of the first of `names` that is present and not `null`; each name also matches its camelCase
    /// form.
    pub fn get(&self, names: &[&str]) -> Option<&'a RawValue> {
        names.iter().find_map(|name| {
            self.find(|given| given == *name).or_else(|| self.find(|given| is_camel_case_of(given, name)))
        })
    }

    fn find(&self, is_it: impl Fn(&str) -> bool) -> Option<&'a RawValue> {
        // Of duplicate names the last counts, as in other JSON parsers.
        self.fields.iter().rev().find(|(given, value)| is_it(given) && value.get() != "null").map(|(_, value)| *value)
    }

    /// Returns the value of a field as JSON.
    pub fn raw(&self, field: &'static str) -> Option<&'a RawValue> {
        self.get(&[field])
    }

    /// Returns a trimmed string; an empty one counts as absent.
    pub fn text(&self, names: &[&'static str]) -> Result<Option<Cow<'a, str>>, FieldError> {
        Ok(self.verbatim(names)?.and_then(|text| match text {
            Cow::Borrowed(text) => Some(text.trim()).filter(|t| !t.is_empty()).map(Cow::Borrowed),
            Cow::Owned(text) => Some(text.trim()).filter(|t| !t.is_empty()).map(|t| Cow::Owned(t.to_owned())),
        }))
    }

    /// Returns a required string that is not empty.
    pub fn required_text(&self, names: &[&'static str]) -> Result<Cow<'a, str>, FieldError> {
        self.text(names)?.ok_or_else(|| FieldError::new(names[0], "is required"))
    }

    /// Returns a trimmed name of at most `max` bytes; an empty one counts as absent. A longer one is an error, because
    /// a truncated name would mean something else.
    pub fn short_text(&self, names: &[&'static str], max: usize) -> Result<Option<String>, FieldError> {
        let Some(text) = self.text(names)? else { return Ok(None) };
        if text.len() > max {
            return Err(FieldError::new(names[0], format!("must not be longer than {max} bytes")));
        }
        Ok(Some(text.into_owned()))
    }

    /// Returns a required name of at most `max` bytes.
    pub(super) fn required_name(&self, names: &[&'static str], max: usize) -> Result<String, FieldError> {
        self.short_text(names, max)?.ok_or_else(|| FieldError::new(names[0], "is required"))
    }

    /// Returns a trimmed text for people, truncated to `max` bytes; an empty one counts as absent.
    pub fn words(&self, names: &[&'static str], max: usize) -> Result<Option<String>, FieldError> {
        Ok(self.text(names)?.map(|text| text[..text.floor_char_boundary(max)].to_owned()))
    }

    /// Returns a string exactly as given.
    pub fn verbatim(&self, names: &[&'static str]) -> Result<Option<Cow<'a, str>>, FieldError> {
        self.get(names)
            .map(|raw| super::raw_json::string(raw.get()).ok_or_else(|| FieldError::new(names[0], "must be a string")))
            .transpose()
    }

    /// Returns a boolean.
    pub fn boolean(&self, names: &[&'static str]) -> Result<Option<bool>, FieldError> {
        self.typed(names, "must be true or false")
    }

    /// Returns an integer.
    pub fn integer(&self, names: &[&'static str]) -> Result<Option<i64>, FieldError> {
        self.typed(names, "must be an integer")
    }

    /// Returns an integer that is not negative.
    pub fn count(&self, names: &[&'static str]) -> Result<Option<u64>, FieldError> {
        self.typed(names, "must be an integer that is not negative")
    }

    /// Returns a time in Unix milliseconds.
    pub fn time(&self, names: &[&'static str]) -> Result<Option<i64>, FieldError> {
        let Some(at) = self.integer(names)? else { return Ok(None) };
        if at < 0 {
            return Err(FieldError::new(names[0], "must be milliseconds since 1970, not negative"));
        }
        Ok(Some(at))
    }

    /// Returns an object.
    pub fn object(&self, names: &[&'static str]) -> Result<Option<JsonObject<'a>>, FieldError> {
        self.get(names)
            .map(|raw| JsonObject::parse(raw.get()).map_err(|e| FieldError::new(names[0], e.to_string())))
            .transpose()
    }

    /// Returns the elements of an array of at most `max`.
    pub fn array(&self, names: &[&'static str], max: usize) -> Result<Option<Vec<&'a RawValue>>, FieldError> {
        let Some(list) = self.typed::<Vec<&'a RawValue>>(names, "must be an array")? else { return Ok(None) };
        if list.len() > max {
            return Err(FieldError::new(names[0], format!("must not have more than {max} entries")));
        }
        Ok(Some(list))
    }

    /// Returns an array of at most `max` strings, trimmed, without empty ones.
    pub fn texts(&self, names: &[&'static str], max: usize) -> Result<Option<Vec<String>>, FieldError> {
        let Some(list) = self.array(names, max)? else { return Ok(None) };
        let texts = list.into_iter().map(|raw| {
            let text =
                super::raw_json::string(raw.get()).ok_or_else(|| FieldError::new(names[0], "must hold strings"))?;
            Ok(text.trim().to_owned())
        });
        texts.filter(|text| !matches!(text, Ok(t) if t.is_empty())).collect::<Result<_, _>>().map(Some)
    }

    fn typed<T: Deserialize<'a>>(&self, names: &[&'static str], reason: &'static str) -> Result<Option<T>, FieldError> {
        self.get(names)
            .map(|raw| serde_json::from_str(raw.get()).map_err(|_| FieldError::new(names[0], reason)))
            .transpose()
    }
}

/// Reads an entry of the list `field`.
pub(super) fn read_entry<'a, T>(
    field: &'static str,
    raw: &'a RawValue,
    read: impl FnOnce(&JsonObject<'a>) -> Result<T, FieldError>,
) -> Result<T, FieldError> {
    let entry = JsonObject::parse(raw.get()).map_err(|e| FieldError::new(field, format!("holds an entry that {e}")))?;
    read(&entry).map_err(|e| FieldError::new(field, format!("holds an entry whose {e}")))
}

/// Whether `given` is `snake` written in camelCase, as `requestId` is `request_id`.
fn is_camel_case_of(given: &str, snake: &str) -> bool {
    let mut given = given.bytes();
    let mut snake_bytes = snake.bytes();
    let mut differs = false;
    while let Some(expected) = snake_bytes.next() {
        let expected = if expected == b'_' {
            differs = true;
            match snake_bytes.next() {
                Some(next) => next.to_ascii_uppercase(),
                None => return false,
            }
        } else {
            expected
        };
        if given.next() != Some(expected) {
            return false;
        }
    }
    differs && given.next().is_none()
}

impl<'de> Deserialize<'de> for JsonObject<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = JsonObject<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<JsonObject<'de>, M::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(ObjectKey(name)) = map.next_key()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(de::Error::custom("too many fields"));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(JsonObject { fields })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// An object key, borrowed unless it contains escapes.
struct ObjectKey<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for ObjectKey<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = ObjectKey<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<ObjectKey<'de>, E> {
                Ok(ObjectKey(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<ObjectKey<'de>, E> {
                Ok(ObjectKey(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<T>(found: Result<T, FieldError>) -> String {
        found.err().expect("a complaint").to_string()
    }

    #[test]
    fn camel_case_is_read_and_snake_case_wins_in_any_order() {
        for text in [r#"{"request_id":"snake","requestId":"camel"}"#, r#"{"requestId":"camel","request_id":"snake"}"#] {
            assert_eq!(JsonObject::parse(text).unwrap().text(&["request_id"]).unwrap().unwrap(), "snake");
        }
        let object = JsonObject::parse(r#"{"rawText":" x ","id":"i"}"#).unwrap();
        assert_eq!(object.text(&["raw_text"]).unwrap().unwrap(), "x");
        assert_eq!(object.verbatim(&["raw_text"]).unwrap().unwrap(), " x ");
        assert_eq!(object.text(&["request_id", "id"]).unwrap().unwrap(), "i");
    }

    #[test]
    fn only_the_exact_camel_case_form_matches() {
        assert!(is_camel_case_of("requestId", "request_id"));
        assert!(is_camel_case_of("maxInFlight", "max_in_flight"));
        for (given, snake) in [("requestID", "request_id"), ("request", "request_id"), ("requestIds", "request_id")] {
            assert!(!is_camel_case_of(given, snake), "{given}");
        }
        assert!(!is_camel_case_of("id", "id"), "the same spelling is not a second one");
    }

    #[test]
    fn null_and_blank_count_as_absent_and_the_last_of_two_counts() {
        let object = JsonObject::parse(r#"{"a":null,"b":"  ","c":1,"c":2}"#).unwrap();
        assert_eq!(object.text(&["a"]), Ok(None));
        assert_eq!(object.text(&["b"]), Ok(None));
        assert_eq!(object.integer(&["c"]), Ok(Some(2)));
        assert_eq!(field(object.required_text(&["b"])), "field \"b\" is required");
    }

    #[test]
    fn a_wrong_type_names_the_field() {
        let object = JsonObject::parse(r#"{"s":1,"n":"1","b":"true","o":[],"l":{},"t":-1,"f":1.5}"#).unwrap();
        assert_eq!(field(object.text(&["s"])), "field \"s\" must be a string");
        assert_eq!(field(object.integer(&["n"])), "field \"n\" must be an integer");
        assert_eq!(field(object.integer(&["f"])), "field \"f\" must be an integer");
        assert_eq!(field(object.boolean(&["b"])), "field \"b\" must be true or false");
        assert_eq!(field(object.object(&["o"])), "field \"o\" must be a JSON object");
        assert_eq!(field(object.array(&["l"], 9)), "field \"l\" must be an array");
        assert!(object.time(&["t"]).is_err());
    }

    #[test]
    fn what_is_no_object_says_why() {
        assert!(matches!(JsonObject::parse("nope"), Err(NotAnObject::Json(_))));
        assert!(matches!(JsonObject::parse(r#"{"a":1} x"#), Err(NotAnObject::Json(_))));
        assert_eq!(JsonObject::parse("[1]").err(), Some(NotAnObject::Kind));
        let many = (0..=FIELDS_MAX).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(",");
        assert_eq!(JsonObject::parse(&format!("{{{many}}}")).err(), Some(NotAnObject::Fields));
    }

    #[test]
    fn values_are_slices_and_escaped_keys_are_read() {
        let text = r#"{"\u0074ype":"esc\u0061ped","body":{"k": [1, 2]}}"#;
        let object = JsonObject::parse(text).unwrap();
        assert_eq!(object.text(&["type"]).unwrap().unwrap(), "escaped");
        assert!(text.as_bytes().as_ptr_range().contains(&object.raw("body").unwrap().get().as_ptr()));
    }
}
