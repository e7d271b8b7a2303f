//! The floor: a minimal relay written with the same libraries.
//!
//! One worker, a handler, a WebSocket and a map of pending ids; no guards, no policy, no journal, no limits except the
//! channel of a stream. Requests are distributed to the peers in turn; responses are routed by id.

use actix::{Actor, ActorContext, Addr, AsyncContext, Handler, Message, StreamHandler};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws;
use bytes::Bytes;
use futures_util::Stream;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};
use tokio::sync::{mpsc, oneshot};

const FRAME_BYTES_MAX: usize = 64 << 20;
/// The daemon's limit.
const STREAM_EVENTS_MAX: usize = 256;

#[derive(Default)]
struct PendingTable {
    peers: Vec<Addr<PeerSocket>>,
    next: usize,
    pending: HashMap<String, PendingRequest>,
}

struct PendingRequest {
    peer: Addr<PeerSocket>,
    answer: PeerReply,
}

enum PeerReply {
    Buffered(oneshot::Sender<(u16, String)>),
    Stream(mpsc::Sender<Bytes>),
}

#[derive(Clone, Default)]
struct FloorState(Arc<Mutex<PendingTable>>);

impl FloorState {
    fn table(&self) -> MutexGuard<'_, PendingTable> {
        self.0.lock().expect("no handler panics while it holds the table")
    }
}

/// Runs until it is killed.
pub(crate) fn run() -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let shared = FloorState::default();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(shared.clone()))
                .route("/v1/browser/request", web::post().to(request))
                .route("/v1/browser/request/cancel", web::post().to(cancel))
                .route("/ws/firefox", web::get().to(upgrade))
        });
        let server = server.workers(1).tcp_nodelay(true).h1_allow_half_closed(false).disable_signals();
        let server = server.bind(("127.0.0.1", 0))?;
        let address = server.addrs()[0];
        println!("ready http://{address} ws://{address}/ws/firefox");
        Ok(server.run().await?)
    })
}

#[derive(Deserialize)]
struct RequestBody<'a> {
    request_id: &'a str,
    path: Option<&'a str>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    response_mode: Option<&'a str>,
}

async fn request(shared: web::Data<FloorState>, payload: Bytes) -> HttpResponse {
    let Ok(ask) = serde_json::from_slice::<RequestBody<'_>>(&payload) else {
        return HttpResponse::BadRequest().finish();
    };
    let (id, path) = (ask.request_id, ask.path.unwrap_or("/"));
    let (mode, body) = (ask.response_mode.unwrap_or("buffered"), ask.body.map_or("null", RawValue::get));
    let text = format!(
        r#"{{"type":"api_request","id":"{id}","platform":"claude","method":"GET","path":"{path}","headers":{{}},"body":{body},"response_mode":"{mode}","stream_id":"{id}","timeout_ms":20000}}"#
    );
    let waiting = CancelOnDrop { shared: shared.get_ref().clone(), id: id.to_owned() };
    let dispatch = |answer| {
        let mut table = shared.table();
        if table.peers.is_empty() {
            return false;
        }
        table.next = (table.next + 1) % table.peers.len();
        let peer = table.peers[table.next].clone();
        peer.do_send(SendText(text));
        table.pending.insert(id.to_owned(), PendingRequest { peer, answer });
        true
    };
    if mode == "sse" {
        let (sender, receiver) = mpsc::channel(STREAM_EVENTS_MAX);
        if !dispatch(PeerReply::Stream(sender)) {
            return HttpResponse::ServiceUnavailable().finish();
        }
        let body = StreamBody { receiver, _waiting: waiting };
        return HttpResponse::Ok().content_type("text/event-stream; charset=utf-8").streaming(body);
    }
    let (sender, receiver) = oneshot::channel();
    if !dispatch(PeerReply::Buffered(sender)) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    match receiver.await {
        Ok((status, body)) => {
            let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
            HttpResponse::build(status).content_type("application/json").body(body)
        }
        Err(_) => HttpResponse::BadGateway().finish(),
    }
}

#[derive(Deserialize)]
struct CancelBody<'a> {
    request_id: &'a str,
}

async fn cancel(shared: web::Data<FloorState>, payload: Bytes) -> HttpResponse {
    let Ok(which) = serde_json::from_slice::<CancelBody<'_>>(&payload) else {
        return HttpResponse::BadRequest().finish();
    };
    match shared.table().pending.get(which.request_id) {
        Some(pending) => pending.peer.do_send(SendText(cancellation(which.request_id))),
        None => return HttpResponse::NotFound().finish(),
    }
    HttpResponse::Ok().content_type("application/json").body(r#"{"ok":true}"#)
}

fn cancellation(id: &str) -> String {
    format!(r#"{{"type":"request_cancel","id":"{id}","platform":"claude","stream_id":"{id}","reason":"cancelled"}}"#)
}

/// Cancels a request whose caller disconnected.
struct CancelOnDrop {
    shared: FloorState,
    id: String,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(pending) = self.shared.table().pending.remove(&self.id) {
            pending.peer.do_send(SendText(cancellation(&self.id)));
        }
    }
}

