//! Discovery: what the daemon says about itself, for callers that read first and act after. Everything is made from the
//! table of routes, the registry, the settings and the table of error codes; what is written by hand here are sentences.

mod browser;
mod context;
mod contracts;
mod endpoint;
mod parts;
mod words;

pub use context::Facts;

use super::{
    ServerCore,
    endpoint::ApiCall,
    error::ApiError,
    reply::ApiReply,
    route::{Kind, Surface},
};
use browser::Browser;
use context::Context;
use endpoint::{Endpoint, Example};
use parts::{Auth, Codex, HostOperations, Instructions, Runtime, System, Transports, WebSocket};
use serde::Serialize;
use words::Step;

/// What `GET /describe` says.
#[derive(Serialize)]
struct Everything<'a> {
    name: &'static str,
    description: &'static str,
    origin: &'a str,
    version: &'static str,
    auth: Auth,
    describe_endpoints: Halves,
    browser: Browser<'a>,
    codex: Codex<'a>,
    host_operations: HostOperations,
    instructions: Instructions,
    websocket: WebSocket<'a>,
    system: System,
    runtime: Runtime,
    endpoints: Vec<Endpoint>,
    examples: Vec<Example>,
    notes: Vec<&'static str>,
}

/// Where its two halves are.
#[derive(Serialize)]
struct Halves {
    business: Half,
    control: Half,
}

#[derive(Serialize)]
struct Half {
    path: &'static str,
    summary: &'static str,
}

/// What one of the halves says.
#[derive(Serialize)]
struct One<'a> {
    name: &'static str,
    surface: &'static str,
    description: &'static str,
    origin: &'a str,
    version: &'static str,
    auth: Auth,
    browser: Browser<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    codex: Option<Codex<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_operations: Option<HostOperations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<Instructions>,
    system: System,
    endpoints: Vec<Endpoint>,
    examples: Vec<Example>,
    notes: Vec<&'static str>,
}

/// What `GET /v1/capabilities` says.
#[derive(Serialize)]
struct Capabilities<'a> {
    name: &'static str,
    version: &'static str,
    auth: Auth,
    workflow: Vec<Step>,
    read_endpoints: Vec<Endpoint>,
    write_endpoints: Vec<Endpoint>,
    browser: Browser<'a>,
    codex: Codex<'a>,
    transports: Transports<'a>,
    runtime: Runtime,
    system: System,
    notes: Vec<&'static str>,
}

fn everything(context: &Context<'_>) -> impl Serialize {
    let half = |path| {
        let summary = context.route(path).map_or("", |route| route.summary);
        Half { path, summary }
    };
    Everything {
        name: words::NAME,
        description: words::DESCRIPTION,
        origin: context.origin(),
        version: crate::VERSION,
        auth: Auth::new(context),
        describe_endpoints: Halves { business: half("/describe/business"), control: half("/describe/control") },
        browser: Browser::new(context),
        codex: Codex::new(context),
        host_operations: HostOperations::new(context),
        instructions: Instructions::new(context),
        websocket: WebSocket::new(context),
        system: System::new(context),
        runtime: Runtime::new(context),
        endpoints: context.endpoints(|_| true),
        examples: words::examples(context, |_| true),
        notes: words::NOTES.to_vec(),
    }
}

fn one(context: &Context<'_>, surface: Surface) -> impl Serialize {
    let business = surface == Surface::Business;
    One {
        name: words::NAME,
        surface: if business { "business" } else { "control" },
        description: if business { words::BUSINESS } else { words::CONTROL },
        origin: context.origin(),
        version: crate::VERSION,
        auth: Auth::new(context),
        browser: Browser::new(context),
        codex: business.then(|| Codex::new(context)),
        host_operations: (!business).then(|| HostOperations::new(context)),
        instructions: (!business).then(|| Instructions::new(context)),
        system: System::new(context),
        endpoints: context.endpoints(|route| route.surface.tells(surface)),
        examples: words::examples(context, |route| route.surface.tells(surface)),
        notes: words::NOTES.to_vec(),
    }
}

fn capabilities(context: &Context<'_>) -> impl Serialize {
    let told =
        |write| context.endpoints(|route| route.surface != Surface::Neither && (route.kind == Kind::Write) == write);
    Capabilities {
        name: words::NAME,
        version: crate::VERSION,
        auth: Auth::new(context),
        workflow: words::workflow(context),
        read_endpoints: told(false),
        write_endpoints: told(true),
        browser: Browser::new(context),
        codex: Codex::new(context),
        transports: Transports::new(context),
        runtime: Runtime::new(context),
        system: System::new(context),
        notes: words::NOTES.to_vec(),
    }
}

/// `GET /describe`.
pub(super) async fn show(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(call.success(&everything(&Context::of(&call.core))))
}

/// `GET /describe/business`.
pub(super) async fn show_business(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(call.success(&one(&Context::of(&call.core), Surface::Business)))
}

/// `GET /describe/control`.
pub(super) async fn show_control(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(call.success(&one(&Context::of(&call.core), Surface::Control)))
}

/// What a description says, as a value.
pub(super) fn described(core: &ServerCore, surface: Surface) -> serde_json::Value {
    let context = Context::of(core);
    match surface {
        Surface::Business | Surface::Control => serde_json::to_value(one(&context, surface)),
        Surface::Both | Surface::Neither => serde_json::to_value(everything(&context)),
    }
    .unwrap_or_default()
}

/// `GET /v1/capabilities`.
pub(super) async fn show_capabilities(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(call.success(&capabilities(&Context::of(&call.core))))
}

#[cfg(test)]
mod tests;
