//! Fields of inline JSON: of several spellings the first present one counts, and `null` counts as absent.

use crate::{instructions::parse::InstructionParams, wire::FieldError};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// An error in the parameters.
pub(super) struct ParamFault(pub(super) String);

impl ParamFault {
    pub(super) fn new(why: impl Into<String>) -> Self {
        ParamFault(why.into())
    }
}

impl From<FieldError> for ParamFault {
    fn from(fault: FieldError) -> Self {
        ParamFault(fault.to_string())
    }
}

pub(super) struct ParamFields<'a>(&'a Map<String, Value>);

impl<'a> ParamFields<'a> {
    pub(super) fn of(params: &'a InstructionParams) -> Result<Self, ParamFault> {
        match params {
            InstructionParams::InlineJson(Value::Object(fields)) => Ok(ParamFields(fields)),
            _ => Err(ParamFault::new("they must be a JSON object behind the second ::")),
        }
    }

    fn get(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.0.get(*name).filter(|value| !value.is_null()))
    }

    pub(super) fn all(&self) -> &'a Map<String, Value> {
        self.0
    }

    pub(super) fn text(&self, names: &[&str]) -> Result<Option<String>, ParamFault> {
        self.get(names).map(|value| text(value, names[0])).transpose()
    }

    pub(super) fn number(&self, names: &[&str], range: RangeInclusive<u64>) -> Result<Option<u64>, ParamFault> {
        let Some(value) = self.get(names) else { return Ok(None) };
        let number = value.as_u64().filter(|number| range.contains(number));
        let fault =
            || ParamFault(format!("{:?} must be an integer from {} to {}", names[0], range.start(), range.end()));
        number.map(Some).ok_or_else(fault)
    }
}

fn text(value: &Value, name: &str) -> Result<String, ParamFault> {
    value.as_str().map(str::to_owned).ok_or_else(|| ParamFault(format!("{name:?} must be a text")))
}
