//! Parses the input of host operations from JSON, for routes and instructions.
//!
//! The first present spelling of a field counts, `null` means absent, and unknown fields are ignored. Nothing is trimmed:
//! a blank may be part of a path.

use super::{
    exec::{ExecCommand, ExecInput, OUTPUT_BYTES_DEFAULT, OUTPUT_BYTES_MAX, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX},
    files::{FileEncoding, FileReadInput, FileWriteInput, READ_BYTES_DEFAULT, READ_BYTES_MAX},
};
use crate::{
    api::{
        fields::camel_case,
        host::{ExecRequest, FileReadRequest, FileWriteRequest},
    },
    wire::FieldError,
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, ops::RangeInclusive};

/// Highest file mode: permissions and the three special bits.
const MODE_MAX: u32 = 0o7777;
/// Variables per command.
const VARIABLES_MAX: usize = 256;
/// Arguments per command, with the program.
const WORDS_MAX: usize = 4_096;

/// Parses the input of `exec`.
///
/// # Errors
///
/// Names the missing or invalid field.
pub fn parse_exec(fields: &Map<String, Value>) -> Result<ExecInput, FieldError> {
    let fields = InputFields(fields);
    Ok(ExecInput {
        command: fields.command()?,
        cwd: fields.path(ExecRequest::cwd())?,
        env: fields.variables()?,
        stdin: fields.text(ExecRequest::stdin())?,
        timeout_ms: fields.number(ExecRequest::timeout_ms(), 1..=TIMEOUT_MS_MAX)?.unwrap_or(TIMEOUT_MS_DEFAULT),
        max_output_bytes: fields
            .number(ExecRequest::max_output_bytes(), 0..=OUTPUT_BYTES_MAX)?
            .unwrap_or(OUTPUT_BYTES_DEFAULT),
    })
}

/// Parses the input of `files/read`.
///
/// # Errors
///
/// Names the missing or invalid field.
pub fn parse_file_read(fields: &Map<String, Value>) -> Result<FileReadInput, FieldError> {
    let fields = InputFields(fields);
    Ok(FileReadInput {
        path: fields.required_path()?,
        cwd: fields.path(FileReadRequest::cwd())?,
        encoding: fields.encoding()?,
        offset: fields.number(FileReadRequest::offset(), 0..=i64::MAX as u64)?.unwrap_or(0),
        max_bytes: fields.number(FileReadRequest::max_bytes(), 1..=READ_BYTES_MAX)?.unwrap_or(READ_BYTES_DEFAULT),
    })
}

/// Parses the input of `files/write`.
///
/// # Errors
///
/// Names the missing or invalid field.
pub fn parse_file_write(fields: &Map<String, Value>) -> Result<FileWriteInput, FieldError> {
    let fields = InputFields(fields);
    let (path, cwd, encoding) = (fields.required_path()?, fields.path(FileWriteRequest::cwd())?, fields.encoding()?);
    let content = fields.text(FileWriteRequest::content())?.ok_or_else(|| FieldError::new("content", "is required"))?;
    if encoding.decode(&content).is_none() {
        return Err(FieldError::new("content", "must be base64 with padding"));
    }
    Ok(FileWriteInput {
        path,
        cwd,
        content,
        encoding,
        overwrite: fields.flag(FileWriteRequest::overwrite())?,
        create_parents: fields.flag(FileWriteRequest::create_parents())?,
        mode: fields.mode()?,
    })
}

/// Parses a command line for the shell.
///
/// # Errors
///
/// The line is blank or contains a NUL.
pub fn parse_shell(line: &str) -> Result<ExecCommand, FieldError> {
    if line.trim().is_empty() || line.contains('\0') {
        return Err(FieldError::new("command", "must not be empty or contain a NUL"));
    }
    Ok(ExecCommand::Shell(line.to_owned()))
}

/// Parses a path; `name` is the field in errors.
///
/// # Errors
///
/// The path is empty or contains a NUL.
pub fn parse_path(name: &'static str, text: &str) -> Result<String, FieldError> {
    if text.is_empty() || text.contains('\0') {
        return Err(FieldError::new(name, "must not be empty or contain a NUL"));
    }
    Ok(text.to_owned())
}

