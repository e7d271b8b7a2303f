//! Browser requests: what is sent through a Firefox, its answer, and its cancellation.

use super::{fields::request_fields, policy::Admission};
use crate::{
    clock::WallMs,
    ids::{ClientId, ConnectionId, PlatformName, RequestId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

pub use crate::platforms::plan::{Conversation, Organization};

request_fields! {
    /// A request through a Firefox.
    #[derive(Default)]
    BrowserRequest {
        required {
            /// The web app; one of supported_platforms.
            platform: String,
        }
        optional {
            /// Client that performs it, and no other. Without it the active client does if it is logged in to the platform,
            /// else the one that reported its login last, else the active one.
            client_id: String,
            /// An id of your own, 1 to {NAME_CHARS_MAX} characters of A-Za-z0-9._:-, with which the request can be cancelled
            /// and found in the journal; generated when absent. No two live requests may have the same.
            request_id | "id": String,
            /// HTTP method of the call to the app. Default GET, with a body or a prompt POST; never CONNECT, TRACE or TRACK.
            method: String,
            /// What is called: a path that begins with one /, or an absolute URL on one of the platform's hosts. Required
            /// without a prompt.
            path: String,
            /// An object of strings; headers that browsers set themselves, such as cookie, host, origin and sec-*, are
            /// refused.
            headers | "request_headers": BTreeMap<String, String>,
            /// The body of the call: a string is sent as it is, any other JSON as JSON with content-type application/json
            /// unless headers say otherwise.
            request_body | "body" | "payload": Box<RawValue>,
            /// A text for the model. With a path and no body it becomes the body {"prompt": …}; without a path it is for
            /// platforms with a prompt mode.
            prompt | "message" | "input": String,
            /// In Claude's prompt mode: the organization.
            organization_id: String,
            /// In Claude's prompt mode: the conversation that goes on.
            conversation_id: String,
            /// buffered (default) answers once with JSON; sse answers with server-sent events. GET /v1/browser shows what a
            /// platform supports.
            response_mode: ResponseMode,
            /// Integer from 1 to {TIMEOUT_MS_MAX}, counted from the moment the request is sent to the browser; also a query
            /// parameter, over which the body wins. Default {bridge.request_timeout_ms} for buffered; a stream has no total
            /// limit unless one is given.
            timeout_ms: u64,
        }
    }
}

request_fields! {
    /// A request to Claude.
    #[derive(Default)]
    ClaudeRequest {
        required {}
        optional {
            /// `claude`, if it is given.
            platform: String,
            /// As of a browser request.
            client_id: String,
            /// As of a browser request.
            request_id | "id": String,
            /// HTTP method of the call to the app. Default POST.
            method: String,
            /// As of a browser request.
            path: String,
            /// As of a browser request.
            headers | "request_headers": BTreeMap<String, String>,
            /// As of a browser request.
            request_body | "body" | "payload": Box<RawValue>,
            /// As of a browser request.
            prompt | "message" | "input": String,
            /// As of a browser request.
            organization_id: String,
            /// As of a browser request.
            conversation_id: String,
            /// As of a browser request.
            response_mode: ResponseMode,
            /// As of a browser request.
            timeout_ms: u64,
        }
    }
}

request_fields! {
    /// Parameters of a browser request.
    #[derive(Default)]
    BrowserRequestParameters {
        required {}
        optional {
            /// Milliseconds from the moment it is sent to the browser, from 1 to {TIMEOUT_MS_MAX}; the body's value wins.
            timeout_ms | "timeoutMs": u64,
        }
    }
}

/// How the answer of a request is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ResponseMode {
    /// Once, with JSON.
    Buffered,
    /// With server-sent events.
    Sse,
}

/// Answer of a buffered request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"client_id":"firefox-1","platform":"claude","request_mode":"api_request","organization":null,"conversation":null,"policy":null,"proxy":{"method":"GET","path":"/api/organizations","request_id":"my-request-1","response_mode":"buffered","status":200,"request_body":null},"response":[]}"#))]
pub struct BrowserResponse {
    /// Client that performed it.
    pub client_id: ClientId,
    /// The platform.
    pub platform: PlatformName,
    /// api_request when a path was given, else the platform's prompt mode.
    pub request_mode: String,
    /// The organization of a Claude prompt, else null.
    pub organization: Option<Organization>,
    /// The conversation of a Claude prompt, else null.
    pub conversation: Option<Conversation>,
    /// How it was admitted: times and delays.
    pub policy: Option<Admission>,
    /// What the app was asked, and its status.
    pub proxy: UpstreamExchange,
    /// The app's body: parsed when it is JSON, {content_type, events, full_text, raw} when it is event-stream text, null
    /// when empty, else a string.
    pub response: Box<RawValue>,
}

/// What the app was asked, and its status.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamExchange {
    /// HTTP method.
    pub method: String,
    /// Path; null for a prompt that the extension's template sends.
    pub path: Option<String>,
    /// Id of the request.
    pub request_id: RequestId,
    /// Always `buffered`.
    pub response_mode: ResponseMode,
    /// HTTP status of the app.
    pub status: u16,
    /// Body that was sent.
    pub request_body: Box<RawValue>,
}

