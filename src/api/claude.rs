//! Claude's current conversation.

use super::{
    browser::{CredentialEntry, HookEntry},
    fields::request_fields,
};
use crate::{
    ids::{ClientId, RequestId},
    platforms::plan::{Conversation, Organization, TranscriptMessage},
    wire::ShellRuntime,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

request_fields! {
    /// The conversation of Claude to read.
    ClaudeConversationParameters {
        required {}
        optional {
            /// Client that reads it; otherwise selected as for a browser request.
            client_id | "clientId": String,
            /// Organization; otherwise the first one that can chat.
            organization_id | "organizationId": String,
            /// Conversation; otherwise the current one.
            conversation_id | "conversationId": String,
            /// Time limit of the request in milliseconds.
            timeout_ms | "timeoutMs": u64,
        }
    }
}

/// A conversation of Claude.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClaudeConversation<'a, R = Value> {
    /// The conversation.
    pub conversation: Cow<'a, Conversation>,
    /// Its messages, each once, in order.
    pub messages: Cow<'a, [TranscriptMessage]>,
    /// Organization of the conversation.
    pub organization: Cow<'a, Organization>,
    /// The client that read it, and what that client last reported of Claude.
    pub page: ClaudePage<'a>,
    /// `claude`.
    pub platform: Cow<'a, str>,
    /// The call to the app.
    pub proxy: ClaudeExchange<'a>,
    /// The app's answer, unchanged.
    pub raw: R,
}

/// A client, and what it last reported of Claude.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClaudePage<'a> {
    /// The client.
    pub client_id: Cow<'a, ClientId>,
    /// Its login.
    pub credentials: Option<Cow<'a, CredentialEntry>>,
    /// Endpoints that its page requested.
    pub request_hooks: Option<Cow<'a, HookEntry>>,
    /// Its shell tab.
    pub shell_runtime: Option<Cow<'a, ShellRuntime>>,
}

/// A call to Claude, and its status.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClaudeExchange<'a> {
    /// Path of the call.
    pub path: Cow<'a, str>,
    /// Id of the request.
    pub request_id: Cow<'a, RequestId>,
    /// HTTP status of the app.
    pub status: u16,
}
