//! Spellings of a path: none reaches a protected route without the token, and none gets the access rules of another
//! route.

use super::{SHORT, raw, statuses, unharmed};
use crate::support::{Case, Daemon};

const SPELLINGS: &[(&str, &str)] = &[
    ("as it is", "/v1/exec"),
    ("a letter encoded", "/v1/%65xec"),
    ("all letters encoded", "/%76%31/%65%78%65%63"),
    ("a letter encoded in capitals", "/v1/%45xec"),
    ("encoded twice", "/v1/%2565xec"),
    ("a slash encoded", "/v1%2fexec"),
    ("a slash encoded in capitals", "/v1%2Fexec"),
    ("a slash encoded twice", "/v1%252fexec"),
    ("a backslash", "/v1\\exec"),
    ("a backslash encoded", "/v1%5cexec"),
    ("two slashes at the front", "//v1/exec"),
    ("two slashes within", "/v1//exec"),
    ("a slash at the end", "/v1/exec/"),
    ("two slashes at the end", "/v1/exec//"),
    ("a dot", "/v1/./exec"),
    ("a dot encoded", "/v1/%2e/exec"),
    ("up and down", "/v1/x/../exec"),
    ("up and down encoded", "/v1/x/%2e%2e/exec"),
    ("up and down with encoded slashes", "/v1/x%2f..%2fexec"),
    ("up beyond the root", "/../v1/exec"),
    ("from an open route", "/health/../v1/exec"),
    ("from an open route encoded", "/health/..%2fv1%2fexec"),
    ("behind an open route", "/health/v1/exec"),
    ("a parameter", "/v1/exec;x=y"),
    ("a parameter before", "/v1;x/exec"),
    ("a null", "/v1/exec%00"),
    ("a null before an ending", "/v1/exec%00.js"),
    ("an ending", "/v1/exec.json"),
    ("a blank encoded", "/v1/exec%20"),
    ("a tab encoded", "/v1/exec%09"),
    ("a line end encoded", "/v1/exec%0d%0a"),
    ("a header in it", "/v1/exec%20HTTP/1.1%0d%0Aauthorization:x"),
    ("capitals", "/V1/EXEC"),
    ("a mark before it", "/v1/%c2%adexec"),
    ("letters that look like it", "/v1/ex\u{435}c"),
    ("too long UTF-8", "/v1%c0%afexec"),
    ("half an escape", "/v1/exec%"),
    ("half an escape more", "/v1/exec%6"),
    ("an escape that is none", "/v1/%zzexec"),
    ("a query", "/v1/exec?x=/health"),
    ("a query of the token", "/v1/exec?token=TOKEN"),
    ("a query of the header", "/v1/exec?authorization=Bearer%20TOKEN"),
    ("a query of the access token", "/v1/exec?access_token=TOKEN"),
    ("a fragment", "/v1/exec#/health"),
    ("the whole address", "http://ADDRESS/v1/exec"),
    ("the whole address with the token as its user", "http://TOKEN@ADDRESS/v1/exec"),
    ("another address", "http://evil.example/v1/exec"),
    ("an address without scheme", "//ADDRESS/v1/exec"),
    ("a star", "*"),
    ("nothing before it", "v1/exec"),
];

/// The effect that needs the token.
const EFFECT: &str = "touch EFFECT";

#[actix_rt::test]
async fn no_spelling_of_a_path_gets_around_its_guard() {
    let daemon = Daemon::start(&format!("{SHORT}\nhost_ops.allow_root = true")).await;
    let (effect, token) = (daemon.folder().path().join("effect"), daemon.token());
    let body = serde_json::json!({"command": EFFECT.replace("EFFECT", effect.to_str().unwrap())}).to_string();
    for (name, path) in SPELLINGS {
        let case = Case::new(name);
        let path = path.replace("TOKEN", &token).replace("ADDRESS", &daemon.address.to_string());
        for method in ["POST", "post", "Post", "PUT", "PATCH", "DELETE", "GET", "HEAD", "TRACE", "CONNECT", "PROPFIND"]
        {
            let text = raw(&daemon, format!("{method} {path} HTTP/1.1\r\nconnection: close\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", daemon.address, body.len()).as_bytes()).await;
            let first = statuses(&text).first().copied();
            assert!(first.is_none_or(|status| (400..500).contains(&status)), "{method}: {text}");
            assert!(!text.contains(&token), "the token is never said: {text}");
        }
        case.passed();
    }
    assert!(!effect.exists(), "something was run");
    // With the token it happens, so the attempts used the right routes.
    let run = daemon.caller().bearer(&token).post("/v1/exec", &serde_json::from_str(&body).unwrap()).await;
    assert_eq!(run.data()["ok"], true);
    assert!(effect.exists());
    unharmed(&daemon).await;
}

/// Headers that ask servers to treat a request as another method.
#[actix_rt::test]
async fn no_header_changes_method_path_or_caller() {
    let daemon = Daemon::start(&format!("{SHORT}\nauth.local_trust = \"none\"")).await;
    let token = daemon.token();
    for (name, header) in [
        ("another method", "x-http-method-override: GET"),
        ("another method too", "x-method-override: GET"),
        ("another path", "x-original-url: /health"),
        ("another path too", "x-rewrite-url: /health"),
        ("from here", "x-forwarded-for: 127.0.0.1"),
        ("really from here", "x-real-ip: 127.0.0.1"),
        ("forwarded from here", "forwarded: for=127.0.0.1;host=localhost;proto=http"),
        ("a user", "x-remote-user: root"),
        ("a token elsewhere", "x-auth-token: TOKEN"),
        ("a key elsewhere", "x-api-key: TOKEN"),
        ("a cookie of the token", "cookie: token=TOKEN"),
        ("a cookie of a session", "cookie: session=TOKEN; baa_session=TOKEN"),
        ("the token of a proxy", "proxy-authorization: Bearer TOKEN"),
        ("another scheme", "authorization: Basic TOKEN"),
        ("no scheme", "authorization: TOKEN"),
        ("an empty token", "authorization: Bearer "),
        ("a token and more", "authorization: Bearer TOKEN, Bearer x"),
        ("two tokens, ours last", "authorization: Bearer x\r\nauthorization: Bearer TOKEN"),
        ("half a token", "authorization: Bearer HALF"),
        ("a token with a tail", "authorization: Bearer TOKENx"),
        ("a token in capitals", "authorization: Bearer UPPER"),
    ] {
        let case = Case::new(name);
        let header =
            header.replace("TOKEN", &token).replace("HALF", &token[..32]).replace("UPPER", &token.to_uppercase());
        let text = raw(
            &daemon,
            format!("GET /v1/browser HTTP/1.1\r\nconnection: close\r\nhost: {}\r\n{header}\r\n\r\n", daemon.address)
                .as_bytes(),
        )
        .await;
        let [status] = statuses(&text)[..] else { panic!("one answer: {text}") };
        assert!(matches!(status, 400 | 401 | 429), "{text}");
        assert!(!text.contains(&token), "{text}");
        case.passed();
    }
    assert_eq!(daemon.caller().bearer(&token).get("/v1/browser").await.status, 200);
    assert!(!daemon.stderr().contains(&token));
}
