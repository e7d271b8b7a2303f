//! Typed frames from the extension: one pass finds the fields, the type determines their types.

use super::{
    action::{ActionRequest, ActionResult},
    depth::{DEPTH_MAX, too_deep},
    json_object::{FieldError, JsonObject, NotAnObject},
    request_report::{self, RequestReport},
    session::{ApiEndpoints, Credentials, FinalMessage, Hello, PlatformStatus},
};
use bytestring::ByteString;
use serde::Serialize;
use std::borrow::Cow;

/// The types that [`InboundFrame::parse`] knows, as `hello_ack` lists them.
pub(super) const TYPES: [&str; 16] = [
    "hello",
    "auth",
    "state_request",
    "action_request",
    "credentials",
    "api_endpoints",
    "api_response",
    "stream_open",
    "stream_event",
    "stream_end",
    "stream_error",
    "progress",
    "platform_status",
    "action_result",
    "browser.final_message",
    "client_log",
];

/// A frame from the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboundFrame<'a> {
    /// Identifies the client.
    Hello(Hello),
    /// The proof of a paired client.
    Auth {
        /// HMAC in hexadecimal digits.
        proof: String,
    },
    /// Requests a snapshot.
    StateRequest,
    /// Requests a change of mode.
    ActionRequest(ActionRequest),
    /// Reports a login.
    Credentials(Credentials),
    /// Reports the requests that the page makes.
    ApiEndpoints(ApiEndpoints),
    /// Report about a request.
    Request {
        /// Id of the request.
        id: Cow<'a, str>,
        /// The report.
        report: RequestReport,
    },
    /// Reports whether the extractors still understand a platform.
    PlatformStatus(PlatformStatus),
    /// Result of an action.
    ActionResult(Box<ActionResult>),
    /// Reports a complete message of an assistant.
    FinalMessage(FinalMessage),
    /// A line for the daemon's log.
    ClientLog {
        /// Log level of the extension.
        level: Option<String>,
        /// Text of the line.
        message: String,
    },
}

impl InboundFrame<'_> {
    /// Returns the message type.
    pub fn kind(&self) -> &'static str {
        match self {
            InboundFrame::Hello(_) => "hello",
            InboundFrame::Auth { .. } => "auth",
            InboundFrame::StateRequest => "state_request",
            InboundFrame::ActionRequest(_) => "action_request",
            InboundFrame::Credentials(_) => "credentials",
            InboundFrame::ApiEndpoints(_) => "api_endpoints",
            InboundFrame::Request { report, .. } => match report {
                RequestReport::Answer(_) => "api_response",
                RequestReport::Open { .. } => "stream_open",
                RequestReport::Event(_) => "stream_event",
                RequestReport::End { .. } => "stream_end",
                RequestReport::Error { .. } => "stream_error",
                RequestReport::Progress => "progress",
            },
            InboundFrame::PlatformStatus(_) => "platform_status",
            InboundFrame::ActionResult(_) => "action_result",
            InboundFrame::FinalMessage(_) => "browser.final_message",
            InboundFrame::ClientLog { .. } => "client_log",
        }
    }
}

/// Why a frame was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FrameErrorCode {
    /// The frame is not JSON.
    InvalidJson,
    /// The frame is not an object, has no `type`, is nested too deeply or has invalid fields.
    InvalidMessage,
    /// The type is unknown.
    UnsupportedMessageType,
    /// The frame came before `hello`.
    HelloRequired,
}

impl FrameErrorCode {
    /// Returns the code in the protocol.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A rejected frame, as reported to the extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "error")]
pub struct FrameError {
    /// Error code.
    pub code: FrameErrorCode,
    /// Error message.
    pub message: String,
    /// Type of the frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// Request of the frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl FrameError {
    fn new(code: FrameErrorCode, message: impl Into<String>) -> Self {
        FrameError { code, message: message.into(), in_reply_to: None, id: None }
    }

    /// Returns whether the frame was the extension's last report about its request.
    pub fn is_last(&self) -> bool {
        matches!(self.in_reply_to.as_deref(), Some("api_response" | "stream_end" | "stream_error"))
    }

