//! Inline JSON, stricter than JSON itself: what two parsers could read differently is rejected.

use super::ParseFault;
use crate::{instructions::rejection::RejectionCode, wire::after_string};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value, value::RawValue};
use std::fmt;

/// Deepest nesting of arrays and objects.
pub const DEPTH_MAX: usize = 64;

/// Largest integer up to which a double represents every integer exactly.
const INTEGER_MAX: u64 = 1 << 53;

/// Reads a JSON text that begins with an object or an array.
pub(super) fn read(text: &str) -> Result<Value, ParseFault> {
    let invalid =
        |error: serde_json::Error| (RejectionCode::InvalidJson, format!("the parameters are not JSON: {error}"));
    // Validates without recursion, so that the nesting cannot exhaust the stack.
    let raw: &RawValue = serde_json::from_str(text).map_err(invalid)?;
    scan(raw.get().as_bytes())?;
    serde_json::from_str::<StrictJson>(text).map(|StrictJson(value)| value).map_err(invalid)
}

/// Checks depth and numbers of a valid JSON text.
fn scan(json: &[u8]) -> Result<(), ParseFault> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = after_string(json, at),
            b'-' | b'0'..=b'9' => {
                let rest = json.get(at..).unwrap_or_default();
                let more = rest.iter().take_while(|b| b.is_ascii_digit() || b"+-.eE".contains(b)).count();
                let number = str::from_utf8(&json[at - 1..at + more]).unwrap_or_default();
                at += more;
                if !is_exact(number) {
                    let shown: String = number.chars().take(40).collect();
                    return Err((RejectionCode::NumberOutOfRange, format!("{shown} is beyond what a double holds")));
                }
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err((RejectionCode::TooDeep, format!("the parameters nest deeper than {DEPTH_MAX}")));
        }
    }
    Ok(())
}

/// Whether an integer lies within ±2^53, or another number within a double's range.
fn is_exact(number: &str) -> bool {
    if number.contains(['.', 'e', 'E']) {
        return number.parse::<f64>().is_ok_and(f64::is_finite);
    }
    number.parse::<i64>().is_ok_and(|integer| integer.unsigned_abs() <= INTEGER_MAX)
}

/// A JSON value without duplicate keys.
struct StrictJson(Value);

impl<'de> Deserialize<'de> for StrictJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictJsonVisitor).map(StrictJson)
    }
}

struct StrictJsonVisitor;

impl<'de> Visitor<'de> for StrictJsonVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(StrictJson(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, StrictJson(value))) = fields.next_entry::<String, StrictJson>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is there twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
