//! `/v1/codex`: what is forwarded to codexd, what comes back, and how its failures are reported.

use crate::support::{Answer, Caller, Daemon, within};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};
use tokio::sync::mpsc;

/// A request that codexd received.
#[derive(Clone, Debug)]
struct Seen {
    /// Method and target.
    line: String,
    /// Lower-case names, one per line.
    headers: String,
    body: String,
}

/// A fake codexd that answers each request with the same bytes and closes; without bytes it waits for the caller to
/// disconnect.
struct Codexd {
    base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// One item per completed exchange.
    ended: mpsc::UnboundedReceiver<()>,
}

impl Codexd {
    fn new(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (base, seen) = (format!("http://{}", listener.local_addr().unwrap()), Arc::<Mutex<Vec<Seen>>>::default());
        let (tell, ended) = mpsc::unbounded_channel();
        let (answer, log) = (answer.into(), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, log, tell) = (answer.clone(), Arc::clone(&log), tell.clone());
                thread::spawn(move || {
                    // In some tests the caller disconnects early.
                    exchange(&stream.unwrap(), &log, &answer).unwrap_or_default();
                    tell.send(()).unwrap_or_default();
                });
            }
        });
        Codexd { base, seen, ended }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn last(&self) -> Seen {
        self.seen().last().unwrap().clone()
    }

    async fn daemon(&self, settings: &str) -> Daemon {
        Daemon::start(&format!("codex.base_url = {:?}\n{settings}", self.base)).await
    }
}