/// The names of a field, the preferred one first; each may be written in camelCase as well.
type FieldNames = &'static [&'static str];

/// The fields of a JSON object, by name and aliases.
struct InputFields<'a>(&'a Map<String, Value>);

impl<'a> InputFields<'a> {
    fn get(&self, names: FieldNames) -> Option<&'a Value> {
        let given = |name: &str| self.0.get(name).filter(|value| !value.is_null());
        names.iter().find_map(|name| given(name).or_else(|| given(&camel_case(name))))
    }

    fn text(&self, names: FieldNames) -> Result<Option<String>, FieldError> {
        let fault = || FieldError::new(names[0], "must be a string");
        self.get(names).map(|value| value.as_str().map(str::to_owned).ok_or_else(fault)).transpose()
    }

    fn path(&self, names: FieldNames) -> Result<Option<String>, FieldError> {
        self.text(names)?.map(|text| parse_path(names[0], &text)).transpose()
    }

    fn required_path(&self) -> Result<String, FieldError> {
        self.path(FileReadRequest::path())?.ok_or_else(|| FieldError::new("path", "is required"))
    }

    fn number(&self, names: FieldNames, range: RangeInclusive<u64>) -> Result<Option<u64>, FieldError> {
        let Some(value) = self.get(names) else { return Ok(None) };
        let fault =
            || FieldError::new(names[0], format!("must be an integer from {} to {}", range.start(), range.end()));
        value.as_u64().filter(|number| range.contains(number)).map(Some).ok_or_else(fault)
    }

    fn flag(&self, names: FieldNames) -> Result<bool, FieldError> {
        let Some(value) = self.get(names) else { return Ok(false) };
        value.as_bool().ok_or_else(|| FieldError::new(names[0], "must be true or false"))
    }

    fn encoding(&self) -> Result<FileEncoding, FieldError> {
        match self.text(FileReadRequest::encoding())?.as_deref() {
            None | Some("utf8") => Ok(FileEncoding::Utf8),
            Some("base64") => Ok(FileEncoding::Base64),
            Some(_) => Err(FieldError::new("encoding", "must be utf8 or base64")),
        }
    }

    fn mode(&self) -> Result<Option<u32>, FieldError> {
        let fault = || FieldError::new("mode", "must be a string of octal digits, such as \"0644\"");
        let Some(value) = self.get(FileWriteRequest::mode()) else { return Ok(None) };
        let text = value.as_str().ok_or_else(fault)?;
        let octal = !text.is_empty() && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= MODE_MAX).map(Some).ok_or_else(fault)
    }

    fn command(&self) -> Result<ExecCommand, FieldError> {
        let fault =
            || FieldError::new("command", "must be a string, or an array of strings whose first is the program");
        match self.get(ExecRequest::command()) {
            None => Err(FieldError::new("command", "is required")),
            Some(Value::String(line)) => parse_shell(line),
            Some(Value::Array(items)) => {
                let words: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                let words = words.ok_or_else(fault)?;
                let begins = words.first().is_some_and(|program| !program.is_empty());
                let whole = words.len() <= WORDS_MAX && words.iter().all(|word| !word.contains('\0'));
                if begins && whole { Ok(ExecCommand::Argv(words)) } else { Err(fault()) }
            }
            Some(_) => Err(fault()),
        }
    }

    fn variables(&self) -> Result<BTreeMap<String, String>, FieldError> {
        let fault = || FieldError::new("env", "must be an object of at most 256 strings, keyed by variable name");
        let Some(value) = self.get(ExecRequest::env()) else { return Ok(BTreeMap::new()) };
        let variable = |(key, value): (&String, &Value)| {
            let text = value.as_str().filter(|text| !text.contains('\0'))?;
            (!key.is_empty() && !key.contains(['=', '\0'])).then(|| (key.clone(), text.to_owned()))
        };
        let given = value.as_object().filter(|fields| fields.len() <= VARIABLES_MAX).ok_or_else(fault)?;
        given.iter().map(variable).collect::<Option<_>>().ok_or_else(fault)
    }
}

#[cfg(test)]
mod tests;
