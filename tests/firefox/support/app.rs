//! The web apps: servers for `https://claude.ai` and others, which record their requests.
//!
//! By default a navigation is answered with a page, which requests the account like real ones, and anything else with
//! JSON that describes the request.

use super::{
    http::{self, Received},
    within,
};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// The hosts behind TLS; the last is a subdomain of another party.
pub(crate) const HOSTS: &[&str] = &["claude.ai", "chatgpt.com", "gemini.google.com", "evil.claude.ai"];
/// Untrusted names that resolve to this machine too.
pub(crate) const STRANGERS: &[&str] = &["evil.example", "rebound.example"];
/// The cookie of the login.
pub(crate) const COOKIE: &str = "sessionKey";

const PAGE: &str = "<!doctype html><title>app</title><h1>An app</h1><script>fetch('/api/account')</script>";
const POLICY: &str = "content-security-policy: default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'\r\n";

/// All web apps of one test, on two ports: one for every `https` host, one for a plain `http://127.0.0.1`.
#[derive(Debug)]
pub(crate) struct Apps {
    pub(crate) tls_port: u16,
    pub(crate) plain_port: u16,
    shared: Arc<Shared>,
    servers: [JoinHandle<()>; 2],
}

/// A request that the test answers; when it is dropped, the connection ends.
#[derive(Debug)]
pub(crate) struct Upstream {
    pieces: mpsc::UnboundedSender<String>,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    /// The login cookies that pages set, by host.
    logins: Mutex<HashMap<String, String>>,
    /// Prepared answers, by host and path.
    answers: Mutex<HashMap<String, Answer>>,
}

#[derive(Clone, Debug)]
enum Answer {
    Whole(u16, String, String),
    Held(mpsc::UnboundedSender<Upstream>),
}

/// The requests to a path that the test answers.
#[derive(Debug)]
pub(crate) struct Held(mpsc::UnboundedReceiver<Upstream>);

impl Apps {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (tls_port, plain_port) = (tls.local_addr().unwrap().port(), plain.local_addr().unwrap().port());
        let servers = [
            tokio::spawn(listen(tls, Some(acceptor()), shared.clone())),
            tokio::spawn(listen(plain, None, shared.clone())),
        ];
        Apps { tls_port, plain_port, shared, servers }
    }

    /// Makes pages of the host set this login cookie.
    pub(crate) fn login(&self, host: &str, value: &str) {
        self.shared.logins.lock().unwrap().insert(host.to_owned(), value.to_owned());
    }

    /// Sets the answer at `place`, a host and a path.
    pub(crate) fn answer(&self, place: &str, status: u16, content_type: &str, body: &str) {
        self.set(place, Answer::Whole(status, content_type.to_owned(), body.to_owned()));
    }

    /// Makes the test answer the requests there.
    pub(crate) fn hold(&self, place: &str) -> Held {
        let (tell, told) = mpsc::unbounded_channel();
        self.set(place, Answer::Held(tell));
        Held(told)
    }

    fn set(&self, place: &str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(place.to_owned(), answer);
    }

    /// Returns the requests there so far.
    pub(crate) fn received(&self, place: &str) -> Vec<Received> {
        let all = self.shared.received.lock().unwrap();
        all.iter().filter(|received| received.place() == place).cloned().collect()
    }
}

impl Drop for Apps {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

impl Held {
    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> Upstream {
        within("request at the app", self.0.recv()).await.unwrap()
    }
}

impl Upstream {
    /// Begins an event-stream answer. Firefox passes an answer to the page only once a part of its body has arrived.
    pub(crate) fn open(&self) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        self.write(head.to_owned());
        self.text(": welcome\n\n");
    }

    /// Writes an event as one piece.
    pub(crate) fn event(&self, data: &str) {
        self.text(&format!("data: {data}\n\n"));
    }

    /// Writes a part of the answer as one piece.
    pub(crate) fn text(&self, text: &str) {
        self.write(format!("{:x}\r\n{text}\r\n", text.len()));
    }

    /// Completes the answer.
    pub(crate) fn end(self) {
        self.write("0\r\n\r\n".to_owned());
    }

    fn write(&self, piece: String) {
        // The browser may be gone.
        let _ = self.pieces.send(piece);
    }

    /// Waits until the browser has aborted the request.
    pub(crate) async fn given_up(&self) {
        within("end of the browser's side", self.pieces.closed()).await;
    }
}

async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            if stream.set_nodelay(true).is_err() {
                return;
            }
            // A failed connection is reported by the browser.
            let _ = match tls {
                None => serve(stream, &shared, "").await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &shared, "; Secure").await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

/// Serves the requests of one connection.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared, secure: &str) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = http::read(&mut stream, &mut buffer).await? {
        shared.received.lock().unwrap().push(request.clone());
        let prepared = shared.answers.lock().unwrap().get(&request.place()).cloned();
        match prepared {
            Some(Answer::Held(test)) => {
                let (pieces, told) = mpsc::unbounded_channel();
                if test.send(Upstream { pieces }).is_err() || !http::pass_on(&mut stream, told).await? {
                    return Ok(());
                }
            }
            Some(Answer::Whole(status, content_type, body)) => {
                http::write(&mut stream, status, &content_type, "", &body).await?;
            }
            None if request.wants_page() => {
                let login = shared.logins.lock().unwrap().get(&request.host).cloned();
                let cookie = login.map(|value| format!("set-cookie: {COOKIE}={value}; HttpOnly; Path=/{secure}\r\n"));
                let headers = cookie.unwrap_or_default() + POLICY;
                http::write(&mut stream, 200, "text/html", &headers, PAGE).await?;
            }
            None => {
                let told = json!({"method": request.method, "target": request.target, "body": request.body,
                    "logged_in": request.header("cookie").is_some_and(|cookie| cookie.contains(COOKIE))});
                http::write(&mut stream, 200, "application/json", "", &told.to_string()).await?;
            }
        }
    }
    Ok(())
}

/// Creates a certificate for all hosts.
fn acceptor() -> TlsAcceptor {
    let names = HOSTS.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}
