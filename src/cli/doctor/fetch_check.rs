//! Fetches the web app's start page through the policy, a Firefox and the page, to test the whole path.

use super::{browser_checks::PlatformState, finding::Finding};
use crate::{
    cli::client::{CallError, DaemonClient, DaemonRefusal},
    ids::RequestId,
};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Time limit of the page's response in milliseconds.
const PAGE_TIMEOUT_MS: u64 = 8_000;
/// Time limit of the whole check, including the policy's waits. The daemon cancels the request of a caller that left.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// Sends the request and reports the response.
pub(super) async fn check_fetch(client: &DaemonClient, state: &PlatformState) -> Finding {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct FetchReply {
        client_id: String,
        proxy: ProxyReply,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ProxyReply {
        status: Option<u16>,
    }
    let (platform, path) = (&state.platform, url_path(&state.shell_url));
    let name = format!("{platform} fetch");
    let body = json!({
        "platform": platform, "path": path, "method": "GET", "timeout_ms": PAGE_TIMEOUT_MS,
        "request_id": format!("doctor-{}", RequestId::generate()),
    });
    let began = Instant::now();
    let answer = client.post("/v1/browser/request", &body, Some(FETCH_TIMEOUT)).await;
    match answer.and_then(|data| client.parse::<FetchReply>(&data)) {
        Ok(answer) => {
            let status = answer.proxy.status.map(|status| format!(" with {status}")).unwrap_or_default();
            let took = began.elapsed().as_millis();
            Finding::ok(name, format!("GET {path} through {}: response{status} after {took} ms", answer.client_id))
        }
        Err(error) => fetch_failure(name, &path, platform, &error),
    }
}

fn fetch_failure(name: String, path: &str, platform: &str, error: &CallError) -> Finding {
    if let CallError::Refused(refused) = error
        && let Some(status @ 400..500) = upstream_status(refused)
        && !matches!(status, 401 | 403 | 408 | 425 | 429)
    {
        // The app was reached but has no such page. The path works, and the policy does not count this as a failure either.
        return Finding::ok(name, format!("GET {path} reached the web app; response with {status}"));
    }
    let code = match error {
        CallError::Refused(refused) => {
            let specific = refused.details.get("error_code").and_then(|code| code.as_str());
            let status = upstream_status(refused).map(|status| format!(" {status}")).unwrap_or_default();
            format!("{}{status}", specific.unwrap_or(&refused.error))
        }
        // A timeout or a lost daemon; the error names it.
        other => other.to_string(),
    };
    Finding::warning(name, format!("GET {path} was not successful: {code}")).advise(format!(
        "check the tab, which may show a login or a verification; to reload it, run `baa-conductor action tab_reload --platform {platform}`"
    ))
}

fn upstream_status(refused: &DaemonRefusal) -> Option<u64> {
    refused.details.get("upstream_status").and_then(serde_json::Value::as_u64)
}

/// The path of the start page, without query and fragment.
fn url_path(shell_url: &str) -> String {
    Url::parse(shell_url).map_or_else(|_| "/".to_owned(), |url| url.path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{
        doctor::finding::FindingVerdict,
        stub_daemon::{StubDaemon, json},
    };

    async fn fetched(status: u16, body: &'static str) -> (Finding, StubDaemon) {
        let stub = StubDaemon::new(move |_| json(status, body));
        let client = DaemonClient::new(&stub.base, None).unwrap();
        let state = PlatformState {
            platform: "claude".into(),
            shell_url: "https://claude.ai/new?x=1".into(),
            ..Default::default()
        };
        (check_fetch(&client, &state).await, stub)
    }

    #[actix_rt::test]
    async fn a_response_is_ok_and_names_the_client() {
        let (finding, stub) = fetched(200, r#"{"ok":true,"data":{"client_id":"ff","proxy":{"status":200}}}"#).await;
        assert!(
            finding.verdict == FindingVerdict::Ok
                && finding.message.starts_with("GET /new through ff: response with 200"),
            "{finding:?}"
        );
        let sent = stub.received()[0].json();
        assert_eq!(
            (&sent["method"], &sent["path"], &sent["platform"]),
            (&"GET".into(), &"/new".into(), &"claude".into())
        );
    }

    #[actix_rt::test]
    async fn an_unsuccessful_fetch_is_a_warning_with_its_code() {
        let body = r#"{"ok":false,"error":"browser_upstream_error","message":"No.",
            "details":{"error_code":"browser_upstream_error","upstream_status":403}}"#;
        let (finding, _) = fetched(403, body).await;
        let missing =
            r#"{"ok":false,"error":"browser_upstream_error","message":"No.","details":{"upstream_status":404}}"#;
        let (reached, _) = fetched(404, missing).await;
        assert_eq!(
            (reached.verdict, &*reached.message),
            (FindingVerdict::Ok, "GET /new reached the web app; response with 404")
        );
        assert!(
            finding.verdict == FindingVerdict::Warning && finding.message.contains("browser_upstream_error 403"),
            "{finding:?}"
        );
    }
}
