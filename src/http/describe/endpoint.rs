//! One route, described, and the command line that calls it.

use super::context::Context;
use crate::http::route::Route;
use serde::Serialize;
use serde_json::Value;

/// The header that shows the token, with a placeholder in the token's place.
pub(super) const AUTHORIZATION: &str = "Authorization: Bearer <BAA_SHARED_TOKEN>";

/// One route.
#[derive(Serialize)]
pub(super) struct Endpoint {
    id: &'static str,
    kind: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    auth: &'static str,
    curl: String,
}

/// A route in the list of a part.
#[derive(Clone, Serialize)]
pub(super) struct Mention {
    id: &'static str,
    method: &'static str,
    path: &'static str,
}

/// A call that can be made as it stands.
#[derive(Serialize)]
pub(super) struct Example {
    title: &'static str,
    method: &'static str,
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<Value>,
    curl: String,
}

impl Endpoint {
    pub(super) fn new(context: &Context<'_>, route: &'static Route) -> Self {
        Endpoint {
            id: route.id,
            kind: route.kind.name(),
            method: route.method,
            path: route.path,
            summary: route.summary,
            auth: if context.asks_token(route.access) { "bearer" } else { "none" },
            curl: curl(context, route, route.example.body),
        }
    }
}

impl Mention {
    pub(super) fn new(route: &'static Route) -> Self {
        Mention { id: route.id, method: route.method, path: route.path }
    }

    /// The routes beneath a path, the path itself included; the socket is no route to call.
    pub(super) fn beneath(context: &Context<'_>, paths: &[&str]) -> Vec<Self> {
        let is_beneath = |route: &Route| {
            let rest = paths.iter().find_map(|path| route.path.strip_prefix(path));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && !route.is_socket()
        };
        context.routes.iter().copied().filter(|route| is_beneath(route)).map(Mention::new).collect()
    }
}

impl Example {
    /// A call with this JSON; an empty one is none.
    pub(super) fn new(context: &Context<'_>, title: &'static str, route: &'static Route, body: &str) -> Self {
        let request_body = (!body.is_empty()).then(|| serde_json::from_str(body).expect("a test reads every example"));
        Example { title, method: route.method, path: route.target(), request_body, curl: curl(context, route, body) }
    }
}

/// The command line that calls a route.
fn curl(context: &Context<'_>, route: &Route, body: &str) -> String {
    let mut line = "curl -sS".to_owned();
    if body.contains("\"sse\"") {
        line.push_str(" -N");
    }
    match (route.method, body.is_empty()) {
        ("GET", _) | ("POST", false) => {}
        (method, _) => line.extend([" -X ", method]),
    }
    if context.asks_token(route.access) {
        line.extend([" -H ", &quoted(AUTHORIZATION)]);
    }
    if !body.is_empty() {
        line.extend([" -H 'content-type: application/json' -d ", &quoted(body)]);
    }
    line.extend([" ", &quoted(&format!("{}{}", context.origin(), route.target()))]);
    line
}

/// One word of a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_survives_its_quotes() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
