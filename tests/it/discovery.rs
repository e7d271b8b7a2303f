//! Discovery: the descriptions match the behaviour. The running server is called as its own descriptions say.

use crate::support::{Answer, Caller, Daemon};
use baa_conductor::http::{ROUTES, Route};
use serde_json::Value;
use std::collections::BTreeMap;

const DESCRIPTIONS: [&str; 4] = ["/describe", "/describe/business", "/describe/control", "/v1/capabilities"];
const PLACEHOLDER: &str = "<BAA_SHARED_TOKEN>";

/// A parsed `curl` command line.
#[derive(Debug)]
struct Line {
    method: String,
    target: String,
    authorization: Option<String>,
    body: Option<String>,
}

impl Line {
    fn read(text: &str, origin: &str) -> Self {
        let mut words = words(text).into_iter();
        assert_eq!(words.next().as_deref(), Some("curl"), "{text}");
        let mut line = Line { method: String::new(), target: String::new(), authorization: None, body: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} without a value: {text}"));
            match word.as_str() {
                "-sS" | "-N" => {}
                "-X" => line.method = value(),
                "-d" => line.body = Some(value()),
                "-H" => match value().split_once(": ") {
                    Some(("Authorization", value)) => line.authorization = Some(value.to_owned()),
                    Some(("content-type", "application/json")) => {}
                    _ => panic!("another header: {text}"),
                },
                url => line.target = url.strip_prefix(origin).unwrap_or_else(|| panic!("elsewhere: {text}")).to_owned(),
            }
        }
        if line.method.is_empty() {
            line.method = if line.body.is_some() { "POST" } else { "GET" }.to_owned();
        }
        if let Some(body) = &line.body {
            serde_json::from_str::<Value>(body).unwrap_or_else(|error| panic!("{error}: {text}"));
        }
        line
    }

    /// Makes the call; of responses that may stream forever, only the head is read.
    async fn call(&self, caller: &Caller) -> Answer {
        let mut connection = caller.open().await;
        connection.write(&caller.head(&self.method, &self.target, self.body.as_deref().map(str::as_bytes))).await;
        let failed = connection.peek_status().await >= 400;
        connection.answer(!failed).await
    }
}

/// Splits a POSIX shell command line: blanks, single quotes and backslashes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, line.chars());
    while let Some(c) = chars.next() {
        match c {
            ' ' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(chars.next().unwrap()),
            '\'' => {
                let quoted: String = chars.by_ref().take_while(|c| *c != '\'').collect();
                word.get_or_insert_default().push_str(&quoted);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_else(|| panic!("no {field} in {entry}"))
}

fn list<'a>(entry: &'a Value, field: &str) -> &'a [Value] {
    entry[field].as_array().unwrap_or_else(|| panic!("no {field} in {entry}"))
}

fn is_no_route(answer: &Answer) -> bool {
    answer.status == 404 && answer.json()["details"]["resource"] == "route"
}

/// Returns a caller with the token.
fn bearer(daemon: &Daemon) -> Caller {
    daemon.caller().bearer(&daemon.token())
}

#[actix_rt::test]
async fn what_is_described_is_there() {
    let daemon = Daemon::start("").await;
    let (caller, origin) = (bearer(&daemon), format!("http://{}", daemon.address));
    let described = caller.get("/describe").await.data();
    assert_eq!(described["origin"], *origin);
    for entry in list(&described, "endpoints") {
        let line = Line::read(text(entry, "curl"), &origin);
        assert_eq!(line.method, text(entry, "method"), "{entry}");
        let asks = (text(entry, "auth") == "bearer").then(|| format!("Bearer {PLACEHOLDER}"));
        assert_eq!(line.authorization, asks, "{entry}");
        let answer = line.call(&caller).await;
        assert!(!is_no_route(&answer) && answer.status != 405, "{entry}: {answer:?}");
    }
}

