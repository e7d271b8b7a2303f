//! The one table of routes, from which the router and every description are made. A path that is not here does not exist.
//!
//! One route, one entry, every part of it required:
//!
//! ```text
//! "id" METHOD "/path" [Access, Kind, Surface, Feature] example(), module::handler, answers::<T>().parameters::<P>().body::<B>().fails(CODES),
//! "What it does." => "/successor";
//! ```
//!
//! The example is `plain()`, `at("/path/with/parts?and=query")`, `body(r#"{…}"#)` or `at(…).with(…)`; a successor stands
//! with routes that callers should leave. The types of parameters, body and answer are those of `crate::api`.

use super::{
    ServerCore, actions,
    authenticator::RouteAccess,
    browser, browser_status, claude, codex, describe,
    endpoint::{self, KnownPath},
    error::Code,
    events, extension, host, instructions, journal, messages, metrics, openapi,
    operation::{self, answers, answers_bare, answers_or_streams, answers_status, passes_on, serves, streams},
    origin_policy::OriginPolicy,
    page, pairings, policy, probes,
    route::{Feature, Kind, Route, Surface, at, body, plain},
    session, socket, status, system, tasks,
};
use crate::{
    api::{
        actions::{ActionOutcome, ActionRequest, ClaudeOpened, ClaudeTabRequest},
        browser::{BrowserState, BrowserStateParameters},
        browser_request::{
            BrowserRequest, BrowserRequestParameters, BrowserResponse, BrowserStreamEvent, CancelRequest,
            CancelResponse, ClaudeRequest,
        },
        claude::{ClaudeConversation, ClaudeConversationParameters},
        codex::{CodexRequest, CodexSessionParameters},
        events::DaemonEvent,
        host::{ExecRequest, FileReadRequest, FileWriteRequest},
        instructions::{
            BatchList, BatchSummary, InstructionBatch, InstructionBatchParameters, InstructionDecisionRequest,
            InstructionListParameters, InstructionMessageRequest, InstructionSubmission,
        },
        journal::{JournalEntry, JournalEntryParameters, JournalPage, JournalParameters},
        messages::{MessageList, MessageListParameters},
        pairings::{Pairing, PairingDecisionRequest, PairingList, PairingParameters},
        policy::{ExplainParameters, ExplainedRequest, PolicyResetRequest, PolicyResetResult},
        service::{ProbeAnswer, ProgramVersion, ServiceDescription, StatusPageParameters},
        session::{SessionCode, SessionEnd, SessionStart, SessionStartRequest},
        status::ServiceStatus,
        system::{ControllerList, ControllerListParameters, ModeChangeRequest, SystemState},
        tasks::{
            RunList, RunListParameters, Task, TaskList, TaskListParameters, TaskLogList, TaskLogParameters,
            TaskParameters,
        },
    },
    bridge::WS_PATH,
    host::{ExecResult, FileReadResult, FileWriteResult, OperationOutcome},
};
use actix_web::{HttpRequest, HttpResponse, guard, http::Method, web};
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;

