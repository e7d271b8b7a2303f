//! The connections of a simulated Firefox: connects, introduces itself, handles messages, and reconnects if configured.

use super::{
    AnswerMode, Firefox, FirefoxState, OutgoingFrame, message_log::ConnectionClosed, request::SimulatedRequest, socket,
};
use actix_http::ws::{Frame, Item, Message};
use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use serde_json::{Value, json};
use std::{pin::pin, rc::Rc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, spawn_local},
    time::sleep,
};

/// Maximum number of connections, so that repeated refusals end.
const CONNECTIONS_MAX: usize = 1_000;
/// Frames in the outbox; a full outbox blocks the sender.
const OUTGOING_MAX: usize = 64;

/// Runs one open connection and its reconnects.
pub(super) async fn run_connections(shared: Rc<FirefoxState>, first: (socket::FrameReader, socket::FrameWriter)) {
    let mut next = Some(first);
    for _ in 0..CONNECTIONS_MAX {
        if let Some((reading, writing)) = next.take() {
            let closed = run_connection(&shared, reading, writing).await;
            shared.abort_requests();
            shared.outbox.replace(None);
            shared.log.closed(closed);
        }
        let delay = match (shared.reconnect_now.take(), shared.profile.behaviour.reconnect) {
            (true, delay) => delay.unwrap_or(Duration::ZERO),
            (false, Some(delay)) => delay,
            (false, None) => break,
        };
        sleep(delay).await;
        match socket::dial(&shared.url, shared.profile.behaviour.origin.as_deref()).await {
            Ok(open) => next = Some(open),
            Err(error) => {
                tracing::debug!(client.id = %shared.profile.client_id, %error, "simulated firefox cannot reconnect");
                shared.reconnect_now.set(shared.profile.behaviour.reconnect.is_some());
            }
        }
    }
    shared.log.finish();
}

async fn run_connection(
    shared: &Rc<FirefoxState>,
    mut reading: socket::FrameReader,
    writing: socket::FrameWriter,
) -> ConnectionClosed {
    let (outbox, waiting) = mpsc::channel(OUTGOING_MAX);
    shared.outbox.replace(Some(outbox));
    let (cut, was_cut) = oneshot::channel::<()>();
    let writer = AbortOnDrop(
        spawn_local(async move {
            if !write(writing, waiting).await {
                // The other side may have sent more before it disconnected, so only a reset ends the reader.
                std::future::pending::<()>().await;
            }
            drop(cut);
        })
        .abort_handle(),
    );
    if shared.profile.behaviour.hello {
        // The new outbox has room.
        shared.send(OutgoingFrame::json(&shared.hello())).await.unwrap_or_default();
    }
    let reader = pin!(read(shared, &mut reading));
    let closed = match select(reader, was_cut).await {
        Either::Left((closed, _)) => closed,
        Either::Right(_) => ConnectionClosed { code: None, reason: String::new() },
    };
    drop(writer);
    closed
}

