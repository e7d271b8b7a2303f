//! One call of codexd, from the connection to the last byte of the response.

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

/// Response headers that are forwarded to the caller.
const FORWARDED_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::RETRY_AFTER];
/// The `User-Agent` of calls.
const USER_AGENT: &str = concat!("baa-conductor/", env!("CARGO_PKG_VERSION"));

/// A response of codexd, with any status.
#[derive(Debug)]
pub struct CodexResponse {
    /// The status.
    pub status: StatusCode,
    /// The forwarded headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, unchanged.
    pub body: Bytes,
}

/// Why a call has no response that can be forwarded.
#[derive(Debug, thiserror::Error)]
pub enum CodexCallError {
    /// `codex.max_calls` calls are in progress.
    #[error("too many calls are in progress")]
    Busy,
    /// Path and query do not fit into a request line.
    #[error("the path is too long to be forwarded")]
    TooLong,
    /// Connecting failed, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// The response was not complete within `codex.timeout_ms`.
    #[error("no complete response within {0:?}")]
    Late(Duration),
    /// The response is not valid HTTP.
    #[error("its response cannot be read: {0}")]
    Unreadable(String),
    /// The body is larger than `codex.max_response_bytes`.
    #[error("its response is larger than {0} bytes")]
    TooLarge(usize),
}

impl CodexdClient {
    /// Sends a GET request.
    ///
    /// # Errors
    ///
    /// There is no response that can be forwarded.
    pub async fn get(&self, path: &UpstreamPath, query: &str) -> Result<CodexResponse, CodexCallError> {
        self.call(Method::GET, path, query, None).await
    }

    /// Sends a POST request, with a JSON body or without one.
    ///
    /// # Errors
    ///
    /// There is no response that can be forwarded; codexd may have performed the request nevertheless.
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

    /// Performs one call with a client of its own, since a client cannot leave the thread of its handler. A shared client
    /// would reuse connections, and a turn sent on a connection that codexd is just closing fails unread. A new connection
    /// costs microseconds, a turn takes seconds.
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
            return Err(CodexCallError::Unreadable(format!("status {status} is not final")));
        }
        if is_unframed(answer.version(), status, answer.headers()) {
            let why = "neither content-length nor transfer-encoding declares the end of its body";
            return Err(CodexCallError::Unreadable(why.to_owned()));
        }
        let body = answer.body().limit(self.response_bytes_max).await.map_err(|error| match error {
            PayloadError::Overflow => CodexCallError::TooLarge(self.response_bytes_max),
            PayloadError::Incomplete(_) => CodexCallError::Unreachable("its response broke off".to_owned()),
            error => CodexCallError::Unreadable(error.to_string()),
        })?;
        let headers = answer.headers();
        if !is_complete(headers, &body) {
            return Err(CodexCallError::Unreachable("its response broke off".to_owned()));
        }
        let given = |name: HeaderName| headers.get(&name).cloned().map(|value| (name, value));
        Ok(CodexResponse { status, headers: FORWARDED_HEADERS.into_iter().filter_map(given).collect(), body })
    }
}

/// Returns whether only the end of the connection delimits the body. Under HTTP/1.1 awc reads such a body as empty, so that
/// it cannot be distinguished from an absent one.
fn is_unframed(version: Version, status: StatusCode, headers: &HeaderMap) -> bool {
    let may_have_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let coding = headers.get(header::TRANSFER_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_framed = headers.contains_key(header::CONTENT_LENGTH) || coding.to_ascii_lowercase().ends_with("chunked");
    version == Version::HTTP_11 && may_have_body && !is_framed
}

/// Returns whether a body is complete: awc reports a truncated one as complete. Without a declared length, JSON is
/// checked for completeness.
fn is_complete(headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(length) = text(header::CONTENT_LENGTH) {
        return length.parse() == Ok(body.len());
    }
    // Exactly this type: the bodies of application/jsonl and application/json-seq are not one JSON value.
    let essence = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = text(header::CONTENT_TYPE).is_some_and(|kind| essence(kind) == "application/json");
    let is_plain = !headers.contains_key(header::CONTENT_ENCODING);
    !(is_json && is_plain) || body.is_empty() || serde_json::from_slice::<IgnoredAny>(body).is_ok()
}
