//! The contract of `POST /v1/browser/actions`.

use super::{Answer, Contract, ContractRoute, Field, Fields, errors, examples, field};
use crate::{
    http::{describe::context::Context, error::Code, fields::TIMEOUT_MS_MAX},
    wire::ActionKind,
};

pub(super) const ID: &str = "browser.actions";

pub(super) const EXAMPLES: &[(&str, &str)] = &[
    ("Ask the extension how it is", r#"{"action":"plugin_status"}"#),
    ("Open a platform's page", r#"{"action":"tab_open","platform":"claude","reason":"setup"}"#),
];

/// The contract.
pub(in crate::http::describe) fn action<'a>(context: &Context<'a>) -> Contract<'a> {
    Contract {
        route: ContractRoute::post(context, ID, "/v1/browser/actions"),
        request_body: Fields(body(context)),
        response_body: Answer::of(ANSWER),
        stream_events: None,
        supported_platforms: context.registry.names().collect(),
        supported_response_modes: None,
        supported_actions: Some(ActionKind::ALL.map(ActionKind::name)),
        error_semantics: errors(&[
            (Code::InvalidRequest, "A field is missing or wrong; details.field names it."),
            (Code::PlatformNotSupported, "The platform is unknown; details.supported_platforms lists them."),
            (
                Code::BrowserBridgeUnavailable,
                "No Firefox is connected, or it went away; details.error_code tells which.",
            ),
            (Code::BrowserClientNotFound, "The named client is not connected."),
            (Code::BrowserActionTimeout, "The extension did not answer, or the client did not come back, in time."),
            (Code::BrowserBridgeError, "The extension's answer cannot be read."),
        ]),
        examples: examples(context, |route| route.id == ID),
    }
}

fn body(context: &Context<'_>) -> Vec<Field> {
    let timeout = context.bridge.action_timeout_ms;
    vec![
        field(&["action"], "Required. One of supported_actions."),
        field(
            &["platform"],
            "Required for tab_open, tab_focus and tab_reload; tab_restore without one restores every tab that is \
             wanted.",
        ),
        field(&["client_id"], "Which Firefox; otherwise the active one."),
        field(&["reason"], "Why, for the extension and the log."),
        field(&["timeout_ms"], format!("Integer from 1 to {TIMEOUT_MS_MAX}. Default {timeout}.")),
        field(&["wait"], "true or false, for ws_reconnect alone: whether to wait until the client is back."),
    ]
}

/// What it answers.
const ANSWER: &[(&str, &str)] = &[
    ("accepted", "Whether the extension took it on."),
    ("completed", "Whether it is done."),
    ("failed", "Whether something went wrong; the answer is a success all the same."),
    ("action", "Which action."),
    ("type", "The type of the message that asked for it."),
    ("client_id", "Which Firefox."),
    ("connection_id", "On which connection."),
    ("dispatched_at", "When it was sent, in Unix milliseconds."),
    ("platform", "The platform."),
    ("reason", "Why."),
    ("request_id", "The daemon's id of the action."),
    ("target", "What it was aimed at."),
    ("result", "Counts over all platforms."),
    ("results", "One entry a platform."),
    ("shell_runtime", "The shell tabs afterwards."),
    ("reconnected", "With wait: the new connection_id, and after_ms, the milliseconds until the client was back."),
];
