//! The status page in a browser.

use crate::{
    shared::{self, manual, request_of},
    support::{StatusPage, until_ok},
};
use baa_conductor::simulator::Firefox;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// If set to 1, the screenshots of the documentation are written.
const SCREENSHOTS: &str = "BAA_SCREENSHOTS";

/// One failure opens the circuit.
const FRAGILE: &str = "policy.circuit_breaker.failure_threshold = 1\npolicy.circuit_breaker.open_ms = 600000";

/// Returns the addresses requested since the test listens to `network.beforeRequestSent`.
fn asked(page: &StatusPage) -> Vec<String> {
    let told = page.firefox.bidi.received("network.beforeRequestSent");
    told.iter().map(|told| told["request"]["url"].as_str().unwrap().to_owned()).collect()
}

/// Returns an expression for the phase of a request in the page's list.
fn phase(id: &str) -> String {
    let row = format!(
        "[...document.querySelectorAll('#requests-list tr')].find(row => row.textContent.includes({}))",
        json!(id)
    );
    format!("({row})?.querySelector('[data-of=phase]').textContent ?? ''")
}

#[actix_rt::test]
async fn the_page_shows_clients_streams_and_circuits_live_and_loads_nothing_from_elsewhere() {
    let page = StatusPage::prepare(FRAGILE).await;
    page.firefox.bidi.listen(&["network.beforeRequestSent", "log.entryAdded"]).await;
    page.log_in().await;
    page.comes_to("location.hash + history.length", json!("2")).await;
    page.says("#link-words", |said| said == "Live").await;
    page.says("#headline-title", |said| said == "No Firefox is connected.").await;

    let firefox = manual(&page.daemon, "firefox-desk").await;
    page.says("#clients-list h3", |said| said.contains("firefox-desk")).await;
    page.says("#headline-title", |said| said == "All is well.").await;
    page.says("#logins-list", |said| said.contains("logged in")).await;

    let mut stream = page.caller().stream(&shared::ask_sse("s-1", "/api/live")).await;
    let request = request_of(&firefox, "s-1").await;
    page.comes_to(&phase("s-1"), json!("dispatched")).await;
    request.open(200).await.unwrap();
    request.event("message", json!({"text": "one"})).await.unwrap();
    page.comes_to(&phase("s-1"), json!("streaming")).await;
    request.end(200).await.unwrap();
    stream.rest().await;
    page.comes_to(&phase("s-1"), json!("done")).await;
    page.says("#throughput-words", |said| said == "1 request ended, 0 of them failed.").await;

    let mut failing = page.caller().begin(&shared::ask("f-1", "/api/fails")).await;
    request_of(&firefox, "f-1").await.answer(503, json!({})).await.unwrap();
    assert_eq!(failing.answer(false).await.status, 503);
    page.comes_to(&phase("f-1"), json!("failed")).await;
    page.says("#headline-title", |said| said == "The circuit of Claude is open.").await;
    page.says("#targets-list", |said| said.contains("HTTP 503") && said.contains("next probe in")).await;
    page.click("#targets-list [data-do=reset]").await;
    page.says("#headline-title", |said| said == "All is well.").await;

    firefox.close(1000, "").await.unwrap();
    page.says("#headline-title", |said| said == "No Firefox is connected.").await;

    let (urls, own) = (asked(&page), page.origin());
    for part in ["/v1/events", "/v1/status", "/v1/browser?limit=100", "/v1/status/ui/page.css"] {
        assert!(urls.iter().any(|url| *url == format!("{own}{part}")), "{part} was asked for: {urls:?}");
    }
    let elsewhere: Vec<_> = urls.iter().filter(|url| !url.starts_with(&format!("{own}/"))).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    let complaints: Vec<_> =
        page.firefox.bidi.received("log.entryAdded").into_iter().filter(|told| told["level"] == "error").collect();
    // The page also requests parts that this version lacks; their absence is not an error of the page.
    let own: Vec<_> = complaints.iter().filter(|told| told["type"] == "javascript").collect();
    assert!(own.is_empty(), "{own:#?}");
}

