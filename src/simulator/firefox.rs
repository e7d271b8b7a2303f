//! A simulated Firefox: a peer on the daemon's real WebSocket that behaves like the extension, or as badly as asked.
//!
//! Left alone it introduces itself, reports credentials, performs requests with its [`WebApp`] and answers actions.
//! With [`AnswerMode::Manual`] a test answers each request itself ([`Firefox::next_request`]). Whatever it received can be
//! awaited; nothing polls. The connection ends when the last clone of the handle is dropped.

use crate::simulator::{
    firefox::{
        message_log::{ConnectionClosed, ExpectError, MessageLog},
        request::SimulatedRequest,
        session::AbortOnDrop,
    },
    webapp::WebApp,
};
use crate::wire::proof::{ProofSide, Transcript, address_of, proof, proves};
use actix_http::ws::{CloseCode, CloseReason, Message};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt, io,
    rc::Rc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_local,
};
use url::Url;

pub mod message_log;
mod profile;
pub mod request;
mod session;
mod socket;
#[cfg(test)]
mod tests;

pub use profile::{AnswerMode, FirefoxBehaviour, FirefoxProfile, SimulatedPlatform};

/// How long what is awaited may take unless said otherwise.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a simulated Firefox could not connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not a `ws://` one.
    #[error("not a websocket address")]
    Url,
    /// Nobody answered in time.
    #[error("no answer in time")]
    Timeout,
    /// The network failed.
    #[error("cannot connect")]
    Io(#[from] io::Error),
    /// The server refused the upgrade.
    #[error("refused with status {status}")]
    Refused {
        /// The status of the refusal.
        status: u16,
    },
    /// What answered does not speak WebSocket.
    #[error("the answer is no websocket upgrade")]
    Handshake,
    /// The upgrade worked, the introduction did not.
    #[error("not welcomed")]
    NotWelcomed(#[source] ExpectError),
}

/// There is no connection to send on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not connected")]
pub struct NotConnected;

#[derive(Debug)]
enum OutgoingFrame {
    Message(Message),
    Raw(Vec<u8>),
    Cut,
}

impl OutgoingFrame {
    fn text(text: String) -> Self {
        OutgoingFrame::Message(Message::Text(text.into()))
    }

    fn json(message: &Value) -> Self {
        OutgoingFrame::text(message.to_string())
    }
}

struct FirefoxState {
    url: Url,
    profile: FirefoxProfile,
    app: RefCell<WebApp>,
    log: MessageLog,
    secret: RefCell<Option<String>>,
    /// Of the `hello` of now.
    nonce: RefCell<String>,
    outbox: RefCell<Option<mpsc::Sender<OutgoingFrame>>>,
    running: RefCell<HashMap<String, (SimulatedRequest, AbortOnDrop)>>,
    reading: watch::Sender<bool>,
    reconnect_now: Cell<bool>,
    pings: Cell<u64>,
}

impl fmt::Debug for FirefoxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("client_id", &self.profile.client_id).finish_non_exhaustive()
    }
}

impl FirefoxState {
    async fn send(&self, outgoing: OutgoingFrame) -> Result<(), NotConnected> {
        let outbox = self.outbox.borrow().clone();
        outbox.ok_or(NotConnected)?.send(outgoing).await.map_err(|_| NotConnected)
    }

    /// `hello` with a value of its own.
    fn hello(&self) -> Value {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        self.nonce.replace(nonce.clone());
        self.profile.hello(&nonce)
    }

    /// What answers a `challenge`, if the daemon proves in it that it knows the secret.
    fn auth(&self, challenge: &Value) -> Option<Value> {
        let transcript = Transcript {
            client_nonce: self.nonce.borrow().clone(),
            server_nonce: challenge["nonce"].as_str()?.to_owned(),
            address: address_of(&socket::authority(&self.url)?)?,
        };
        let secret = self.secret.borrow().clone()?;
        proves(challenge["proof"].as_str()?, &secret, ProofSide::Server, &transcript)
            .then(|| json!({"type": "auth", "proof": proof(&secret, ProofSide::Client, &transcript)}))
    }

    async fn introduce(self: Rc<Self>) {
        for message in self.profile.credentials() {
            // A connection that ended meanwhile needs no introduction.
            self.send(OutgoingFrame::json(&message)).await.unwrap_or_default();
        }
    }

    fn abort_requests(&self) {
        self.running.take();
    }
}

#[derive(Debug)]
struct DriverGuard {
    shared: Rc<FirefoxState>,
    driver: tokio::task::AbortHandle,
}

impl Drop for DriverGuard {
    fn drop(&mut self) {
        self.driver.abort();
        self.shared.abort_requests();
        self.shared.outbox.replace(None);
    }
}

/// The handle of a simulated Firefox.
#[derive(Clone, Debug)]
pub struct Firefox {
    driver_guard: Rc<DriverGuard>,
}

impl Firefox {
    /// Connects and, if it says `hello` by itself, waits to be welcomed. Must run inside a `LocalSet` or an actix system.
    pub async fn connect(ws_url: &str, profile: FirefoxProfile) -> Result<Self, ConnectError> {
        let firefox = Firefox::dial(ws_url, profile).await?;
        if firefox.shared().profile.behaviour.hello {
            firefox.expect("hello_ack").await.map_err(ConnectError::NotWelcomed)?;
        }
        Ok(firefox)
    }

