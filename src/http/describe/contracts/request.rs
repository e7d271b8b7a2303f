//! The contract of `POST /v1/browser/request`.

use super::{Answer, Contract, ContractRoute, ErrorCase, Field, Fields, errors, examples, field};
use crate::{
    http::{
        describe::{context::Context, parts::RESPONSE_MODES},
        error::Code,
        fields::TIMEOUT_MS_MAX,
    },
    ids::NAME_CHARS_MAX,
    relay::ResponseMode,
};

pub(super) const ID: &str = "browser.request";

/// Bodies that can be sent as they are.
pub(super) const EXAMPLES: &[(&str, &str)] = &[
    ("Ask a web app's API and wait for the whole answer", r#"{"platform":"claude","path":"/api/organizations"}"#),
    (
        "Send JSON to a web app's API under an id of your own",
        r#"{"platform":"claude","method":"POST","path":"/api/example","request_body":{"text":"hello"},"request_id":"my-request-1","timeout_ms":60000}"#,
    ),
    (
        "Read an answer event by event as it is written",
        r#"{"platform":"claude","method":"POST","path":"/api/example/completion","prompt":"hello","response_mode":"sse"}"#,
    ),
];

/// The contract.
pub(in crate::http::describe) fn request<'a>(context: &Context<'a>) -> Contract<'a> {
    Contract {
        route: ContractRoute::post(context, ID, "/v1/browser/request"),
        request_body: Fields(body(context)),
        response_body: Answer::of(ANSWER),
        stream_events: Some(Answer::of(EVENTS)),
        supported_platforms: context.registry.names().collect(),
        supported_response_modes: Some(RESPONSE_MODES.map(ResponseMode::name)),
        supported_actions: None,
        error_semantics: error_cases(),
        examples: examples(context, |route| route.id == ID),
    }
}

/// What it takes.
pub(super) fn body(context: &Context<'_>) -> Vec<Field> {
    let timeout = context.bridge.request_timeout_ms;
    vec![
        field(&["platform"], "Required. Which web app; one of supported_platforms."),
        field(
            &["client_id"],
            "Which Firefox performs it, and no other. Without it the active client does if it is logged in to the \
             platform, else the one that reported its login last, else the active one.",
        ),
        field(
            &["request_id", "id"],
            format!(
                "An id of your own, 1 to {NAME_CHARS_MAX} characters of A-Za-z0-9._:-, with which it can be cancelled \
                 and found in the journal; generated when absent. No two live requests may have the same."
            ),
        ),
        field(
            &["method"],
            "HTTP method of the call to the app. Default GET, with a body or a prompt POST; never CONNECT, TRACE or \
             TRACK.",
        ),
        field(
            &["path"],
            "What is called: a path that begins with one /, or an absolute URL on one of the platform's hosts.",
        ),
        field(
            &["headers", "request_headers"],
            "An object of strings; headers that browsers set themselves, such as cookie, host, origin and sec-*, are \
             refused.",
        ),
        field(
            &["request_body", "body", "payload"],
            "The body of the call: a string is sent as it is, any other JSON as JSON with content-type \
             application/json unless headers say otherwise.",
        ),
        field(
            &["prompt", "message", "input"],
            "A text for the model. With a path and no body it becomes the body {\"prompt\": …}; without a path it is \
             for platforms with a prompt mode.",
        ),
        field(&["organization_id"], "In Claude's prompt mode: which organization."),
        field(&["conversation_id"], "In Claude's prompt mode: which conversation goes on."),
        field(
            &["response_mode"],
            format!(
                "{} (default) answers once with JSON; {} answers with server-sent events. GET /v1/browser shows what \
                 a platform supports.",
                ResponseMode::Buffered.name(),
                ResponseMode::Sse.name()
            ),
        ),
        field(
            &["timeout_ms"],
            format!(
                "Integer from 1 to {TIMEOUT_MS_MAX}, counted from the moment it is sent to the browser; also a query \
                 parameter, over which the body wins. Default {timeout} for buffered; a stream has no total limit \
                 unless one is given."
            ),
        ),
    ]
}

/// What it answers once.
const ANSWER: &[(&str, &str)] = &[
    ("client_id", "Which Firefox performed it."),
    ("platform", "The platform."),
    ("request_mode", "api_request when a path was given, else the platform's prompt mode."),
    ("organization", "The organization of a Claude prompt, else null."),
    ("conversation", "The conversation of a Claude prompt, else null."),
    ("policy", "How it was admitted: times and delays."),
    (
        "proxy",
        "What was asked of the app: method, path, request_body, request_id, response_mode, and the app's status.",
    ),
    (
        "response",
        "The app's body: parsed when it is JSON, {content_type, events, full_text, raw} when it is event-stream text, \
         null when empty, else a string.",
    ),
];

/// What it answers event by event, without the envelope.
const EVENTS: &[(&str, &str)] = &[
    ("stream_open", "First: who performs it, how it was admitted, the app's status."),
    ("stream_event", "Each event of the app: event, data and raw as they came, and seq, which rises."),
    ("stream_end", "Last, when all went well: status and partial, which counts what came."),
    (
        "stream_error",
        "Last, when not: error is the specific code, http_error and status are what a buffered answer would have had; \
         where the policy refused, rule, until and retry_after_ms say why and how long.",
    ),
];

fn error_cases() -> Vec<ErrorCase> {
    errors(&[
        (Code::InvalidRequest, "A field is missing or wrong; details.field names it."),
        (
            Code::PlatformNotSupported,
            "The platform is unknown (details.supported_platforms lists those there are), or lacks the mode that was \
             asked for.",
        ),
        (
            Code::BrowserBridgeUnavailable,
            "No Firefox is connected, or the one that performed it went away; details.error_code tells which.",
        ),
        (Code::BrowserClientNotFound, "The named client is not connected."),
        (Code::BrowserRequestConflict, "A live request already has this id."),
        (Code::BrowserRequestCancelled, "It was cancelled."),
        (Code::BrowserRequestTimeout, "The browser did not answer in time; the request may have had effects."),
        (
            Code::BrowserUpstreamError,
            "The app answered with an error: the status is the app's own 4xx or 5xx, else this one; details.upstream_body shows what it said.",
        ),
        (
            Code::BrowserResponseTooLarge,
            "The app's answer is larger than runtime.limits.max_response_bytes, or than the extension takes.",
        ),
        (Code::BrowserBridgeError, "The extension's answer could not be used."),
        (
            Code::BrowserRiskLimited,
            "The policy refused it, or its turn did not come in time; details.error_code tells which, details.rule for which rule, retry-after when to come back where that is known. GET /v1/browser/policy/explain says the same without a request.",
        ),
        (
            Code::Overloaded,
            "As many browser requests as runtime.limits.max_requests are under way; retry-after tells when to come back.",
        ),
        (Code::SystemDraining, "The system takes no new browser requests until it is resumed."),
    ])
}
