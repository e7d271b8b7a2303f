//! The one table of routes, from which the router is made. A path that is not here does not exist.

use super::{
    Core, browser,
    callers::Access,
    endpoint::{self, Call},
    error::ApiError,
    journal, probes,
    reply::Reply,
    socket, state, status, system, tasks,
};
use crate::bridge::WS_PATH;
use actix_web::{HttpRequest, guard, http::Method, web};
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;

/// What a handler is.
type Handler = fn(Call) -> LocalBoxFuture<'static, Result<Reply, ApiError>>;

/// One route.
pub struct Route {
    /// Its stable name.
    pub id: &'static str,
    /// `GET` or `POST`; `HEAD` goes with `GET`.
    pub method: &'static str,
    /// Its path, parts in braces.
    pub path: &'static str,
    /// What it asks of its caller.
    pub access: Access,
    /// What it does, in one sentence.
    pub summary: &'static str,
    pub(super) handler: Handler,
}

impl Route {
    /// Whether it is the peers' socket, whose body is no body.
    pub fn is_socket(&self) -> bool {
        self.path == WS_PATH
    }
}

macro_rules! routes {
    ($($id:literal $method:ident $path:expr, $access:ident, $handler:path, $summary:literal;)*) => {
        /// Every route there is.
        pub static ROUTES: &[Route] = &[$(Route {
            id: $id,
            method: stringify!($method),
            path: $path,
            access: Access::$access,
            summary: $summary,
            handler: |call| Box::pin($handler(call)),
        },)*];
    };
}

routes! {
    "service.health" GET "/health", Open, probes::health, "Says that the process serves.";
    "service.healthz" GET "/healthz", Open, probes::health, "Says that the process serves.";
    "service.readyz" GET "/readyz", Open, probes::ready, "Says whether the store answers and the actors run.";
    "service.version" GET "/version", Open, probes::version, "Names the program, its version and its protocol.";
    "service.status" GET "/v1/status", Local, status::show, "Says how the daemon is, in numbers.";
    "browser.status" GET "/v1/browser", Local, state::show, "Shows clients, platforms and policy.";
    "browser.request" POST "/v1/browser/request", Local, browser::request, "Sends a request through a Firefox.";
    "browser.request.cancel" POST "/v1/browser/request/cancel", Local, browser::cancel, "Cancels a request.";
    "browser.requests" GET "/v1/browser/requests", Local, journal::list, "Lists requests, newest first.";
    "browser.requests.one" GET "/v1/browser/requests/{request_id}", Local, journal::one, "Shows one request.";
    "system.state" GET "/v1/system/state", Local, system::state, "Shows the mode of the system.";
    "system.pause" POST "/v1/system/pause", Local, system::pause, "Lets live instructions wait.";
    "system.resume" POST "/v1/system/resume", Local, system::resume, "Lets everything run again.";
    "system.drain" POST "/v1/system/drain", Local, system::drain, "Takes no new browser requests.";
    "tasks.list" GET "/v1/tasks", Local, tasks::list, "Lists tasks, newest first.";
    "tasks.one" GET "/v1/tasks/{id}", Local, tasks::one, "Shows one task.";
    "tasks.logs" GET "/v1/tasks/{id}/logs", Local, tasks::logs, "Lists what happened to a task, newest first.";
    "runs.list" GET "/v1/runs", Local, tasks::runs, "Lists the runs of tasks, newest first.";
    "controllers.list" GET "/v1/controllers", Local, system::controllers, "Shows this node.";
    "browser.socket" GET WS_PATH, Open, socket::open, "The WebSocket of the Firefox extension.";
}

/// The methods that a path has, as `allow` names them.
fn allowed(path: &str) -> &'static str {
    let has = |method| ROUTES.iter().any(|route| route.path == path && route.method == method);
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

/// Puts every route under its guard.
pub(super) fn configure(config: &mut web::ServiceConfig, core: &Arc<Core>) {
    let mut paths: Vec<&'static str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    for path in paths {
        let mut resource = web::resource(path);
        for route in ROUTES.iter().filter(|route| route.path == path) {
            let core = Arc::clone(core);
            let method = Method::from_bytes(route.method.as_bytes()).expect("the table names methods");
            let guarded = match method {
                Method::GET => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
                other => web::method(other),
            };
            let serve = move |request: HttpRequest, payload: web::Payload| {
                endpoint::serve(Arc::clone(&core), route, request, payload)
            };
            resource = resource.route(guarded.to(serve));
        }
        let refuse = refuser(core, Some(allowed(path)));
        config.service(resource.default_service(web::to(refuse)));
    }
    config.default_service(web::to(refuser(core, None)));
}

fn refuser(
    core: &Arc<Core>,
    allow: Option<&'static str>,
) -> impl Fn(HttpRequest) -> LocalBoxFuture<'static, actix_web::HttpResponse> + Clone + 'static {
    let core = Arc::clone(core);
    move |request: HttpRequest| Box::pin(endpoint::refuse(Arc::clone(&core), allow, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_and_no_id_stands_twice_and_one_path_stands_together() {
        let mut seen = std::collections::HashSet::new();
        for (at, route) in ROUTES.iter().enumerate() {
            assert!(seen.insert((route.method, route.path)), "{} {}", route.method, route.path);
            assert!(ROUTES.iter().skip(at + 1).all(|other| other.id != route.id), "{}", route.id);
        }
        let mut paths: Vec<_> = ROUTES.iter().map(|route| route.path).collect();
        paths.dedup();
        let distinct: std::collections::HashSet<_> = paths.iter().collect();
        assert_eq!(paths.len(), distinct.len());
    }
}
