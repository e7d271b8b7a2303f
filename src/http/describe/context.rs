//! What the descriptions are made from.

use super::endpoint::Endpoint;
use crate::{
    bridge::{BridgeSettings, DaemonIdentity},
    codex::CodexdClient,
    config::Config,
    host::{HostOperations, settings::HostOpsSettings},
    http::{
        ServerCore,
        authenticator::RouteAccess,
        route::Route,
        settings::{LocalTrust, ServerSettings},
    },
    mode::SystemView,
    platforms::registry::PlatformRegistry,
};

/// What the configuration says about parts of the daemon that other actors do not hold.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where `/v1/codex` leads.
    pub codex: Option<String>,
    /// What may be done to this machine.
    pub host_ops: HostOpsSettings,
    /// Whether observed final messages are processed.
    pub instructions_live: bool,
}

impl Facts {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Facts {
            codex: CodexdClient::new(&config.codex).map(|codexd| codexd.base().to_owned()),
            host_ops: config.host_ops.clone(),
            instructions_live: config.instructions.live,
        }
    }
}

/// One look at the daemon, for one answer.
pub(super) struct Context<'a> {
    /// The whole table of routes.
    pub(super) table: &'static [Route],
    /// The routes that are switched on.
    pub(super) routes: Vec<&'static Route>,
    pub(super) identity: &'a DaemonIdentity,
    pub(super) registry: &'a PlatformRegistry,
    pub(super) facts: &'a Facts,
    pub(super) server: &'a ServerSettings,
    pub(super) bridge: &'a BridgeSettings,
    pub(super) host: &'a HostOperations,
    /// What callers without the token may do.
    pub(super) trust: LocalTrust,
    pub(super) system: SystemView,
}

impl<'a> Context<'a> {
    /// The daemon as it is now.
    pub(super) fn of(core: &'a ServerCore) -> Self {
        Context {
            table: core.routes,
            routes: core.features.served(core.routes),
            identity: core.bridge.identity(),
            registry: &core.registry,
            facts: &core.facts,
            server: &core.server,
            bridge: core.bridge.settings(),
            host: &core.host,
            trust: core.authenticator.local_trust(),
            system: core.system.state(),
        }
    }

    /// Where the daemon is called.
    pub(super) fn origin(&self) -> &'a str {
        &self.identity.local_api_base
    }

    /// Whether a route asks every caller for the token.
    pub(super) fn asks_token(&self, access: RouteAccess) -> bool {
        match access {
            RouteAccess::Open => false,
            RouteAccess::Local => self.trust == LocalTrust::None,
            RouteAccess::Token => true,
        }
    }

    /// The first route of this path.
    pub(super) fn route(&self, path: &str) -> Option<&'static Route> {
        self.routes.iter().copied().find(|route| route.path == path)
    }

    /// The route of this name.
    pub(super) fn named(&self, id: &str) -> Option<&'static Route> {
        self.routes.iter().copied().find(|route| route.id == id)
    }

    /// Every route that `told` lets through, described; the socket is described elsewhere.
    pub(super) fn endpoints(&self, told: impl Fn(&Route) -> bool) -> Vec<Endpoint> {
        let routes = self.routes.iter().copied().filter(|route| !route.is_socket() && told(route));
        routes.map(|route| Endpoint::new(self, route)).collect()
    }
}