/// Aborts a task when dropped.
pub(super) struct AbortOnDrop(pub(super) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Writes until the connection fails or is reset. Returns whether it was reset.
async fn write(mut writing: socket::FrameWriter, mut waiting: mpsc::Receiver<OutgoingFrame>) -> bool {
    while let Some(outgoing) = waiting.recv().await {
        let sent = match outgoing {
            OutgoingFrame::Message(message) => writing.send(message).await,
            OutgoingFrame::Raw(bytes) => writing.send_raw(&bytes).await,
            OutgoingFrame::Cut => {
                writing.cut();
                return true;
            }
        };
        if sent.is_err() {
            return false;
        }
    }
    false
}

async fn read(shared: &Rc<FirefoxState>, reading: &mut socket::FrameReader) -> ConnectionClosed {
    let mut parts = BytesMut::new();
    loop {
        let mut on = shared.reading.subscribe();
        // `shared` has the sender, so waiting cannot fail.
        on.wait_for(|on| *on).await.map(drop).unwrap_or_default();
        let whole: Bytes = match reading.next().await {
            Some(Ok(Frame::Text(text))) => text,
            Some(Ok(Frame::Continuation(Item::FirstText(part) | Item::Continue(part)))) => {
                parts.extend_from_slice(&part);
                continue;
            }
            Some(Ok(Frame::Continuation(Item::Last(part)))) => {
                parts.extend_from_slice(&part);
                parts.split().freeze()
            }
            Some(Ok(Frame::Ping(payload))) => {
                shared.pings.set(shared.pings.get() + 1);
                if shared.profile.behaviour.pongs {
                    shared.send(OutgoingFrame::Message(Message::Pong(payload))).await.unwrap_or_default();
                }
                continue;
            }
            Some(Ok(Frame::Close(reason))) => {
                let code = reason.as_ref().map(|reason| u16::from(reason.code));
                let text = reason.and_then(|reason| reason.description).unwrap_or_default();
                return ConnectionClosed { code, reason: text };
            }
            Some(Ok(_)) => continue,
            Some(Err(_)) | None => return ConnectionClosed { code: None, reason: String::new() },
        };
        match serde_json::from_slice::<Value>(&whole) {
            Ok(message) => receive(shared, Rc::new(message)),
            Err(error) => tracing::debug!(%error, "simulated firefox received what is not json"),
        }
    }
}

fn receive(shared: &Rc<FirefoxState>, message: Rc<Value>) {
    shared.log.received(Rc::clone(&message));
    let behaviour = &shared.profile.behaviour;
    if let Some(secret) = message["client_secret"].as_str() {
        shared.secret.replace(Some(secret.to_owned()));
    }
    match message["type"].as_str().unwrap_or_default() {
        "hello_ack" if behaviour.credentials => drop(spawn_local(FirefoxState::introduce(Rc::clone(shared)))),
        "challenge" if behaviour.proves => match shared.auth(&message) {
            Some(auth) => {
                let shared = Rc::clone(shared);
                spawn_local(async move { shared.send(OutgoingFrame::json(&auth)).await.unwrap_or_default() });
            }
            None => tracing::debug!(client.id = %shared.profile.client_id, "a challenge that cannot be answered"),
        },
        "api_request" if behaviour.answers == AnswerMode::Automatic => begin(shared, message),
        "request_cancel" if behaviour.answers == AnswerMode::Automatic && behaviour.obeys_cancel => {
            cancel(shared, &message)
        }
        "request_credentials" if message["reason"] == "hello" => {}
        "open_tab"
        | "reload"
        | "plugin_status"
        | "tab_restore"
        | "request_credentials"
        | "controller_reload"
        | "ws_reconnect"
            if behaviour.actions =>
        {
            drop(spawn_local(act(Rc::clone(shared), message)));
        }
        _ => {}
    }
}

fn begin(shared: &Rc<FirefoxState>, message: Rc<Value>) {
    let request = SimulatedRequest::new(message, Rc::clone(shared));
    let id = request.id().to_owned();
    let every = shared.profile.behaviour.progress;
    let owner = Rc::clone(shared);
    let working = request.clone();
    let task = spawn_local(async move {
        let beats = pin!(async {
            loop {
                sleep(every).await;
                if working.progress().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        });
        // If the connection is lost, the daemon has ended the request.
        select(pin!(working.perform()), beats).await;
        owner.running.borrow_mut().remove(working.id());
    });
    shared.running.borrow_mut().insert(id, (request, AbortOnDrop(task.abort_handle())));
}

fn cancel(shared: &Rc<FirefoxState>, message: &Value) {
    let found = shared.running.borrow_mut().remove(message["id"].as_str().unwrap_or_default());
    if let Some((request, work)) = found {
        drop(work);
        spawn_local(async move { request.fail("request_cancelled", Some(499)).await });
    }
}

async fn act(shared: Rc<FirefoxState>, message: Rc<Value>) {
    let platform = message["platform"].as_str();
    let known = |name: &str| shared.profile.platforms.iter().any(|platform| platform.name == name);
    let failed = platform.is_some_and(|name| !known(name));
    let reconnects = message["type"] == "ws_reconnect";
    let runtime: Vec<Value> = shared.profile.shell_runtime(platform);
    let restored = message["type"] == "tab_restore";
    let results: Vec<Value> = runtime
        .iter()
        .map(|tab| json!({"ok": true, "platform": tab["platform"], "restored": restored, "tab_id": tab["actual"]["tab_id"], "shell_runtime": tab}))
        .collect();
    let reason = if failed { json!("platform_not_open") } else { Value::Null };
    let result = json!({"type": "action_result", "request_id": message["request_id"], "action": message["action"],
        "command_type": message["type"], "accepted": true, "completed": !reconnects, "failed": failed, "reason": reason,
        "target": {"platform": platform, "requested_client_id": shared.profile.client_id, "requested_platform": platform},
        "results": results, "shell_runtime": runtime});
    if message["type"] == "request_credentials" && !failed {
        FirefoxState::introduce(Rc::clone(&shared)).await;
    }
    if shared.send(OutgoingFrame::json(&result)).await.is_ok() && reconnects {
        shared.reconnect_now.set(true);
        shared.send(Firefox::close_frame(1000, "ws_reconnect")).await.unwrap_or_default();
    }
}
