//! The simulated web app: the answers of a web app's server, and every misbehaviour, as pure data.
//!
//! It answers and streams like claude.ai, and has special paths for misbehaviour. Nothing here waits: pauses are part of the
//! [`AppReply`] and are taken when it is performed.
//!
//! | path | what it does |
//! | --- | --- |
//! | `GET /api/organizations` | one organization |
//! | `GET`, `POST /api/organizations/{org}/chat_conversations` | the conversations, newest first; a new one |
//! | `GET …/chat_conversations/{conv}` | one conversation with its `chat_messages` |
//! | `POST …/chat_conversations/{conv}/completion` | a streamed completion, a word at a time ([`WebApp::with_pace`]) |
//! | `POST /backend-api/conversation` | the same in ChatGPT's snapshots; also what a filled template calls |
//! | `/echo` | the call itself as JSON |
//! | `/status/{code}?retry_after=` | that status with a small JSON body, optionally with a `retry-after` header |
//! | `/error/{code}?status=` | the extension itself fails with that code, such as `tab_unavailable` |
//! | `/silence` | nothing, ever |
//! | `/slow?ms=` | a small JSON answer after that long |
//! | `/bytes/{n}` | a text of `n` bytes |
//! | `/json/{n}` | a JSON conversation of about `n` bytes |
//! | `/events/{n}?bytes=&pause_ms=&end=` | `n` events; `end` is `end`, `error`, `never` or `disconnect` |
//! | `/wrong-seq` | events numbered 1, 3, 2, 3, 5: a gap, a step back, a repetition |
//! | `/malformed?kind=` | frames the protocol does not know, then a good answer; `bad_fields` and `deep` spoil the answer |
//! | `/disconnect?after=` | the connection is cut, without a close frame, after that many events |
//! | anything else | 404 |

use crate::clock::WallMs;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

mod conversations;
mod lists;
mod misbehaviour;
#[cfg(test)]
mod tests;

use conversations::ConversationStore;
pub use lists::ListShape;

/// A call of the page to the web app.
#[derive(Clone, Copy, Debug)]
pub struct AppCall<'a> {
    /// Upper-case method.
    pub method: &'a str,
    /// A path with its query, or an absolute URL.
    pub path: &'a str,
    /// Headers of the request: an object or null.
    pub headers: &'a Value,
    /// Body of the request: any JSON, or JSON as text.
    pub body: &'a Value,
    /// Time of the call.
    pub now_ms: WallMs,
}

/// A server-sent event of a streamed reply.
#[derive(Clone, Debug, PartialEq)]
pub struct AppEvent {
    /// Name.
    pub event: String,
    /// Data.
    pub data: Value,
    /// Pause before it is sent.
    pub pause: Duration,
    /// Number, if it is not the next one.
    pub seq: Option<u64>,
}

/// The end of a streamed reply.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEnd {
    /// A normal end.
    Normal,
    /// An error of the extension.
    Error {
        /// Code, such as `fetch_failed`.
        code: String,
    },
    /// No end.
    Never,
    /// A reset of the connection.
    Disconnect,
}

/// A reply of the web app.
#[derive(Clone, Debug, PartialEq)]
pub enum AppReply {
    /// A JSON answer.
    Json {
        /// HTTP status.
        status: u16,
        /// Body.
        body: Value,
        /// Further headers, by lower-case name.
        headers: Vec<(String, String)>,
    },
    /// A plain text answer.
    Text {
        /// HTTP status.
        status: u16,
        /// Body.
        body: String,
    },
    /// An event stream.
    Stream {
        /// HTTP status.
        status: u16,
        /// Events.
        events: Vec<AppEvent>,
        /// End of the stream.
        end: StreamEnd,
    },
    /// Another reply after a pause.
    After {
        /// Pause.
        pause: Duration,
        /// Reply.
        reply: Box<AppReply>,
    },
    /// No reply.
    Silence,
    /// The extension fails to perform the request.
    Error {
        /// Code, such as `tab_unavailable`.
        code: String,
        /// Status, if any.
        status: Option<u16>,
    },
    /// Raw text frames, with `$ID` replaced by the request's id, then another reply.
    Frames {
        /// Texts.
        texts: Vec<String>,
        /// Next reply.
        then: Box<AppReply>,
    },
    /// A reset of the connection without a close frame.
    Disconnect,
}

/// Format of the events of a completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompletionShape {
    /// The older format: `completion` events, one per word.
    #[default]
    Completion,
    /// The newer format: `message_start`, `content_block_delta` and so on.
    Blocks,
}

/// The simulated web app with its conversations.
#[derive(Clone, Debug)]
pub struct WebApp {
    pace: Duration,
    shape: CompletionShape,
    lists: ListShape,
    answer: String,
    conversations: ConversationStore,
}

impl Default for WebApp {
    fn default() -> Self {
        WebApp::new()
    }
}

impl WebApp {
    /// Creates an app with one organization and one conversation that answers with a few dozen words, 30 ms each.
    pub fn new() -> Self {
        WebApp {
            pace: Duration::from_millis(30),
            shape: CompletionShape::default(),
            lists: ListShape::default(),
            answer:
                "No model wrote this answer: the simulator streams it word by word, to show the path from the page \
                     through the socket and the relay to you without a browser, without an account and without a \
                     network. It went through every part of the daemon that a real answer goes through."
                    .to_owned(),
            conversations: ConversationStore::new(),
        }
    }

    /// Sets the pause before each word.
    pub fn with_pace(self, pace: Duration) -> Self {
        WebApp { pace, ..self }
    }

