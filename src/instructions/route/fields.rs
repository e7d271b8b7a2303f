//! The fields of inline JSON: the first spelling that is there counts, and `null` is as if it were not there.

use super::{Command, Encoding};
use crate::instructions::parse::Params;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, ops::RangeInclusive};

/// What is wrong with the parameters.
pub(super) struct Fault(pub(super) String);

impl Fault {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Fault(why.into())
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

    pub(super) fn required(&self, name: &str) -> Result<&'a Value, Fault> {
        self.get(&[name]).ok_or_else(|| Fault(format!("{name:?} is missing")))
    }

    pub(super) fn text(&self, names: &[&str]) -> Result<Option<String>, Fault> {
        self.get(names).map(|value| text(value, names[0])).transpose()
    }

    pub(super) fn path(&self, names: &[&str]) -> Result<Option<String>, Fault> {
        self.text(names)?.map(|text| path(&text)).transpose()
    }

    pub(super) fn required_path(&self) -> Result<String, Fault> {
        path(&text(self.required("path")?, "path")?)
    }

    pub(super) fn number(&self, names: &[&str], range: RangeInclusive<u64>) -> Result<Option<u64>, Fault> {
        let Some(value) = self.get(names) else { return Ok(None) };
        let number = value.as_u64().filter(|number| range.contains(number));
        let fault = || Fault(format!("{:?} must be an integer from {} to {}", names[0], range.start(), range.end()));
        number.map(Some).ok_or_else(fault)
    }

    pub(super) fn flag(&self, names: &[&str]) -> Result<bool, Fault> {
        let Some(value) = self.get(names) else { return Ok(false) };
        value.as_bool().ok_or_else(|| Fault(format!("{:?} must be true or false", names[0])))
    }

    pub(super) fn encoding(&self) -> Result<Encoding, Fault> {
        match self.text(&["encoding"])?.as_deref() {
            None | Some("utf8") => Ok(Encoding::Utf8),
            Some("base64") => Ok(Encoding::Base64),
            Some(_) => Err(Fault::new("\"encoding\" must be utf8 or base64")),
        }
    }

    pub(super) fn mode(&self, most: u32) -> Result<Option<u32>, Fault> {
        let Some(text) = self.text(&["mode"])? else { return Ok(None) };
        let octal = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| octal && *mode <= most);
        mode.map(Some).ok_or_else(|| Fault::new("\"mode\" must be octal digits, such as 0644"))
    }

    pub(super) fn command(&self) -> Result<Command, Fault> {
        let fault = || Fault::new("\"command\" must be a text, or a list that begins with a program");
        match self.required("command")? {
            Value::String(line) => program(line).map(Command::Shell),
            Value::Array(items) => {
                let words: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                let words = words.ok_or_else(fault)?;
                let begins = words.first().is_some_and(|program| !program.is_empty());
                let whole = words.iter().all(|word| !word.contains('\0'));
                if begins && whole { Ok(Command::Argv(words)) } else { Err(fault()) }
            }
            _ => Err(fault()),
        }
    }

    pub(super) fn variables(&self, name: &str) -> Result<BTreeMap<String, String>, Fault> {
        let fault = || Fault(format!("{name:?} must be an object of texts, each under a variable's name"));
        let Some(value) = self.get(&[name]) else { return Ok(BTreeMap::new()) };
        let variable = |(key, value): (&String, &Value)| {
            let text = value.as_str().filter(|text| !text.contains('\0'))?;
            (!key.is_empty() && !key.contains(['=', '\0'])).then(|| (key.clone(), text.to_owned()))
        };
        value.as_object().and_then(|fields| fields.iter().map(variable).collect()).ok_or_else(fault)
    }
}

pub(super) fn text(value: &Value, name: &str) -> Result<String, Fault> {
    value.as_str().map(str::to_owned).ok_or_else(|| Fault(format!("{name:?} must be a text")))
}

/// A path that a system call can take.
pub(super) fn path(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.contains('\0') {
        return Err(Fault::new("a path must not be empty or hold a NUL"));
    }
    Ok(text.to_owned())
}

/// A command line that a shell can take.
pub(super) fn program(line: &str) -> Result<String, Fault> {
    if line.trim().is_empty() || line.contains('\0') {
        return Err(Fault::new("a command must not be empty or hold a NUL"));
    }
    Ok(line.to_owned())
}
