//! A simulated Firefox: a peer on the daemon's real WebSocket that behaves like the extension, or misbehaves as configured.
//!
//! By default it introduces itself, reports credentials, performs requests with its [`WebApp`] and answers actions. With
//! [`AnswerMode::Manual`] a test answers each request itself ([`Firefox::next_request`]). Received messages can be awaited
//! without polling. The connection ends when the last clone of the handle is dropped.

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

/// Default timeout of expectations.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a simulated Firefox could not connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not a `ws://` URL.
    #[error("not a websocket address")]
    Url,
    /// Timeout of the upgrade.
    #[error("timeout of the upgrade")]
    Timeout,
    /// A network error.
    #[error("cannot connect")]
    Io(#[from] io::Error),
    /// The server refused the upgrade.
    #[error("refused with status {status}")]
    Refused {
        /// The status of the refusal.
        status: u16,
    },
    /// The answer is not a WebSocket upgrade.
    #[error("the answer is not a websocket upgrade")]
    Handshake,
    /// The daemon did not acknowledge `hello`.
    #[error("hello was not acknowledged")]
    NotWelcomed(#[source] ExpectError),
}

/// There is no open connection.
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
    /// Nonce of the last `hello`.
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

    /// Returns a `hello` with a new nonce.
    fn hello(&self) -> Value {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        self.nonce.replace(nonce.clone());
        self.profile.hello(&nonce)
    }

    /// Returns the answer to a `challenge`, if the daemon's proof in it is valid.
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
            // The connection may have ended meanwhile.
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

/// A handle of a simulated Firefox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Firefox {
    driver_guard: Rc<DriverGuard>,
}

impl Firefox {
    /// Connects and, if it sends `hello` automatically, waits for `hello_ack`. Must run inside a `LocalSet` or an actix system.
    pub async fn connect(ws_url: &str, profile: FirefoxProfile) -> Result<Self, ConnectError> {
        let firefox = Firefox::dial(ws_url, profile).await?;
        if firefox.shared().profile.behaviour.hello {
            firefox.expect("hello_ack").await.map_err(ConnectError::NotWelcomed)?;
        }
        Ok(firefox)
    }

    /// Connects without waiting for `hello_ack`, which may need an approval.
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
        // The driver creates the outbox when it is first polled.
        tokio::task::yield_now().await;
        Ok(firefox)
    }

    /// Returns its secret, if it has one.
    pub fn secret(&self) -> Option<String> {
        self.shared().secret.borrow().clone()
    }

    /// Waits until the daemon's snapshot has the credentials of all platforms of the profile.
    pub async fn ready(&self) -> Result<(), ExpectError> {
        let names: Vec<&str> = self.shared().profile.platforms.iter().map(|platform| platform.name.as_str()).collect();
        let shows_all = |message: &Value| {
            let clients = message["snapshot"]["browser"]["clients"].as_array();
            let mine = clients.and_then(|all| all.iter().find(|client| client["client_id"] == self.client_id()));
            let seen = mine.and_then(|client| client["credentials"].as_array());
            message["type"] == "state_snapshot"
                && names.iter().all(|name| seen.is_some_and(|seen| seen.iter().any(|entry| entry["platform"] == *name)))
        };
        // If the send fails, the wait ends with the connection.
        self.send_json(&json!({"type": "state_request"})).await.unwrap_or_default();
        self.shared().log.message("state_snapshot with all credentials", PATIENCE, shows_all).await.map(drop)
    }

    /// Returns its client id.
    pub fn client_id(&self) -> &str {
        &self.shared().profile.client_id
    }

    /// Returns all received messages, oldest first, including those that were taken.
    pub fn received(&self) -> Vec<Rc<Value>> {
        self.shared().log.all()
    }

    /// Returns the received messages of one type.
    pub fn received_of(&self, kind: &str) -> Vec<Rc<Value>> {
        self.received().into_iter().filter(|message| message["type"] == kind).collect()
    }

    /// Returns the number of received pings.
    pub fn pings(&self) -> u64 {
        self.shared().pings.get()
    }

    /// Takes the first message of a type that was not taken; waits for it up to [`PATIENCE`].
    pub async fn expect(&self, kind: &str) -> Result<Rc<Value>, ExpectError> {
        self.expect_where(kind, |_| true).await
    }

    /// Takes the first message of a type that also matches.
    pub async fn expect_where(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Result<Rc<Value>, ExpectError> {
        self.expect_within(PATIENCE, kind, fits).await
    }

    /// Takes the first message of a type that also matches, with its own timeout.
    pub async fn expect_within(
        &self,
        within: Duration,
        kind: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Rc<Value>, ExpectError> {
        self.shared().log.message(kind, within, |message| message["type"] == kind && fits(message)).await
    }

    /// Takes the next `api_request`.
    pub async fn next_request(&self) -> Result<SimulatedRequest, ExpectError> {
        let message = self.expect("api_request").await?;
        Ok(SimulatedRequest::new(message, Rc::clone(self.shared())))
    }

    /// Takes the next close of a connection; waits for it up to [`PATIENCE`].
    pub async fn closed(&self) -> Result<ConnectionClosed, ExpectError> {
        self.closed_within(PATIENCE).await
    }

    /// Takes the next close of a connection, with its own timeout.
    pub async fn closed_within(&self, within: Duration) -> Result<ConnectionClosed, ExpectError> {
        self.shared().log.closing(within).await
    }

    /// Sends a message.
    pub async fn send_json(&self, message: &Value) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::json(message)).await
    }

    /// Sends a text frame.
    pub async fn send_text(&self, text: &str) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::text(text.to_owned())).await
    }

    /// Sends any frame.
    pub async fn send_frame(&self, frame: Message) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::Message(frame)).await
    }

    /// Sends raw bytes.
    pub async fn send_raw(&self, bytes: &[u8]) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::Raw(bytes.to_vec())).await
    }

    /// Sends a close frame; [`Firefox::closed`] returns the answer.
    pub async fn close(&self, code: u16, reason: &str) -> Result<(), NotConnected> {
        self.shared().send(Firefox::close_frame(code, reason)).await
    }

    /// Resets the connection, after the frames that are queued.
    pub async fn drop_connection(&self) -> Result<(), NotConnected> {
        self.shared().send(OutgoingFrame::Cut).await
    }

    /// Pauses or resumes reading from the socket; a read in progress is completed.
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
