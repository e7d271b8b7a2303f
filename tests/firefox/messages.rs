//! Final messages, read from the page's own traffic: complete, and once.

use crate::support::{Stage, stage::entry};
use serde_json::{Value, json};

const CONVERSATION: &str = "5f0c2b6e-8a35-4f4e-9a3e-0f3c5d9b7a11";

/// A platform's send: its address, and a function for an answer with an id and a text.
struct App {
    platform: &'static str,
    origin: &'static str,
    path: String,
    content_type: &'static str,
    answer: fn(&str, &str) -> String,
}

fn apps() -> [App; 3] {
    let org = "0b9a3a7e-58c1-4d1f-9c55-2f1f6c1d7a10";
    let completion = format!("/api/organizations/{org}/chat_conversations/{CONVERSATION}/completion");
    let generate = "/_/BardChatUi/data/assistant.lamda.BardFrontendService/StreamGenerate";
    [
        App {
            platform: "claude",
            origin: "https://claude.ai",
            path: completion,
            content_type: "text/event-stream",
            answer: of_claude,
        },
        App {
            platform: "chatgpt",
            origin: "https://chatgpt.com",
            path: "/backend-api/conversation".into(),
            content_type: "text/event-stream",
            answer: of_chatgpt,
        },
        App {
            platform: "gemini",
            origin: "https://gemini.google.com",
            path: generate.into(),
            content_type: "application/json",
            answer: of_gemini,
        },
    ]
}

/// Returns event-stream text; each event is named by its type.
fn events(all: &[Value]) -> String {
    all.iter().map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or("message"))).collect()
}

