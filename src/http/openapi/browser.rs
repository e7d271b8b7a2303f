//! The browser: its state, requests, actions, policy and journal.

use super::shape::{Answer, Field, Operation, has, may};
use crate::http::error::Code;

const CLIENT: Field = may("client_id", "string?", "Which Firefox; otherwise one is selected. Also `clientId`.");
const PLATFORM: Field = may("platform", "string?", "Only this platform.");
const REASON: Field = may("reason", "string?", "Why, for the log.");
const LIMIT: Field = may("limit", "integer", "Most entries.");
const BEFORE: Field = may("before", "integer", "The `next_before` of an earlier answer.");
const COUNT: Field = has("count", "integer", "How many entries this answer has.");
const NEXT: Field = may("next_before", "integer", "Where the next older part begins, when there is one.");
const TIMEOUT: Field = may("timeout_ms", "integer?", "From 1 to 3600000. Also `timeoutMs`.");

const OF_REQUESTS: &[Code] = &[
    Code::PlatformNotSupported,
    Code::BrowserBridgeUnavailable,
    Code::BrowserClientNotFound,
    Code::BrowserRequestConflict,
    Code::BrowserRequestCancelled,
    Code::BrowserRequestTimeout,
    Code::BrowserUpstreamError,
    Code::BrowserUpstreamInvalidResponse,
    Code::BrowserResponseTooLarge,
    Code::BrowserBridgeError,
    Code::BrowserRiskLimited,
    Code::ClaudeCredentialsUnavailable,
    Code::TemplateUnavailable,
    Code::SystemDraining,
    Code::Overloaded,
    Code::NotFound,
    Code::PairingRequired,
];
const OF_ACTIONS: &[Code] = &[
    Code::PlatformNotSupported,
    Code::BrowserBridgeUnavailable,
    Code::BrowserClientNotFound,
    Code::BrowserActionTimeout,
    Code::BrowserBridgeError,
    Code::PairingRequired,
];

macro_rules! request {
    ($platform:expr) => {
        &[
            $platform,
            CLIENT,
            may("request_id", "string?", "An id of the caller's own. Also `requestId`, `id`."),
            may("method", "string?", "The method of the call to the app."),
            may("path", "string?", "What is called there: a path, or a URL on one of the platform's hosts."),
            may("headers", "object?", "Headers of the call, strings all. Also `request_headers`."),
            may("request_body", "any", "The body of the call. Also `requestBody`, `body`, `payload`."),
            may("prompt", "string?", "A text for the model. Also `message`, `input`."),
            may("organization_id", "string?", "Which organization, of a prompt to Claude."),
            may("conversation_id", "string?", "Which conversation goes on, of a prompt to Claude."),
            may("response_mode", "buffered|sse?", "Whole, or event by event. Also `responseMode`."),
            TIMEOUT,
        ]
    };
}
const REQUEST: &[Field] = request!(has("platform", "string", "Which web app."));
const SEND: &[Field] = request!(may("platform", "string?", "`claude`, when it is given."));
const ANSWERED: Answer = Answer::DataOrEvents(
    &[
        has("client_id", "string", "Who performed it."),
        has("platform", "string", "Which web app."),
        has("request_mode", "string", "`api_request`, or the platform's prompt mode."),
        has("organization", "object?", "Of a prompt to Claude."),
        has("conversation", "object?", "Of a prompt to Claude."),
        has("policy", "object?", "How it was admitted."),
        has("proxy", "object", "What was asked of the app, and its status."),
        has("response", "any", "The app's body."),
    ],
    r#"{"client_id":"firefox-1","platform":"claude","request_mode":"api_request","organization":null,"conversation":null,"policy":{},"proxy":{"method":"GET","path":"/api/organizations","request_id":"my-request-1","response_mode":"buffered","status":200,"request_body":null},"response":[]}"#,
);
const ACTION: &[Field] = &[
    has(
        "action",
        "plugin_status|request_credentials|tab_open|tab_focus|tab_reload|tab_restore|ws_reconnect|controller_reload",
        "What to do.",
    ),
    may("platform", "string?", "Whose tab."),
    CLIENT,
    REASON,
    TIMEOUT,
    may("wait", "boolean?", "Of `ws_reconnect`: answer when the client is back."),
];
const ON_CLAUDE: &[Field] = &[CLIENT, REASON, TIMEOUT];
const DONE: Answer = Answer::Data(
    &[
        has("accepted", "boolean", "Whether the extension took it on."),
        has("completed", "boolean", "Whether it is done."),
        has("failed", "boolean", "Whether something went wrong."),
        has("action", "string", "Which action."),
        has("type", "string", "The type of the message sent."),
        has("client_id", "string", "Who performed it."),
        has("connection_id", "string", "On which connection."),
        has("dispatched_at", "integer", "Unix milliseconds."),
        has("platform", "string?", "Whose tab."),
        has("reason", "string?", "Why, or why not."),
        has("request_id", "string", "The daemon's id of the action."),
        has("target", "object", "What it was aimed at."),
        has("results", "array", "What came of it, one entry for each tab."),
        has("shell_runtime", "array", "The tabs afterwards."),
    ],
    r#"{"accepted":true,"completed":true,"failed":false,"action":"tab_open","type":"open_tab","client_id":"firefox-1","connection_id":"conn-1","dispatched_at":1767225600000,"platform":"claude","reason":null,"request_id":"action-1","target":{},"result":{},"results":[],"shell_runtime":[]}"#,
);
const JOURNAL: &[Field] = &[
    has("request_id", "string", "Its id."),
    has("platform", "string", "Which web app."),
    has("phase", "queued|admitted|dispatched|streaming|done", "How far it is."),
    has("outcome", "success|failure|cancelled?", "Null while it is under way."),
];

