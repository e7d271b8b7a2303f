//! JSON that passes through as it came: a checked slice of the buffer it arrived in, never parsed into a tree.

use bytes::Bytes;
use bytestring::ByteString;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// JSON text that was checked to be JSON, sharing the buffer it came in. The empty one stands for `null`.
#[derive(Clone, Default, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct RawJson(#[schemars(with = "serde_json::Value")] ByteString);

impl RawJson {
    /// Returns the part of `whole` that serde identified as a value.
    pub fn cut(whole: &ByteString, part: &RawValue) -> Self {
        RawJson(whole.slice_ref(part.get()))
    }

    /// Wraps text that is known to be JSON.
    pub fn trusted(json: impl Into<ByteString>) -> Self {
        RawJson(json.into())
    }

    /// Serializes `value`.
    pub fn of(value: &impl Serialize) -> Self {
        RawJson(serde_json::to_string(value).expect("our own values have string keys").into())
    }

    /// Returns the JSON text.
    pub fn text(&self) -> &str {
        if self.0.is_empty() { "null" } else { &self.0 }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }

    /// Returns the text on one line, as an SSE `data:` needs it. JSON has line breaks only between values, where a blank
    /// means the same.
    pub fn line(&self) -> Cow<'_, str> {
        let text = self.text();
        if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some() {
            Cow::Owned(text.replace(['\n', '\r'], " "))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Returns the string, unescaped; `None` for another kind of value.
    pub fn string(&self) -> Option<Cow<'_, str>> {
        string(self.text())
    }

    /// Returns the JSON text as bytes that share its buffer.
    pub fn into_bytes(self) -> Bytes {
        if self.0.is_empty() { Bytes::from_static(b"null") } else { self.0.into_bytes() }
    }

    /// Appends this as a field to the JSON object in `object`, unchecked.
    pub fn splice_into(&self, object: &mut String, field: &str) {
        debug_assert!(object.ends_with('}') && object.len() > 2, "an object with at least one field");
        object.pop();
        for part in [",\"", field, "\":", self.text(), "}"] {
            object.push_str(part);
        }
    }

    /// Returns the number of bytes, for memory accounting.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no value was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the string that `json` is, unescaped, borrowed if it has no escapes; `None` for another kind of value.
pub(crate) fn string(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(json).ok().map(Cow::Owned)
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.text()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(RawJson(ByteString::from(String::from(Box::<str>::from(raw)))))
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bodies must not appear in logs.
        write!(f, "{} bytes of JSON", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_breaks_and_means_the_same() {
        let raw = RawJson::trusted("{\n  \"a\": [1,\r\n 2], \"b\": \"x\\ny\"\n}");
        let line = raw.line();
        assert!(!line.contains(['\n', '\r']));
        let (a, b): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&line).unwrap(), serde_json::from_str(raw.text()).unwrap());
        assert_eq!(a, b);
        assert!(matches!(RawJson::trusted("[1, 2]").line(), Cow::Borrowed("[1, 2]")));
    }

    #[test]
    fn strings_are_unescaped_and_other_values_are_none() {
        assert_eq!(RawJson::trusted(r#""a\"b\u00e4""#).string().unwrap(), "a\"bä");
        assert!(matches!(RawJson::trusted(r#""plain""#).string(), Some(Cow::Borrowed("plain"))));
        assert_eq!(RawJson::trusted("[1]").string(), None);
        assert_eq!(RawJson::default().text(), "null");
    }

    #[test]
    fn a_spliced_field_is_the_last_of_its_object() {
        let mut object = r#"{"a":1}"#.to_owned();
        RawJson::trusted("[1, 2]").splice_into(&mut object, "body");
        assert_eq!(object, r#"{"a":1,"body":[1, 2]}"#);
    }

    #[test]
    fn debug_output_holds_no_body() {
        assert_eq!(format!("{:?}", RawJson::trusted("\"secret\"")), "8 bytes of JSON");
    }
}
