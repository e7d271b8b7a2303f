//! The table keeps its promises, and a route that is switched off is not there.

use super::*;
use crate::http::{endpoint::ApiCall, error::ApiError, reply::ApiReply, route::Features};
use actix_web::{App, test};
use std::collections::HashSet;

async fn nothing(_: ApiCall) -> Result<ApiReply, ApiError> {
    Err(ApiError::not_found("thing", "There is nothing here."))
}

routes! {
    static SWITCHED;

    "one.show" GET "/one" [Local, Read, Both, Always] plain(), nothing, answers_bare(), "Shows it.";
    "one.do" POST "/one" [Token, Write, Control, HostOps] plain(), nothing, answers_bare(), "Does it." => "/two";
    "two.do" POST "/two" [Token, Write, Control, HostOps] plain(), nothing, answers_bare(), "Does another.";
}

/// Status of an answer of the small table, and what it allows.
async fn ask(host_ops: bool, method: Method, path: &str) -> (u16, String) {
    let table = Features { host_ops }.served(SWITCHED);
    let serve = |route: &'static Route, _, _| -> Answer {
        Box::pin(async { HttpResponse::Ok().insert_header(("allow", route.id)).finish() })
    };
    let refuse = |known: Option<KnownPath>, _| -> Answer {
        Box::pin(async move {
            match known {
                Some(known) => HttpResponse::MethodNotAllowed().insert_header(("allow", known.allow)).finish(),
                None => HttpResponse::NotFound().finish(),
            }
        })
    };
    let app = App::new().configure(|config| mount(config, &table, &serve, &refuse));
    let service = test::init_service(app).await;
    let answer = test::call_service(&service, test::TestRequest::with_uri(path).method(method).to_request()).await;
    let allow = answer.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), allow.unwrap_or_default())
}

#[actix_rt::test]
async fn a_route_that_is_switched_off_is_not_found_and_allowed_nowhere() {
    assert_eq!(ask(true, Method::POST, "/two").await, (200, "two.do".into()));
    assert_eq!(ask(true, Method::POST, "/one").await, (200, "one.do".into()));
    assert_eq!(ask(true, Method::DELETE, "/one").await, (405, "GET, HEAD, POST".into()));
    assert_eq!(ask(false, Method::POST, "/two").await, (404, String::new()));
    assert_eq!(ask(false, Method::GET, "/two").await, (404, String::new()));
    assert_eq!(ask(false, Method::POST, "/one").await, (405, "GET, HEAD".into()));
    assert_eq!(ask(false, Method::HEAD, "/one").await, (200, "one.show".into()));
}

#[test]
fn a_successor_is_given_where_it_stands() {
    let successors = SWITCHED.iter().map(|route| route.successor);
    assert!(successors.eq([None, Some("/two"), None]));
}

#[test]
fn no_route_and_no_id_stands_twice_and_one_path_stands_together() {
    let mut seen = HashSet::new();
    for (at, route) in ROUTES.iter().enumerate() {
        assert!(seen.insert((route.method, route.path)), "{} {}", route.method, route.path);
        assert!(ROUTES.iter().skip(at + 1).all(|other| other.id != route.id), "{}", route.id);
    }
    let mut paths: Vec<_> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    let distinct: HashSet<_> = paths.iter().collect();
    assert_eq!(paths.len(), distinct.len());
}

#[test]
fn every_example_is_a_call_of_its_own_route() {
    for route in ROUTES {
        let path = route.target().split('?').next().unwrap();
        assert!(route.takes(path) && !path.contains('{'), "{}: {path}", route.id);
        let first = ROUTES.iter().find(|other| other.method == route.method && other.takes(path));
        assert_eq!(first.map(|other| other.id), Some(route.id), "another route takes the example {path}");
        if !route.example.body.is_empty() {
            assert_ne!(route.method, "GET", "{}", route.id);
            let body: serde_json::Value = serde_json::from_str(route.example.body).unwrap();
            assert!(body.is_object(), "{}", route.id);
        }
    }
}

#[test]
fn a_summary_is_a_sentence_and_a_successor_a_route() {
    for route in ROUTES {
        assert!(route.summary.ends_with('.') && route.summary.len() > 10, "{}", route.id);
        assert!(!route.summary.starts_with(char::is_lowercase), "{}", route.id);
        if let Some(successor) = route.successor {
            assert!(ROUTES.iter().any(|other| other.path == successor), "{}: {successor}", route.id);
        }
    }
}
