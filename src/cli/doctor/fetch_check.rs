//! Fetches the web app's start page through the policy, a Firefox and the page, to test the whole path.

use super::finding::Finding;
use crate::{
    api::{
        browser::PlatformState,
        browser_request::{BrowserRequest, BrowserResponse},
    },
    cli::client::{CallError, DaemonClient, DaemonRefusal},
    ids::{PlatformName, RequestId},
};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Time limit of the page's response in milliseconds.
const PAGE_TIMEOUT_MS: u64 = 8_000;
/// Time limit of the whole check, including the policy's waits. The daemon cancels the request of a caller that left.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// Sends the request and reports the response.
pub(super) async fn check_fetch(client: &DaemonClient, state: &PlatformState) -> Finding {
    let (platform, path) = (&state.platform, url_path(&state.shell_url));
    let name = format!("{platform} fetch");
    let body = BrowserRequest {
        platform: platform.to_string(),
        path: Some(path.clone()),
        method: Some("GET".to_owned()),
        timeout_ms: Some(PAGE_TIMEOUT_MS),
        request_id: Some(format!("doctor-{}", RequestId::generate())),
        ..BrowserRequest::default()
    };
    let began = Instant::now();
    let answer = client.post("/v1/browser/request", &body, Some(FETCH_TIMEOUT)).await;
    match answer.and_then(|data| client.parse::<BrowserResponse>(&data)) {
        Ok(answer) => {
            let (id, status, took) = (answer.client_id, answer.proxy.status, began.elapsed().as_millis());
            Finding::ok(name, format!("GET {path} through {id}: response with {status} after {took} ms"))
        }
        Err(error) => fetch_failure(name, &path, platform, &error),
    }
}

fn fetch_failure(name: String, path: &str, platform: &PlatformName, error: &CallError) -> Finding {
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
        testing::{
            completed,
            stub_daemon::{StubDaemon, json},
            whole,
        },
    };
    use serde_json::json as value;

    async fn fetched(status: u16, body: impl Into<String>) -> (Finding, StubDaemon) {
        let body = body.into();
        let stub = StubDaemon::new(move |_| json(status, &body));
        let client = DaemonClient::new(&stub.base, None).unwrap();
        let state = whole("platform", value!({"shell_url": "https://claude.ai/new?x=1"}));
        (check_fetch(&client, &state).await, stub)
    }

    #[actix_rt::test]
    async fn a_response_is_ok_and_names_the_client() {
        let body = value!({"ok": true, "data": completed("response", value!({}))});
        let (finding, stub) = fetched(200, body.to_string()).await;
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
