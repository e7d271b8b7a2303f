//! The fields of inline JSON: the first spelling that is there counts, and `null` is as if it were not there.

use crate::{instructions::parse::Params, wire::BadField};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// What is wrong with the parameters.
pub(super) struct Fault(pub(super) String);

impl Fault {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Fault(why.into())
    }
}

impl From<BadField> for Fault {
    fn from(fault: BadField) -> Self {
        Fault(fault.to_string())
    }
}

/// The fields of an object.
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn of(params: &'a Params) -> Result<Self, Fault> {
        match params {
            Params::InlineJson(Value::Object(fields)) => Ok(Fields(fields)),
            _ => Err(Fault::new("they must be a JSON object behind the second ::")),
        }
    }

    fn get(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.0.get(*name).filter(|value| !value.is_null()))
    }

    /// All of them.
    pub(super) fn all(&self) -> &'a Map<String, Value> {
        self.0
    }

    pub(super) fn text(&self, names: &[&str]) -> Result<Option<String>, Fault> {
        self.get(names).map(|value| text(value, names[0])).transpose()
    }

    pub(super) fn number(&self, names: &[&str], range: RangeInclusive<u64>) -> Result<Option<u64>, Fault> {
        let Some(value) = self.get(names) else { return Ok(None) };
        let number = value.as_u64().filter(|number| range.contains(number));
        let fault = || Fault(format!("{:?} must be an integer from {} to {}", names[0], range.start(), range.end()));
        number.map(Some).ok_or_else(fault)
    }
}

fn text(value: &Value, name: &str) -> Result<String, Fault> {
    value.as_str().map(str::to_owned).ok_or_else(|| Fault(format!("{name:?} must be a text")))
}