#[actix_rt::test]
async fn every_route_is_described_once_and_nothing_else() {
    let daemon = Daemon::start("").await;
    let described = daemon.caller().get("/describe").await.data();
    let ids: Vec<_> = list(&described, "endpoints").iter().map(|entry| text(entry, "id")).collect();
    let routes: Vec<_> = ROUTES.iter().filter(|route| !route.is_socket()).map(|route| route.id).collect();
    assert_eq!(ids, routes);
    let sockets: Vec<_> = ROUTES.iter().filter(|route| route.is_socket()).map(|route| route.path).collect();
    assert_eq!(sockets, [text(&described["websocket"], "path")]);
    assert_eq!(described["websocket"]["url"], *daemon.ws_url());
}

#[actix_rt::test]
async fn a_method_that_is_not_described_is_405_with_the_allowed_ones() {
    let daemon = Daemon::start("").await;
    let caller = bearer(&daemon);
    let described = caller.get("/describe").await.data();
    let mut methods = BTreeMap::<&str, Vec<&str>>::new();
    for entry in list(&described, "endpoints") {
        let of_path = methods.entry(text(entry, "path")).or_default();
        let method = text(entry, "method");
        of_path.extend(if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] });
    }
    for (path, methods) in &mut methods {
        methods.sort_unstable();
        let route = ROUTES.iter().find(|route| route.path == *path).unwrap();
        let target = route.target().split('?').next().unwrap();
        for method in ["GET", "POST", "DELETE", "PUT", "PATCH"].iter().filter(|method| !methods.contains(method)) {
            let answer = caller.send(method, target, None).await;
            assert_eq!(answer.error(), (405, "method_not_allowed".into()), "{method} {path}");
            let mut allowed: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
            allowed.sort_unstable();
            assert_eq!(allowed, *methods, "{method} {path}");
        }
    }
}

#[actix_rt::test]
async fn every_example_can_be_sent_as_it_stands() {
    let daemon = Daemon::start("").await;
    let (caller, origin) = (bearer(&daemon), format!("http://{}", daemon.address));
    let described = caller.get("/describe").await.data();
    let browser = &described["browser"];
    let contracts = ["request_contract", "cancel_contract", "action_contract"].map(|name| &browser[name]);
    for contract in contracts {
        let (route, examples) = (&contract["route"], list(contract, "examples"));
        assert_eq!(route["available"], !examples.is_empty(), "{route}");
        assert_eq!(route["available"], ROUTES.iter().any(|known: &Route| known.id == text(route, "id")), "{route}");
        for example in examples {
            assert_eq!((&example["method"], &example["path"]), (&route["method"], &route["path"]));
        }
    }
    let of_contracts = contracts.into_iter().flat_map(|contract| list(contract, "examples"));
    let mut sent = 0;
    for example in of_contracts.chain(list(&described, "examples")) {
        let line = Line::read(text(example, "curl"), &origin);
        assert_eq!((line.method.as_str(), line.target.as_str()), (text(example, "method"), text(example, "path")));
        let body = line.body.as_deref().map(|body| serde_json::from_str::<Value>(body).unwrap());
        assert_eq!(body.as_ref(), example.get("request_body"), "{example}");
        let answer = line.call(&caller).await;
        assert!(answer.status != 400 && answer.status != 405 && !is_no_route(&answer), "{example}: {answer:?}");
        sent += 1;
    }
    assert!(sent >= 10, "{sent}");
}

