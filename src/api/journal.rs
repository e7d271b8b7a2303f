//! The journal of browser requests.

use super::{fields::request_fields, paging::PageInfo, policy::WaitReason};
use crate::clock::WallMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

/// A browser request in the journal. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    /// The journal number, ascending in order of arrival.
    #[serde(skip)]
    pub id: i64,
    /// Id of the request, chosen by the caller or the daemon.
    pub request_id: Arc<str>,
    /// Platform of the request.
    pub platform: Arc<str>,
    /// Client that performs it, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Arc<str>>,
    /// The upstream method, in upper case.
    pub method: Cow<'static, str>,
    /// The upstream path, with the names of its query's parameters only.
    pub path: String,
    /// `api_request` or `<platform>_prompt`.
    pub request_mode: Cow<'static, str>,
    /// `buffered` or `sse`.
    pub response_mode: Cow<'static, str>,
    /// `queued`, `admitted`, `dispatched`, `streaming` or `done`.
    pub phase: Cow<'static, str>,
    /// `success`, `failure` or `cancelled`, once it is done.
    pub outcome: Option<Cow<'static, str>>,
    /// Error code of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Cow<'static, str>>,
    /// The upstream status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// When the request arrived.
    pub requested_at: WallMs,
    /// Time of admission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted_at: Option<WallMs>,
    /// Time of the answer's first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_at: Option<WallMs>,
    /// Time of the end; absent while the request runs, or if the daemon died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<WallMs>,
    /// Milliseconds spent waiting for a slot.
    pub queue_delay_ms: i64,
    /// Milliseconds spent in back-off.
    pub backoff_delay_ms: i64,
    /// Milliseconds spent waiting for the platform's rate window.
    pub rate_limit_delay_ms: i64,
    /// Milliseconds of jitter.
    pub jitter_delay_ms: i64,
    /// Number of stream events.
    pub event_count: i64,
    /// Size of the answer, in bytes.
    pub bytes: i64,
    /// What a queued request waits for; never stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Box<WaitReason>>,
}

/// A part of the journal, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalPage {
    /// The requests.
    pub requests: Vec<JournalEntry>,
    /// The part of the list.
    #[serde(flatten)]
    pub page_info: PageInfo,
}

request_fields! {
    /// Part of the journal.
    JournalParameters { required {} optional {
        /// Only requests to this platform.
        platform: String,
        /// Only requests of this client.
        client_id | "clientId": String,
        /// Only requests with this outcome: `success`, `failure` or `cancelled`.
        outcome: String,
        /// Maximum number of requests, 1 to 500. Default 20.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// A request of the journal.
    JournalEntryParameters { required {
        /// Id of the request.
        request_id: String,
    } optional {} }
}
