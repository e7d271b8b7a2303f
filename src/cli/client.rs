//! An HTTP client of the running daemon: finds it, authenticates with the token, parses envelopes and event streams.
//!
//! Invariant: the token is sent to a loopback address only. No name is resolved, no redirect is followed and no proxy is
//! used, whatever the environment says. Before each call the state folder is checked again, so that a program listening
//! on the address of a daemon that has ended receives nothing.

use super::{CommandContext, text};
use crate::{
    api::envelope::{FailureEnvelope, SuccessEnvelope},
    secret::Secret,
    sse::{SseFrame, SseFrameTooLarge, SseParser},
    state_folder::{self, DaemonInfo, FindDaemonError},
};
use awc::{
    Connector,
    error::{PayloadError, SendRequestError},
    http::{Method, header},
};
use bytes::Bytes;
use futures_util::stream::{LocalBoxStream, StreamExt};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::timeout;
use url::{Host, Url};

/// Time limit for connecting to the daemon.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for a response that needs no browser.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of one response or one event, far above the daemon's own limits.
const RESPONSE_BYTES_MAX: usize = 256 << 20;

/// The reason why a call to the daemon failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The announced address is not a loopback address.
    #[error("the daemon's address {0:?} is not one of this machine's loopback")]
    NotLoopback(String),
    /// No daemon was found on the state folder.
    #[error(transparent)]
    Lookup(#[from] FindDaemonError),
    #[error(
        "the daemon that this command connected to has ended, and another one runs on its state folder; run the command again"
    )]
    Replaced,
    /// The daemon cannot be reached, or the connection broke.
    #[error("the daemon at {base} does not answer: {reason}")]
    Unreachable { base: String, reason: String },
    #[error(transparent)]
    Refused(#[from] DaemonRefusal),
    /// The response is not one of the daemon's.
    #[error("the response of the daemon at {base} cannot be read: {reason}")]
    Unreadable { base: String, reason: String },
    /// The response exceeds the size limit.
    #[error("the daemon's response is larger than {RESPONSE_BYTES_MAX} bytes")]
    TooLarge,
    /// An event exceeds the size limit.
    #[error(transparent)]
    FrameTooLarge(#[from] SseFrameTooLarge),
}

/// An error response of the daemon.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DaemonRefusal {
    pub(crate) status: u16,
    /// Stable error code.
    pub(crate) error: String,
    pub(crate) message: String,
    /// Further fields; may be empty.
    pub(crate) details: Map<String, Value>,
}

impl fmt::Display for DaemonRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::line(&self.error))?;
        match self.details.get("error_code").and_then(Value::as_str) {
            Some(code) if code != self.error => write!(f, " ({})", text::line(code))?,
            _ => {}
        }
        write!(f, ": {}", text::line(&self.message))
    }
}

impl std::error::Error for DaemonRefusal {}

/// An HTTP client of one daemon. Requires a running actix system.
pub(crate) struct DaemonClient {
    http: awc::Client,
    base: String,
    token: Option<Secret>,
    found: Option<FoundDaemon>,
}

/// A daemon and the state folder on which it was found.
struct FoundDaemon {
    folder: PathBuf,
    daemon: DaemonInfo,
}

impl FoundDaemon {
    /// Checks that this daemon still runs on the state folder.
    fn check_still_running(&self) -> Result<(), CallError> {
        if DaemonInfo::find(&self.folder)? == self.daemon { Ok(()) } else { Err(CallError::Replaced) }
    }
}

impl DaemonClient {
    /// Returns a client of the daemon that runs on the state folder, with its token.
    pub(crate) fn find(context: &CommandContext) -> anyhow::Result<Self> {
        let daemon = DaemonInfo::find(&context.state_dir)?;
        let token = state_folder::client_token(&context.state_dir, &context.config.auth)?;
        Ok(DaemonClient::for_daemon(daemon, &context.state_dir, token)?)
    }

    /// Returns a client of a daemon found on `folder`. Its calls fail once another daemon runs there.
    pub(crate) fn for_daemon(daemon: DaemonInfo, folder: &Path, token: Option<Secret>) -> Result<Self, CallError> {
        let client = DaemonClient::new(&daemon.http, token)?;
        Ok(DaemonClient { found: Some(FoundDaemon { folder: folder.to_owned(), daemon }), ..client })
    }

    /// Returns a client of the daemon at `base`, such as `http://127.0.0.1:4317`.
    pub(crate) fn new(base: &str, token: Option<Secret>) -> Result<Self, CallError> {
        let address = loopback_address(base).ok_or_else(|| CallError::NotLoopback(base.to_owned()))?;
        let connector = Connector::new().timeout(CONNECT_TIMEOUT);
        let http = awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
        Ok(DaemonClient { http, base: format!("http://{address}"), token, found: None })
    }

    /// The daemon's base address, without a trailing slash.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a `GET` and returns `data`. `path` includes the query.
    pub(crate) async fn get(&self, path: &str) -> Result<Box<RawValue>, CallError> {
        self.with_timeout(Some(REPLY_TIMEOUT), self.call(Method::GET, path, None)).await
    }

