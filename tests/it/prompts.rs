//! Prompts for any platform: by template, their timeouts, allowed paths, and how responses are read.

use crate::support::{Answer, Caller, Daemon, ask, fault, handled, manual, request_of, within};
use baa_conductor::simulator::{Firefox, SimulatedRequest};
use serde_json::{Value, json};

/// A user-defined platform that takes prompts, and one that does not.
const OWN: &str = r#"
platforms.notes = { shell_url = "https://notes.example/", hosts = ["notes.example", "*.notes.example"], prompt = "template" }
platforms.mute = { shell_url = "https://mute.example/" }
"#;

fn prompt(platform: &str, mode: &str) -> Value {
    json!({"platform": platform, "prompt": "well?", "request_id": "p", "response_mode": mode})
}

/// Reports that the extension has learned a template.
async fn learned(firefox: &Firefox, platform: &str, template: bool) {
    let told = json!({"type": "api_endpoints", "platform": platform, "credential_fingerprint": "fp", "updated_at": 1,
        "endpoints": [], "endpoint_metadata": [], "prompt_template": template});
    firefox.send_json(&told).await.unwrap();
    handled(firefox).await;
}

async fn modes(caller: &Caller, platform: &str) -> Value {
    let mut platforms = caller.browser().await["platforms"].take();
    let found = platforms.as_array_mut().unwrap().iter_mut().find(|entry| entry["platform"] == platform);
    found.unwrap()["supported_modes"].take()
}

#[actix_rt::test]
async fn without_a_template_nothing_is_sent_and_the_error_says_what_helps() {
    let daemon = Daemon::start(OWN).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    learned(&firefox, "gemini", true).await;
    for platform in ["chatgpt", "notes"] {
        let answer = caller.request(&prompt(platform, "buffered")).await;
        let code = format!("{platform}_template_unavailable");
        assert_eq!(answer.error(), (409, code.clone()));
        assert!(answer.json()["details"]["suggested_action"].as_str().unwrap().contains("by hand"));
        let last = caller.stream(&prompt(platform, "sse")).await.end().await;
        assert_eq!((last.outcome().2, last.data["http_error"].as_str()), (409, Some(&*code)));
        assert!(last.data["suggested_action"].as_str().unwrap().contains("by hand"));
        assert_eq!(modes(&caller, platform).await, json!(["buffered", "sse", "cancel"]));
    }
    let mute = caller.request(&prompt("mute", "buffered")).await;
    assert_eq!(mute.error(), (400, "platform_not_supported".into()));
    assert_eq!(mute.json()["details"]["supported_platforms"], json!(["chatgpt", "claude", "gemini", "notes"]));
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 0);
}

