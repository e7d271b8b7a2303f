//! One `api_request` of a simulated Firefox: manual answers, and the performance of an [`AppReply`].

use super::{FirefoxState, NotConnected, OutgoingFrame};
use crate::simulator::webapp::{AppCall, AppEvent, AppReply, StreamEnd};
use serde_json::{Map, Value, json};
use std::{cell::Cell, rc::Rc};
use tokio::time::sleep;

/// A request of the daemon that can be answered.
#[derive(Clone, Debug)]
pub struct SimulatedRequest {
    message: Rc<Value>,
    seq: Rc<Cell<u64>>,
    shared: Rc<FirefoxState>,
}

impl SimulatedRequest {
    pub(super) fn new(message: Rc<Value>, shared: Rc<FirefoxState>) -> Self {
        SimulatedRequest { message, seq: Rc::new(Cell::new(0)), shared }
    }

    /// Returns the `api_request`.
    pub fn message(&self) -> &Value {
        &self.message
    }

    /// Returns the id of the request; empty if the message has none.
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// Returns the name of the platform.
    pub fn platform(&self) -> &str {
        self.text("platform")
    }

    /// Returns the path; empty in template prompt mode.
    pub fn path(&self) -> &str {
        self.text("path")
    }

    /// Returns whether the answer must be streamed.
    pub fn is_sse(&self) -> bool {
        self.text("response_mode") == "sse"
    }

    /// Sends a buffered answer; the status decides whether it is a failure.
    pub async fn answer(&self, status: u16, body: Value) -> Result<(), NotConnected> {
        self.respond(status, body, json!({})).await
    }

    /// Sends a buffered answer with response headers.
    pub async fn respond(&self, status: u16, body: Value, headers: Value) -> Result<(), NotConnected> {
        let error = if status < 400 { Value::Null } else { json!(format!("http_{status}")) };
        let message = json!({"type": "api_response", "id": self.id(), "ok": status < 400, "status": status, "body": body,
            "error": error, "headers": headers});
        self.shared.send(OutgoingFrame::json(&message)).await
    }

    /// Reports that the extension failed to perform the request.
    pub async fn fail(&self, code: &str, status: Option<u16>) -> Result<(), NotConnected> {
        if self.is_sse() {
            return self.error(code, "simulated", status).await;
        }
        let message = json!({"type": "api_response", "id": self.id(), "ok": false, "status": status, "body": null, "error": code});
        self.shared.send(OutgoingFrame::json(&without_nulls(message))).await
    }

    /// Opens the stream.
    pub async fn open(&self, status: u16) -> Result<(), NotConnected> {
        let meta = json!({"method": self.text("method"), "platform": self.platform(), "url": self.path()});
        let headers = json!({"content-type": "text/event-stream; charset=utf-8"});
        self.stream("stream_open", json!({"status": status, "meta": meta, "headers": headers})).await
    }

    /// Sends the next event. Returns its number.
    pub async fn event(&self, event: &str, data: Value) -> Result<u64, NotConnected> {
        let event = AppEvent::new(event, data, std::time::Duration::ZERO);
        self.numbered(&event).await
    }

    /// Sends an event with this number.
    pub async fn event_at(&self, seq: u64, event: &str, data: Value) -> Result<u64, NotConnected> {
        let event = AppEvent { seq: Some(seq), ..AppEvent::new(event, data, std::time::Duration::ZERO) };
        self.numbered(&event).await
    }

    /// Ends the stream.
    pub async fn end(&self, status: u16) -> Result<(), NotConnected> {
        self.stream("stream_end", json!({"status": status})).await
    }

    /// Ends the stream with an error.
    pub async fn error(&self, code: &str, message: &str, status: Option<u16>) -> Result<(), NotConnected> {
        self.stream("stream_error", json!({"code": code, "message": message, "status": status})).await
    }

    /// Sends `progress`.
    pub async fn progress(&self) -> Result<(), NotConnected> {
        self.shared.send(OutgoingFrame::json(&json!({"type": "progress", "id": self.id()}))).await
    }

