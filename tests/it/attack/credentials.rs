//! Paths of apps whose responses contain credentials: no caller can request one, in any spelling.

use crate::support::{Case, Daemon, automatic};
use serde_json::{Value, json};

const OWN: &str = r#"
[platforms.notes]
shell_url = "https://notes.example/app"
hosts = ["notes.example", "*.notes.example"]
credential_paths = ["/session", "/api/token*"]
prompt = ""
"#;

/// Each is refused on its platform.
const REFUSED: &[(&str, &str)] = &[
    ("chatgpt", "/api/auth/session"),
    ("chatgpt", "/api/auth/session/"),
    ("chatgpt", "/api/auth/session?a=b"),
    ("chatgpt", "/api/auth/session#a"),
    ("chatgpt", "/api/auth/session;a=b"),
    ("chatgpt", "/API/Auth/SESSION"),
    ("chatgpt", "/api//auth///session"),
    ("chatgpt", "/api/./auth/session"),
    ("chatgpt", "/api/x/../auth/session"),
    ("chatgpt", "/api/x/%2e%2E/auth/session"),
    ("chatgpt", "/api/x%2f..%2fauth/session"),
    ("chatgpt", "/api/%61uth/session"),
    ("chatgpt", "/api/%2561uth/session"),
    ("chatgpt", "/api%2fauth%2fsession"),
    ("chatgpt", "/api%5Cauth/session"),
    ("chatgpt", "/api/auth/session%00"),
    ("chatgpt", "/api/auth/session%3fa"),
    ("chatgpt", "/api/auth/csrf"),
    ("chatgpt", "https://chatgpt.com/api/auth/session"),
    ("chatgpt", "https://CHATGPT.com:443/api//auth/session"),
    ("chatgpt", "https://www.chatgpt.com/api/%61uth/session"),
    ("chatgpt", "/backend-api/celsius/ws/user"),
    ("chatgpt", "/backend-api/register-websocket"),
    ("claude", "/api/auth/exchange_nonce_for_code"),
    ("claude", "/v1/oauth/org-1/authorize"),
    ("notes", "/session"),
    ("notes", "/api/tokens/1"),
];

fn refused(status: u16, error: &Value) {
    assert_eq!((status, &error["error"]), (400, &json!("invalid_request")), "{error}");
    assert_eq!(error["details"]["field"], "path", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("credential_paths") && message.contains("stay in the browser"), "{message}");
}

#[actix_rt::test]
async fn no_spelling_of_a_credential_path_reaches_the_browser() {
    let daemon = Daemon::start(OWN).await;
    let caller = daemon.caller();
    let firefox = automatic(&daemon, "keeper").await;
    for (platform, path) in REFUSED {
        for method in ["GET", "POST", "HEAD"] {
            for mode in ["buffered", "sse"] {
                let name = format!("{method} {platform} {path} {mode}");
                let case = Case::new(&name);
                let ask = json!({"platform": platform, "path": path, "method": method, "response_mode": mode});
                let answer = caller.request(&ask).await;
                refused(answer.status, &answer.json());
                case.passed();
            }
        }
    }
    let ask = json!({"path": "/api/auth/session", "prompt": "hello"});
    let answer = caller.post("/v1/browser/claude/send", &ask).await;
    refused(answer.status, &answer.json());
    let other = json!({"platform": "claude", "path": "/echo", "client_id": "keeper"});
    assert_eq!(caller.request(&other).await.data()["response"]["path"], "/echo");
    firefox.close(1000, "").await.unwrap();
}

#[actix_rt::test]
async fn no_step_of_a_prompt_goes_there_either() {
    let daemon = Daemon::start("platforms.claude.credential_paths = [\"/api/organizations\"]").await;
    let caller = daemon.caller();
    let firefox = automatic(&daemon, "keeper").await;
    let ask = json!({"platform": "claude", "prompt": "hello", "client_id": "keeper"});
    for path in ["/v1/browser/request", "/v1/browser/claude/send"] {
        let case = Case::new(path);
        let answer = caller.post(path, &ask).await;
        refused(answer.status, &answer.json());
        case.passed();
    }
    let answer = caller.get("/v1/browser/claude/current?client_id=keeper").await;
    refused(answer.status, &answer.json());
    let other = json!({"platform": "claude", "path": "/echo", "client_id": "keeper"});
    assert_eq!(caller.request(&other).await.data()["response"]["path"], "/echo");
    firefox.close(1000, "").await.unwrap();
}
