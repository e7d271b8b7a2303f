//! The `browser` part, the same in every description.

use super::{
    context::Context,
    contracts::{self, Contract},
    endpoint::Mention,
    parts::Transports,
};
use crate::ids::PlatformName;
use serde::Serialize;

const PREFIX: &str = "/v1/browser";

/// What is true of every browser route.
const NOTES: &[&str] = &[
    "The extension performs requests in the web app's own page with the user's login; credentials never leave the \
     browser.",
    "A request is sent at most once: the daemon never repeats one that may have had effects.",
    "A caller that hangs up cancels its request.",
    "GET /v1/browser shows, per platform, whether a connected client is logged in (ready) and which modes it supports.",
];

/// The browser routes and how to use them.
#[derive(Serialize)]
pub(super) struct Browser<'a> {
    enabled: bool,
    route_prefix: &'static str,
    routes: Vec<Mention>,
    transport: Transports<'a>,
    supported_request_platforms: Vec<&'a PlatformName>,
    supported_action_platforms: Vec<&'a PlatformName>,
    request_contract: Contract<'a>,
    cancel_contract: Contract<'a>,
    action_contract: Contract<'a>,
    legacy_routes: Vec<Legacy>,
    notes: &'static [&'static str],
}

/// A route that callers should leave.
#[derive(Serialize)]
struct Legacy {
    #[serde(flatten)]
    route: Mention,
    summary: &'static str,
    successor: &'static str,
}

impl<'a> Browser<'a> {
    pub(super) fn new(context: &Context<'a>) -> Self {
        let platforms: Vec<_> = context.registry.names().collect();
        let legacy = context.routes.iter().copied().filter_map(|route| {
            Some(Legacy { route: Mention::new(route), summary: route.summary, successor: route.successor? })
        });
        Browser {
            enabled: true,
            route_prefix: PREFIX,
            routes: Mention::beneath(context, &[PREFIX]),
            transport: Transports::new(context),
            supported_request_platforms: platforms.clone(),
            supported_action_platforms: platforms,
            request_contract: contracts::request(context),
            cancel_contract: contracts::cancel(context),
            action_contract: contracts::action(context),
            legacy_routes: legacy.collect(),
            notes: NOTES,
        }
    }
}
