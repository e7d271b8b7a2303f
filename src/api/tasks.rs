//! Tasks, their runs and their part of the audit trail.

use super::{fields::request_fields, paging::PageInfo};
use crate::{clock::WallMs, wire::RawJson};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A unit of recorded work. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"task_id":"task_01J","kind":"host_operation","status":"succeeded","title":"exec",
    "created_at":1795184470407,"started_at":1795184470407,"finished_at":1795184470433,"source":{"caller":"bearer"},
    "run_count":1}"#))]
pub struct Task {
    /// Number, ascending in order of arrival.
    #[serde(skip)]
    pub id: i64,
    /// Id of the task.
    pub task_id: String,
    /// `instruction_batch` or `host_operation`.
    pub kind: String,
    /// `queued`, `pending_approval`, `running`, `succeeded`, `failed`, `rejected`, `expired`, `interrupted` or `cancelled`.
    pub status: String,
    /// Title for people.
    pub title: String,
    /// Time of creation.
    pub created_at: WallMs,
    /// Time of its start.
    pub started_at: Option<WallMs>,
    /// Time of its end.
    pub finished_at: Option<WallMs>,
    /// Origin of the task.
    pub source: TaskSource,
    /// Number of runs.
    pub run_count: i64,
}

/// Origin of a task: a model's message or a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSource {
    /// Platform of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Conversation of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assistant_message_id: Option<String>,
    /// Client that observed the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The caller, if there was no message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

/// Tasks, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskList {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The part of the list.
    #[serde(flatten)]
    pub page_info: PageInfo,
}

/// A line of the audit trail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskLogEntry {
    /// Id of the line.
    pub log_id: String,
    /// Task that the line is about.
    pub task_id: String,
    /// Run that the line is about.
    pub run_id: Option<String>,
    /// Time, in Unix milliseconds.
    pub at: WallMs,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// Name of the event.
    pub event: String,
    /// Description for people; with the token only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Hash of this line and its predecessor, in hexadecimal digits.
    pub hash: String,
    /// Hash of the preceding line of any task; `null` for the first.
    pub previous_hash: Option<String>,
}

/// Lines of the audit trail, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskLogList {
    /// The lines.
    pub logs: Vec<TaskLogEntry>,
    /// The part of the list.
    #[serde(flatten)]
    pub page_info: PageInfo,
}

/// A step of a task. Times are Unix milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Id of the run.
    pub run_id: String,
    /// Id of its task.
    pub task_id: String,
    /// Index within the task.
    pub index: i64,
    /// As of a task.
    pub status: String,
    /// Tool that it runs.
    pub tool: String,
    /// Time of its start.
    pub started_at: Option<WallMs>,
    /// Time of its end.
    pub finished_at: Option<WallMs>,
    /// Result, `null` until there is one; with the token only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RawJson>,
}

/// Runs, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<Run>,
    /// The part of the list.
    #[serde(flatten)]
    pub page_info: PageInfo,
}

request_fields! {
    /// Part of the list of tasks.
    TaskListParameters { required {} optional {
        /// Only tasks with this status.
        status: String,
        /// Maximum number of tasks, 1 to 100. Default 20.
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
        /// Only lines about this run.
        run_id | "runId": String,
        /// Maximum number of lines, 1 to 500. Default 200.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
request_fields! {
    /// Part of the list of runs.
    RunListParameters { required {} optional {
        /// Only runs of this task.
        task_id | "taskId": String,
        /// Maximum number of runs, 1 to 100. Default 20.
        limit: usize,
        /// The `next_before` of an earlier answer.
        before: i64,
    } }
}