#[actix_rt::test]
async fn the_page_logs_in_changes_the_mode_and_logs_out() {
    let page = StatusPage::prepare("").await;
    page.visit("").await;
    page.says("#session-words", |said| said == "Not logged in").await;
    page.visit("#code=0123").await;
    page.says("#headline-items", |said| said.contains("baa-conductor open")).await;
    page.log_in().await;

    let mode = async || page.caller().get("/v1/system/state").await.data()["mode"].clone();
    for (button, wanted, sentence) in
        [("drain", "draining", "The system is draining."), ("pause", "paused", "The system is paused.")]
    {
        page.click(&format!("#mode [data-act={button}]")).await;
        page.says("#headline-items", |said| said.contains(sentence)).await;
        assert_eq!(mode().await, wanted);
        page.comes_to("document.querySelector('#mode [aria-pressed=true]').dataset.mode", json!(wanted)).await;
    }
    page.click("#mode [data-act=resume]").await;
    page.says("#headline-title", |said| said == "No Firefox is connected.").await;
    assert_eq!(mode().await, "running");

    page.click("#log-out").await;
    page.says("#session-words", |said| said == "Not logged in").await;
    page.visit("").await;
    page.says("#session-words", |said| said == "Not logged in").await;
}

#[actix_rt::test]
async fn with_a_required_token_the_page_says_how_to_log_in() {
    let page = StatusPage::prepare("auth.local_trust = 'none'").await;
    page.visit("").await;
    page.says("#headline-title", |said| said == "Log in to see the status.").await;
    page.comes_to("document.querySelector('#whole').hidden", json!(true)).await;
    page.log_in().await;
    page.says("#headline-title", |said| said == "No Firefox is connected.").await;
    page.says("#link-words", |said| said == "Live").await;
}

#[actix_rt::test]
async fn foreign_content_is_shown_as_text() {
    let page = StatusPage::open("").await;
    let firefox = manual(&page.daemon, "firefox-desk").await;
    let hostile = "<img src=x onerror=\"window.hit = true\"><script>window.hit = true</script>\u{202e}";
    report_tab(&firefox, "claude", hostile).await;
    let mut failing = page.caller().begin(&shared::ask("h-1", "/<b>x</b>?<script>")).await;
    request_of(&firefox, "h-1").await.fail(hostile, Some(500)).await.unwrap();
    failing.answer(false).await;
    page.says("#clients-list [data-of=title]", |said| said.contains("<img src=x") && said.contains("\\u{202e}")).await;
    page.comes_to(&phase("h-1"), json!("failed")).await;
    page.comes_to("document.querySelectorAll('main img, main script, main b').length + !!window.hit", json!(0)).await;
}

/// Makes a client report a platform's tab.
async fn report_tab(firefox: &Firefox, platform: &str, title: &str) {
    let told = json!({"type": "credentials", "platform": platform, "account": "ada@example.org",
        "credential_fingerprint": "fp", "freshness": "fresh", "header_names": ["a"],
        "shell_runtime": {"platform": platform, "desired": {"exists": true},
            "actual": {"exists": true, "healthy": true, "title": title, "url": "https://claude.ai/"}}});
    firefox.send_json(&told).await.unwrap();
}

#[actix_rt::test]
async fn the_page_shows_a_lost_daemon_and_continues_when_it_is_back() {
    let page = StatusPage::open("").await;
    let settings = format!("server.listen = '{}'", page.daemon.address);
    let StatusPage { firefox, daemon, tab } = page;
    let folder = daemon.kill().await;
    crate::page::says(&firefox, &tab, "#headline-title", |said| said == "The daemon does not answer.").await;
    let daemon = shared::Daemon::start_in(folder, &settings).await;
    let page = StatusPage { firefox, daemon, tab };
    page.says("#headline-title", |said| said == "No Firefox is connected.").await;
    page.says("#link-words", |said| said == "Live").await;
    page.says("#session-words", |said| said == "Not logged in").await;
}

/// Replaces `fetch`: a quarter of an hour of requests, a Firefox that waits for pairing, and a batch that waits for a
/// decision, which a daemon would have only later. Requests of the page are recorded.
const SCENE: &str = include_str!("support/scene.js");