fn of_claude(id: &str, text: &str) -> String {
    let (half, rest) = text.split_at(text.len() / 2);
    let delta =
        |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    events(&[
        json!({"type": "message_start", "message": {"id": id, "role": "assistant", "content": []}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        delta(half),
        delta(rest),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        json!({"type": "message_stop"}),
    ])
}

fn of_chatgpt(id: &str, text: &str) -> String {
    let snapshot = |text: &str, status: &str, over: bool| {
        json!({"conversation_id": CONVERSATION, "message": {"id": id, "author": {"role": "assistant"}, "status": status,
            "end_turn": over, "recipient": "all", "content": {"content_type": "text", "parts": [text]}, "metadata": {}}})
    };
    let half = &text[..text.len() / 2];
    let all = [snapshot(half, "in_progress", false), snapshot(text, "finished_successfully", true)];
    let all: String = all.iter().map(|data| format!("data: {data}\n\n")).collect();
    all + "data: [DONE]\n\n"
}

fn of_gemini(id: &str, text: &str) -> String {
    let frame = |text: &str| {
        let inner = json!([null, [CONVERSATION, "r_1"], null, null, [[id, [text]]]]).to_string();
        let frame = format!("\n{}\n", json!([["wrb.fr", null, inner]]));
        format!("{}{frame}", frame.encode_utf16().count())
    };
    format!(")]}}'\n\n{}{}", frame(&text[..text.len() / 2]), frame(text))
}

/// Sends a prompt from the page and reads the whole answer, like the page's script.
async fn send(stage: &Stage, app: &App, id: &str, text: &str) {
    let place = format!("{}{}", app.origin.trim_start_matches("https://"), app.path);
    stage.apps.answer(&place, 200, app.content_type, &(app.answer)(id, text));
    let tab = stage.firefox.tab_of(app.origin).await;
    let sent = format!(
        "fetch({}, {{method: 'POST', body: JSON.stringify({{prompt: 'hello'}})}}).then(answer => answer.text()).then(text => text.length)",
        json!(app.path)
    );
    assert!(stage.firefox.bidi.evaluate(&tab, &sent).await.as_u64().unwrap() > 0);
}

/// Waits until the daemon has a message with this text.
async fn told(stage: &Stage, app: &App, text: &str) -> Value {
    let fits = |message: &Value| message["raw_text"] == text;
    stage.entry_where("final_messages", app.platform, text, fits).await
}

/// Returns the texts of a platform that the extension sent, in order.
fn texts(stage: &Stage, app: &App) -> Vec<String> {
    let all = stage.record.of_type("browser.final_message");
    let mine = all.iter().filter(|message| message["platform"] == app.platform);
    mine.map(|message| message["raw_text"].as_str().unwrap().to_owned()).collect()
}

#[actix_rt::test]
async fn the_final_message_of_each_app_is_sent_once_also_after_a_reload() {
    let stage = Stage::set("").await;
    for app in &apps() {
        stage.open(app.platform).await;
        send(&stage, app, "m1", "The first answer.").await;
        let message = told(&stage, app, "The first answer.").await;
        assert_eq!(
            (&message["assistant_message_id"], &message["conversation_id"]),
            (&json!("m1"), &json!(CONVERSATION))
        );

        let tab = stage.firefox.tab_of(app.origin).await;
        stage.firefox.bidi.reload(&tab).await;
        stage.healthy(app.platform).await;
        send(&stage, app, "m1", "The first answer.").await;
        send(&stage, app, "m2", "Another answer.").await;
        told(&stage, app, "Another answer.").await;
        assert_eq!(texts(&stage, app), ["The first answer.", "Another answer."], "{}", app.platform);
    }
    let drift = |platform: &Value| platform["extractor_drift"].as_u64().unwrap_or(0);
    let platforms = stage.caller().browser().await["platforms"].clone();
    assert_eq!(platforms.as_array().unwrap().iter().map(drift).sum::<u64>(), 0, "{platforms:#}");
}

#[actix_rt::test]
async fn the_answer_to_a_relayed_request_is_not_a_final_message() {
    let stage = Stage::set("").await;
    let [app, ..] = &apps();
    stage.open(app.platform).await;
    let place = format!("claude.ai{}", app.path);
    stage.apps.answer(&place, 200, app.content_type, &of_claude("proxied", "Asked by a program."));
    let body = json!({"platform": "claude", "method": "POST", "path": app.path, "body": {"prompt": "hello"}});
    assert_eq!(stage.caller().request(&body).await.status, 200);
    send(&stage, app, "own", "Asked by the page.").await;
    told(&stage, app, "Asked by the page.").await;
    assert_eq!(texts(&stage, app), ["Asked by the page."]);
}

#[actix_rt::test]
async fn an_unknown_format_is_counted_as_drift() {
    let stage = Stage::set("").await;
    let [app, ..] = &apps();
    stage.open(app.platform).await;
    let place = format!("claude.ai{}", app.path);
    let odd = |_: &str, _: &str| "data: {\"type\": \"speech\", \"words\": [\"a\"]}\n\n".to_owned();
    let odd = App { answer: odd, path: app.path.clone(), ..*app };
    send(&stage, &odd, "", &place).await;
    let drifted = |platforms: &Value| {
        platforms.as_array().unwrap().iter().any(|one| one["platform"] == "claude" && one["extractor_drift"] == 1)
    };
    crate::support::until("drift", async || drifted(&stage.caller().browser().await["platforms"]).then_some(())).await;
    assert_eq!(texts(&stage, app), [""; 0]);
}

/// Returns a document that requests these addresses in order and reads the answer of the first.
fn asking(url: &str, how: &str, also: &str) -> String {
    let first = format!("fetch({}, {{{how}}}).then(answer => answer.text())", json!(url));
    let rest = format!("fetch({}).then(answer => answer.text())", json!(also));
    format!(
        "<!doctype html><title>asking</title><script>window.read = {first}.then(async text => \
         (await {rest}.catch(() => ''), text.length), error => error.message)</script>"
    )
}

#[actix_rt::test]
async fn only_shell_pages_and_their_answers_yield_final_messages() {
    let stage = Stage::set("").await;
    let [app, ..] = &apps();
    stage.open(app.platform).await;
    let forged = of_claude("forged", "Forged.");
    // Headers of an answer that all pages may read.
    let open = "text/event-stream\r\naccess-control-allow-origin: *";
    let html = "text/html\r\naccess-control-allow-origin: *";
    let post = "method: 'POST', body: 'x'";
    for (place, status, kind, body) in [
        (format!("evil.claude.ai{}", app.path), 200, open.to_owned(), forged.clone()),
        ("evil.claude.ai/same".into(), 200, html.into(), asking(&app.path, post, "/api/only-evil")),
        (
            "evil.claude.ai/api/account".into(),
            200,
            "application/json".into(),
            json!({"email_address": "evil@example.org"}).to_string(),
        ),
        (
            "evil.claude.ai/account".into(),
            200,
            html.into(),
            asking("/api/account", "", "https://claude.ai/api/only-evil"),
        ),
        (
            "evil.claude.ai/across".into(),
            200,
            html.into(),
            asking(&format!("https://claude.ai{}", app.path), post, "https://claude.ai/api/only-evil"),
        ),
        (
            "claude.ai/redirects".into(),
            200,
            html.into(),
            asking("/api/moved/chat_conversations/c/completion", post, "/api/learned"),
        ),
        (
            "claude.ai/api/moved/chat_conversations/c/completion".into(),
            307,
            format!("text/plain\r\nlocation: https://evil.claude.ai{}", app.path),
            String::new(),
        ),
        (
            "claude.ai/sandboxed".into(),
            200,
            format!("{html}\r\ncontent-security-policy: sandbox allow-scripts"),
            asking(&format!("https://claude.ai{}", app.path), post, "https://claude.ai/api/only-sandboxed"),
        ),
    ] {
        stage.apps.answer(&place, status, &kind, &body);
    }
    stage.apps.answer(&format!("claude.ai{}", app.path), 200, open, &forged);
    for (url, reads) in [
        ("https://evil.claude.ai/same", true),
        ("https://evil.claude.ai/account", true),
        ("https://evil.claude.ai/across", true),
        ("https://claude.ai/redirects", true),
        ("https://claude.ai/sandboxed", true),
    ] {
        let tab = stage.firefox.bidi.new_tab().await;
        stage.firefox.bidi.navigate(&tab, url).await;
        let read = stage.firefox.bidi.evaluate(&tab, "window.read").await;
        assert_eq!(read.as_u64().is_some_and(|length| length > 20), reads, "{url} read {read}");
        stage.firefox.bidi.close(&tab).await;
    }
    send(&stage, app, "own", "Said by the app.").await;
    told(&stage, app, "Said by the app.").await;
    assert_eq!(texts(&stage, app), ["Said by the app."]);
    let said = serde_json::to_string(&stage.record.frames()).unwrap();
    assert!(said.contains("/api/learned"), "the shell's own pages teach endpoints: {said}");
    for forged in ["evil@example.org", "Forged.", "/api/only-evil", "/api/only-sandboxed"] {
        assert!(!said.contains(forged), "{forged}: {said}");
    }
}

#[actix_rt::test]
async fn messages_observed_while_the_daemon_is_away_are_sent_when_it_is_back() {
    let stage = Stage::set("").await;
    let [app, ..] = &apps();
    stage.open(app.platform).await;
    let tab = stage.firefox.tab_of(app.origin).await;
    let place = format!("claude.ai{}", app.path);
    stage.apps.answer(&place, 200, app.content_type, &of_claude("away", "Said meanwhile."));
    let (folder, away) = stage.kill_daemon().await;
    let sent = format!(
        "fetch({}, {{method: 'POST'}}).then(answer => answer.text()).then(text => text.length)",
        json!(app.path)
    );
    assert!(away.firefox.bidi.evaluate(&tab, &sent).await.as_u64().unwrap() > 0);
    let stage = away.start_daemon(folder).await;
    told(&stage, app, "Said meanwhile.").await;
    let client = stage.connected().await;
    assert_eq!(entry(&client, "final_messages", "claude")["assistant_message_id"], "away");
    assert_eq!(texts(&stage, app), ["Said meanwhile."]);
}