/// Events of a streamed answer, without the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BrowserStreamEvent {
    /// First: the client that performs it, how it was admitted, the app's status.
    StreamOpen,
    /// Each event of the app: event, data and raw as they came, and seq, which rises.
    StreamEvent,
    /// Last, when all went well: status and partial, which counts what came.
    StreamEnd,
    /// Last, when not: error is the specific code, http_error and status are what a buffered answer would have had; where
    /// the policy refused, rule, until and retry_after_ms say why and how long.
    StreamError,
}

request_fields! {
    /// A request to be cancelled.
    #[derive(Default)]
    CancelRequest {
        required {
            /// Id of the request to cancel.
            request_id | "id": String,
            /// Platform that the request was for.
            platform: String,
        }
        optional {
            /// Client that must be the one performing it.
            client_id: String,
            /// Reason, for the extension and the log.
            reason: String,
        }
    }
}

/// Response to a cancellation. Repeated cancellations of a request get the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"status":"cancelled","type":"queue_cancel","request_id":"my-request-1","platform":"claude","reason":"cancelled_by_caller"}"#))]
pub struct CancelResponse {
    /// cancelled, or cancel_requested: the request then ends when the extension answers, at the latest after
    /// {bridge.cancel_grace_ms} ms; an answer that was complete by then is delivered.
    pub status: CancelStatus,
    /// queue_cancel when it was still waiting and was never sent to the browser; request_cancel when the extension was notified.
    #[serde(rename = "type")]
    pub kind: CancelKind,
    /// Id of the request.
    pub request_id: RequestId,
    /// Platform of the request.
    pub platform: PlatformName,
    /// Reason of the cancellation.
    pub reason: String,
    /// Client that performs it; only with request_cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// Connection of that client; only with request_cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// When the browser was asked for the request, in Unix milliseconds; only with request_cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatched_at: Option<WallMs>,
}

impl CancelResponse {
    /// Returns the response of a request that left its queue.
    pub fn queued(request_id: RequestId, platform: PlatformName, reason: String) -> Self {
        CancelResponse {
            status: CancelStatus::Cancelled,
            kind: CancelKind::QueueCancel,
            request_id,
            platform,
            reason,
            client_id: None,
            connection_id: None,
            dispatched_at: None,
        }
    }
}

/// State of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelStatus {
    /// The request has ended.
    Cancelled,
    /// The last report of the extension is awaited.
    CancelRequested,
}

/// Where a request was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelKind {
    /// In its queue.
    QueueCancel,
    /// In the browser.
    RequestCancel,
}
