//! One call of codexd, from its connection to the last byte of the answer.

use super::{CodexdClient, UpstreamPath};
use awc::{
    Connector,
    error::{PayloadError, SendRequestError},
    http::{
        Method, StatusCode, Uri, Version,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use bytes::Bytes;
use bytestring::ByteString;
use serde::de::IgnoredAny;
use std::time::Duration;
use tokio::time::timeout;

/// What of the answer's head is passed on beside its status: what the body is, and when to come again.
const FORWARDED_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::RETRY_AFTER];
/// Who asks.
const USER_AGENT: &str = concat!("baa-conductor/", env!("CARGO_PKG_VERSION"));

/// What codexd said, be it yes or no.
#[derive(Debug)]
pub struct CodexResponse {
    /// Its status.
    pub status: StatusCode,
    /// Those of its headers that are passed on.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body, byte by byte.
    pub body: Bytes,
}

/// Why codexd said nothing that can be passed on.
#[derive(Debug, thiserror::Error)]
pub enum CodexCallError {
    /// As many calls as may be are under way.
    #[error("too many calls are under way")]
    Busy,
    /// Path and query together are more than a request line holds.
    #[error("the path is too long to be passed on")]
    TooLong,
    /// It cannot be reached, or stopped in the middle.
    #[error("{0}")]
    Unreachable(String),
    /// The answer was not there in time.
    #[error("nothing came within {0:?}")]
    Late(Duration),
    /// What it sent is no answer of HTTP.
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
    /// It sent more than is taken.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl CodexdClient {
    /// Reads a place of it.
    ///
    /// # Errors
    ///
    /// Nothing came that can be passed on.
    pub async fn get(&self, path: &UpstreamPath, query: &str) -> Result<CodexResponse, CodexCallError> {
        self.call(Method::GET, path, query, None).await
    }

    /// Sends JSON there, or nothing.
    ///
    /// # Errors
    ///
    /// Nothing came that can be passed on; it may have been carried out all the same.
    pub async fn post(
        &self,
        path: &UpstreamPath,
        query: &str,
        body: Option<ByteString>,
    ) -> Result<CodexResponse, CodexCallError> {
        self.call(Method::POST, path, query, body).await
    }

    async fn call(
        &self,
        method: Method,
        path: &UpstreamPath,
        query: &str,
        body: Option<ByteString>,
    ) -> Result<CodexResponse, CodexCallError> {
        let _permit = self.permits.try_acquire().map_err(|_| CodexCallError::Busy)?;
        let address: Uri = path.address(&self.base, query).parse().map_err(|_| CodexCallError::TooLong)?;
        let exchange = self.exchange(method, address, body);
        timeout(self.timeout, exchange).await.map_err(|_| CodexCallError::Late(self.timeout))?
    }

    /// A client for this one call, on the thread where its handler runs, which it cannot leave. One that stayed would
    /// keep connections, and a turn sent on one that codexd is just closing fails without ever having been read. A new
    /// connection costs microseconds, a turn takes seconds.
    async fn exchange(
        &self,
        method: Method,
        address: Uri,
        body: Option<ByteString>,
    ) -> Result<CodexResponse, CodexCallError> {
        let connector = Connector::new().timeout(self.timeout);
        let client = awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
        let request = client.request(method, address).force_close().insert_header((header::USER_AGENT, USER_AGENT));
        let sent = match body {
            Some(body) => request.content_type("application/json").send_body(body.into_bytes()).await,
            None => request.send().await,
        };
        let mut answer = sent.map_err(|error| match error {
            SendRequestError::Connect(error) => CodexCallError::Unreachable(error.to_string()),
            SendRequestError::Send(error) => CodexCallError::Unreachable(error.to_string()),
            SendRequestError::Response(error) => CodexCallError::Unreadable(error.to_string()),
            error => CodexCallError::Unreachable(error.to_string()),
        })?;
        let status = answer.status();
        if status.is_informational() {
            return Err(CodexCallError::Unreadable(format!("status {status} ends no call")));
        }
        if is_unframed(answer.version(), status, answer.headers()) {
            let why = "neither content-length nor transfer-encoding says where its body ends";
            return Err(CodexCallError::Unreadable(why.to_owned()));
        }
        let body = answer.body().limit(self.response_bytes_max).await.map_err(|error| match error {
            PayloadError::Overflow => CodexCallError::TooLarge(self.response_bytes_max),
            PayloadError::Incomplete(_) => CodexCallError::Unreachable("its answer broke off".to_owned()),
            error => CodexCallError::Unreadable(error.to_string()),
        })?;
        let headers = answer.headers();
        if !is_complete(headers, &body) {
            return Err(CodexCallError::Unreachable("its answer broke off".to_owned()));
        }
        let given = |name: HeaderName| headers.get(&name).cloned().map(|value| (name, value));
        Ok(CodexResponse { status, headers: FORWARDED_HEADERS.into_iter().filter_map(given).collect(), body })
    }
}

/// Whether a body may come that ends with the connection alone. awc takes it for empty under HTTP/1.1, whatever comes, so
/// that such an answer cannot be told from one without a body.
fn is_unframed(version: Version, status: StatusCode, headers: &HeaderMap) -> bool {
    let may_have_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let coding = headers.get(header::TRANSFER_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_framed = headers.contains_key(header::CONTENT_LENGTH) || coding.to_ascii_lowercase().ends_with("chunked");
    version == Version::HTTP_11 && may_have_body && !is_framed
}

/// Whether nothing is missing at the end of a body: awc ends one that broke off as if that had been all. Where its
/// length was not declared, JSON still tells.
fn is_complete(headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(length) = text(header::CONTENT_LENGTH) {
        return length.parse() == Ok(body.len());
    }
    // The type alone: application/jsonl or application/json-seq are no JSON as a whole.
    let essence = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = text(header::CONTENT_TYPE).is_some_and(|kind| essence(kind) == "application/json");
    let is_plain = !headers.contains_key(header::CONTENT_ENCODING);
    !(is_json && is_plain) || body.is_empty() || serde_json::from_slice::<IgnoredAny>(body).is_ok()
}
