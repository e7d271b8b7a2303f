//! Failures as callers see them: a code, a status, a sentence for people, and details.

mod code;
mod failures;

use crate::{store::StoreError, wire::FieldError};
pub use code::Code;
pub(super) use failures::{of_action, of_cancel, of_cause, of_failure, of_refused, suggested_action};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A failure on its way to a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    code: Code,
    name: Cow<'static, str>,
    status: u16,
    message: String,
    details: Map<String, Value>,
    retry_after_s: Option<u64>,
    allow: Option<&'static str>,
}

impl ApiError {
    /// Creates a failure with a sentence for people.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (status, message) = (code.entry().1, message.into());
        let name = Cow::Borrowed(code.name());
        ApiError(Box::new(Parts { code, name, status, message, details: Map::new(), retry_after_s: None, allow: None }))
    }

    /// Creates the error of a missing or wrong field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message).with("field", field)
    }

    /// Creates the error of a resource that does not exist.
    pub fn not_found(resource: &str, message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message).with("resource", resource)
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.details.insert(name.to_owned(), value);
        }
        self
    }

    fn with_some(self, name: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Sets another status than the code's own.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.0.status = status;
        self
    }

    /// Sets the `retry-after` header, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Puts the platform into the code, if the code contains one.
    #[must_use]
    pub(super) fn about(mut self, platform: &str) -> Self {
        self.0.name = self.0.code.name_for(platform);
        self
    }

    /// Sets the `allow` header.
    #[must_use]
    pub fn allow(mut self, methods: &'static str) -> Self {
        self.0.allow = Some(methods);
        self
    }

    pub(super) fn code(&self) -> Code {
        self.0.code
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn status_code(&self) -> u16 {
        self.0.status
    }

    pub(super) fn message(&self) -> &str {
        &self.0.message
    }

    pub(super) fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }

    pub(super) fn retry_after_s(&self) -> Option<u64> {
        self.0.retry_after_s
    }

    pub(super) fn allowed_methods(&self) -> Option<&'static str> {
        self.0.allow
    }
}

impl From<FieldError> for ApiError {
    fn from(fault: FieldError) -> Self {
        Self::field(&fault.field, format!("Field \"{}\" {}.", fault.field, fault.reason))
    }
}

impl From<StoreError> for ApiError {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::NotFound => Self::not_found("record", "There is no such record."),
            StoreError::Panicked | StoreError::Database(_) => {
                Self::new(Code::InternalError, "The service failed unexpectedly.")
            }
            _ => Self::new(Code::StoreUnavailable, "The database cannot be read or written."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_named_in_message_and_details() {
        let error = ApiError::from(FieldError::new("platform", "is required"));
        assert_eq!(error.message(), "Field \"platform\" is required.");
        assert_eq!(error.details()["field"], "platform");
    }
}
