//! Resources whose answers are not described by types of their own yet: their fields, with parts that are any JSON.

use super::fields::request_fields;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

macro_rules! loose_answer {
    ($name:ident { $($field:ident: $type:ty,)* } $(or $($optional:ident: $optional_type:ty,)*)?) => {
        #[doc = concat!("Answer `", stringify!($name), "`.")]
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            $(#[doc = concat!("Field `", stringify!($field), "`.")] pub $field: $type,)*
            $($(#[doc = concat!("Field `", stringify!($optional), "`.")]
            #[serde(default, skip_serializing_if = "Option::is_none")] pub $optional: Option<$optional_type>,)*)?
        }
    };
}

type Object = Map<String, Value>;

loose_answer! { ServiceDescription {
    name: String, version: String, auth: Object, browser: Object, system: Object, notes: Vec<String>,
} }
loose_answer! { TaskList { tasks: Vec<Value>, count: usize, } or next_before: i64, }
loose_answer! { TaskDetails { task_id: String, status: String, } }
loose_answer! { TaskLogList { logs: Vec<Value>, count: usize, } or next_before: i64, }
loose_answer! { RunList { runs: Vec<Value>, count: usize, } or next_before: i64, }
loose_answer! { PairingList { pairings: Vec<Value>, count: usize, } }
loose_answer! { Pairing {
    client_id: String, status: String, origin: String, requested_at: i64,
} or approved_at: i64, expires_at: i64, }
loose_answer! { SessionStart { expires_at: i64, } }
loose_answer! { SessionEnd { ended: bool, } }
loose_answer! { SessionCode { code: String, expires_at: i64, } }
loose_answer! { MessageList { messages: Vec<Value>, count: usize, } or next_before: i64, }
loose_answer! { RequestList { requests: Vec<Value>, count: usize, } or next_before: i64, }
loose_answer! { RequestDetails { request_id: String, platform: String, phase: String, outcome: Option<String>, } }

request_fields! {
    /// Why the mode is changed.
    #[derive(Default)]
    ModeChangeRequest { required {} optional {
        /// Reason; at most 500 characters.
        reason: String,
    } }
}
request_fields! {
    /// Part of the list of tasks.
    TaskListParameters { required {} optional {
        /// Only of this status.
        status: String,
        /// Most entries.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// A task.
    TaskParameters { required {
        /// Id of the task.
        id: String,
    } optional {} }
}
request_fields! {
    /// Part of the log of a task.
    TaskLogParameters { required {
        /// Id of the task.
        id: String,
    } optional {
        /// Only of this run.
        run_id: String,
        /// Most entries.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// Part of the list of runs.
    RunListParameters { required {} optional {
        /// Only of this task.
        task_id: String,
        /// Most entries.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// A message whose instructions are run.
    InstructionMessageRequest { required {
        /// Platform of the message.
        platform: String,
        /// Conversation of the message.
        conversation_id: String,
        /// Id of the message.
        assistant_message_id: String,
        /// The whole text.
        text: String,
    } optional {
        /// Whether a person must approve first.
        require_approval: bool,
        /// Whether it is only shown what would run.
        dry_run: bool,
    } }
}
request_fields! {
    /// Part of the list of batches.
    InstructionListParameters { required {} optional {
        /// Only of this status.
        status: String,
        /// Only of this platform.
        platform: String,
        /// Most entries.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// A batch of instructions.
    InstructionBatchParameters { required {
        /// Id of the batch.
        batch_id: String,
    } optional {} }
}
request_fields! {
    /// Decision about a batch.
    InstructionDecisionRequest { required {} optional {
        /// Reason; at most 500 characters.
        reason: String,
        /// Digest of what was shown.
        digest: String,
    } }
}
request_fields! {
    /// A client that is or wants to be paired.
    PairingParameters { required {
        /// Id of the client.
        client_id: String,
    } optional {} }
}
request_fields! {
    /// Decision about a client.
    PairingDecisionRequest { required {
        /// `approve` or `reject`.
        decision: String,
    } optional {
        /// The six digits that it shows; to approve.
        code: String,
    } }
}
request_fields! {
    /// Start of a session.
    SessionStartRequest { required {
        /// A code that is good for once, and for a minute.
        code: String,
    } optional {
        /// 64 hexadecimal digits in lower case, drawn at random; the session's cookie then counts only together with the
        /// header `x-baa-session-key` that shows them.
        key: String,
    } }
}
request_fields! {
    /// Part of the list of messages.
    MessageListParameters { required {} optional {
        /// Only of this platform.
        platform: String,
        /// Only of this conversation.
        conversation_id: String,
        /// Most entries.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// Part of the journal.
    RequestListParameters { required {} optional {
        /// Only of this platform.
        platform: String,
        /// Only of this client.
        client_id | "clientId": String,
        /// Only of this outcome: `success`, `failure` or `cancelled`.
        outcome: String,
        /// Most entries.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// A request of the journal.
    RequestParameters { required {
        /// Id of the request.
        request_id: String,
    } optional {} }
}
