//! The steps of a request, as a value: what is asked of the app next, given what it answered. No actor, no clock.
//!
//! ```text
//! Claude prompt:   organizations -> conversations -> (none: a new one) --------------> Last (completion)
//! Claude current:  organizations -> conversations -----------------------------------> Last (the conversation)
//! ```
//!
//! Steps fall away when the caller or the cache ([`LocationCache`]) knows their answer. Only the last step is the caller's
//! request: its answer goes to the caller, so the plan ends with it. An answer with an error status never comes here.

mod app_id;
mod claude;
mod conversation;
mod list_entries;
mod location_cache;
mod organization;
mod timestamp;
mod transcript;

pub use app_id::{AppId, AppIdError, ID_BYTES_MAX};
pub use claude::{PendingPlan, RequestedLocation, ResolvedLocation, prompt_body};
pub use conversation::Conversation;
pub use location_cache::{CACHE_TTL, CachedLocation, LocationCache};
pub use organization::Organization;
pub use transcript::{MessageRole, Transcript, TranscriptMessage};

use crate::wire::RawJson;
use std::borrow::Cow;

/// One HTTP call to the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamCall {
    /// Upper case; the usual ones need no memory.
    pub method: Cow<'static, str>,
    /// A path, or a URL on one of the platform's hosts.
    pub path: String,
    /// A JSON object of strings.
    pub headers: RawJson,
    /// A string is sent as it is, anything else as JSON.
    pub body: Option<RawJson>,
}

/// The work of a request.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RequestPlan {
    /// A prompt for Claude, with the headers and body of its completion.
    ClaudePrompt {
        /// Requested location.
        asked: RequestedLocation,
        /// A JSON object of strings.
        headers: RawJson,
        /// See [`prompt_body`].
        body: RawJson,
    },
    /// Reads Claude's current conversation, or the requested one.
    ClaudeCurrent {
        /// Location of the conversation.
        asked: RequestedLocation,
    },
}

/// The next step of a plan.
#[derive(Debug, PartialEq, Eq)]
pub enum PlanStep {
    /// A call before the caller's own; `then` continues with its answer.
    Intermediate {
        /// The call.
        call: UpstreamCall,
        /// Continues the plan with the answer.
        then: PendingPlan,
    },
    /// The call whose answer the caller gets.
    Final {
        /// The call.
        call: UpstreamCall,
        /// The location, if the plan had to find it out.
        chosen: Option<ResolvedLocation>,
    },
}

/// Why a plan cannot continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The requested organization does not belong to the login.
    #[error("the organization is not among those of this login")]
    OrganizationNotFound,
    /// There is no readable conversation.
    #[error("there is no conversation")]
    ConversationNotFound,
    /// The answer of the app cannot be used.
    #[error("the app's answer cannot be used: {0}")]
    InvalidResponse(UnusableAnswer),
}

/// What is missing in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableAnswer {
    /// The list of organizations.
    #[error("no list of organizations")]
    NoOrganizations,
    /// No organization in the list has an id.
    #[error("no organization that has an id")]
    NoOrganization,
    /// The list of conversations.
    #[error("no list of conversations")]
    NoConversations,
    /// No conversation in the list has an id, although it is not empty.
    #[error("no conversation that has an id")]
    NoConversation,
    /// The id of the new conversation.
    #[error("no id of the new conversation")]
    NotCreated,
    /// The list of messages.
    #[error("no list of messages")]
    NoMessages,
}

impl RequestPlan {
    /// Returns the value of `request_mode`.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Returns the requested location of a prompt, whose lookup can be cached.
    pub fn asked(&self) -> Option<&RequestedLocation> {
        if let RequestPlan::ClaudePrompt { asked, .. } = self { Some(asked) } else { None }
    }

    /// Returns the first step. `known`: cached location of a prompt; the current conversation is always looked up.
    pub fn begin(self, known: Option<CachedLocation>) -> PlanStep {
        match self {
            RequestPlan::ClaudePrompt { asked, headers, body } => {
                PendingPlan::prompt(asked, headers, body).begin(known)
            }
            RequestPlan::ClaudeCurrent { asked } => PendingPlan::current(asked).begin(None),
        }
    }
}

impl PlanError {
    /// Returns the kind of the missing resource, for `details.resource`.
    pub fn resource(self) -> Option<&'static str> {
        match self {
            PlanError::OrganizationNotFound => Some("claude_organization"),
            PlanError::ConversationNotFound => Some("claude_conversation"),
            PlanError::InvalidResponse(_) => None,
        }
    }
}

impl From<UnusableAnswer> for PlanError {
    fn from(lacking: UnusableAnswer) -> Self {
        PlanError::InvalidResponse(lacking)
    }
}

#[cfg(test)]
mod tests;