const fn reads(id: &'static str, parameters: &'static [Field], answer: Answer, codes: &'static [Code]) -> Operation {
    Operation { id, parameters, body: &[], answer, codes, with_status: &[] }
}

const fn writes(id: &'static str, body: &'static [Field], answer: Answer, codes: &'static [Code]) -> Operation {
    Operation { id, parameters: &[], body, answer, codes, with_status: &[] }
}

pub(super) const OPERATIONS: &[Operation] = &[
    reads(
        "browser.status",
        &[
            PLATFORM,
            may("account", "string", "Only records of this account."),
            CLIENT,
            may("host", "string", "Only records of this host."),
            may("status", "fresh|stale|lost", "Only records of this status."),
            LIMIT,
            BEFORE,
        ],
        Answer::Data(
            &[
                has("bridge", "object", "Who is connected."),
                has("current_client", "object?", "The active client."),
                has("claude", "object?", "What the older Claude helpers ask first."),
                has("platforms", "array", "The registered platforms."),
                has("filters", "object", "The filters in force."),
                has("policy", "object", "Limits, platforms and targets."),
                has("records", "array", "Logins, live and stored."),
                has("summary", "object", "Their numbers."),
                NEXT,
            ],
            r#"{"bridge":{},"current_client":null,"claude":null,"platforms":[],"filters":{},"policy":{},"records":[],"summary":{}}"#,
        ),
        &[],
    ),
    Operation { parameters: &[TIMEOUT], ..writes("browser.request", REQUEST, ANSWERED, OF_REQUESTS) },
    writes(
        "browser.request.cancel",
        &[
            has("request_id", "string", "Which request. Also `requestId`, `id`."),
            has("platform", "string", "Its platform."),
            CLIENT,
            REASON,
        ],
        Answer::Data(
            &[
                has("status", "cancelled|cancel_requested", "Whether it is over."),
                has("type", "queue_cancel|request_cancel", "Where it was cancelled."),
                has("request_id", "string", "Which request."),
                has("platform", "string", "Its platform."),
                has("reason", "string?", "Why."),
            ],
            r#"{"status":"cancelled","type":"queue_cancel","request_id":"my-request-1","platform":"claude","reason":null}"#,
        ),
        &[Code::BrowserRequestNotFound, Code::BrowserRequestClientMismatch],
    ),
    reads(
        "browser.policy.explain",
        &[has("platform", "string", "Which platform."), CLIENT],
        Answer::Data(
            &[
                may("client_id", "string", "Who would perform it."),
                has("platform", "string", "Which platform."),
                has("would", "admit|wait|refuse", "What would become of it."),
                has("reasons", "array", "rule, until, delay_ms, position and message of each rule that it would meet."),
            ],
            r#"{"client_id":"firefox-1","platform":"claude","would":"admit","reasons":[]}"#,
        ),
        &[Code::PlatformNotSupported, Code::BrowserClientNotFound, Code::BrowserBridgeUnavailable],
    ),
    writes(
        "browser.policy.reset",
        &[PLATFORM, CLIENT],
        Answer::Data(&[has("reset", "array", "What the targets were before.")], r#"{"reset":[]}"#),
        &[Code::PlatformNotSupported],
    ),
    writes("browser.actions", ACTION, DONE, OF_ACTIONS),
    writes("browser.claude.open", ON_CLAUDE, DONE, OF_ACTIONS),
    writes("browser.claude.reload", ON_CLAUDE, DONE, OF_ACTIONS),
    Operation { parameters: &[TIMEOUT], ..writes("browser.claude.send", SEND, ANSWERED, OF_REQUESTS) },
    reads(
        "browser.claude.current",
        &[
            CLIENT,
            may("organization_id", "string", "Which organization."),
            may("conversation_id", "string", "Which conversation."),
            TIMEOUT,
        ],
        Answer::Data(
            &[
                has("conversation", "object", "Which one it is."),
                has("messages", "array", "id, role, content and created_at of each."),
                has("organization", "object", "Whose it is."),
                has("page", "object", "The client that read it."),
                has("platform", "string", "`claude`."),
                has("proxy", "object", "path, request_id and status."),
                has("raw", "any", "What the app answered."),
            ],
            r#"{"conversation":{},"messages":[],"organization":{},"page":{},"platform":"claude","proxy":{},"raw":{}}"#,
        ),
        OF_REQUESTS,
    ),
    reads(
        "browser.messages",
        &[PLATFORM, may("conversation_id", "string", "Only of this conversation."), LIMIT, BEFORE],
        Answer::Data(&[has("messages", "array", "Newest first."), COUNT, NEXT], r#"{"messages":[],"count":0}"#),
        &[Code::StoreUnavailable],
    ),
    reads(
        "browser.requests",
        &[PLATFORM, CLIENT, may("outcome", "success|failure|cancelled", "Only of this outcome."), LIMIT, BEFORE],
        Answer::Data(&[has("requests", "array", "Newest first."), COUNT, NEXT], r#"{"requests":[],"count":0}"#),
        &[Code::StoreUnavailable],
    ),
    reads(
        "browser.requests.one",
        &[has("request_id", "string", "Which request.")],
        Answer::Data(
            JOURNAL,
            r#"{"request_id":"my-request-1","platform":"claude","phase":"done","outcome":"success"}"#,
        ),
        &[Code::NotFound, Code::StoreUnavailable],
    ),
];