    /// Sets the format of completion events.
    pub fn with_shape(self, shape: CompletionShape) -> Self {
        WebApp { shape, ..self }
    }

    /// Sets the answer to every prompt.
    pub fn with_answer(self, answer: &str) -> Self {
        WebApp { answer: answer.to_owned(), ..self }
    }

    /// Sets the position of lists in its answers.
    pub fn with_lists(self, lists: ListShape) -> Self {
        WebApp { lists, ..self }
    }

    /// Replaces the conversations, the oldest first. `current`: the one that is marked as current.
    pub fn with_conversations(self, ids: &[&str], current: Option<&str>) -> Self {
        WebApp { conversations: ConversationStore::of(ids, current), ..self }
    }

    /// Answers one call.
    pub fn reply(&mut self, call: &AppCall<'_>) -> AppReply {
        let base = Url::parse("https://web.app/").expect("a constant URL");
        let Ok(url) = base.join(call.path) else { return not_found() };
        let segments: Vec<&str> = url.path().trim_matches('/').split('/').collect();
        match (call.method, segments.as_slice()) {
            ("GET", ["api", "organizations"]) => {
                json_reply(self.lists.list("organizations", self.conversations.organizations()))
            }
            ("GET", ["api", "organizations", org, "chat_conversations"]) => {
                let listed = self.conversations.list(org).map(|list| self.lists.list("chat_conversations", list));
                listed.map_or_else(not_found, json_reply)
            }
            ("POST", ["api", "organizations", org, "chat_conversations"]) => {
                let made = self.conversations.create(org, call.now_ms).map(|entry| self.lists.made(entry));
                made.map_or_else(not_found, json_reply)
            }
            ("GET", ["api", "organizations", org, "chat_conversations", id]) => {
                self.conversations.read(org, id).map_or_else(not_found, json_reply)
            }
            ("POST", ["api", "organizations", org, "chat_conversations", id, "completion"]) => {
                let prompt = prompt_of(call.body);
                match self.conversations.record(org, id, &prompt, &self.answer, call.now_ms) {
                    true => stream(self.completion()),
                    false => not_found(),
                }
            }
            ("POST", ["backend-api", "conversation"] | ["backend-api", "f", "conversation"]) => {
                stream(self.snapshots())
            }
            (_, segments) => misbehaviour::reply(call, segments, &url),
        }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.answer.split_inclusive(' ')
    }

    fn completion(&self) -> Vec<AppEvent> {
        let word = |event: &str, data| AppEvent::new(event, data, self.pace);
        match self.shape {
            CompletionShape::Completion => {
                let last = word("completion", json!({"completion": "", "stop_reason": "stop_sequence"}));
                self.words().map(|text| word("completion", json!({"completion": text}))).chain([last]).collect()
            }
            CompletionShape::Blocks => {
                let framing = |data: Value| {
                    let name = data["type"].as_str().unwrap_or("message").to_owned();
                    AppEvent::new(&name, data, Duration::ZERO)
                };
                let head = [
                    framing(json!({"type": "message_start", "message": {"id": "msg_1", "role": "assistant"}})),
                    framing(
                        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                    ),
                ];
                let tail = [
                    framing(json!({"type": "content_block_stop", "index": 0})),
                    framing(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})),
                    framing(json!({"type": "message_stop"})),
                ];
                let words = self.words().map(|text| {
                    let delta = json!({"type": "text_delta", "text": text});
                    word("content_block_delta", json!({"type": "content_block_delta", "index": 0, "delta": delta}))
                });
                head.into_iter().chain(words).chain(tail).collect()
            }
        }
    }

    fn snapshots(&self) -> Vec<AppEvent> {
        let snapshot = |text: &str, done: bool| {
            let status = if done { "finished_successfully" } else { "in_progress" };
            let message = json!({"id": "msg-1", "author": {"role": "assistant"}, "status": status, "end_turn": done,
                "recipient": "all", "content": {"content_type": "text", "parts": [text]}});
            AppEvent::new("message", json!({"conversation_id": "chat-1", "message": message}), self.pace)
        };
        let mut text = String::new();
        let mut events: Vec<AppEvent> = Vec::new();
        for word in self.words() {
            text.push_str(word);
            events.push(snapshot(&text, false));
        }
        events.push(snapshot(&text, true));
        events.push(AppEvent::new("message", json!("[DONE]"), Duration::ZERO));
        events
    }
}

impl AppEvent {
    /// Creates an event with the next number.
    pub fn new(event: &str, data: Value, pause: Duration) -> Self {
        AppEvent { event: event.to_owned(), data, pause, seq: None }
    }

    /// Returns the event in the text of an event stream, without the blank line at its end.
    pub fn raw(&self) -> String {
        match &self.data {
            Value::String(text) => format!("event: {}\ndata: {text}", self.event),
            data => format!("event: {}\ndata: {data}", self.event),
        }
    }
}

/// Returns the prompt in a request's body, which may be JSON as text.
fn prompt_of(body: &Value) -> String {
    let parsed = body.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    parsed.as_ref().unwrap_or(body).get("prompt").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn stream(events: Vec<AppEvent>) -> AppReply {
    AppReply::Stream { status: 200, events, end: StreamEnd::Normal }
}

fn json_reply(body: Value) -> AppReply {
    AppReply::Json { status: 200, body, headers: Vec::new() }
}

fn not_found() -> AppReply {
    AppReply::Json { status: 404, body: json!({"error": {"message": "not found"}}), headers: Vec::new() }
}
