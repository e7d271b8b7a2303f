//! The contract of `POST /v1/browser/request/cancel`.

use super::{Answer, Contract, ContractRoute, Field, Fields, errors, examples, field};
use crate::http::{describe::context::Context, error::Code};

pub(super) const ID: &str = "browser.request.cancel";

/// Bodies that can be sent as they are.
pub(super) const EXAMPLES: &[(&str, &str)] = &[(
    "Cancel a request, wherever it stands",
    r#"{"request_id":"my-request-1","platform":"claude","reason":"no longer needed"}"#,
)];

/// The contract.
pub(in crate::http::describe) fn cancel<'a>(context: &Context<'a>) -> Contract<'a> {
    Contract {
        route: ContractRoute::post(context, ID, "/v1/browser/request/cancel"),
        request_body: Fields(body()),
        response_body: answer(context),
        stream_events: None,
        supported_platforms: context.registry.names().collect(),
        supported_response_modes: None,
        supported_actions: None,
        error_semantics: errors(&[
            (Code::InvalidRequest, "A field is missing or wrong; details.field names it."),
            (
                Code::BrowserRequestNotFound,
                "No request of this id waits or is under way for this platform; one that has ended cannot be cancelled.",
            ),
            (Code::BrowserRequestClientMismatch, "Another client than the named one performs it."),
        ]),
        examples: examples(context, |route| route.id == ID),
    }
}

/// What it takes.
pub(super) fn body() -> Vec<Field> {
    vec![
        field(&["request_id", "id"], "Required. The id of the request to cancel."),
        field(&["platform"], "Required. The platform that the request was for."),
        field(&["client_id"], "The client that must be the one performing it."),
        field(&["reason"], "Why, for the extension and the log."),
    ]
}

fn answer(context: &Context<'_>) -> Answer {
    let grace = context.bridge.cancel_grace_ms;
    let mut answer = Answer::of(ANSWER);
    let status = format!(
        "cancelled, or cancel_requested: the request then ends when the extension answers, at the latest after {grace} \
         ms; an answer that was complete by then is delivered."
    );
    answer.0.insert(1, ("status", status));
    answer
}

/// What it answers, beside its status.
const ANSWER: &[(&str, &str)] = &[
    (
        "type",
        "queue_cancel when it was still waiting, so that the browser never heard of it; request_cancel when the \
         extension was told.",
    ),
    ("request_id", "Which request."),
    ("platform", "Its platform."),
    ("reason", "Why."),
    ("client_id", "Who performs it; only with request_cancel."),
    ("connection_id", "On which connection; only with request_cancel."),
    ("dispatched_at", "When the browser was asked for the request, in Unix milliseconds; only with request_cancel."),
];
