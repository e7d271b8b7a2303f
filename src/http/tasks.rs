//! `/v1/tasks` and `/v1/runs`: recorded work, its steps and its audit trail.

use super::{
    authenticator::Caller,
    endpoint::ApiCall,
    error::ApiError,
    paging::{PageLimit, before_cursor},
    reply::ApiReply,
};
use crate::{
    api::tasks::{
        Run, RunList, RunListParameters, Task, TaskList, TaskListParameters, TaskLogEntry, TaskLogList,
        TaskLogParameters,
    },
    store::tasks::{
        self, TaskStatus,
        logs::{self, LogRow},
        runs::{self, RunRow},
    },
    wire::RawJson,
};
use strum::VariantNames;

const TASKS_LIMIT: PageLimit = PageLimit { default: 20, max: 100 };
const LOGS_LIMIT: PageLimit = PageLimit { default: 200, max: 500 };

/// `GET /v1/tasks`.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    let named = |name: String| name.parse::<TaskStatus>().map_err(|_| bad_status());
    let status = call.query(TaskListParameters::status()).map(named).transpose()?;
    let filter = tasks::TaskFilter { status, before: before_cursor(&call)?, limit: TASKS_LIMIT.requested(&call)? };
    let page = call.core.store.read(move |conn| tasks::list(conn, &filter)).await?;
    Ok(call.success(&TaskList { page_info: page.page_info(), tasks: page.rows }))
}

fn bad_status() -> ApiError {
    let names = TaskStatus::VARIANTS.join(", ");
    ApiError::field("status", format!("\"status\" must be one of {names}."))
}

/// `GET /v1/tasks/{id}`.
pub(super) async fn one(call: ApiCall) -> Result<ApiReply, ApiError> {
    Ok(call.success(&find(&call).await?))
}

async fn find(call: &ApiCall) -> Result<Task, ApiError> {
    let id = call.part("id").to_owned();
    let found = call.core.store.read(move |conn| tasks::one(conn, &id)).await?;
    found.ok_or_else(|| ApiError::not_found("task", "There is no task with this id."))
}

impl TaskLogEntry {
    fn new(row: LogRow, caller: Caller) -> Self {
        TaskLogEntry {
            log_id: row.log_id,
            task_id: row.task_id,
            run_id: row.run_id,
            at: row.at,
            level: row.level,
            event: row.event,
            message: Some(row.message).filter(|_| caller == Caller::Bearer),
            hash: row.hash,
            previous_hash: row.previous_hash,
        }
    }
}

/// `GET /v1/tasks/{id}/logs`. Only callers with the token get the messages.
pub(super) async fn logs(call: ApiCall) -> Result<ApiReply, ApiError> {
    let (limit, before) = (LOGS_LIMIT.requested(&call)?, before_cursor(&call)?);
    let task_id = find(&call).await?.task_id;
    let filter = logs::LogFilter { task_id, run_id: call.query(TaskLogParameters::run_id()), before, limit };
    let page = call.core.store.read(move |conn| logs::list(conn, &filter)).await?;
    let page_info = page.page_info();
    let logs = page.rows.into_iter().map(|row| TaskLogEntry::new(row, call.caller)).collect();
    Ok(call.success(&TaskLogList { logs, page_info }))
}

impl Run {
    fn new(row: RunRow, caller: Caller) -> Self {
        // With the token, a missing result is `null`; without it, the field is left out.
        let result = row.result.map(RawJson::trusted).unwrap_or_default();
        Run {
            run_id: row.run_id,
            task_id: row.task_id,
            index: row.position,
            status: row.status,
            tool: row.tool,
            started_at: row.started_at,
            finished_at: row.finished_at,
            result: Some(result).filter(|_| caller == Caller::Bearer),
        }
    }
}

/// `GET /v1/runs`. Only callers with the token get the results.
pub(super) async fn runs(call: ApiCall) -> Result<ApiReply, ApiError> {
    let task_id = call.query(RunListParameters::task_id());
    let filter = runs::RunFilter { task_id, before: before_cursor(&call)?, limit: TASKS_LIMIT.requested(&call)? };
    let page = call.core.store.read(move |conn| runs::list(conn, &filter)).await?;
    let page_info = page.page_info();
    let runs = page.rows.into_iter().map(|row| Run::new(row, call.caller)).collect();
    Ok(call.success(&RunList { runs, page_info }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_a_run_requires_the_token() {
        let row = RunRow {
            id: 1,
            run_id: "r".into(),
            task_id: "t".into(),
            position: 0,
            status: "succeeded".into(),
            tool: "exec".into(),
            started_at: Some(1),
            finished_at: None,
            result: Some("{\"stdout\":\"secret\"}".into()),
        };
        let shown = |row: &RunRow, caller| serde_json::to_value(Run::new(row.clone(), caller)).unwrap();
        let bearers = shown(&row, Caller::Bearer);
        assert_eq!((&bearers["result"]["stdout"], &bearers["index"]), (&"secret".into(), &0.into()));
        assert_eq!(shown(&row, Caller::Local).get("result"), None);
        let pending = shown(&RunRow { result: None, ..row }, Caller::Bearer);
        assert_eq!(pending.get("result"), Some(&serde_json::Value::Null));
    }

    #[test]
    fn the_message_of_a_log_entry_requires_the_token() {
        let row = LogRow {
            id: 1,
            log_id: "l".into(),
            task_id: "t".into(),
            run_id: None,
            at: 1,
            level: "info".into(),
            event: "finished".into(),
            message: "secret".into(),
            hash: "00".into(),
            previous_hash: None,
        };
        let shown = |caller| serde_json::to_value(TaskLogEntry::new(row.clone(), caller)).unwrap();
        assert_eq!(shown(Caller::Bearer)["message"], "secret");
        assert_eq!(shown(Caller::Local).get("message"), None);
        assert_eq!(shown(Caller::Local)["hash"], "00");
    }
}
