//! A browser request as the relay takes it over: checked, its parts as they will go out.

use crate::{
    ids::{ClientId, PlatformName, RequestId},
    wire::{self, ApiRequest, Raw},
};
use bytestring::ByteString;
use std::{borrow::Cow, time::Duration};

/// How the caller wants the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// Whole.
    Buffered,
    /// Event by event.
    Sse,
}

impl ResponseMode {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            ResponseMode::Buffered => "buffered",
            ResponseMode::Sse => "sse",
        }
    }
}

/// A checked request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its id, unique among the live ones.
    pub id: RequestId,
    /// In which app.
    pub platform: PlatformName,
    /// The client that must perform it; otherwise one is selected.
    pub client_id: Option<ClientId>,
    /// How the caller wants the answer.
    pub mode: ResponseMode,
    /// What is asked of the app.
    pub call: Call,
    /// The caller's own limit, counted from dispatch.
    pub timeout: Option<Duration>,
}

/// One HTTP call to the app.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Upper case; the usual ones need no memory.
    pub method: Cow<'static, str>,
    /// A path, or a URL on one of the platform's hosts.
    pub path: String,
    /// A JSON object of strings.
    pub headers: Raw,
    /// A string is sent as it is, anything else as JSON.
    pub body: Option<Raw>,
}

/// What `request_mode` says of a request with a path of its own.
pub const API_REQUEST: &str = "api_request";

impl Request {
    /// The frame that hands it to the extension. `timeout`: how long it may take, where that is limited.
    pub(super) fn frame(&self, timeout: Option<Duration>) -> ByteString {
        let head = ApiRequest {
            id: self.id.as_str(),
            platform: self.platform.as_str(),
            method: &self.call.method,
            path: &self.call.path,
            headers: &self.call.headers,
            prompt: None,
            response_mode: self.mode.name(),
            stream_id: (self.mode == ResponseMode::Sse).then_some(self.id.as_str()),
            timeout_ms: timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        wire::frame_with(&head, "body", self.call.body.as_ref())
    }
}
