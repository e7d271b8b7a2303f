//! Sentences for people and models: what the daemon is, in which order to call, what holds everywhere.

use super::{context::Context, contracts, endpoint::Example};
use crate::http::route::Route;
use serde::Serialize;

/// What the daemon is called in its descriptions.
pub(super) const NAME: &str = "baa-conductor-daemon";

/// What it is.
pub(super) const DESCRIPTION: &str = "A local service that lets programs on this machine use the web apps that the user \
    is logged in to in Firefox. Read /v1/capabilities for the order in which to call, /describe/business to ask a web \
    app something, /describe/control to change the system.";
/// What one half is for.
pub(super) const BUSINESS: &str = "What a caller needs that wants something from a web app.";
/// What the other half is for.
pub(super) const CONTROL: &str = "What changes the system: tabs, modes, this machine.";

/// What holds everywhere.
pub(super) const NOTES: &[&str] = &[
    "Every JSON answer is an envelope: {ok: true, request_id, data}, or {ok: false, request_id, error, message, \
     details}. error is a stable code to decide by, message is for people, details is left out when empty.",
    "Fields ending in _at are Unix times in milliseconds.",
    "Fields of JSON bodies may be written in snake_case or camelCase.",
    "In every curl line, <BAA_SHARED_TOKEN> stands for the daemon's token: auth.token or the file auth.token_file of its \
     configuration, else the file token in its state folder. A token is never accepted in a URL. Where others use the \
     machine, give curl the header in a file of your own (-H @FILE): every user can read the arguments of a program.",
    "Where auth is bearer, every caller must show the token; where it is none, read auth.description.",
    "HEAD is answered wherever GET is.",
    "A body must be application/json; another content type is refused.",
    "A valid request with response_mode sse that was taken answers 200 at once and reports later failures in its last \
     event, stream_error. One that was not taken (overloaded, system_draining) is answered as JSON.",
    "Web pages may not call unless their origin is allowed in the configuration.",
    "A part with an empty list of routes cannot be used in this version, whatever its enabled says.",
];

/// One step of the usual order.
#[derive(Serialize)]
pub(super) struct Step {
    step: usize,
    id: &'static str,
    method: &'static str,
    path: &'static str,
    description: &'static str,
}

/// The usual order; what this daemon does not have is left out.
const STEPS: &[(&str, &str)] = &[
    ("service.readyz", "Check that the daemon is ready."),
    ("system.state", "See whether the system runs, is paused or drains."),
    ("browser.status", "See whether a Firefox is connected (bridge.status) and which platforms are ready."),
    ("browser.actions", "Where a platform is not ready, open its tab and let the user log in."),
    ("browser.policy.explain", "See whether a request would go out now, wait or be refused, and for which rules."),
    (
        "browser.request",
        "Send the request, with a request_id of your own; buffered for short answers, sse for long ones.",
    ),
    ("browser.request.cancel", "Cancel it when its answer is no longer wanted."),
    ("browser.requests.one", "Look up afterwards how it went."),
];

/// The order in which to call.
pub(super) fn workflow(context: &Context<'_>) -> Vec<Step> {
    let there = STEPS.iter().filter_map(|(id, description)| Some((context.named(id)?, *description)));
    let step = |(at, (route, description)): (usize, (&'static Route, &'static str))| Step {
        step: at + 1,
        id: route.id,
        method: route.method,
        path: route.path,
        description,
    };
    there.enumerate().map(step).collect()
}

/// Calls without a body that are worth a try.
const READS: &[(&str, &str)] = &[
    ("browser.status", "See clients, platforms and policy"),
    ("browser.requests", "See the newest requests"),
    ("system.state", "See the system's mode"),
];

/// Calls to begin with, of the routes that `told` lets through.
pub(super) fn examples(context: &Context<'_>, told: impl Fn(&Route) -> bool) -> Vec<Example> {
    let reads = READS.iter().filter_map(|(id, title)| Some((context.named(id)?, *title)));
    let reads = reads.filter(|(route, _)| told(route)).map(|(route, title)| Example::new(context, title, route, ""));
    reads.chain(contracts::examples(context, &told)).collect()
}