    /// Returns whether the frame was the result of an action.
    pub fn ends_action(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.in_reply_to.as_deref() == Some("action_result"))
    }

    /// Returns the request whose answer the frame contained, for which no other will come.
    pub fn ends_request(&self) -> Option<&str> {
        let ends = matches!(
            self.in_reply_to.as_deref(),
            Some("api_response" | "stream_open" | "stream_event" | "stream_end" | "stream_error")
        );
        self.id.as_deref().filter(|_| ends)
    }
}

impl<'a> InboundFrame<'a> {
    /// Parses a frame.
    pub fn parse(frame: &'a ByteString) -> Result<Self, FrameError> {
        if let Some((id, event)) = request_report::plain_event(frame)
            && !too_deep(frame)
        {
            return Ok(InboundFrame::Request { id: Cow::Borrowed(id), report: RequestReport::Event(event) });
        }
        let message = JsonObject::parse(frame).map_err(|e| match e {
            NotAnObject::Json(_) => FrameError::new(FrameErrorCode::InvalidJson, e.to_string()),
            _ => FrameError::new(FrameErrorCode::InvalidMessage, format!("a message {e}")),
        })?;
        let kind = message
            .required_text(&["type"])
            .map_err(|e| FrameError::new(FrameErrorCode::InvalidMessage, e.to_string()))?;
        let refuse = |code, why: String| FrameError {
            code,
            message: why,
            in_reply_to: Some(clip(&kind)),
            id: id(&message).ok().map(|id| clip(&id)),
        };
        if too_deep(frame) {
            let why = format!("a message must not nest deeper than {DEPTH_MAX} levels");
            return Err(refuse(FrameErrorCode::InvalidMessage, why));
        }
        match read(&kind, frame, &message) {
            Ok(Some(inbound)) => Ok(inbound),
            Ok(None) => {
                let why = format!("type \"{}\" is not known", clip(&kind));
                Err(refuse(FrameErrorCode::UnsupportedMessageType, why))
            }
            Err(fault) => Err(refuse(FrameErrorCode::InvalidMessage, fault.to_string())),
        }
    }
}

fn read<'a>(kind: &str, frame: &ByteString, message: &JsonObject<'a>) -> Result<Option<InboundFrame<'a>>, FieldError> {
    let request = |report| Ok::<_, FieldError>(InboundFrame::Request { id: id(message)?, report });
    Ok(Some(match kind {
        "stream_event" => request(request_report::stream_event(frame, message)?)?,
        "api_response" => request(request_report::api_response(frame, message)?)?,
        "stream_open" => request(request_report::stream_open(message)?)?,
        "stream_end" => request(request_report::stream_end(message)?)?,
        "stream_error" => request(request_report::stream_error(message)?)?,
        "progress" => request(RequestReport::Progress)?,
        "hello" => InboundFrame::Hello(Hello::read(message)?),
        "auth" => InboundFrame::Auth { proof: message.required_text(&["proof"])?.into_owned() },
        "state_request" => InboundFrame::StateRequest,
        "action_request" => InboundFrame::ActionRequest(ActionRequest::read(message)?),
        "credentials" => InboundFrame::Credentials(Credentials::read(message)?),
        "api_endpoints" => InboundFrame::ApiEndpoints(ApiEndpoints::read(message)?),
        "platform_status" => InboundFrame::PlatformStatus(PlatformStatus::read(message)?),
        "action_result" => InboundFrame::ActionResult(Box::new(ActionResult::read(message)?)),
        "browser.final_message" => InboundFrame::FinalMessage(FinalMessage::read(message)?),
        "client_log" => InboundFrame::ClientLog {
            level: message.text(&["level"])?.map(Cow::into_owned),
            message: message.required_text(&["message"])?.into_owned(),
        },
        _ => return Ok(None),
    }))
}

fn id<'a>(message: &JsonObject<'a>) -> Result<Cow<'a, str>, FieldError> {
    message.required_text(&["id", "request_id"])
}

/// Shortens text that is repeated to the sender.
fn clip(text: &str) -> String {
    text.chars().take(crate::ids::NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
