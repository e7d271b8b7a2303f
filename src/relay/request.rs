//! Validated browser requests and the frames they are sent in.

pub use crate::platforms::plan::UpstreamCall;
use crate::{
    ids::{ClientId, PlatformName, RequestId},
    platforms::plan::RequestPlan,
    wire::{self, ApiRequest},
};
use bytestring::ByteString;
use std::{borrow::Cow, time::Duration};

pub use crate::api::browser_request::{CancelResponse, ResponseMode};

impl ResponseMode {
    /// Returns the name of the mode in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A validated request.
#[derive(Clone, Debug)]
pub struct RelayRequest {
    /// Id, unique among the live requests.
    pub id: RequestId,
    /// Platform of the request.
    pub platform: PlatformName,
    /// Client that has to perform it; without one a client is selected.
    pub client_id: Option<ClientId>,
    /// Form of the answer.
    pub mode: ResponseMode,
    /// What has to be done.
    pub work: RequestWork,
    /// The call to the app; set by the plan once its steps have found it out.
    pub call: UpstreamCall,
    /// Time limit given by the caller, counted from dispatch.
    pub timeout: Option<Duration>,
}

/// The work of a request.
#[derive(Clone, Debug)]
pub enum RequestWork {
    /// A single call, given by the caller.
    Call,
    /// The steps of a plan, of which the last is the caller's call.
    Plan(RequestPlan),
    /// A prompt for the template that the extension has learned.
    Template(String),
}

/// Value of `request_mode` for a request with a path of its own.
const API_REQUEST: &str = "api_request";

/// Id and response mode of the part of a request that is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutgoingPart<'a> {
    pub(super) id: &'a RequestId,
    pub(super) mode: ResponseMode,
}

impl RelayRequest {
    /// Whether the request is a prompt to the app's assistant.
    pub(super) fn prompts(&self) -> bool {
        matches!(&self.work, RequestWork::Template(_) | RequestWork::Plan(RequestPlan::ClaudePrompt { .. }))
    }

    /// Returns the value of `request_mode`.
    pub(super) fn work_name(&self) -> Cow<'static, str> {
        match &self.work {
            RequestWork::Call => Cow::Borrowed(API_REQUEST),
            RequestWork::Plan(plan) => Cow::Borrowed(plan.name()),
            RequestWork::Template(_) => Cow::Owned(format!("{}_prompt", self.platform)),
        }
    }

    /// Returns the `api_request` frame. `timeout`: time limit of the request, if it has one.
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

/// Error of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelError {
    /// No request of this id and platform is queued or in flight.
    NotFound,
    /// Another client performs it.
    Mismatch {
        /// That client, once it is chosen.
        executing: Option<ClientId>,
    },
}