macro_rules! routes {
    ($(#[$meta:meta])* $vis:vis static $table:ident;
     $($id:literal $method:ident $path:tt [$access:ident, $kind:ident, $surface:ident, $feature:ident] $example:expr,
       $handler:path, $operation:expr, $summary:literal $(=> $successor:literal)?;)*) => {
        $(#[$meta])*
        $vis static $table: &[Route] = &[$(Route {
            id: $id,
            method: stringify!($method),
            path: $path,
            access: RouteAccess::$access,
            kind: Kind::$kind,
            surface: Surface::$surface,
            feature: Feature::$feature,
            example: $example,
            summary: $summary,
            operation: $operation,
            successor: [$(Some($successor),)? None][0],
            handler: |call| Box::pin($handler(call)),
        },)*];
    };
}

routes! {
    /// Every route there is.
    pub static ROUTES;

    "service.health" GET "/health" [Open, Probe, Both, Always] plain(), probes::health,
        answers::<ProbeAnswer>(),
        "Says that the process serves.";
    "service.healthz" GET "/healthz" [Open, Probe, Both, Always] plain(), probes::health,
        answers::<ProbeAnswer>(),
        "Says that the process serves.";
    "service.readyz" GET "/readyz" [Open, Probe, Both, Always]
        plain(), probes::ready,
        answers::<ProbeAnswer>().fails(&[Code::StoreUnavailable, Code::NotReady]),
        "Says whether the store answers and the actors run.";
    "service.version" GET "/version" [Open, Probe, Both, Always]
        plain(), probes::version,
        answers::<ProgramVersion>(),
        "Names the program, its version and its protocol.";
    "service.metrics" GET "/metrics" [Local, Probe, Both, Always]
        plain(), metrics::show,
        serves(&["text/plain"]),
        "Shows what is counted, in Prometheus' text format.";
    "discovery.describe" GET "/describe" [Local, Read, Both, Always]
        plain(), describe::show,
        answers::<ServiceDescription>(),
        "Describes everything there is to call.";
    "discovery.describe.business" GET "/describe/business" [Local, Read, Both, Always]
        plain(), describe::show_business,
        answers::<ServiceDescription>(),
        "Describes what callers of web apps need.";
    "discovery.describe.control" GET "/describe/control" [Local, Read, Both, Always]
        plain(), describe::show_control,
        answers::<ServiceDescription>(),
        "Describes what changes the system.";
    "discovery.capabilities" GET "/v1/capabilities" [Local, Read, Both, Always]
        plain(), describe::show_capabilities,
        answers::<ServiceDescription>(),
        "Says what can be done and in which order to call.";
    "discovery.openapi" GET "/openapi.json" [Local, Read, Both, Always]
        plain(), openapi::show,
        answers_bare(),
        "Describes every route as an OpenAPI document.";
    "discovery.docs" GET "/docs" [Local, Read, Both, Always]
        plain(), openapi::show_page,
        serves(&["text/html"]),
        "Shows the same document as a page.";
    "discovery.docs.style" GET "/docs/style.css" [Local, Read, Neither, Always]
        plain(), openapi::style,
        serves(&["text/css"]),
        "Hands out the style of that page.";
    "service.status" GET "/v1/status" [Local, Read, Both, Always]
        plain(), status::show,
        answers::<ServiceStatus>(),
        "Says how the daemon is, in numbers.";
    "page.root" GET "/" [Open, Read, Neither, Always] plain(), page::root,
        answers_status(307, "Leads to the status page."),
        "Leads to the status page.";
    "page.ui" GET "/v1/status/ui" [Open, Read, Neither, Always]
        plain(), page::show,
        serves(&["text/html"]),
        "The status page, for people; there is no data in it.";
    "page.asset" GET "/v1/status/ui/{asset}" [Open, Read, Neither, Always]
        at("/v1/status/ui/page.css"), page::asset,
        serves(&["text/css", "text/javascript", "image/svg+xml", "text/plain"])
            .parameters::<StatusPageParameters>()
            .fails(&[Code::NotFound]),
        "What the status page is made of.";
    "session.begin" POST "/v1/session" [Open, Write, Neither, Always]
        body(r#"{"code":"0123abcd"}"#), session::begin,
        answers::<SessionStart>().body::<SessionStartRequest>().with_status(operation::WRONG_CODE),
        "Logs the status page in by a code that is good for once.";
    "session.end" DELETE "/v1/session" [Local, Write, Neither, Always]
        plain(), session::end,
        answers::<SessionEnd>(),
        "Logs the status page out.";
    "session.codes" POST "/v1/session/codes" [Token, Write, Neither, Always]
        plain(), session::issue,
        answers::<SessionCode<'static>>(),
        "Gives a code by which the status page logs in once.";
    "browser.status" GET "/v1/browser" [Local, Read, Both, Always]
        plain(), browser_status::show,
        answers::<BrowserState<'static>>().parameters::<BrowserStateParameters>(),
        "Shows clients, platforms and policy.";
    "browser.request" POST "/v1/browser/request" [Local, Write, Business, Always]
        body(r#"{"platform":"claude","path":"/api/organizations"}"#), browser::request,
        answers_or_streams::<BrowserResponse, BrowserStreamEvent>()
            .parameters::<BrowserRequestParameters>()
            .body::<BrowserRequest>()
            .fails(operation::BROWSER_REQUEST),
        "Sends a request through a Firefox.";
    "browser.request.cancel" POST "/v1/browser/request/cancel" [Local, Write, Business, Always]
        body(r#"{"platform":"claude","request_id":"my-request-1"}"#), browser::cancel,
        answers::<CancelResponse>()
            .body::<CancelRequest>()
            .fails(&[Code::BrowserRequestNotFound, Code::BrowserRequestClientMismatch]),
        "Cancels a request.";
    "browser.policy.explain" GET "/v1/browser/policy/explain" [Local, Read, Both, Always]
        at("/v1/browser/policy/explain?platform=claude"), policy::explain,
        answers::<ExplainedRequest>().parameters::<ExplainParameters>().fails(&[
            Code::PlatformNotSupported,
            Code::BrowserClientNotFound,
            Code::BrowserBridgeUnavailable,
        ]),
        "Says what a request made now would meet, without making one.";
    "browser.policy.reset" POST "/v1/browser/policy/reset" [Token, Write, Control, Always]
        body(r#"{"platform":"claude"}"#), policy::reset,
        answers::<PolicyResetResult>().body::<PolicyResetRequest>().fails(&[Code::PlatformNotSupported]),
        "Forgets failures, back-off and circuit of some or all targets and wakes who waited for them.";
    "browser.actions" POST "/v1/browser/actions" [Local, Write, Control, Always]
        body(r#"{"action":"tab_open","platform":"claude"}"#), actions::act,
        answers::<ActionOutcome>().body::<ActionRequest>().fails(operation::ACTION),
        "Has a Firefox do something with its tabs or with itself.";
    "browser.claude.open" POST "/v1/browser/claude/open" [Local, Write, Business, Always]
        plain(), claude::open,
        answers::<ClaudeOpened>().body::<ClaudeTabRequest>().fails(operation::ACTION),
        "Opens Claude's tab." => "/v1/browser/actions";
    "browser.claude.send" POST "/v1/browser/claude/send" [Local, Write, Business, Always]
        body(r#"{"path":"/api/organizations","method":"GET"}"#), claude::send,
        answers_or_streams::<BrowserResponse, BrowserStreamEvent>()
            .parameters::<BrowserRequestParameters>()
            .body::<ClaudeRequest>()
            .fails(operation::BROWSER_REQUEST),
        "Sends a request to Claude." => "/v1/browser/request";
    "browser.claude.current" GET "/v1/browser/claude/current" [Local, Read, Business, Always]
        plain(), claude::current,
        answers::<ClaudeConversation<'static>>()
            .parameters::<ClaudeConversationParameters>()
            .fails(operation::BROWSER_REQUEST),
        "Reads the conversation that is current in Claude.";
    "browser.claude.reload" POST "/v1/browser/claude/reload" [Local, Write, Business, Always]
        plain(), claude::reload,
        answers::<ActionOutcome>().body::<ClaudeTabRequest>().fails(operation::ACTION),
        "Loads Claude's tab again." => "/v1/browser/actions";
    "browser.messages" GET "/v1/browser/messages" [Token, Read, Business, Always]
        at("/v1/browser/messages?limit=5"), messages::list,
        answers::<MessageList>().parameters::<MessageListParameters>().fails(operation::STORE),
        "Lists final messages with their texts, newest first.";
    "browser.pairings" GET "/v1/browser/pairings" [Token, Read, Control, Always]
        plain(), pairings::list,
        answers::<PairingList>().fails(operation::STORE),
        "Lists the Firefoxes that are paired or wait for it, who asked last first.";
    "browser.pairings.decide" POST "/v1/browser/pairings/{client_id}" [Token, Write, Control, Always]
        at("/v1/browser/pairings/firefox-1").with(r#"{"decision":"approve","code":"123456"}"#), pairings::decide,
        answers::<Pairing>()
            .parameters::<PairingParameters>()
            .body::<PairingDecisionRequest>()
            .fails(operation::RECORD)
            .with_status(operation::WRONG_CODE),
        "Approves, by the code that it shows, or rejects a Firefox that waits for pairing.";
    "browser.pairings.forget" DELETE "/v1/browser/pairings/{client_id}" [Token, Write, Control, Always]
        at("/v1/browser/pairings/firefox-1"), pairings::forget,
        answers::<Pairing>().parameters::<PairingParameters>().fails(operation::RECORD),
        "Forgets a Firefox and closes its connection.";
    "events" GET "/v1/events" [Local, Read, Both, Always]
        plain(), events::follow,
        streams::<DaemonEvent>(),
        "Tells what happens, as it happens, as an event stream.";
    "browser.requests" GET "/v1/browser/requests" [Local, Read, Both, Always]
        at("/v1/browser/requests?limit=5"), journal::list,
        answers::<JournalPage>().parameters::<JournalParameters>().fails(operation::STORE),
        "Lists requests, newest first.";
    "browser.requests.one" GET "/v1/browser/requests/{request_id}" [Local, Read, Both, Always]
        at("/v1/browser/requests/my-request-1"), journal::one,
        answers::<JournalEntry>().parameters::<JournalEntryParameters>().fails(operation::RECORD),
        "Shows one request.";
    "system.state" GET "/v1/system/state" [Local, Read, Both, Always]
        plain(), system::state,
        answers::<SystemState<'static>>().fails(operation::STORE),
        "Shows the mode of the system.";
    "system.pause" POST "/v1/system/pause" [Local, Write, Control, Always]
        body(r#"{"reason":"lunch"}"#), system::pause,
        answers::<SystemState<'static>>().body::<ModeChangeRequest>().fails(operation::STORE),
        "Lets live instructions wait.";
    "system.drain" POST "/v1/system/drain" [Local, Write, Control, Always]
        body(r#"{"reason":"update"}"#), system::drain,
        answers::<SystemState<'static>>().body::<ModeChangeRequest>().fails(operation::STORE),
        "Takes no new browser requests.";
    "system.resume" POST "/v1/system/resume" [Local, Write, Control, Always]
        plain(), system::resume,
        answers::<SystemState<'static>>().body::<ModeChangeRequest>().fails(operation::STORE),
        "Lets everything run again.";
    "tasks.list" GET "/v1/tasks" [Local, Read, Business, Always]
        at("/v1/tasks?limit=5"), tasks::list,
        answers::<TaskList>().parameters::<TaskListParameters>().fails(operation::STORE),
        "Lists tasks, newest first.";
    "tasks.one" GET "/v1/tasks/{id}" [Local, Read, Business, Always]
        at("/v1/tasks/task-1"), tasks::one,
        answers::<Task>().parameters::<TaskParameters>().fails(operation::RECORD),
        "Shows one task.";
    "tasks.logs" GET "/v1/tasks/{id}/logs" [Local, Read, Business, Always]
        at("/v1/tasks/task-1/logs?limit=50"), tasks::logs,
        answers::<TaskLogList>().parameters::<TaskLogParameters>().fails(operation::RECORD),
        "Lists what happened to a task, newest first.";
    "runs.list" GET "/v1/runs" [Local, Read, Neither, Always]
        at("/v1/runs?limit=5"), tasks::runs,
        answers::<RunList>().parameters::<RunListParameters>().fails(operation::STORE),
        "Lists the runs of tasks, newest first.";
    "controllers.list" GET "/v1/controllers" [Local, Read, Both, Always]
        plain(), system::controllers,
        answers::<ControllerList<'static>>().parameters::<ControllerListParameters>(),
        "Shows this node.";
    "codex.status" GET "/v1/codex" [Token, Read, Business, Always]
        plain(), codex::status,
        passes_on().fails(operation::CODEXD),
        "Passes on to codexd: its status.";
    "codex.sessions.list" GET "/v1/codex/sessions" [Token, Read, Business, Always]
        plain(), codex::list,
        passes_on().fails(operation::CODEXD),
        "Passes on to codexd: its sessions.";
    "codex.sessions.create" POST "/v1/codex/sessions" [Token, Write, Business, Always]
        body("{}"), codex::create,
        passes_on().body::<CodexRequest>().fails(operation::CODEXD),
        "Passes on to codexd: a new session.";
    "codex.sessions.read" GET "/v1/codex/sessions/{id}" [Token, Read, Business, Always]
        at("/v1/codex/sessions/session-1"), codex::read,
        passes_on().parameters::<CodexSessionParameters>().fails(operation::CODEXD),
        "Passes on to codexd: one session.";
    "codex.turn" POST "/v1/codex/turn" [Token, Write, Business, Always]
        body(r#"{"session_id":"session-1","input":"Hello"}"#), codex::turn,
        passes_on().body::<CodexRequest>().fails(operation::CODEXD),
        "Passes on to codexd: a turn.";
    "host.exec" POST "/v1/exec" [Token, Write, Control, HostOps]
        body(r#"{"command":"uname -a","timeout_ms":5000}"#), host::exec,
        answers::<OperationOutcome<ExecResult>>().body::<ExecRequest>().fails(&[
            Code::RootRefused,
            Code::SandboxUnavailable,
            Code::StoreUnavailable,
        ]),
        "Runs a command on this machine and answers with its output; nothing that it started outlives the call.";
    "host.files.read" POST "/v1/files/read" [Token, Read, Control, HostOps]
        body(r#"{"path":"/etc/hostname"}"#), host::files_read,
        answers::<OperationOutcome<FileReadResult>>().body::<FileReadRequest>().fails(operation::HOST_FILE),
        "Reads a file of this machine.";
    "host.files.write" POST "/v1/files/write" [Token, Write, Control, HostOps]
        body(r#"{"path":"/tmp/note.txt","content":"Hello","overwrite":true}"#), host::files_write,
        answers::<OperationOutcome<FileWriteResult>>().body::<FileWriteRequest>().fails(operation::HOST_FILE),
        "Writes a file of this machine, all of it or nothing.";
    "instructions.submit" POST "/v1/instructions/messages" [Token, Write, Control, Always]
        body(r#"{"platform":"claude","conversation_id":"c-1","assistant_message_id":"m-1","text":"```baa\n@conductor::status\n```","dry_run":true}"#),
        instructions::submit,
        answers::<InstructionSubmission>().body::<InstructionMessageRequest>().fails(&[
            Code::InstructionRejected,
            Code::Overloaded,
            Code::StoreUnavailable,
        ]),
        "Runs the instructions of a message, each once, or says what they would run.";
    "instructions.list" GET "/v1/instructions" [Token, Read, Control, Always]
        at("/v1/instructions?status=pending_approval"), instructions::list,
        answers::<BatchList>().parameters::<InstructionListParameters>().fails(operation::STORE),
        "Lists batches of instructions, newest first.";
    "instructions.one" GET "/v1/instructions/{batch_id}" [Token, Read, Control, Always]
        at("/v1/instructions/batch-1"), instructions::one,
        answers::<InstructionBatch>().parameters::<InstructionBatchParameters>().fails(operation::RECORD),
        "Shows a batch, exactly what it runs and what came of it.";
    "instructions.approve" POST "/v1/instructions/{batch_id}/approve" [Token, Write, Control, Always]
        at("/v1/instructions/batch-1/approve").with(r#"{"reason":"as discussed"}"#), instructions::approve,
        answers::<BatchSummary>()
            .parameters::<InstructionBatchParameters>()
            .body::<InstructionDecisionRequest>()
            .fails(operation::INSTRUCTION_DECISION),
        "Lets a batch run that waits for approval, as it was shown.";
    "instructions.reject" POST "/v1/instructions/{batch_id}/reject" [Token, Write, Control, Always]
        at("/v1/instructions/batch-1/reject").with(r#"{"reason":"not now"}"#), instructions::reject,
        answers::<BatchSummary>()
            .parameters::<InstructionBatchParameters>()
            .body::<InstructionDecisionRequest>()
            .fails(operation::INSTRUCTION_DECISION),
        "Lets a batch that waits for approval never run.";
    "extension.xpi" GET "/extension.xpi" [Local, Read, Control, Always]
        plain(), extension::xpi,
        serves(&["application/x-xpinstall"]),
        "Hands out the Firefox extension with this daemon's address set, as an .xpi file.";
    "browser.socket" GET WS_PATH [Open, Read, Neither, Always]
        plain(), socket::open,
        answers_status(101, "The connection is the peers' WebSocket from here on."),
        "The WebSocket of the Firefox extension.";
}

/// The methods that a path has, as `allow` names them.
fn allowed(table: &[&Route], path: &str) -> &'static str {
    let has = |method| table.iter().any(|route| route.path == path && route.method == method);
    match (has("GET"), has("POST"), has("DELETE")) {
        (true, false, false) => "GET, HEAD",
        (false, true, false) => "POST",
        (false, false, true) => "DELETE",
        (true, true, false) => "GET, HEAD, POST",
        (true, false, true) => "GET, HEAD, DELETE",
        (false, true, true) => "POST, DELETE",
        _ => "GET, HEAD, POST, DELETE",
    }
}

/// An answer on its way.
type Answer = LocalBoxFuture<'static, HttpResponse>;

/// Puts every route that is switched on under its guard.
pub(super) fn configure(config: &mut web::ServiceConfig, core: &Arc<ServerCore>) {
    guarded(config, &core.features.served(ROUTES), core, &core.origin_policy, |known, _| known);
}

/// Mounts the routes of a table behind the guard of a listener, whose own names `origin_policy` holds. `refused`: what is
/// known of a path that has no route for the request.
fn guarded(
    config: &mut web::ServiceConfig,
    table: &[&'static Route],
    core: &Arc<ServerCore>,
    origin_policy: &Arc<OriginPolicy>,
    refused: impl Fn(Option<KnownPath>, &HttpRequest) -> Option<KnownPath> + Clone + 'static,
) {
    let (serving, own) = (Arc::clone(core), Arc::clone(origin_policy));
    let serve = move |route: &'static Route, request: HttpRequest, payload: web::Payload| -> Answer {
        let (core, origin_policy) = (Arc::clone(&serving), Arc::clone(&own));
        Box::pin(async move { endpoint::serve(core, &origin_policy, route, request, payload).await })
    };
    let (refusing, origin_policy) = (Arc::clone(core), Arc::clone(origin_policy));
    let refuse = move |known: Option<KnownPath>, request: HttpRequest| -> Answer {
        let (core, origin_policy, known) =
            (Arc::clone(&refusing), Arc::clone(&origin_policy), refused(known, &request));
        Box::pin(async move { endpoint::refuse(&core, &origin_policy, known, request).await })
    };
    mount(config, table, &serve, &refuse);
}

fn mount(
    config: &mut web::ServiceConfig,
    table: &[&'static Route],
    serve: &(impl Fn(&'static Route, HttpRequest, web::Payload) -> Answer + Clone + 'static),
    refuse: &(impl Fn(Option<KnownPath>, HttpRequest) -> Answer + Clone + 'static),
) {
    let mut paths: Vec<&'static str> = table.iter().map(|route| route.path).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let mut resource = web::resource(path);
        for &route in table.iter().filter(|route| route.path == path) {
            let method = Method::from_bytes(route.method.as_bytes()).expect("the table names methods");
            let guarded = match method {
                Method::GET => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
                other => web::method(other),
            };
            let serve = serve.clone();
            let serve = move |request: HttpRequest, payload: web::Payload| serve(route, request, payload);
            resource = resource.route(guarded.to(serve));
        }
        let (refuse, known) = (refuse.clone(), KnownPath { path, allow: allowed(table, path) });
        config.service(resource.default_service(web::to(move |request: HttpRequest| refuse(Some(known), request))));
    }
    let refuse = refuse.clone();
    config.default_service(web::to(move |request: HttpRequest| refuse(None, request)));
}

pub(super) mod read_only;
#[cfg(test)]
mod tests;
