//! The parts of a description that are not routes: how to show the token, the socket, what else is switched on, limits.

use super::{
    context::Context,
    contracts::RESPONSE_MODES,
    endpoint::{AUTHORIZATION, Mention},
};
use crate::{
    host::{OperationOrigin, settings::SandboxLevel},
    http::{fields::TIMEOUT_MS_MAX, settings::LocalTrust},
    mode::SystemView,
    relay::ResponseMode,
    wire,
};
use serde::Serialize;

/// Who may call.
#[derive(Serialize)]
pub(super) struct Auth {
    header: &'static str,
    configured: bool,
    local_trust: LocalTrust,
    description: &'static str,
}

impl Auth {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let description = match context.trust {
            LocalTrust::SameUser => {
                "Callers on this machine that run as the daemon's own user, and call it by its loopback address and not \
                 through a proxy, need no token where auth is none; other callers show it everywhere but at the probes."
            }
            LocalTrust::Loopback => {
                "Callers on this machine that call it by its loopback address and not through a proxy need no token \
                 where auth is none."
            }
            LocalTrust::None => "Every caller shows the token, except where auth is none.",
        };
        // A daemon without a token does not start.
        Auth { header: AUTHORIZATION, configured: true, local_trust: context.trust, description }
    }
}

/// The codexd behind `/v1/codex`.
#[derive(Serialize)]
pub(super) struct Codex<'a> {
    enabled: bool,
    backend: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_base_url: Option<&'a str>,
    routes: Vec<Mention>,
}

impl<'a> Codex<'a> {
    pub(super) fn new(context: &Context<'a>) -> Self {
        let base_url = context.facts.codex.as_deref();
        Codex {
            enabled: base_url.is_some(),
            backend: "independent_codexd",
            target_base_url: base_url,
            routes: Mention::beneath(context, &["/v1/codex"]),
        }
    }
}

/// Commands and files of this machine.
#[derive(Serialize)]
pub(super) struct HostOperations {
    enabled: bool,
    auth: HostAuth,
    /// What is in force; what is not available refuses.
    sandbox: SandboxLevel,
    sandbox_available: bool,
    /// What commands in it cannot do on this machine, and why.
    sandbox_limit: Option<String>,
    instructions_sandbox: SandboxLevel,
    instructions_sandbox_available: bool,
    instructions_sandbox_limit: Option<String>,
    bubblewrap_available: bool,
    confined_to_roots: bool,
    max_concurrent: usize,
    notes: [&'static str; 4],
    routes: Vec<Mention>,
}

const HOST_NOTES: [&str; 4] = [
    "Every answer names operation, input and ok, and holds result, or error {code, message} when nothing was done: a \
     command that fails is status 200 with ok false.",
    "command is a string for /bin/sh -c, or an array that is run directly. Nothing that it starts outlives the call; \
     output beyond max_output_bytes is counted and dropped.",
    "A file is written whole or not at all, and only with overwrite true in place of one that is there.",
    "In a sandbox the system can be read, the roots or a fresh folder can be written, and no network can be reached. One \
     that cannot be set up refuses with sandbox_unavailable.",
];

#[derive(Serialize)]
struct HostAuth {
    header: &'static str,
    configured: bool,
}

impl HostOperations {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let (settings, host) = (&context.facts.host_ops, context.host);
        let available = |origin| host.check_sandbox(origin).is_ok();
        HostOperations {
            enabled: settings.enabled,
            auth: HostAuth { header: AUTHORIZATION, configured: true },
            sandbox: host.sandbox(OperationOrigin::Operator),
            sandbox_available: available(OperationOrigin::Operator),
            sandbox_limit: host.sandbox_limit(OperationOrigin::Operator),
            instructions_sandbox: host.sandbox(OperationOrigin::Model),
            instructions_sandbox_available: available(OperationOrigin::Model),
            instructions_sandbox_limit: host.sandbox_limit(OperationOrigin::Model),
            bubblewrap_available: host.has_bubblewrap(),
            confined_to_roots: !settings.roots.is_empty(),
            max_concurrent: settings.max_concurrent,
            notes: HOST_NOTES,
            routes: Mention::beneath(context, &["/v1/exec", "/v1/files"]),
        }
    }
}

