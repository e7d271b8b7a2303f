//! Frames of the extension, typed: one pass finds the fields, the type decides what they must be.

use super::{
    action::{ActionRequest, ActionResult},
    depth::{DEPTH_MAX, too_deep},
    object::{BadField, NotAnObject, Object},
    session::{ApiEndpoints, Credentials, FinalMessage, Hello, PlatformStatus},
    upstream::{self, Upstream},
};
use bytestring::ByteString;
use serde::Serialize;
use std::borrow::Cow;

/// The types that [`Inbound::parse`] knows, as `hello_ack` lists them.
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

/// A frame of the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// Who it is.
    Hello(Hello),
    /// The proof of a paired client.
    Auth {
        /// An HMAC, in hex.
        proof: String,
    },
    /// Asks for a snapshot.
    StateRequest,
    /// Asks for a change of mode.
    ActionRequest(ActionRequest),
    /// A login was seen.
    Credentials(Credentials),
    /// The requests that the page makes.
    ApiEndpoints(ApiEndpoints),
    /// About a request that it performs.
    Request {
        /// Which.
        id: Cow<'a, str>,
        /// What.
        report: Upstream,
    },
    /// How well its extractors still fit.
    PlatformStatus(PlatformStatus),
    /// How an action went.
    ActionResult(Box<ActionResult>),
    /// An assistant's message was completed.
    FinalMessage(FinalMessage),
    /// A line for our log.
    ClientLog {
        /// The extension's own level.
        level: Option<String>,
        /// The line.
        message: String,
    },
}

impl Inbound<'_> {
    /// Its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Inbound::Hello(_) => "hello",
            Inbound::Auth { .. } => "auth",
            Inbound::StateRequest => "state_request",
            Inbound::ActionRequest(_) => "action_request",
            Inbound::Credentials(_) => "credentials",
            Inbound::ApiEndpoints(_) => "api_endpoints",
            Inbound::Request { report, .. } => match report {
                Upstream::Answer(_) => "api_response",
                Upstream::Open { .. } => "stream_open",
                Upstream::Event(_) => "stream_event",
                Upstream::End { .. } => "stream_end",
                Upstream::Error { .. } => "stream_error",
                Upstream::Progress => "progress",
            },
            Inbound::PlatformStatus(_) => "platform_status",
            Inbound::ActionResult(_) => "action_result",
            Inbound::FinalMessage(_) => "browser.final_message",
            Inbound::ClientLog { .. } => "client_log",
        }
    }
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Not JSON.
    InvalidJson,
    /// Not an object, without `type`, too deep or with bad fields.
    InvalidMessage,
    /// Of no known type.
    UnsupportedMessageType,
    /// Something else before `hello`.
    HelloRequired,
}

impl RefusalCode {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            RefusalCode::InvalidJson => "invalid_json",
            RefusalCode::InvalidMessage => "invalid_message",
            RefusalCode::UnsupportedMessageType => "unsupported_message_type",
            RefusalCode::HelloRequired => "hello_required",
        }
    }
}

/// A frame that was not taken: what the extension is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Why.
    pub code: RefusalCode,
    /// The same as a sentence.
    pub message: String,
    /// The frame's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// The request that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Refused {
    fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Refused { code, message: message.into(), in_reply_to: None, id: None }
    }

    /// Whether the frame was the extension's last word about its request.
    pub fn is_last(&self) -> bool {
        matches!(self.in_reply_to.as_deref(), Some("api_response" | "stream_end" | "stream_error"))
    }

    /// Whether the frame was the result of an action.
    pub fn ends_action(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.in_reply_to.as_deref() == Some("action_result"))
    }

    /// Whether a request's answer was in the frame, so that the request can expect no better one.
    pub fn ends_request(&self) -> Option<&str> {
        let ends = matches!(
            self.in_reply_to.as_deref(),
            Some("api_response" | "stream_open" | "stream_event" | "stream_end" | "stream_error")
        );
        self.id.as_deref().filter(|_| ends)
    }
}

impl<'a> Inbound<'a> {
    /// Reads a frame.
    pub fn parse(frame: &'a ByteString) -> Result<Self, Refused> {
        if let Some((id, event)) = upstream::plain_event(frame)
            && !too_deep(frame)
        {
            return Ok(Inbound::Request { id: Cow::Borrowed(id), report: Upstream::Event(event) });
        }
        let message = Object::parse(frame).map_err(|e| match e {
            NotAnObject::Json(_) => Refused::new(RefusalCode::InvalidJson, e.to_string()),
            _ => Refused::new(RefusalCode::InvalidMessage, format!("a message {e}")),
        })?;
        let kind =
            message.required_text(&["type"]).map_err(|e| Refused::new(RefusalCode::InvalidMessage, e.to_string()))?;
        let refuse = |code, why: String| Refused {
            code,
            message: why,
            in_reply_to: Some(clip(&kind)),
            id: id(&message).ok().map(|id| clip(&id)),
        };
        if too_deep(frame) {
            let why = format!("a message must not nest deeper than {DEPTH_MAX} levels");
            return Err(refuse(RefusalCode::InvalidMessage, why));
        }
        match read(&kind, frame, &message) {
            Ok(Some(inbound)) => Ok(inbound),
            Ok(None) => {
                let why = format!("type \"{}\" is not known", clip(&kind));
                Err(refuse(RefusalCode::UnsupportedMessageType, why))
            }
            Err(fault) => Err(refuse(RefusalCode::InvalidMessage, fault.to_string())),
        }
    }
}

fn read<'a>(kind: &str, frame: &ByteString, message: &Object<'a>) -> Result<Option<Inbound<'a>>, BadField> {
    let request = |report| Ok::<_, BadField>(Inbound::Request { id: id(message)?, report });
    Ok(Some(match kind {
        "stream_event" => request(upstream::stream_event(frame, message)?)?,
        "api_response" => request(upstream::api_response(frame, message)?)?,
        "stream_open" => request(upstream::stream_open(message)?)?,
        "stream_end" => request(upstream::stream_end(message)?)?,
        "stream_error" => request(upstream::stream_error(message)?)?,
        "progress" => request(Upstream::Progress)?,
        "hello" => Inbound::Hello(Hello::read(message)?),
        "auth" => Inbound::Auth { proof: message.required_text(&["proof"])?.into_owned() },
        "state_request" => Inbound::StateRequest,
        "action_request" => Inbound::ActionRequest(ActionRequest::read(message)?),
        "credentials" => Inbound::Credentials(Credentials::read(message)?),
        "api_endpoints" => Inbound::ApiEndpoints(ApiEndpoints::read(message)?),
        "platform_status" => Inbound::PlatformStatus(PlatformStatus::read(message)?),
        "action_result" => Inbound::ActionResult(Box::new(ActionResult::read(message)?)),
        "browser.final_message" => Inbound::FinalMessage(FinalMessage::read(message)?),
        "client_log" => Inbound::ClientLog {
            level: message.text(&["level"])?.map(Cow::into_owned),
            message: message.required_text(&["message"])?.into_owned(),
        },
        _ => return Ok(None),
    }))
}

fn id<'a>(message: &Object<'a>) -> Result<Cow<'a, str>, BadField> {
    message.required_text(&["id", "request_id"])
}

/// What is repeated to the sender is short.
fn clip(text: &str) -> String {
    text.chars().take(crate::ids::NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