/// Returns a page with content in every part, and a client.
async fn scene() -> (StatusPage, Firefox, Vec<shared::Stream>) {
    let settings = "policy.circuit_breaker.failure_threshold = 5\npolicy.backoff.base_ms = 60000\npolicy.backoff.max_ms = 60000\n\
                    policy.concurrency.max_in_flight_per_client_platform = 2";
    let page = StatusPage::prepare(settings).await;
    page.firefox.bidi.preload(SCENE).await;
    let firefox = manual(&page.daemon, "firefox-desk").await;
    report_tab(&firefox, "claude", "Rivers of Europe").await;
    report_tab(&firefox, "chatgpt", "ChatGPT").await;
    let lost = json!({"type": "credentials", "platform": "gemini", "credential_fingerprint": "fp", "freshness": "lost",
        "header_names": ["a"], "last_seen_at": 1});
    firefox.send_json(&lost).await.unwrap();
    let mut streams = Vec::new();
    for (id, events) in [("letter-1", 3), ("letter-2", 0)] {
        streams.push(
            page.caller()
                .stream(&shared::ask_sse(id, "/api/organizations/org-1/chat_conversations/conv-7/completion"))
                .await,
        );
        let request = request_of(&firefox, id).await;
        if events > 0 {
            request.open(200).await.unwrap();
        }
        for _ in 0..events {
            request.event("message", json!({"text": "so it goes"})).await.unwrap();
        }
    }
    streams.push(page.caller().stream(&shared::ask_sse("letter-3", "/api/organizations/org-1/usage")).await);
    page.log_in().await;
    page.shows("#batches-list .yes:enabled").await;
    page.shows("#pairings-list form").await;
    page.comes_to(&phase("letter-3"), json!("queued")).await;
    (page, firefox, streams)
}

#[actix_rt::test]
async fn the_page_is_accessible_in_light_in_dark_and_on_a_phone() {
    let (page, _firefox, _streams) = scene().await;
    for (name, is_dark, width, height) in [
        ("light", false, 1_280, 2_060),
        ("dark", true, 1_280, 2_060),
        ("phone", false, 390, 2_060),
        ("phone-dark", true, 390, 2_060),
    ] {
        page.firefox.set_dark(is_dark).await;
        page.firefox.bidi.resize(&page.tab, width, height).await;
        page.comes_to("matchMedia('(prefers-color-scheme: dark)').matches", json!(is_dark)).await;
        page.comes_to("[...document.querySelectorAll('.plot canvas')].filter(({width}) => width > 0).length", json!(2))
            .await;
        let wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        page.comes_to(wide, json!(false)).await;
        let barriers = page.barriers().await;
        assert!(barriers.is_empty(), "{name}: {barriers:#?}");
        if std::env::var_os(SCREENSHOTS).is_some_and(|on| on == "1") {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("status-{name}.png")), page.firefox.bidi.screenshot(&page.tab).await)
                .unwrap();
        }
    }
}

#[actix_rt::test]
async fn an_approval_sends_the_digest_shown_and_pairing_sends_the_code_typed() {
    let (page, _firefox, _streams) = scene().await;
    page.says("#batches-list [data-of=rows]", |said| said.contains("git -C ~/notes status --short")).await;
    // Lines are numbered, and control characters cannot reorder them.
    let style = "getComputedStyle(document.querySelector('#batches-list [data-of=text] .line'))";
    page.comes_to(&format!("{style}.unicodeBidi + ' ' + {style}.counterIncrement"), json!("isolate-override line 1"))
        .await;
    page.firefox.bidi.write(&page.tab, "#batches-list input", "why not\u{e007}").await;
    page.comes_to("window.sent.length", json!(0)).await;
    // Clicks on an element that has just appeared are ignored, so more than one may be needed.
    until_ok("approval", async || {
        page.click("#batches-list .yes").await;
        let sent = page.firefox.bidi.evaluate(&page.tab, "JSON.stringify(window.sent)").await;
        let sent: Vec<Value> = serde_json::from_str(sent.as_str().unwrap()).unwrap();
        match &sent[..] {
            [one] => {
                assert_eq!(one["path"], "/v1/instructions/batch-1/approve");
                assert_eq!(one["body"], json!({"digest": "sha256:shown"}));
                Ok(())
            }
            _ => Err(format!("{sent:?}")),
        }
    })
    .await;
    page.comes_to("document.querySelector('#batches').hidden", json!(true)).await;
    // The button is gone, so the focus moves to the top.
    page.comes_to("document.activeElement.id", json!("headline")).await;

    page.firefox.bidi.write(&page.tab, "#pairings-list input", "123 456\u{e007}").await;
    page.comes_to(
        "JSON.stringify(window.sent.at(-1))",
        json!(r#"{"path":"/v1/browser/pairings/firefox-laptop","body":{"decision":"approve","code":"123456"}}"#),
    )
    .await;
}