fn exchange(stream: &TcpStream, log: &Mutex<Vec<Seen>>, answer: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut headers, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            length = value.trim().parse().unwrap();
        }
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (line, body) = (line.trim_end().trim_end_matches(" HTTP/1.1").to_owned(), String::from_utf8(body).unwrap());
    log.lock().unwrap().push(Seen { line, headers, body });
    let mut out = stream;
    out.write_all(answer)?;
    if !answer.is_empty() {
        stream.shutdown(Shutdown::Write)?;
    }
    reader.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn http(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn json_of(status: u16, body: &str) -> String {
    http(status, "content-type: application/json\r\n", body)
}

fn bearer(daemon: &Daemon) -> Caller {
    daemon.caller().bearer(&daemon.token())
}

/// Returns the message of a `codexd_unavailable` error, which names codexd and not the browser.
fn blamed(answer: &Answer, base: &str) -> String {
    assert_eq!(answer.error(), (503, "codexd_unavailable".to_owned()));
    let json = answer.json();
    let message = json["message"].as_str().unwrap();
    assert!(message.contains(base) && json["details"]["target_base_url"] == base, "{json}");
    let plain = json.to_string().to_lowercase();
    assert!(!plain.contains("browser") && !plain.contains("firefox"), "{json}");
    message.to_owned()
}

#[actix_rt::test]
async fn each_route_has_its_place_and_queries_and_bodies_come_along() {
    let codexd = Codexd::new(json_of(200, r#"{"ok":true}"#));
    let daemon = codexd.daemon("").await;
    let caller = bearer(&daemon);
    for (method, path, body, line) in [
        ("GET", "/v1/codex", None, "GET /v1/codexd/status"),
        ("GET", "/v1/codex/sessions?limit=2&q=%C3%BC+x", None, "GET /v1/codexd/sessions?limit=2&q=%C3%BC+x"),
        ("POST", "/v1/codex/sessions", Some(r#"{"a": 1.50}"#), "POST /v1/codexd/sessions"),
        ("POST", "/v1/codex/sessions", None, "POST /v1/codexd/sessions"),
        ("GET", "/v1/codex/sessions/s-1?x", None, "GET /v1/codexd/sessions/s-1?x"),
        ("POST", "/v1/codex/turn?wait=1", Some(r#"{"input":"ü"}"#), "POST /v1/codexd/turn?wait=1"),
    ] {
        let answer = caller.send(method, path, body.map(str::as_bytes)).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, &br#"{"ok":true}"#[..]), "{method} {path}");
        let seen = codexd.last();
        assert_eq!((&*seen.line, &*seen.body), (line, body.unwrap_or_default()));
        assert_eq!(seen.headers.contains("content-type: application/json\n"), body.is_some(), "{}", seen.headers);
    }
}

#[actix_rt::test]
async fn no_id_leads_anywhere_else() {
    let codexd = Codexd::new(json_of(200, "{}"));
    let daemon = codexd.daemon("").await;
    let caller = bearer(&daemon);
    for (id, passed) in [
        ("a%2Fb", "a%2Fb"),
        ("..%2f..%2fturn", "..%2F..%2Fturn"),
        ("%41%3Fx", "A%3Fx"),
        ("%252e%252e", "%252e%252e"),
        ("%%32e%%32e", "%252e%252e"),
    ] {
        assert_eq!(caller.get(&format!("/v1/codex/sessions/{id}")).await.status, 200, "{id}");
        assert_eq!(codexd.last().line, format!("GET /v1/codexd/sessions/{passed}"));
    }
    let before = codexd.seen().len();
    for id in ["..", ".", "%2e%2e", ".%2E"] {
        let answer = caller.get(&format!("/v1/codex/sessions/{id}")).await;
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()), "{id}");
        assert_eq!(answer.json()["details"]["field"], "id");
    }
    for path in ["/v1/codex/sessions/", "/v1/codex/sessions/a/b", "/v1/codex/sessions/../turn", "/v1/codex/"] {
        assert_eq!(caller.get(path).await.status, 404, "{path}");
    }
    assert_eq!(codexd.seen().len(), before, "nothing of that was passed on");
}

#[actix_rt::test]
async fn neither_the_token_nor_other_headers_of_the_caller_are_passed_on() {
    let codexd = Codexd::new(json_of(200, "{}"));
    let daemon = codexd.daemon("").await;
    let caller = bearer(&daemon).with("cookie", "a=b").with("x-own", "1").with("te", "trailers");
    caller.post("/v1/codex/turn", &json!({})).await;
    let headers = codexd.last().headers;
    for name in ["authorization", "cookie", "x-own", "te", "x-request-id"] {
        assert!(!headers.lines().any(|line| line.starts_with(&format!("{name}:"))), "{name}: {headers}");
    }
    assert!(!headers.contains(&daemon.token()));
    assert!(headers.contains(&format!("host: {}\n", codexd.base.trim_start_matches("http://"))), "{headers}");
}

#[actix_rt::test]
async fn status_body_and_content_type_come_back_unchanged_and_connection_headers_do_not() {
    for (status, kind, body) in [
        (404, "application/json", r#"{"ok":false,"error":"session_not_found","odd":[1.50]}"#),
        (500, "text/plain; charset=utf-8", "no \u{fc}mlaut"),
        (201, "application/problem+json", "{ }"),
        (302, "text/html", "<a>"),
        (200, "text/html", ""),
    ] {
        let extra = "keep-alive: timeout=5\r\nset-cookie: a=b\r\nlocation: http://127.0.0.1:9/\r\nretry-after: 7\r\n\
                     access-control-allow-origin: *\r\nx-request-id: theirs\r\n";
        let codexd = Codexd::new(http(status, &format!("content-type: {kind}\r\n{extra}"), body));
        let daemon = codexd.daemon("").await;
        let answer = bearer(&daemon).with("x-request-id", "mine").get("/v1/codex").await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(kind)));
        assert_eq!(String::from_utf8(answer.body.clone()).unwrap(), body);
        for name in ["keep-alive", "set-cookie", "location", "access-control-allow-origin", "transfer-encoding"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!((answer.header("x-request-id"), answer.header("retry-after")), (Some("mine"), Some("7")));
        assert_eq!((answer.header("cache-control"), codexd.seen().len()), (Some("no-store"), 1));
    }
}

#[actix_rt::test]
async fn a_chunked_answer_comes_back_whole() {
    let chunked = "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
    let codexd = Codexd::new(chunked);
    let daemon = codexd.daemon("").await;
    let answer = bearer(&daemon).get("/v1/codex").await;
    assert_eq!((answer.json(), answer.header("transfer-encoding")), (json!({"a": 1}), None));
}

#[actix_rt::test]
async fn answers_whose_end_is_plain_come_back_without_a_length_too() {
    for (answer, status, body) in
        [("HTTP/1.0 200 x\r\n\r\nuntil the end", 200, "until the end"), ("HTTP/1.1 204 x\r\n\r\n", 204, "")]
    {
        let codexd = Codexd::new(answer);
        let daemon = codexd.daemon("").await;
        let answer = bearer(&daemon).get("/v1/codex").await;
        assert_eq!((answer.status, String::from_utf8(answer.body).unwrap()), (status, body.to_owned()));
    }
}

#[actix_rt::test]
async fn only_json_itself_is_checked_to_be_whole() {
    for (kind, status) in [
        ("application/jsonl", 200),
        ("application/json-seq", 200),
        ("application/jsonlines; charset=utf-8", 200),
        ("application/json", 503),
        ("Application/JSON ; charset=utf-8", 503),
    ] {
        let lines = format!("HTTP/1.1 200 x\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
        let codexd = Codexd::new(format!("{lines}5\r\n{{}}\n{{}}\r\n0\r\n\r\n"));
        let daemon = codexd.daemon("").await;
        let answer = bearer(&daemon).get("/v1/codex").await;
        assert_eq!(answer.status, status, "{kind}");
        assert!(status != 200 || answer.body == b"{}\n{}", "{kind}");
    }
}

#[actix_rt::test]
async fn every_route_needs_the_token_and_says_when_nothing_is_configured() {
    let codexd = Codexd::new(json_of(200, "{}"));
    let (with, without) = (codexd.daemon("").await, Daemon::start("").await);
    for (method, path) in [
        ("GET", "/v1/codex"),
        ("GET", "/v1/codex/sessions"),
        ("POST", "/v1/codex/sessions"),
        ("GET", "/v1/codex/sessions/x"),
        ("POST", "/v1/codex/turn"),
    ] {
        let body = (method == "POST").then_some(&b"{}"[..]);
        let refused = with.caller().send(method, path, body).await;
        assert_eq!(refused.error(), (401, "unauthorized".to_owned()), "{method} {path}");
        let answer = bearer(&without).send(method, path, body).await;
        assert_eq!(answer.error(), (503, "codexd_not_configured".to_owned()), "{method} {path}");
    }
    assert_eq!(codexd.seen().len(), 0);
}

#[actix_rt::test]
async fn one_that_is_down_is_named() {
    let base = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let daemon = Daemon::start(&format!("codex.base_url = \"{base}/\"")).await;
    blamed(&bearer(&daemon).get("/v1/codex").await, &base);
    blamed(&bearer(&daemon).post("/v1/codex/turn", &json!({"input": 1})).await, &base);
}

#[actix_rt::test]
async fn answers_that_cannot_be_used_are_codexds_fault() {
    let long = "x".repeat(101);
    let endless = format!("HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n65\r\n{long}\r\n");
    let half_json =
        "HTTP/1.1 200 x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{\"a\r\n";
    for (answer, why) in [
        (json_of(200, &long), "larger than 100 bytes"),
        (endless, "larger than 100 bytes"),
        ("HTTP/1.1 200 x\r\ncontent-length: 50\r\n\r\nhalf".to_owned(), "broke off"),
        (half_json.to_owned(), "broke off"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), "cannot be read"),
        ("HTTP/1.1 101 x\r\nupgrade: x\r\n\r\n".to_owned(), "cannot be read"),
        // A body that ends with the connection must not become an empty one.
        ("HTTP/1.1 200 x\r\nconnection: close\r\n\r\n{\"a\":1}".to_owned(), "neither content-length nor"),
        ("HTTP/1.1 200 x\r\ntransfer-encoding: identity\r\n\r\n{}".to_owned(), "cannot be read"),
        ("HTTP/1.1 500 x\r\ncontent-type: text/plain\r\n\r\nwhy".to_owned(), "neither content-length nor"),
    ] {
        let codexd = Codexd::new(answer.clone());
        let daemon = codexd.daemon("codex.max_response_bytes = 100").await;
        let message = blamed(&bearer(&daemon).get("/v1/codex").await, &codexd.base);
        assert!(message.contains(why), "{answer:?}: {message}");
    }
    let fits = Codexd::new(json_of(200, &long[..100]));
    let daemon = fits.daemon("codex.max_response_bytes = 100").await;
    assert_eq!(bearer(&daemon).get("/v1/codex").await.status, 200);
}

#[actix_rt::test]
async fn one_that_says_nothing_is_late_and_its_call_ends() {
    let mut codexd = Codexd::new("");
    let daemon = codexd.daemon("codex.timeout_ms = 100").await;
    let message = blamed(&bearer(&daemon).get("/v1/codex").await, &codexd.base);
    assert!(message.contains("within 100ms"), "{message}");
    within("end of the call", codexd.ended.recv()).await.unwrap();
}

#[actix_rt::test]
async fn a_caller_that_leaves_ends_its_call_and_frees_its_place() {
    let mut codexd = Codexd::new("");
    let daemon = codexd.daemon("codex.max_calls = 1").await;
    let caller = bearer(&daemon);
    let first = caller.begin_at("/v1/codex/turn", &json!({"n": 1})).await;
    crate::support::until("first call", async || codexd.seen().first().map(drop)).await;
    let busy = caller.get("/v1/codex").await;
    assert_eq!((busy.error(), busy.header("retry-after")), ((503, "overloaded".to_owned()), Some("1")));
    drop(first);
    within("end of the call", codexd.ended.recv()).await.unwrap();
    let _second = caller.begin_at("/v1/codex/turn", &json!({"n": 2})).await;
    crate::support::until("second call", async || codexd.seen().get(1).map(drop)).await;
    assert_eq!(serde_json::from_str::<Value>(&codexd.last().body).unwrap(), json!({"n": 2}));
}
