//! The envelope of every JSON answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Envelope of a success.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct SuccessEnvelope<T> {
    /// Always true.
    #[schemars(extend("const" = true))]
    pub ok: bool,
    /// Id of this HTTP exchange.
    #[serde(default)]
    pub request_id: String,
    /// The answer.
    pub data: T,
}

/// Envelope of a failure.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct FailureEnvelope<'a> {
    /// Always false.
    #[serde(default)]
    #[schemars(extend("const" = false))]
    pub ok: bool,
    /// Id of this HTTP exchange.
    #[serde(default)]
    pub request_id: Cow<'a, str>,
    /// Stable error code.
    pub error: Cow<'a, str>,
    /// A sentence for people.
    #[serde(default)]
    pub message: Cow<'a, str>,
    /// Further facts; absent if there are none.
    #[serde(default, skip_serializing_if = "no_details")]
    pub details: Cow<'a, Map<String, Value>>,
}

fn no_details(details: &Map<String, Value>) -> bool {
    details.is_empty()
}
