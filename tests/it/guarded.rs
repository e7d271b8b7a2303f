//! Access to every route of the table, tested from outside against the documented rules, not against the table. A route
//! without its checks fails here, and so does a new one that the rules do not cover.

use crate::support::{Caller, Daemon};
use baa_conductor::http::{ROUTES, Route, RouteAccess};

/// Routes open to any local caller, whatever is trusted.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/version"),
    ("GET", "/ui"),
    ("GET", "/v1/status/ui"),
    ("GET", "/ws/firefox"),
    ("POST", "/v1/session"),
];
/// The status page's assets, which contain no data.
const OPEN_BENEATH: &[&str] = &["/v1/status/ui/"];
/// Routes that require the token, whatever is trusted, including everything beneath them.
const TOKEN: &[&str] = &[
    "/v1/exec",
    "/v1/files",
    "/v1/instructions",
    "/v1/codex",
    "/v1/browser/messages",
    "/v1/browser/pairings",
    "/v1/browser/policy/reset",
    "/v1/session/codes",
];

/// Returns the documented access of a route.
fn promised(route: &Route) -> RouteAccess {
    let beneath = |folder: &&str| route.path == *folder || route.path.starts_with(&format!("{folder}/"));
    let open = OPEN.contains(&(route.method, route.path)) || OPEN_BENEATH.iter().any(|at| route.path.starts_with(at));
    match (open, TOKEN.iter().any(beneath)) {
        (true, _) => RouteAccess::Open,
        (false, true) => RouteAccess::Token,
        (false, false) => RouteAccess::Local,
    }
}

/// The credential that a caller sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Wrong,
    Right,
}

/// Calls a route by its example; of responses that may stream forever, only the status is read.
async fn call(caller: &Caller, method: &str, route: &Route) -> (u16, String) {
    let body = Some(route.example.body.as_bytes()).filter(|body| !body.is_empty());
    let mut connection = caller.open().await;
    connection.write(&caller.head(method, route.target(), body)).await;
    let status = connection.peek_status().await;
    if status < 400 || method == "HEAD" {
        return (status, String::new());
    }
    connection.answer(false).await.error()
}

/// Returns whether the access checks let the call through.
fn passed(answer: &(u16, String)) -> bool {
    !matches!(answer.0, 401 | 429) && !matches!(&*answer.1, "host_not_allowed" | "origin_not_allowed")
}

#[test]
fn the_table_grants_each_route_the_access_of_the_lists() {
    for route in ROUTES {
        assert_eq!(route.access, promised(route), "{} {}", route.method, route.path);
    }
}

#[actix_rt::test]
async fn every_route_lets_in_the_callers_of_its_access_class_only() {
    for (trust, trusts) in [("none", false), ("same_user", true), ("loopback", true)] {
        let daemon = Daemon::start(&format!("auth.local_trust = '{trust}'")).await;
        for route in ROUTES {
            let methods: &[&str] = if route.method == "GET" { &["GET", "HEAD"] } else { &[route.method] };
            for (method, shown) in
                methods.iter().flat_map(|m| [Shown::Nothing, Shown::Wrong, Shown::Right].map(|shown| (*m, shown)))
            {
                let caller = match shown {
                    Shown::Nothing => daemon.caller(),
                    Shown::Wrong => daemon.caller().bearer("wrong"),
                    Shown::Right => daemon.caller().bearer(&daemon.token()),
                };
                let answer = call(&caller, method, route).await;
                let may = match (promised(route), shown) {
                    (_, Shown::Right) => true,
                    // An invalid token is refused on every route.
                    (_, Shown::Wrong) | (RouteAccess::Token, Shown::Nothing) => false,
                    (RouteAccess::Open, Shown::Nothing) => true,
                    (RouteAccess::Local, Shown::Nothing) => trusts,
                };
                let about = format!("{method} {} with {shown:?} under {trust}: {answer:?}", route.path);
                assert_eq!(passed(&answer), may, "{about}");
                // There are many wrong tokens here, so most meet the lockout.
                let refused: &[u16] = if shown == Shown::Wrong { &[401, 429] } else { &[401] };
                assert!(may || refused.contains(&answer.0), "{about}");
            }
        }
    }
}

#[actix_rt::test]
async fn every_route_refuses_foreign_hosts_origins_sites_and_forms_even_with_the_token() {
    let daemon = Daemon::start("").await;
    let known = daemon.caller().bearer(&daemon.token());
    let port = daemon.address.port();
    for route in ROUTES {
        for (name, value, code) in [
            ("host", "evil.example".to_owned(), "host_not_allowed"),
            ("host", format!("evil.example:{port}"), "host_not_allowed"),
            ("origin", "https://evil.example".to_owned(), "origin_not_allowed"),
            ("origin", "null".to_owned(), "origin_not_allowed"),
            ("origin", format!("https://127.0.0.1:{port}"), "origin_not_allowed"),
            ("sec-fetch-site", "cross-site".to_owned(), "origin_not_allowed"),
            ("sec-fetch-site", "same-site".to_owned(), "origin_not_allowed"),
        ] {
            let answer = call(&known.clone().with(name, &value), route.method, route).await;
            assert_eq!(answer, (403, code.to_owned()), "{} {} with {name} {value}", route.method, route.path);
        }
        let extension = known.clone().with("origin", "moz-extension://0b0d4e8a-4f0f-4a5e-9a30-6d6c4a8b1c11");
        let answer = call(&extension, route.method, route).await;
        assert_eq!(answer.1 == "origin_not_allowed", route.path != "/ws/firefox", "{} {answer:?}", route.path);
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let form = known.clone().with("content-type", kind);
            let answer = form.send(route.method, route.target(), Some(b"{}")).await;
            let refused = (415, "unsupported_media_type".to_owned());
            assert_eq!(answer.error(), refused, "{} {} with {kind}", route.method, route.path);
        }
    }
}