#[actix_rt::test]
async fn a_template_is_filled_by_the_extension() {
    let daemon = Daemon::start(OWN).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for platform in ["chatgpt", "notes"] {
        learned(&firefox, platform, true).await;
        assert_eq!(modes(&caller, platform).await, json!(["buffered", "sse", "cancel"]), "not accepted yet");
        let mut asked = caller.begin(&prompt(platform, "buffered")).await;
        let request = request_of(&firefox, "p").await;
        frame_has_the_prompt_alone(&request, platform, "buffered");
        request.answer(200, json!({"fine": 1})).await.unwrap();
        let data = asked.answer(false).await.data();
        assert_eq!(
            (&data["request_mode"], &data["response"]),
            (&json!(format!("{platform}_prompt")), &json!({"fine": 1}))
        );
        assert_eq!(
            (&data["organization"], &data["conversation"], &data["proxy"]["path"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(modes(&caller, platform).await, json!(["buffered", "sse", "cancel", "prompt"]));
        let mut stream = caller.stream(&prompt(platform, "sse")).await;
        let request = request_of(&firefox, "p").await;
        frame_has_the_prompt_alone(&request, platform, "sse");
        request.event("message", json!({"text": "fine"})).await.unwrap();
        request.end(200).await.unwrap();
        let (frames, last) = stream.rest().await;
        assert_eq!(
            (frames[0].data["request_mode"].as_str(), last.outcome()),
            (Some(&*format!("{platform}_prompt")), ("stream_end", "", 200))
        );
        assert_eq!(frames[1].data["data"], json!({"text": "fine"}));
        learned(&firefox, platform, false).await;
        assert_eq!(caller.request(&prompt(platform, "buffered")).await.status, 409, "forgotten");
    }
    let mut body = prompt("chatgpt", "buffered");
    body["request_body"] = json!({"mine": 1});
    assert_eq!(fault(&caller.request(&body).await), "request_body");
    assert_eq!(fault(&caller.request(&json!({"platform": "chatgpt"})).await), "path");
}

fn frame_has_the_prompt_alone(request: &SimulatedRequest, platform: &str, mode: &str) {
    let message = request.message();
    assert_eq!((request.platform(), message["response_mode"].as_str()), (platform, Some(mode)));
    assert_eq!((message["prompt"].as_str(), message.get("path"), message.get("body")), (Some("well?"), None, None));
}

#[actix_rt::test]
async fn a_template_that_is_forgotten_while_a_prompt_waits_is_not_asked_for() {
    let daemon = Daemon::start("policy.concurrency.max_in_flight_per_client_platform = 1").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    learned(&firefox, "chatgpt", true).await;
    let mut first = caller.begin(&json!({"platform": "chatgpt", "path": "/", "request_id": "r"})).await;
    let running = request_of(&firefox, "r").await;
    let mut asked = caller.begin(&prompt("chatgpt", "buffered")).await;
    crate::support::waiting(&caller, 1).await;
    learned(&firefox, "chatgpt", false).await;
    running.answer(200, Value::Null).await.unwrap();
    first.answer(false).await.data();
    assert_eq!(asked.answer(false).await.error(), (409, "chatgpt_template_unavailable".into()));
    assert_eq!(firefox.received_of("api_request").len(), 1);
}

/// Returns a request without a prompt, with this timeout and no response.
async fn clock(caller: &Caller, ms: u64) -> Answer {
    let id = format!("clock-{ms}");
    caller.request(&json!({"platform": "claude", "path": "/clock", "request_id": id, "timeout_ms": ms})).await
}

#[actix_rt::test]
async fn progress_puts_off_the_end_of_a_prompt_and_of_no_other_request() {
    let daemon = Daemon::start("").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    learned(&firefox, "chatgpt", true).await;
    let mut body = prompt("chatgpt", "buffered");
    body["timeout_ms"] = json!(1_000);
    let mut prompted = caller.begin(&body).await;
    let prompt = request_of(&firefox, "p").await;
    let mut plain =
        caller.begin(&json!({"platform": "chatgpt", "path": "/", "request_id": "r", "timeout_ms": 1_000})).await;
    let request = request_of(&firefox, "r").await;
    clock(&caller, 500).await;
    prompt.progress().await.unwrap();
    request.progress().await.unwrap();
    handled(&firefox).await;
    // If the deadlines were postponed, both would end only after the clock.
    let late = tokio::select! {
        answer = plain.answer(false) => answer,
        _ = clock(&caller, 900) => panic!("progress put off the end of a request without a prompt"),
    };
    assert_eq!(late.error_code(), "request_timeout");
    prompt.answer(200, json!("in time")).await.unwrap();
    assert_eq!(prompted.answer(false).await.data()["response"], "in time");
}

#[actix_rt::test]
async fn progress_puts_off_the_end_of_a_prompt_no_further_than_its_bound() {
    let daemon = Daemon::start("bridge.prompt_timeout_ms = 1000").await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    learned(&firefox, "chatgpt", true).await;
    let mut body = prompt("chatgpt", "buffered");
    body["timeout_ms"] = json!(900);
    let mut prompted = caller.begin(&body).await;
    let prompt = request_of(&firefox, "p").await;
    clock(&caller, 500).await;
    prompt.progress().await.unwrap();
    handled(&firefox).await;
    let late = tokio::select! {
        answer = prompted.answer(false) => answer,
        _ = clock(&caller, 800) => panic!("progress put it off beyond the bound"),
    };
    assert_eq!((late.status, late.error_code()), (504, "request_timeout".into()));
}

#[actix_rt::test]
async fn a_url_goes_to_a_host_of_the_platform_and_nowhere_else() {
    let daemon = Daemon::start(OWN).await;
    let (firefox, caller) = (manual(&daemon, "ff").await, daemon.caller());
    for (platform, url) in [
        ("claude", "https://claude.ai/x"),
        ("claude", "https://api.claude.ai:443/x?y=https://evil.example/"),
        ("notes", "https://a.notes.example/x"),
    ] {
        let mut asked = caller.begin(&json!({"platform": platform, "path": url, "request_id": "r"})).await;
        let request = request_of(&firefox, "r").await;
        assert_eq!(request.path(), url);
        request.answer(200, Value::Null).await.unwrap();
        asked.answer(false).await.data();
    }
    for (platform, url) in [
        ("claude", "https://claude.ai.evil.example/"),
        ("claude", "https://evilclaude.ai/"),
        ("claude", "https://claude.ai@evil.example/"),
        ("claude", "https://claude.ai:443@evil.example/"),
        ("claude", "https://evil.example@claude.ai/"),
        ("claude", "https://claude.ai%2f@evil.example/"),
        ("claude", "https://evil.example/#@claude.ai/"),
        ("claude", "https://evil.example\\@claude.ai/"),
        ("claude", "https:/claude.ai/"),
        ("claude", "https:///claude.ai/"),
        ("claude", "//claude.ai/"),
        ("claude", "/\t/evil.example/"),
        ("claude", "http://claude.ai/"),
        ("claude", "https://claude.ai:8443/"),
        ("claude", "https://claude.ai./"),
        ("claude", "https://notes.example/"),
        ("claude", "wss://claude.ai/"),
        ("notes", "https://claude.ai/"),
        ("notes", "https://notes.example.evil.example/"),
    ] {
        assert_eq!(fault(&caller.request(&json!({"platform": platform, "path": url})).await), "path", "{url}");
    }
    handled(&firefox).await;
    assert_eq!(firefox.received_of("api_request").len(), 3);
}

/// Answers a request with an event stream of these events; returns what is shown of it.
async fn shown(daemon: &Daemon, firefox: &Firefox, body: &Value, events: &[(&str, Value)]) -> Value {
    let mut asked = daemon.caller().begin(body).await;
    let request = within("a request", firefox.next_request()).await.unwrap();
    let text: String = events.iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n")).collect();
    request.respond(200, text.into(), json!({"content-type": "text/event-stream"})).await.unwrap();
    asked.answer(false).await.data()["response"].take()
}

async fn drift(daemon: &Daemon, platform: &str) -> u64 {
    let state = daemon.caller().browser().await;
    let found = state["platforms"].as_array().unwrap().iter().find(|entry| entry["platform"] == platform);
    found.unwrap()["answer_drift"].as_u64().unwrap()
}

const COMPLETION: &str = "/api/organizations/o/chat_conversations/c/completion";
const CONVERSATION: &str = "/backend-api/f/conversation?x=1";

#[actix_rt::test]
async fn the_text_of_an_answer_is_what_the_assistant_says() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    let delta =
        |delta: Value| ("content_block_delta", json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    let start = ("message_start", json!({"type": "message_start", "message": {"role": "assistant"}}));
    let thought = |text: &str| delta(json!({"type": "thinking_delta", "thinking": text, "text": text}));
    let said = |text: &str| {
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": text}}),
        )
    };
    let claude = [start.clone(), thought("hm "), said("one "), said("two")];
    let shape = shown(&daemon, &firefox, &ask("r", COMPLETION), &claude).await;
    assert_eq!((&shape["full_text"], shape["events"].as_array().unwrap().len()), (&json!("one two"), 4));
    let thoughts = shown(&daemon, &firefox, &ask("r", COMPLETION), &[start, thought("hm")]).await;
    assert_eq!(thoughts["full_text"], "", "understood, and nothing said");

    let chatgpt = json!({"platform": "chatgpt", "path": CONVERSATION});
    let message = |role: &str, text: &str| json!({"author": {"role": role}, "recipient": "all", "content": {"content_type": "text", "parts": [text]}});
    let document = json!({"p": "", "o": "add", "v": {"message": message("assistant", "")}, "c": 0});
    let append = json!({"p": "/message/content/parts/0", "o": "append", "v": "one "});
    let deltas = [
        ("delta_encoding", json!("v1")),
        ("delta", document),
        ("delta", append),
        ("delta", json!({"v": "two"})),
        ("message", json!({"type": "message_stream_complete"})),
    ];
    assert_eq!(shown(&daemon, &firefox, &chatgpt, &deltas).await["full_text"], "one two");
    let own = [("message", json!({"message": message("user", "well?")}))];
    assert_eq!(shown(&daemon, &firefox, &chatgpt, &own).await["full_text"], "", "the user's own words are no answer");
    assert_eq!((drift(&daemon, "claude").await, drift(&daemon, "chatgpt").await), (0, 0));
}

#[actix_rt::test]
async fn an_unknown_form_has_no_text_and_is_counted() {
    let daemon = Daemon::start("").await;
    let firefox = manual(&daemon, "ff").await;
    learned(&firefox, "chatgpt", true).await;
    let odd = [("verse", json!({"text": "one"})), ("verse", json!({"text": " two"}))];
    for (platform, body, counted) in [
        ("claude", ask("r", COMPLETION), 1),
        ("chatgpt", json!({"platform": "chatgpt", "path": CONVERSATION}), 1),
        ("chatgpt", prompt("chatgpt", "buffered"), 2),
    ] {
        let shape = shown(&daemon, &firefox, &body, &odd).await;
        assert_eq!(
            (shape.get("full_text"), shape["events"][0]["data"]["text"].as_str()),
            (None, Some("one")),
            "{body}"
        );
        assert_eq!(drift(&daemon, platform).await, counted, "{body}");
    }
    // Other platforms' streams name no roles: the deltas of common formats are joined.
    assert_eq!(shown(&daemon, &firefox, &ask("r", "/api/else"), &odd).await["full_text"], "one two");
    assert_eq!((drift(&daemon, "claude").await, drift(&daemon, "gemini").await), (1, 0));
}
