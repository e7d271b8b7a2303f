//! The Firefox protocol `baa.firefox/1` as typed values. No actor, no socket: text in, values out, and back.
//!
//! A frame is read in one pass ([`JsonObject`]); what the daemon does not look into stays a slice of it ([`RawJson`]).

mod action;
mod command;
mod depth;
#[cfg(test)]
mod golden;
mod inbound;
pub mod json;
mod json_object;
mod kept_path;
mod outbound;
pub mod proof;
mod raw_json;
mod request_report;
mod session;
mod shell_runtime;

pub use action::{ActionCounts, ActionRequest, ActionResult, ActionTarget, PlatformResult};
pub use command::{ActionCommand, ActionKind};
pub use depth::{DEPTH_MAX, after_string, too_deep};
pub use inbound::{FrameError, FrameErrorCode, InboundFrame};
pub use json_object::{FieldError, JsonObject, NotAnObject};
pub use kept_path::without_values;
pub use outbound::{
    ActionResponse, ApiRequest, Challenge, HelloAck, PROTOCOL, PairingRequired, RequestCancel, SUPPORTS, StateSnapshot,
    SupportedTypes, frame, frame_with,
};
pub use raw_json::RawJson;
pub use request_report::{ApiResponse, RequestReport, ResponseHeaders, StreamEvent};
pub use session::{ApiEndpoints, Credentials, EndpointMetadata, FinalMessage, Freshness, Hello, PlatformStatus};
pub use shell_runtime::{ActualTab, DesiredTab, ShellRuntime, TabDrift};
