//! Paired and waiting clients, and the operator's decisions about them.

use super::fields::request_fields;
use crate::{clock::WallMs, ids::ClientId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The pairing status of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairingStatus {
    /// The client shows a code and waits for the operator.
    Waiting,
    /// The operator approved the client.
    Paired,
    /// The operator rejected the client.
    Rejected,
    /// The client no longer waits: it disconnected, or was disconnected after too many wrong codes.
    Left,
    /// The operator removed the client.
    Forgotten,
}

/// A paired or waiting client as the operator sees it; without code and key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pairing {
    /// Id, as the client reports it.
    pub client_id: ClientId,
    /// Pairing status.
    pub status: PairingStatus,
    /// Origin; `none` for a peer that is not a browser.
    pub origin: Arc<str>,
    /// Time of the pairing request, in Unix milliseconds.
    #[serde(default)]
    pub requested_at: WallMs,
    /// Time of the approval, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<WallMs>,
    /// Time at which its code expires, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<WallMs>,
}

/// Paired and waiting clients, latest request first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"pairings":[{"client_id":"firefox-1","status":"waiting",
    "origin":"moz-extension://3f2a","requested_at":1795900000000,"expires_at":1795900300000}],"count":1}"#))]
pub struct PairingList {
    /// The clients.
    pub pairings: Vec<Pairing>,
    /// Number of clients.
    #[serde(default)]
    pub count: usize,
}

request_fields! {
    /// A paired or waiting client.
    PairingParameters { required {
        /// Id of the client.
        client_id: String,
    } optional {} }
}
request_fields! {
    /// Decision about a client.
    PairingDecisionRequest { required {
        /// `approve` or `reject`.
        decision: String,
    } optional {
        /// The six digits that the client shows; required to approve.
        code: String,
    } }
}