#[actix_rt::test]
async fn the_browser_part_is_the_same_everywhere_and_a_configured_platform_stands_in_it() {
    let daemon = Daemon::start(
        "[platforms.wiki]\nshell_url = \"https://wiki.example/\"\nmodes = [\"buffered\"]\n\
         [codex]\nbase_url = \"http://127.0.0.1:4319\"",
    )
    .await;
    let body = serde_json::json!({"platform": "wiki", "path": "/", "response_mode": "sse"});
    let refused = daemon.caller().post("/v1/browser/request", &body).await;
    assert_eq!(refused.error(), (400, "platform_not_supported".into()));
    let details = &refused.json()["details"];
    assert_eq!(
        (&details["field"], &details["supported_platforms"]),
        (&"response_mode".into(), &serde_json::json!(["chatgpt", "claude", "gemini"]))
    );
    let mut parts = Vec::new();
    for path in DESCRIPTIONS {
        let described = daemon.caller().get(path).await.data();
        if path != "/describe/control" {
            assert_eq!(described["codex"]["target_base_url"], "http://127.0.0.1:4319", "{path}");
        }
        parts.push(described["browser"].clone());
    }
    assert!(parts.iter().all(|part| *part == parts[0]));
    for names in [
        &parts[0]["supported_request_platforms"],
        &parts[0]["supported_action_platforms"],
        &parts[0]["request_contract"]["supported_platforms"],
    ] {
        assert_eq!(*names, serde_json::json!(["chatgpt", "claude", "gemini", "wiki"]));
    }
}

#[actix_rt::test]
async fn the_surfaces_keep_to_themselves() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let paths = async |path: &str, lists: &[&str]| -> Vec<String> {
        let described = caller.get(path).await.data();
        let entries = lists.iter().flat_map(|name| list(&described, name));
        entries.map(|entry| text(entry, "path").to_owned()).collect()
    };
    let holds = |paths: &[String], prefixes: &[&str]| {
        paths.iter().any(|path| prefixes.iter().any(|prefix| path.starts_with(prefix)))
    };
    let business = paths("/describe/business", &["endpoints"]).await;
    let control = paths("/describe/control", &["endpoints"]).await;
    let capabilities = paths("/v1/capabilities", &["read_endpoints", "write_endpoints"]).await;
    for path in ["/v1/browser", "/v1/browser/request", "/v1/browser/request/cancel"] {
        assert!(business.iter().any(|known| known == path), "{path}");
    }
    let of_control = ["/v1/exec", "/v1/files", "/v1/system/pause", "/v1/system/resume", "/v1/system/drain"];
    assert!(!holds(&business, &of_control) && !holds(&business, &["/v1/browser/actions", "/v1/runs"]));
    assert!(!holds(&control, &["/v1/tasks"]));
    assert!(!holds(&capabilities, &["/v1/runs"]));
    let described = caller.get("/v1/capabilities").await.data();
    for (name, writes) in [("read_endpoints", false), ("write_endpoints", true)] {
        assert!(list(&described, name).iter().all(|entry| (entry["kind"] == "write") == writes), "{name}");
    }
    assert!(!list(&described, "workflow").is_empty());
}

#[actix_rt::test]
async fn the_token_is_described_and_never_shown() {
    for settings in ["", "auth.local_trust = \"none\""] {
        let daemon = Daemon::start(settings).await;
        for path in DESCRIPTIONS {
            let open = daemon.caller().get(path).await;
            assert_eq!(open.status, if settings.is_empty() { 200 } else { 401 }, "{path}");
            let answer = bearer(&daemon).get(path).await;
            assert!(!String::from_utf8(answer.body.clone()).unwrap().contains(&daemon.token()), "{path}");
            let described = answer.data();
            assert_eq!(described["auth"]["configured"], true);
        }
    }
}

#[actix_rt::test]
async fn auth_says_whether_the_route_answers_without_a_token() {
    for settings in ["", "auth.local_trust = \"none\""] {
        let daemon = Daemon::start(settings).await;
        let origin = format!("http://{}", daemon.address);
        let described = bearer(&daemon).get("/describe").await.data();
        for entry in list(&described, "endpoints") {
            let line = Line::read(text(entry, "curl"), &origin);
            let refused = line.call(&daemon.caller()).await.status == 401;
            assert_eq!(refused, text(entry, "auth") == "bearer", "{settings}: {entry}");
        }
    }
}
