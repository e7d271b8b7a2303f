//! Descriptions follow the table, the settings and who may call.

use super::*;
use crate::{
    bridge::{DaemonIdentity, WS_PATH},
    config::Config,
    host::{self, HostOperations},
    http::{
        authenticator::RouteAccess,
        operation::answers_bare,
        route::{Feature, Features, Route, at, body, plain},
        routes::ROUTES,
        settings::LocalTrust,
    },
    mode::{Mode, SystemView},
    platforms::registry::PlatformRegistry,
};
use serde_json::{Value, json};

async fn nothing(_: ApiCall) -> Result<ApiReply, ApiError> {
    Err(ApiError::not_found("thing", "There is nothing here."))
}

const fn route(id: &'static str, method: &'static str, path: &'static str, access: RouteAccess) -> Route {
    Route {
        id,
        method,
        path,
        access,
        kind: Kind::Write,
        surface: Surface::Control,
        feature: Feature::Always,
        example: plain(),
        summary: "Does it.",
        operation: answers_bare(),
        successor: None,
        handler: |call| Box::pin(nothing(call)),
    }
}

/// Routes that a later version may have.
static LATER: &[Route] = &[
    Route {
        feature: Feature::HostOps,
        example: body(r#"{"argv":["it's"]}"#),
        ..route("host.exec", "POST", "/v1/exec", RouteAccess::Token)
    },
    route("browser.actions", "POST", "/v1/browser/actions", RouteAccess::Local),
    Route {
        successor: Some("/v1/browser/actions"),
        ..route("browser.claude.open", "POST", "/v1/browser/claude/open", RouteAccess::Local)
    },
    Route {
        example: at("/v1/thing/1?all=true"),
        ..route("thing.forget", "DELETE", "/v1/thing/{id}", RouteAccess::Token)
    },
    Route { surface: Surface::Neither, kind: Kind::Read, ..route("runs", "GET", "/v1/runs", RouteAccess::Local) },
];

/// What a description is made from, without a daemon around it.
pub(super) struct Daemon {
    config: Config,
    identity: DaemonIdentity,
    registry: PlatformRegistry,
    facts: Facts,
    host: HostOperations,
}

impl Daemon {
    pub(super) fn new(config: Config) -> Self {
        let identity = DaemonIdentity {
            host: "box".into(),
            identity: "box".into(),
            ws_path: WS_PATH,
            ws_url: "ws://127.0.0.1:4317/ws/firefox".into(),
            local_api_base: "http://127.0.0.1:4317".into(),
            started_at: 7,
        };
        let (settings, model_sandbox) = (config.host_ops.clone(), config.instructions.sandbox);
        let host = HostOperations::new(host::HostSetup {
            settings,
            model_sandbox,
            protected: Vec::new(),
            protected_prefixes: Vec::new(),
        });
        Daemon { registry: config.registry(), facts: Facts::of(&config), config, identity, host }
    }

    pub(super) fn context(&self, table: &'static [Route], trust: LocalTrust) -> Context<'_> {
        Context {
            table: ROUTES,
            routes: Features::of(&self.config).served(table),
            identity: &self.identity,
            registry: &self.registry,
            facts: &self.facts,
            server: &self.config.server,
            bridge: &self.config.bridge,
            host: &self.host,
            trust,
            system: SystemView { mode: Mode::Running, changed_at: 1, reason: None },
        }
    }
}

fn value(described: impl Serialize) -> Value {
    serde_json::to_value(described).unwrap()
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[test]
fn a_curl_line_shows_the_token_exactly_where_it_is_asked_for() {
    let daemon = Daemon::new(Config::default());
    for (trust, bearers) in [
        (LocalTrust::SameUser, vec!["host.exec", "thing.forget"]),
        (LocalTrust::None, vec!["host.exec", "browser.actions", "browser.claude.open", "thing.forget", "runs"]),
    ] {
        let described = value(everything(&daemon.context(LATER, trust)));
        let endpoints = described["endpoints"].as_array().unwrap();
        let with = |wanted: &dyn Fn(&Value) -> bool| -> Vec<_> {
            endpoints.iter().filter(|entry| wanted(entry)).map(|entry| entry["id"].as_str().unwrap()).collect()
        };
        assert_eq!(with(&|entry| entry["auth"] == "bearer"), bearers);
        assert_eq!(with(&|entry| entry["curl"].as_str().unwrap().contains("<BAA_SHARED_TOKEN>")), bearers);
    }
}

#[test]
fn a_curl_line_is_a_whole_call() {
    let daemon = Daemon::new(Config::default());
    let described = value(everything(&daemon.context(LATER, LocalTrust::SameUser)));
    let lines: Vec<_> = described["endpoints"].as_array().unwrap().iter().map(|entry| &entry["curl"]).collect();
    let token = "-H 'Authorization: Bearer <BAA_SHARED_TOKEN>'";
    let origin = "http://127.0.0.1:4317";
    assert_eq!(
        lines,
        [
            &*format!(
                r#"curl -sS {token} -H 'content-type: application/json' -d '{{"argv":["it'\''s"]}}' '{origin}/v1/exec'"#
            ),
            &*format!("curl -sS -X POST '{origin}/v1/browser/actions'"),
            &*format!("curl -sS -X POST '{origin}/v1/browser/claude/open'"),
            &*format!("curl -sS -X DELETE {token} '{origin}/v1/thing/1?all=true'"),
            &*format!("curl -sS '{origin}/v1/runs'"),
        ]
    );
}

#[test]
fn what_is_switched_off_is_described_nowhere() {
    let mut config = Config::default();
    let on = Daemon::new(config.clone());
    let described = value(everything(&on.context(LATER, LocalTrust::SameUser)));
    assert_eq!(ids(&described["host_operations"]["routes"]), ["host.exec"]);
    config.host_ops.enabled = false;
    let off = Daemon::new(config);
    let context = off.context(LATER, LocalTrust::SameUser);
    for described in [value(everything(&context)), value(one(&context, Surface::Control))] {
        assert!(!ids(&described["endpoints"]).contains(&"host.exec"));
        assert_eq!(described["host_operations"]["enabled"], false);
        assert_eq!(described["host_operations"]["routes"], json!([]));
    }
}

#[test]
fn each_surface_tells_its_own_routes_and_a_route_of_neither_stands_in_the_whole_alone() {
    let daemon = Daemon::new(Config::default());
    let context = daemon.context(LATER, LocalTrust::SameUser);
    assert_eq!(value(one(&context, Surface::Business))["endpoints"], json!([]));
    assert_eq!(ids(&value(one(&context, Surface::Control))["endpoints"]).len(), LATER.len() - 1);
    let capabilities = value(capabilities(&context));
    assert_eq!(capabilities["read_endpoints"], json!([]));
    assert_eq!(ids(&capabilities["write_endpoints"]).len(), LATER.len() - 1);
    assert_eq!(ids(&value(everything(&context))["endpoints"]).len(), LATER.len());
}

#[test]
fn lists_that_depend_on_routes_fill_by_themselves() {
    let daemon = Daemon::new(Config::default());
    let now = value(everything(&daemon.context(ROUTES, LocalTrust::SameUser)));
    let successors = ROUTES.iter().filter(|route| route.successor.is_some()).count();
    assert_eq!(now["browser"]["legacy_routes"].as_array().unwrap().len(), successors);
    let context = daemon.context(LATER, LocalTrust::SameUser);
    let later = value(everything(&context));
    assert_eq!(ids(&later["browser"]["legacy_routes"]), ["browser.claude.open"]);
    assert_eq!(later["browser"]["legacy_routes"][0]["successor"], "/v1/browser/actions");
    assert_eq!(later["browser"]["action_contract"]["route"]["available"], true);
    assert_eq!(later["browser"]["action_contract"]["examples"].as_array().unwrap().len(), 2);
    assert_eq!(later["browser"]["request_contract"]["route"]["available"], false);
    assert_eq!(later["browser"]["request_contract"]["examples"], json!([]));
    assert_eq!(ids(&value(capabilities(&context))["workflow"]), ["browser.actions"]);
}

#[test]
fn the_settings_decide_what_is_enabled() {
    let mut config = Config::default();
    let described = value(everything(&Daemon::new(config.clone()).context(ROUTES, LocalTrust::SameUser)));
    assert_eq!(described["codex"]["enabled"], false);
    assert!(described["codex"].get("target_base_url").is_none());
    assert_eq!(described["instructions"]["enabled"], false);
    assert_eq!(described["host_operations"]["sandbox"], "off");
    config.codex.base_url = Some("http://127.0.0.1:4319".into());
    config.instructions.live = true;
    config.server.max_body_bytes = 77;
    let described = value(everything(&Daemon::new(config).context(ROUTES, LocalTrust::SameUser)));
    assert_eq!(
        (&described["codex"]["enabled"], &described["codex"]["target_base_url"]),
        (&json!(true), &json!("http://127.0.0.1:4319"))
    );
    assert_eq!(described["instructions"]["enabled"], true);
    assert_eq!(described["runtime"]["limits"]["max_body_bytes"], 77);
}
