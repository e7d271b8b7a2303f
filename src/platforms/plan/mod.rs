//! The steps of a request, as a value: what is asked of the app next, given what it answered. No actor, no clock.
//!
//! ```text
//! one call:        ------------------------------------------------------------------> Last
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
pub use claude::{RequestedLocation, ResolvedLocation, prompt_body};
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

/// What a request has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestPlan {
    /// One call of the caller's own.
    One(UpstreamCall),
    /// A prompt for Claude. The headers and the body are those of the completion.
    ClaudePrompt {
        /// Where.
        asked: RequestedLocation,
        /// A JSON object of strings.
        headers: RawJson,
        /// See [`prompt_body`].
        body: RawJson,
    },
    /// A look at Claude's current conversation, or at the one that was asked for.
    ClaudeCurrent {
        /// Which.
        asked: RequestedLocation,
    },
}

/// The next call.
#[derive(Debug, PartialEq, Eq)]
pub enum PlanStep {
    /// One that comes before the caller's own; its answer goes to `then`.
    Intermediate {
        /// What is asked.
        call: UpstreamCall,
        /// What goes on with the answer.
        then: PendingPlan,
    },
    /// The one whose answer is the caller's.
    Final {
        /// What is asked.
        call: UpstreamCall,
        /// Where in the app, when the plan had to find out.
        chosen: Option<ResolvedLocation>,
    },
}

/// A plan that waits for the answer to a step.
#[derive(Debug, PartialEq, Eq)]
pub struct PendingPlan(claude::PendingClaudePlan);

/// Why a plan cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The asked-for organization is not among those of the login.
    #[error("the organization is not among those of this login")]
    OrganizationNotFound,
    /// There is no conversation that could be read.
    #[error("there is no conversation")]
    ConversationNotFound,
    /// The app's answer cannot be used.
    #[error("the app's answer cannot be used: {0}")]
    InvalidResponse(UnusableAnswer),
}

/// What an answer lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableAnswer {
    /// It holds no list of organizations.
    #[error("no list of organizations")]
    NoOrganizations,
    /// Its list holds no organization with an id.
    #[error("no organization that has an id")]
    NoOrganization,
    /// It holds no list of conversations.
    #[error("no list of conversations")]
    NoConversations,
    /// Its list is not empty, but no entry has an id.
    #[error("no conversation that has an id")]
    NoConversation,
    /// It should tell of a new conversation.
    #[error("no id of the new conversation")]
    NotCreated,
    /// It should hold a conversation's messages.
    #[error("no list of messages")]
    NoMessages,
}

impl RequestPlan {
    /// What `request_mode` says of it.
    pub fn name(&self) -> &'static str {
        match self {
            RequestPlan::One(_) => "api_request",
            RequestPlan::ClaudePrompt { .. } => "claude_prompt",
            RequestPlan::ClaudeCurrent { .. } => "claude_current",
        }
    }

    /// Where the caller wants a prompt to go, when what is known of it saves steps.
    pub fn asked(&self) -> Option<&RequestedLocation> {
        if let RequestPlan::ClaudePrompt { asked, .. } = self { Some(asked) } else { None }
    }

    /// The first step. `known`: what [`LocationCache`] knows of where a prompt goes; a look at the current conversation looks
    /// for itself.
    pub fn begin(self, known: Option<CachedLocation>) -> PlanStep {
        match self {
            RequestPlan::One(call) => PlanStep::Final { call, chosen: None },
            RequestPlan::ClaudePrompt { asked, headers, body } => {
                claude::PendingClaudePlan::prompt(asked, headers, body).begin(known)
            }
            RequestPlan::ClaudeCurrent { asked } => claude::PendingClaudePlan::current(asked).begin(None),
        }
    }
}

impl PendingPlan {
    /// What follows from the answer to the step.
    pub fn answered(self, body: &RawJson) -> Result<PlanStep, PlanError> {
        self.0.answered(body)
    }
}

impl PlanError {
    /// The kind of what was not found, for `details.resource`.
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
