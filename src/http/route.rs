//! What the table says about one route: enough to serve it, to describe it, and to call it as an example.

use super::{authenticator::RouteAccess, endpoint::ApiCall, error::ApiError, operation::Operation, reply::ApiReply};
use crate::{bridge::WS_PATH, config::Config};
use futures_util::future::LocalBoxFuture;

/// What a handler is.
pub(super) type Handler = fn(ApiCall) -> LocalBoxFuture<'static, Result<ApiReply, ApiError>>;

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Its stable name.
    pub id: &'static str,
    /// `GET`, `POST` or `DELETE`; `HEAD` goes with `GET`.
    pub method: &'static str,
    /// Its path, parts in braces.
    pub path: &'static str,
    /// What it asks of its caller.
    pub access: RouteAccess,
    /// What calling it amounts to.
    pub kind: Kind,
    /// The descriptions that contain it.
    pub surface: Surface,
    /// What must be switched on for it to be there.
    pub feature: Feature,
    /// A call that it takes.
    pub example: Example,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What it takes and answers.
    pub operation: Operation,
    /// The path that callers of this one should move to.
    pub successor: Option<&'static str>,
    pub(super) handler: Handler,
}

impl Route {
    /// Whether it is the peers' socket, whose body is no body.
    pub fn is_socket(&self) -> bool {
        self.path == WS_PATH
    }

    /// Path and query of its example.
    pub fn target(&self) -> &'static str {
        if self.example.target.is_empty() { self.path } else { self.example.target }
    }

    /// Whether a concrete path is one of its own.
    pub fn takes(&self, path: &str) -> bool {
        fits(path, self.path)
    }
}

/// What calling a route amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// Asks the process about itself.
    Probe,
    /// Changes nothing.
    Read,
    /// Changes something, here or in a web app.
    Write,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The descriptions that contain a route. The whole description contains every route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Callers that want something from a web app.
    Business,
    /// Callers that change the system.
    Control,
    /// Both.
    Both,
    /// Only the whole description.
    Neither,
}

impl Surface {
    /// Returns whether the description `asked`, `Business` or `Control`, contains the route.
    pub fn tells(self, asked: Surface) -> bool {
        self == Surface::Both || self == asked
    }
}

/// What must be switched on for a route to be there. One that is off is neither described nor found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Nothing.
    Always,
    /// `host_ops.enabled`.
    HostOps,
}

/// What is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `host_ops.enabled`.
    pub host_ops: bool,
}

impl Features {
    /// What a configuration switches on.
    pub fn of(config: &Config) -> Self {
        Features { host_ops: config.host_ops.enabled }
    }

    /// Whether this is.
    pub fn has(self, feature: Feature) -> bool {
        match feature {
            Feature::Always => true,
            Feature::HostOps => self.host_ops,
        }
    }

    /// The routes of a table that are there.
    pub fn served(self, table: &'static [Route]) -> Vec<&'static Route> {
        table.iter().filter(|route| self.has(route.feature)).collect()
    }
}

/// A call that a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Path and query; empty = the route's own path.
    pub target: &'static str,
    /// The JSON of its body; empty = none.
    pub body: &'static str,
}

/// A call of the path as it is, without a body.
pub(super) const fn plain() -> Example {
    Example { target: "", body: "" }
}

/// A call of this path and query, without a body.
pub(super) const fn at(target: &'static str) -> Example {
    Example { target, body: "" }
}

/// A call of the path as it is, with this JSON.
pub(super) const fn body(body: &'static str) -> Example {
    plain().with(body)
}

impl Example {
    /// The same call with this JSON.
    pub(super) const fn with(self, body: &'static str) -> Self {
        Example { target: self.target, body }
    }
}

/// Whether a path fits one with parts in braces.
fn fits(path: &str, template: &str) -> bool {
    let mut given = path.split('/');
    let is_open = |part: &str| part.starts_with('{') && part.ends_with('}');
    let mut part_fits = |part: &str| given.next().is_some_and(|is| is == part || is_open(part) && !is.is_empty());
    template.split('/').all(&mut part_fits) && given.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surface_tells_its_own_and_what_belongs_to_both() {
        for (surface, business, control) in [
            (Surface::Business, true, false),
            (Surface::Control, false, true),
            (Surface::Both, true, true),
            (Surface::Neither, false, false),
        ] {
            assert_eq!((surface.tells(Surface::Business), surface.tells(Surface::Control)), (business, control));
        }
    }

    #[test]
    fn a_path_fits_its_template_part_by_part() {
        assert!(fits("/a/1/b", "/a/{id}/b") && fits("/a", "/a"));
        for (path, template) in [("/a//b", "/a/{id}/b"), ("/a/1", "/a/{id}/b"), ("/a/1/b/c", "/a/{id}/b"), ("/b", "/a")]
        {
            assert!(!fits(path, template), "{path} {template}");
        }
    }
}