/// What is done with the instructions in a model's messages.
#[derive(Serialize)]
pub(super) struct Instructions {
    enabled: bool,
    routes: Vec<Mention>,
}

impl Instructions {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let routes = Mention::beneath(context, &["/v1/instructions"]);
        Instructions { enabled: context.facts.instructions_live, routes }
    }
}

/// The socket of the Firefox extension.
#[derive(Serialize)]
pub(super) struct WebSocket<'a> {
    path: &'static str,
    url: &'a str,
    protocol: &'static str,
    description: &'static str,
    inbound_messages: &'static [&'static str],
    outbound_messages: &'static [&'static str],
}

impl<'a> WebSocket<'a> {
    pub(super) fn new(context: &Context<'a>) -> Self {
        WebSocket {
            path: context.identity.ws_path,
            url: &context.identity.ws_url,
            protocol: wire::PROTOCOL,
            description: "For the Firefox extension alone; callers use HTTP. Inbound is what the extension sends.",
            inbound_messages: wire::SUPPORTS.inbound,
            outbound_messages: wire::SUPPORTS.outbound,
        }
    }
}

/// The mode, and the routes that show and change it.
#[derive(Serialize)]
pub(super) struct System {
    #[serde(flatten)]
    view: SystemView,
    routes: Vec<Mention>,
}

impl System {
    pub(super) fn new(context: &Context<'_>) -> Self {
        System { view: context.system.clone(), routes: Mention::beneath(context, &["/v1/system"]) }
    }
}

/// The two ways in.
#[derive(Serialize)]
pub(super) struct Transports<'a> {
    http: Http<'a>,
    websocket: Socket<'a>,
}

#[derive(Serialize)]
struct Http<'a> {
    origin: &'a str,
    content_type: &'static str,
    response_modes: [&'static str; 2],
}

#[derive(Serialize)]
struct Socket<'a> {
    path: &'static str,
    url: &'a str,
    protocol: &'static str,
}

impl<'a> Transports<'a> {
    pub(super) fn new(context: &Context<'a>) -> Self {
        let identity = context.identity;
        let response_modes = RESPONSE_MODES.map(ResponseMode::name);
        Transports {
            http: Http { origin: context.origin(), content_type: "application/json", response_modes },
            websocket: Socket { path: identity.ws_path, url: &identity.ws_url, protocol: wire::PROTOCOL },
        }
    }
}

/// What runs, and the limits that callers meet.
#[derive(Serialize)]
pub(super) struct Runtime {
    version: &'static str,
    git_commit: &'static str,
    platform: &'static str,
    arch: &'static str,
    pid: u32,
    started_at: i64,
    limits: Limits,
}

#[derive(Serialize)]
struct Limits {
    max_body_bytes: usize,
    body_timeout_ms: u64,
    max_json_depth: usize,
    max_requests: usize,
    max_connections: usize,
    max_response_bytes: usize,
    request_timeout_ms: u64,
    max_timeout_ms: u64,
    sse_keep_alive_ms: u64,
    sse_stall_timeout_ms: u64,
}

impl Runtime {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let (server, bridge) = (context.server, context.bridge);
        Runtime {
            version: crate::VERSION,
            git_commit: crate::GIT_COMMIT,
            platform: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            pid: std::process::id(),
            started_at: context.identity.started_at,
            limits: Limits {
                max_body_bytes: server.max_body_bytes,
                body_timeout_ms: server.body_timeout_ms,
                max_json_depth: wire::DEPTH_MAX,
                max_requests: server.max_requests,
                max_connections: server.max_connections,
                max_response_bytes: bridge.max_response_bytes,
                request_timeout_ms: bridge.request_timeout_ms,
                max_timeout_ms: TIMEOUT_MS_MAX,
                sse_keep_alive_ms: server.sse_keep_alive_ms,
                sse_stall_timeout_ms: server.sse_stall_timeout_ms,
            },
        }
    }
}