    /// Calls the web app and performs its reply.
    pub(super) async fn perform(&self) -> Result<(), NotConnected> {
        let message = &self.message;
        let templated = message.get("prompt").is_some_and(Value::is_string) && message["path"].is_null();
        let (method, path, body) = match templated {
            true => ("POST", "/backend-api/conversation", &message["prompt"]),
            false => (self.text("method"), self.path(), &message["body"]),
        };
        let call =
            AppCall { method, path, headers: &message["headers"], body, now_ms: self.shared.profile.clock.now_ms() };
        let mut reply = self.shared.app.borrow_mut().reply(&call);
        loop {
            reply = match reply {
                AppReply::After { pause, reply } => {
                    sleep(pause).await;
                    *reply
                }
                AppReply::Frames { texts, then } => {
                    for text in texts {
                        self.shared.send(OutgoingFrame::text(text.replace("$ID", self.id()))).await?;
                    }
                    *then
                }
                AppReply::Silence => return std::future::pending().await,
                AppReply::Disconnect => return self.shared.send(OutgoingFrame::Cut).await,
                AppReply::Error { code, status } => return self.fail(&code, status).await,
                AppReply::Json { status, body, headers } => {
                    let headers = headers.into_iter().map(|(name, value)| (name, Value::String(value)));
                    let kind = ("content-type".to_owned(), json!("application/json"));
                    let headers = headers.chain([kind]).collect::<Map<_, _>>();
                    return self.respond(status, body, headers.into()).await;
                }
                AppReply::Text { status, body } => {
                    return self
                        .respond(status, body.into(), json!({"content-type": "text/plain; charset=utf-8"}))
                        .await;
                }
                AppReply::Stream { status, events, end } if self.is_sse() => {
                    return self.streamed(status, events, end).await;
                }
                AppReply::Stream { status, events, end } => return self.gathered(status, events, end).await,
            }
        }
    }

    async fn streamed(&self, status: u16, events: Vec<AppEvent>, end: StreamEnd) -> Result<(), NotConnected> {
        self.open(status).await?;
        for event in events {
            if !event.pause.is_zero() {
                sleep(event.pause).await;
            }
            self.numbered(&event).await?;
        }
        match end {
            StreamEnd::Normal => self.end(status).await,
            StreamEnd::Error { code } => self.error(&code, "simulated", None).await,
            StreamEnd::Never => std::future::pending().await,
            StreamEnd::Disconnect => self.shared.send(OutgoingFrame::Cut).await,
        }
    }

    /// Sends a stream as a buffered answer: its whole text, at its end.
    async fn gathered(&self, status: u16, events: Vec<AppEvent>, end: StreamEnd) -> Result<(), NotConnected> {
        let mut text = String::new();
        for event in events {
            if !event.pause.is_zero() {
                sleep(event.pause).await;
            }
            text.push_str(&event.raw());
            text.push_str("\n\n");
        }
        match end {
            StreamEnd::Normal => {
                self.respond(status, text.into(), json!({"content-type": "text/event-stream; charset=utf-8"})).await
            }
            StreamEnd::Error { code } => self.fail(&code, None).await,
            StreamEnd::Never => std::future::pending().await,
            StreamEnd::Disconnect => self.shared.send(OutgoingFrame::Cut).await,
        }
    }

    async fn numbered(&self, event: &AppEvent) -> Result<u64, NotConnected> {
        let seq = event.seq.unwrap_or(self.seq.get() + 1);
        self.seq.set(seq);
        self.stream("stream_event", json!({"seq": seq, "event": event.event, "data": event.data, "raw": event.raw()}))
            .await?;
        Ok(seq)
    }

    async fn stream(&self, kind: &str, mut fields: Value) -> Result<(), NotConnected> {
        let stream_id = self.message.get("stream_id").filter(|id| id.is_string()).unwrap_or(&self.message["id"]);
        fields["type"] = json!(kind);
        fields["id"] = self.message["id"].clone();
        fields["stream_id"] = stream_id.clone();
        if kind == "stream_error" {
            fields = without_nulls(fields);
        }
        self.shared.send(OutgoingFrame::json(&fields)).await
    }

    fn text(&self, field: &str) -> &str {
        self.message[field].as_str().unwrap_or_default()
    }
}

fn without_nulls(mut message: Value) -> Value {
    if let Value::Object(fields) = &mut message {
        fields.retain(|name, value| name == "body" || !value.is_null());
    }
    message
}
