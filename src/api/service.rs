//! Probes, and what the program is.

use super::fields::request_fields;
use crate::clock::WallMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Answer of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeAnswer {
    /// Result of the probe.
    pub status: ProbeStatus,
}

/// Result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeStatus {
    /// The process serves.
    Ok,
    /// The service is ready.
    Ready,
}

/// The program and its versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProgramVersion {
    /// Name of the program.
    pub name: Cow<'static, str>,
    /// Version of the program.
    pub version: Cow<'static, str>,
    /// Commit that it was built from.
    pub git_commit: Cow<'static, str>,
    /// Version of the protocol of the Firefox extension.
    pub protocol: Cow<'static, str>,
    /// Start of the daemon, in Unix milliseconds.
    pub started_at: WallMs,
}

request_fields! {
    /// Parameters of a part of the status page.
    StatusPageParameters {
        required {
            /// File name of the part.
            asset: String,
        }
        optional {}
    }
}

/// What the service is, and what it offers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceDescription {
    /// Name of the program.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// How callers authenticate.
    pub auth: Map<String, Value>,
    /// Platforms, modes and contracts of browser requests.
    pub browser: Map<String, Value>,
    /// Mode of the system.
    pub system: Map<String, Value>,
    /// What callers need to know besides.
    pub notes: Vec<String>,
}
