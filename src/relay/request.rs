//! A browser request as the relay takes it over: checked, its parts as they will go out.

pub use crate::platforms::plan::UpstreamCall;
use crate::{
    ids::{ClientId, PlatformName, RequestId},
    platforms::plan::RequestPlan,
    wire::{self, ApiRequest},
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
pub struct RelayRequest {
    /// Its id, unique among the live ones.
    pub id: RequestId,
    /// In which app.
    pub platform: PlatformName,
    /// The client that must perform it; otherwise one is selected.
    pub client_id: Option<ClientId>,
    /// How the caller wants the answer.
    pub mode: ResponseMode,
    /// What it has to do.
    pub work: RequestWork,
    /// What is asked of the app: from the start, or once the steps before have found out.
    pub call: UpstreamCall,
    /// The caller's own limit, counted from dispatch.
    pub timeout: Option<Duration>,
}

/// What a request has to do.
#[derive(Clone, Debug)]
pub enum RequestWork {
    /// The one call that it brings along.
    Call,
    /// The steps of a plan, whose last is its call.
    Plan(RequestPlan),
    /// To say this by the template that the extension learned.
    Template(String),
}

/// What `request_mode` says of a request with a path of its own.
const API_REQUEST: &str = "api_request";

/// What goes out of a request: the part, its id and how it is to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutgoingPart<'a> {
    pub(super) id: &'a RequestId,
    pub(super) mode: ResponseMode,
}

impl RelayRequest {
    /// Whether it says something to the app's assistant by a prompt.
    pub(super) fn prompts(&self) -> bool {
        matches!(&self.work, RequestWork::Template(_) | RequestWork::Plan(RequestPlan::ClaudePrompt { .. }))
    }

    /// What `request_mode` says of it.
    pub(super) fn work_name(&self) -> Cow<'static, str> {
        match &self.work {
            RequestWork::Call => Cow::Borrowed(API_REQUEST),
            RequestWork::Plan(plan) => Cow::Borrowed(plan.name()),
            RequestWork::Template(_) => Cow::Owned(format!("{}_prompt", self.platform)),
        }
    }

    /// The frame that hands it to the extension. `timeout`: how long it may take, where that is limited.
    pub(super) fn frame(&self, out: OutgoingPart<'_>, timeout: Option<Duration>) -> ByteString {
        let prompt = if let RequestWork::Template(prompt) = &self.work { Some(prompt.as_str()) } else { None };
        let head = ApiRequest {
            id: out.id.as_str(),
            platform: self.platform.as_str(),
            method: &self.call.method,
            path: prompt.is_none().then_some(self.call.path.as_str()),
            headers: &self.call.headers,
            prompt,
            response_mode: out.mode.name(),
            stream_id: (out.mode == ResponseMode::Sse).then_some(out.id.as_str()),
            timeout_ms: timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        wire::frame_with(&head, "body", self.call.body.as_ref())
    }
}
