//! The steps of a request, as a value: what is asked of the app next, given what it answered. No actor, no clock.
//!
//! ```text
//! one call:        ------------------------------------------------------------------> Last
//! Claude prompt:   organizations -> conversations -> (none: a new one) --------------> Last (completion)
//! Claude current:  organizations -> conversations -----------------------------------> Last (the conversation)
//! ```
//!
//! Steps fall away when the caller or the cache ([`Choices`]) knows their answer. Only the last step is the caller's
//! request: its answer goes to the caller, so the plan ends with it. An answer with an error status never comes here.

mod choices;
mod claude;
mod conversation;
mod entries;
mod id;
mod moment;
mod organization;
mod transcript;

pub use choices::{Choices, KEPT_FOR, Known};
pub use claude::{Asked, Chosen, prompt_body};
pub use conversation::Conversation;
pub use id::{AppId, BadAppId, ID_BYTES_MAX};
pub use organization::Organization;
pub use transcript::{Message, Role, Transcript};

use crate::wire::Raw;
use std::borrow::Cow;

/// One HTTP call to the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// What a request has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One call of the caller's own.
    One(Call),
    /// A prompt for Claude. The headers and the body are those of the completion.
    ClaudePrompt {
        /// Where.
        asked: Asked,
        /// A JSON object of strings.
        headers: Raw,
        /// See [`prompt_body`].
        body: Raw,
    },
    /// A look at Claude's current conversation, or at the one that was asked for.
    ClaudeCurrent {
        /// Which.
        asked: Asked,
    },
}

/// The next call.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// One that comes before the caller's own; its answer goes to `then`.
    Before {
        /// What is asked.
        call: Call,
        /// What goes on with the answer.
        then: Then,
    },
    /// The one whose answer is the caller's.
    Last {
        /// What is asked.
        call: Call,
        /// Where in the app, when the plan had to find out.
        chosen: Option<Chosen>,
    },
}

/// A plan that waits for the answer to a step.
#[derive(Debug, PartialEq, Eq)]
pub struct Then(claude::Waiting);

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
    InvalidResponse(Unusable),
}

/// What an answer lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
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

impl Plan {
    /// What `request_mode` says of it.
    pub fn name(&self) -> &'static str {
        match self {
            Plan::One(_) => "api_request",
            Plan::ClaudePrompt { .. } => "claude_prompt",
            Plan::ClaudeCurrent { .. } => "claude_current",
        }
    }

    /// Where the caller wants a prompt to go, when what is known of it saves steps.
    pub fn asked(&self) -> Option<&Asked> {
        if let Plan::ClaudePrompt { asked, .. } = self { Some(asked) } else { None }
    }

    /// The first step. `known`: what [`Choices`] knows of where a prompt goes; a look at the current conversation looks
    /// for itself.
    pub fn begin(self, known: Option<Known>) -> Step {
        match self {
            Plan::One(call) => Step::Last { call, chosen: None },
            Plan::ClaudePrompt { asked, headers, body } => claude::Waiting::prompt(asked, headers, body).begin(known),
            Plan::ClaudeCurrent { asked } => claude::Waiting::current(asked).begin(None),
        }
    }
}

impl Then {
    /// What follows from the answer to the step.
    pub fn answered(self, body: &Raw) -> Result<Step, PlanError> {
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

impl From<Unusable> for PlanError {
    fn from(lacking: Unusable) -> Self {
        PlanError::InvalidResponse(lacking)
    }
}

#[cfg(test)]
mod tests;