    /// Sends a `GET` and deserializes `data`.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.parse(&self.get(path).await?)
    }

    /// Sends a `POST` and returns `data`. Without `limit` only the daemon's own time limits apply.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Option<Duration>,
    ) -> Result<Box<RawValue>, CallError> {
        self.with_timeout(limit, self.call(Method::POST, path, Some(to_json(body)))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Box<RawValue>, CallError> {
        self.with_timeout(Some(REPLY_TIMEOUT), self.call(Method::DELETE, path, None)).await
    }

    /// Sends a `POST` and returns the event stream. Any other response is an error.
    pub(crate) async fn stream(&self, path: &str, body: &impl Serialize) -> Result<EventStream, CallError> {
        let mut answer = self.send(Method::POST, path, Some(to_json(body))).await?;
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !answer.status().is_success() || !kind.starts_with("text/event-stream") {
            let kind = kind.to_owned();
            self.read_data(&mut answer).await?;
            return Err(self.unreadable(format!("{kind:?} in place of an event stream")));
        }
        Ok(EventStream {
            base: self.base.clone(),
            body: answer.boxed_local(),
            parser: SseParser::new(RESPONSE_BYTES_MAX),
        })
    }

    /// Deserializes the `data` of a response.
    pub(crate) fn parse<T: DeserializeOwned>(&self, data: &RawValue) -> Result<T, CallError> {
        serde_json::from_str(data.get()).map_err(|error| self.unreadable(error.to_string()))
    }

    async fn call(&self, method: Method, path: &str, body: Option<String>) -> Result<Box<RawValue>, CallError> {
        let mut answer = self.send(method, path, body).await?;
        self.read_data(&mut answer).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<String>) -> Result<DaemonResponse, CallError> {
        debug_assert!(path.starts_with('/'), "a path begins with a slash");
        if let Some(found) = &self.found {
            found.check_still_running()?;
        }
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let sent = match body {
            Some(body) => request.content_type("application/json").send_body(body).await,
            None => request.send().await,
        };
        sent.map_err(|error| match error {
            // The only remaining error that comes from a response.
            SendRequestError::Response(error) => self.unreadable(error.to_string()),
            error => self.unreachable(cause(&error)),
        })
    }

    async fn read_data(&self, answer: &mut DaemonResponse) -> Result<Box<RawValue>, CallError> {
        let status = answer.status();
        let body = answer.body().limit(RESPONSE_BYTES_MAX).await.map_err(|error| match error {
            PayloadError::Overflow => CallError::TooLarge,
            error => self.unreachable(error.to_string()),
        })?;
        if status.is_success()
            && let Ok(SuccessEnvelope { ok: true, data, .. }) = serde_json::from_slice(&body)
        {
            return Ok(data);
        }
        match serde_json::from_slice::<FailureEnvelope<'static>>(&body) {
            Ok(failure) => Err(DaemonRefusal {
                status: status.as_u16(),
                error: failure.error.into_owned(),
                message: failure.message.into_owned(),
                details: failure.details.into_owned(),
            }
            .into()),
            // Error responses of the HTTP library have no body.
            Err(_) if body.is_empty() => Err(self.unreadable(format!("status {status}, without a body"))),
            Err(error) => Err(self.unreadable(format!("status {status}, {error}"))),
        }
    }

    async fn with_timeout<T>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let Some(limit) = limit else { return work.await };
        let late = |_| self.unreachable(format!("no response within {} s", limit.as_secs_f32()));
        timeout(limit, work).await.map_err(late)?
    }

    fn unreachable(&self, reason: String) -> CallError {
        CallError::Unreachable { base: self.base.clone(), reason }
    }

    fn unreadable(&self, reason: String) -> CallError {
        CallError::Unreadable { base: self.base.clone(), reason: text::line(&reason).into_owned() }
    }
}

type DaemonResponse = awc::ClientResponse;

/// Runs the calls of a command to the daemon of the state folder.
pub(crate) fn with_daemon<T>(
    context: &CommandContext,
    calls: impl AsyncFnOnce(&DaemonClient) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    actix::System::new().block_on(async { calls(&DaemonClient::find(context)?).await })
}

/// A stream of server-sent events.
pub(crate) struct EventStream {
    base: String,
    body: LocalBoxStream<'static, Result<Bytes, PayloadError>>,
    parser: SseParser,
}

impl EventStream {
    /// Returns the next frame, or `None` when the daemon has ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<SseFrame>, CallError> {
        loop {
            if let Some(frame) = self.parser.next() {
                return Ok(Some(frame));
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.parser.push(&bytes)?,
                Some(Err(error)) => {
                    return Err(CallError::Unreachable { base: self.base.clone(), reason: error.to_string() });
                }
                None => return Ok(None),
            }
        }
    }
}

fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("a request's body has string keys")
}

/// The cause of a send error, without the library's prefix.
fn cause(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(error) => error.to_string(),
        SendRequestError::Send(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Returns the address of a base URL if it is a loopback address. A wildcard address becomes the loopback one.
fn loopback_address(base: &str) -> Option<SocketAddr> {
    let url = Url::parse(base).ok().filter(|url| url.scheme() == "http")?;
    let ip = match url.host()? {
        Host::Ipv4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Host::Ipv6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        Host::Domain("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Host::Domain(_) => return None,
    };
    ip.is_loopback().then(|| SocketAddr::new(ip, url.port_or_known_default().unwrap_or(80)))
}

#[cfg(test)]
mod tests;