struct StreamBody {
    receiver: mpsc::Receiver<Bytes>,
    _waiting: CancelOnDrop,
}

impl Stream for StreamBody {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

async fn upgrade(
    shared: web::Data<FloorState>,
    request: HttpRequest,
    payload: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let peer = PeerSocket { shared: shared.get_ref().clone() };
    ws::WsResponseBuilder::new(peer, &request, payload).frame_size(FRAME_BYTES_MAX).start()
}

struct PeerSocket {
    shared: FloorState,
}

impl Actor for PeerSocket {
    type Context = ws::WebsocketContext<Self>;

    fn stopped(&mut self, context: &mut Self::Context) {
        let address = context.address();
        self.shared.table().peers.retain(|peer| *peer != address);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct SendText(String);

impl Handler<SendText> for PeerSocket {
    type Result = ();

    fn handle(&mut self, say: SendText, context: &mut Self::Context) {
        context.text(say.0);
    }
}

#[derive(Deserialize)]
struct Inbound<'a> {
    r#type: &'a str,
    id: Option<&'a str>,
    stream_id: Option<&'a str>,
    status: Option<u16>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    seq: Option<u64>,
    event: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for PeerSocket {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, context: &mut Self::Context) {
        match message {
            Ok(ws::Message::Text(text)) => match serde_json::from_str::<Inbound<'_>>(&text) {
                Ok(inbound) => self.receive(&inbound, context),
                Err(error) => eprintln!("floor: {error}"),
            },
            Ok(ws::Message::Ping(payload)) => context.pong(&payload),
            Ok(ws::Message::Close(_)) | Err(_) => context.stop(),
            Ok(_) => {}
        }
    }
}

impl PeerSocket {
    fn receive(&mut self, inbound: &Inbound<'_>, context: &mut ws::WebsocketContext<Self>) {
        let id = inbound.id.unwrap_or_default();
        match inbound.r#type {
            "hello" => {
                self.shared.table().peers.push(context.address());
                context.text(r#"{"type":"hello_ack"}"#);
            }
            "credentials" => context.text(r#"{"type":"state_snapshot","reason":"credentials"}"#),
            "api_response" => {
                let pending = self.shared.table().pending.remove(id);
                let Some(PendingRequest { answer: PeerReply::Buffered(sender), .. }) = pending else { return };
                let body = inbound.body.map_or("null", RawValue::get);
                let text = format!(
                    r#"{{"ok":true,"request_id":"{id}","data":{{"proxy":{{"request_id":"{id}"}},"response":{body}}}}}"#
                );
                // A caller that disconnected needs no response.
                sender.send((inbound.status.unwrap_or(502), text)).unwrap_or_default();
            }
            kind => self.stream(kind, id, inbound),
        }
    }

    /// Frames in the daemon's format, so that their sizes are comparable.
    fn stream(&mut self, kind: &str, id: &str, inbound: &Inbound<'_>) {
        let (stream_id, status) = (inbound.stream_id.unwrap_or(id), inbound.status.unwrap_or(200));
        let frame = match kind {
            "stream_open" => format!(
                "id: 0\nevent: stream_open\ndata: {{\"client_id\":null,\"conversation\":null,\"meta\":null,\"organization\":null,\"platform\":\"claude\",\"policy\":{{}},\"request_id\":\"{id}\",\"request_method\":\"GET\",\"request_mode\":\"api_request\",\"request_path\":\"/\",\"response_mode\":\"sse\",\"status\":{status},\"stream_id\":\"{stream_id}\"}}\n\n"
            ),
            "stream_event" => {
                let (data, raw) =
                    (inbound.data.map_or("null", RawValue::get), inbound.raw.map_or("null", RawValue::get));
                let (seq, event) = (inbound.seq.unwrap_or(0), inbound.event.unwrap_or("message"));
                format!(
                    "id: {seq}\nevent: stream_event\ndata: {{\"data\":{data},\"event\":\"{event}\",\"raw\":{raw},\"request_id\":\"{id}\",\"seq\":{seq},\"stream_id\":\"{stream_id}\"}}\n\n"
                )
            }
            _ => format!(
                "event: {kind}\ndata: {{\"partial\":{{\"buffered_bytes\":0,\"event_count\":0,\"last_seq\":0,\"opened\":true}},\"request_id\":\"{id}\",\"status\":{status},\"stream_id\":\"{stream_id}\"}}\n\n"
            ),
        };
        let mut table = self.shared.table();
        let Some(PendingRequest { answer: PeerReply::Stream(sender), .. }) = table.pending.get(id) else { return };
        let full = sender.try_send(frame.into()).is_err();
        if full || matches!(kind, "stream_end" | "stream_error") {
            table.pending.remove(id);
        }
    }
}
