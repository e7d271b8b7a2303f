//! What the descriptions are made from.

use super::endpoint::Endpoint;
use crate::{
    bridge::{Bridge, Identity},
    codex::Codexd,
    config::Config,
    host::{Host, settings::HostOps},
    http::{
        Core,
        callers::Access,
        route::Route,
        routes::ROUTES,
        settings::{LocalTrust, Server},
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
    pub host_ops: HostOps,
    /// Whether observed final messages are processed.
    pub instructions_live: bool,
}

impl Facts {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Facts {
            codex: Codexd::new(&config.codex).map(|codexd| codexd.base().to_owned()),
            host_ops: config.host_ops.clone(),
            instructions_live: config.instructions.live,
        }
    }
}

/// One look at the daemon, for one answer.
pub(super) struct Context<'a> {
    /// The routes that are switched on.
    pub(super) routes: Vec<&'static Route>,
    pub(super) identity: &'a Identity,
    pub(super) registry: &'a PlatformRegistry,
    pub(super) facts: &'a Facts,
    pub(super) server: &'a Server,
    pub(super) bridge: &'a Bridge,
    pub(super) host: &'a Host,
    /// What callers without the token may do.
    pub(super) trust: LocalTrust,
    pub(super) system: SystemView,
}

impl<'a> Context<'a> {
    /// The daemon as it is now.
    pub(super) fn of(core: &'a Core) -> Self {
        Context {
            routes: core.features.served(ROUTES),
            identity: core.bridge.identity(),
            registry: &core.registry,
            facts: &core.facts,
            server: &core.server,
            bridge: core.bridge.settings(),
            host: &core.host,
            trust: core.callers.trust(),
            system: core.system.state(),
        }
    }

    /// Where the daemon is called.
    pub(super) fn origin(&self) -> &'a str {
        &self.identity.local_api_base
    }

    /// Whether a route asks every caller for the token.
    pub(super) fn asks_token(&self, access: Access) -> bool {
        match access {
            Access::Open => false,
            Access::Local => self.trust == LocalTrust::None,
            Access::Token => true,
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
