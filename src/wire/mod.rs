//! The Firefox protocol `baa.firefox/1` as typed values. No actor, no socket: text in, values out, and back.
//!
//! A frame is read in one pass ([`Object`]); what the daemon does not look into stays a slice of it ([`Raw`]).

mod action;
mod command;
mod depth;
#[cfg(test)]
mod golden;
mod inbound;
pub mod json;
mod kept_path;
mod object;
mod outbound;
pub mod proof;
mod raw;
mod session;
mod shell_runtime;
mod upstream;

pub use action::{ActionRequest, ActionResult, Counts, PlatformResult, Target};
pub use command::{ActionKind, Command, UnknownAction};
pub use depth::{DEPTH_MAX, too_deep};
pub use inbound::{Inbound, RefusalCode, Refused};
pub use kept_path::without_values;
pub use object::{BadField, NotAnObject, Object};
pub use outbound::{
    ActionAnswer, ApiRequest, Challenge, ErrorFrame, HelloAck, PROTOCOL, PairingRequired, RequestCancel, SUPPORTS,
    StateSnapshot, Supports, frame, frame_with,
};
pub use raw::Raw;
pub use session::{ApiEndpoints, Credentials, EndpointMetadata, FinalMessage, Freshness, Hello, PlatformStatus};
pub use shell_runtime::{Actual, Desired, Drift, ShellRuntime};
pub use upstream::{Answer, Event, Headers, Upstream};