    /// Connects without waiting for a welcome, which somebody may have to decide about.
    pub async fn dial(ws_url: &str, profile: FirefoxProfile) -> Result<Self, ConnectError> {
        let url = Url::parse(ws_url).ok().filter(|url| url.scheme() == "ws").ok_or(ConnectError::Url)?;
        let open = socket::dial(&url, profile.behaviour.origin.as_deref()).await?;
        let shared = Rc::new(FirefoxState {
            url,
            app: RefCell::new(profile.app.clone()),
            log: MessageLog::new(profile.behaviour.keep_messages),
            secret: RefCell::new(profile.secret.clone()),
            nonce: RefCell::default(),
            outbox: RefCell::default(),
            running: RefCell::default(),
            reading: watch::Sender::new(true),
            reconnect_now: Cell::new(false),
            pings: Cell::new(0),
            profile,
        });
        let driver = spawn_local(session::run_connections(Rc::clone(&shared), open)).abort_handle();
        let firefox = Firefox { driver_guard: Rc::new(DriverGuard { shared, driver }) };
        // The driver makes the outbox when it is first polled.
        tokio::task::yield_now().await;
        Ok(firefox)
    }

    /// The secret that it proves itself with, once it has one.
    pub fn secret(&self) -> Option<String> {
        self.shared().secret.borrow().clone()
    }

    /// Waits until the daemon shows the credentials of every platform of the profile.
    pub async fn ready(&self) -> Result<(), ExpectError> {
        let names: Vec<&str> = self.shared().profile.platforms.iter().map(|platform| platform.name.as_str()).collect();
        let shows_all = |message: &Value| {
            let clients = message["snapshot"]["browser"]["clients"].as_array();
            let mine = clients.and_then(|all| all.iter().find(|client| client["client_id"] == self.client_id()));
            let seen = mine.and_then(|client| client["credentials"].as_array());
            message["type"] == "state_snapshot"
                && names.iter().all(|name| seen.is_some_and(|seen| seen.iter().any(|entry| entry["platform"] == *name)))
        };
        // A failed send shows itself as the end of the connection.
        self.send_json(&json!({"type": "state_request"})).await.unwrap_or_default();
        self.shared().log.message("state_snapshot with all credentials", PATIENCE, shows_all).await.map(drop)
    }

    /// How it calls itself.
    pub fn client_id(&self) -> &str {
        &self.shared().profile.client_id
    }

    /// Everything received, oldest first, also what was expected before.
    pub fn received(&self) -> Vec<Rc<Value>> {
        self.shared().log.all()
    }

    /// Those received of one type.
    pub fn received_of(&self, kind: &str) -> Vec<Rc<Value>> {
        self.received().into_iter().filter(|message| message["type"] == kind).collect()
    }

    /// How many pings came.
    pub fn pings(&self) -> u64 {
        self.shared().pings.get()
    }

    /// Takes the first message of a type that nobody took, waiting for it up to [`PATIENCE`].
    pub async fn expect(&self, kind: &str) -> Result<Rc<Value>, ExpectError> {
        self.expect_where(kind, |_| true).await
    }

    /// The same for a message that also fits.
    pub async fn expect_where(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Result<Rc<Value>, ExpectError> {
        self.expect_within(PATIENCE, kind, fits).await
    }

    /// The same within a time.
    pub async fn expect_within(
        &self,
        within: Duration,
        kind: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Rc<Value>, ExpectError> {
        self.shared().log.message(kind, within, |message| message["type"] == kind && fits(message)).await
    }

    /// Takes the next `api_request`, to answer it by hand.
    pub async fn next_request(&self) -> Result<SimulatedRequest, ExpectError> {
        let message = self.expect("api_request").await?;
        Ok(SimulatedRequest::new(message, Rc::clone(self.shared())))
    }

    /// Takes the next end of a connection, waiting for it up to [`PATIENCE`].
    pub async fn closed(&self) -> Result<ConnectionClosed, ExpectError> {
        self.closed_within(PATIENCE).await
    }

    /// The same within a time.
    pub async fn closed_within(&self, within: Duration) -> Result<ConnectionClosed, ExpectError> {
        self.shared().log.closing(within).await
    }

    /// Sends a message.
    pub async fn send_json(&self, message: &Value) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::json(message)).await
    }

    /// Sends a text frame that need not be JSON.
    pub async fn send_text(&self, text: &str) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::text(text.to_owned())).await
    }

    /// Sends any frame.
    pub async fn send_frame(&self, frame: Message) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::Message(frame)).await
    }

    /// Sends bytes that need be no frame at all.
    pub async fn send_raw(&self, bytes: &[u8]) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::Raw(bytes.to_vec())).await
    }

    /// Says goodbye; [`Firefox::closed`] tells what came back.
    pub async fn close(&self, code: u16, reason: &str) -> Result<(), NotConnected> {
        self.shared().send(Firefox::close_frame(code, reason)).await
    }

    /// Cuts the connection as a lost network does, after what is already under way.
    pub async fn drop_connection(&self) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::Cut).await
    }

    /// Stops or goes on reading from the socket; a frame that is awaited already is still read.
    pub fn set_reading(&self, on: bool) {
        self.shared().reading.send_replace(on);
    }

    fn shared(&self) -> &Rc<FirefoxState> {
        &self.driver_guard.shared
    }

    fn close_frame(code: u16, reason: &str) -> OutgoingFrame {
        let description = Some(reason.to_owned());
        OutgoingFrame::Message(Message::Close(Some(CloseReason { code: CloseCode::from(code), description })))
    }
}
