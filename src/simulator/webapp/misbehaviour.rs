//! Special paths of the simulated web app: echoes, sizes, streams and misbehaviour, with parameters in the query.

use super::{AppCall, AppEvent, AppReply, StreamEnd, json_reply, not_found, stream};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// Maximum size of a reply, in bytes.
const REPLY_BYTES_MAX: usize = 64 << 20;
/// Maximum number of events of a reply.
const EVENTS_MAX: usize = 100_000;
/// Maximum pause.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

struct UrlQuery<'a>(&'a Url);

impl UrlQuery<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }

    fn pause(&self, name: &str) -> Duration {
        Duration::from_millis(self.number(name).unwrap_or(0) as u64).min(PAUSE_MAX)
    }
}

/// Answers the special paths.
pub(super) fn reply(call: &AppCall<'_>, segments: &[&str], url: &Url) -> AppReply {
    let query = &UrlQuery(url);
    match segments {
        ["echo"] => {
            let (method, path, headers, body) = (call.method, call.path, call.headers, call.body);
            json_reply(json!({"method": method, "path": path, "headers": headers, "body": body}))
        }
        ["status", code] => match code.parse() {
            Ok(status) => AppReply::Json {
                status,
                body: json!({"error": {"message": format!("status {status}, as requested")}}),
                headers: query.text("retry_after").map(|s| ("retry-after".to_owned(), s)).into_iter().collect(),
            },
            Err(_) => not_found(),
        },
        ["error", code] => AppReply::Error {
            code: (*code).to_owned(),
            status: query.number("status").and_then(|status| u16::try_from(status).ok()),
        },
        ["silence"] => AppReply::Silence,
        ["slow"] => AppReply::After {
            pause: query.pause("ms"),
            reply: Box::new(json_reply(json!({"slept_ms": query.number("ms")}))),
        },
        ["bytes", n] => match n.parse::<usize>() {
            Ok(n) if n <= REPLY_BYTES_MAX => AppReply::Text { status: 200, body: "x".repeat(n) },
            _ => not_found(),
        },
        ["json", n] => match n.parse::<usize>() {
            Ok(n) if n <= REPLY_BYTES_MAX => json_reply(long_conversation(n)),
            _ => not_found(),
        },
        ["events", n] => match n.parse::<usize>() {
            Ok(n) if n <= EVENTS_MAX => numbered_events(n, query),
            _ => not_found(),
        },
        ["wrong-seq"] => {
            let event =
                |seq| AppEvent { seq: Some(seq), ..AppEvent::new("message", json!({"seq": seq}), Duration::ZERO) };
            stream([1, 3, 2, 3, 5].map(event).into())
        }
        ["malformed"] => malformed(query.text("kind").as_deref()),
        ["disconnect"] => match query.number("after") {
            None => AppReply::Disconnect,
            Some(after) => {
                let event = |n| AppEvent::new("message", json!({"n": n}), Duration::ZERO);
                let events = (1..=after.min(EVENTS_MAX)).map(event).collect();
                AppReply::Stream { status: 200, events, end: StreamEnd::Disconnect }
            }
        },
        _ => not_found(),
    }
}

fn numbered_events(n: usize, query: &UrlQuery<'_>) -> AppReply {
    let bytes = query.number("bytes").unwrap_or(0);
    if n.saturating_mul(bytes) > REPLY_BYTES_MAX {
        return not_found();
    }
    let (pause, pad) = (query.pause("pause_ms"), "x".repeat(bytes));
    let end = match query.text("end").as_deref() {
        Some("error") => StreamEnd::Error { code: "fetch_failed".to_owned() },
        Some("never") => StreamEnd::Never,
        Some("disconnect") => StreamEnd::Disconnect,
        _ => StreamEnd::Normal,
    };
    let events = (1..=n).map(|n| AppEvent::new("message", json!({"n": n, "pad": pad}), pause)).collect();
    AppReply::Stream { status: 200, events, end }
}

fn malformed(kind: Option<&str>) -> AppReply {
    let text = |kind: &str| match kind {
        "not_json" => "{\"type\": \"api_response\", ".to_owned(),
        "not_object" => "[1, 2, 3]".to_owned(),
        "no_type" => "{\"id\": \"$ID\"}".to_owned(),
        "unknown_type" => "{\"type\": \"no_such_type\", \"id\": \"$ID\"}".to_owned(),
        "bad_fields" => {
            "{\"type\": \"api_response\", \"id\": \"$ID\", \"ok\": \"maybe\", \"status\": \"many\"}".to_owned()
        }
        _ => {
            let (open, close) = ("[".repeat(200), "]".repeat(200));
            format!(
                "{{\"type\": \"api_response\", \"id\": \"$ID\", \"ok\": true, \"status\": 200, \"body\": {open}{close}}}"
            )
        }
    };
    let good = || Box::new(json_reply(json!({"after": "malformed frames"})));
    match kind {
        None => AppReply::Frames {
            texts: ["not_json", "not_object", "no_type", "unknown_type"].map(text).into(),
            then: good(),
        },
        Some(kind @ ("bad_fields" | "deep")) => {
            AppReply::Frames { texts: vec![text(kind)], then: Box::new(AppReply::Silence) }
        }
        Some(kind @ ("not_json" | "not_object" | "no_type" | "unknown_type")) => {
            AppReply::Frames { texts: vec![text(kind)], then: good() }
        }
        Some(_) => not_found(),
    }
}

/// Returns a conversation with messages of about 1.2 KB, `bytes` in total.
fn long_conversation(bytes: usize) -> Value {
    const TEXT: &str = "It was said before, in other words, and will be said again. ";
    let message = |n| json!({"uuid": format!("message-{n}"), "sender": "assistant", "text": TEXT.repeat(20)});
    let each = message(0).to_string().len();
    json!({"uuid": "conv-long", "chat_messages": (0..bytes.div_ceil(each)).map(message).collect::<Vec<_>>()})
}
