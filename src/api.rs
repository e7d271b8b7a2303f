//! The HTTP API as types: the bodies and parameters that callers send, and the answers they get. One file per resource.
//!
//! The server writes these types, the command line reads them, and the OpenAPI document, the contracts of `/describe` and
//! the tables of `docs/http.md` are generated from their schemas: a doc comment here is the description that callers
//! read. Placeholders in braces, such as `{bridge.cancel_grace_ms}`, are replaced by the value in force.

pub mod actions;
pub mod browser;
pub mod browser_request;
pub mod claude;
pub mod codex;
pub mod envelope;
pub mod events;
pub mod fields;
pub mod host;
pub mod instructions;
pub mod journal;
pub mod messages;
pub mod paging;
pub mod pairings;
pub mod policy;
pub mod records;
pub mod request_error_code;
pub mod service;
pub mod session;
pub mod status;
pub mod system;
pub mod tasks;

/// An example of an answer, as its schema shows it. `json` is checked by a test.
fn example(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests;
