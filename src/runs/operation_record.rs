//! Operations that a caller requests directly: each is a task of one run, in the same audit trail as instructions.

use super::{retry_until_committed, truncate_texts};
use crate::{
    clock::Clock,
    store::{
        Store, StoreError,
        tasks::{self, NewTask, TaskKind, TaskSource, TaskStatus},
    },
};
use serde_json::Value;
use std::time::Duration;

/// Records operations. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OperationRecorder {
    store: Store,
    clock: Clock,
    retry: Duration,
    result_bytes_max: usize,
}

/// An operation that has begun and must be ended with [`OperationRecord::end`].
#[derive(Debug)]
#[must_use = "what has begun must end"]
pub struct OperationRecord {
    recorder: OperationRecorder,
    task_id: String,
    run_id: String,
}

impl OperationRecorder {
    /// Creates a recorder. `retry`: pause before a failed write of an end is repeated. `result_bytes_max`: bytes kept
    /// of each text in a result.
    pub fn new(store: Store, clock: Clock, retry: Duration, result_bytes_max: usize) -> Self {
        OperationRecorder { store, clock, retry, result_bytes_max }
    }

    /// Records the beginning of an operation with its tool, input and caller.
    ///
    /// # Errors
    ///
    /// The record cannot be written; the operation must not begin.
    pub async fn begin(
        &self,
        tool: &'static str,
        caller: &'static str,
        input: String,
    ) -> Result<OperationRecord, StoreError> {
        let now = self.clock.now_ms();
        // The input may be secret and titles are public, so only the message in the audit trail contains it.
        let task = NewTask {
            kind: TaskKind::HostOperation,
            status: TaskStatus::Running,
            title: tool.to_owned(),
            source: TaskSource { caller: Some(caller.to_owned()), ..TaskSource::default() },
            tools: vec![tool.to_owned()],
        };
        let begin = move |conn: &mut _| {
            let created = tasks::create(conn, &task, "", now)?;
            for run_id in &created.run_ids {
                tasks::change_run(conn, run_id, TaskStatus::Running, &input, now)?;
            }
            Ok(created)
        };
        let created = self.store.transact(begin).await?;
        let run_id = created.run_ids.into_iter().next().ok_or(StoreError::NotFound)?;
        Ok(OperationRecord { recorder: self.clone(), task_id: created.task_id, run_id })
    }
}

impl OperationRecord {
    /// Records the result. If the write fails it is repeated in the background until it succeeds, because the operation
    /// has already happened.
    pub async fn end(self, ok: bool, result: Value) {
        let OperationRecord { recorder, task_id, run_id } = self;
        let now = recorder.clock.now_ms();
        let result = truncate_texts(result, recorder.result_bytes_max).to_string();
        let status = if ok { TaskStatus::Succeeded } else { TaskStatus::Failed };
        let task = task_id.clone();
        let end = move |conn: &mut _| {
            tasks::end_run(conn, &run_id, status, &result, now)?;
            tasks::finish(conn, &task, now)
        };
        let Err(error) = recorder.store.transact(end.clone()).await else { return };
        tracing::error!(task.id = task_id, %error, "the end of an operation cannot be written yet");
        actix_rt::spawn(async move {
            if let Err(error) = retry_until_committed(&recorder.store, recorder.retry, |_| (), end).await {
                tracing::error!(task.id = task_id, %error, "the end of an operation was never written");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::{StoreSettings, tasks::runs},
        testing::frozen,
    };
    use serde_json::json;
    use std::path::Path;

    fn operations() -> OperationRecorder {
        let store = Store::open(Path::new(":memory:"), &StoreSettings::default()).unwrap();
        OperationRecorder::new(store, Clock::starting_at(1), Duration::from_millis(1), 4)
    }

    async fn run(recorder: &OperationRecorder) -> (String, String, Option<String>) {
        let read = recorder.store.read(|conn| {
            let task = tasks::list(conn, &tasks::TaskFilter { limit: 1, ..Default::default() })?.rows.remove(0);
            let run = runs::of_task(conn, &task.task_id)?.remove(0);
            Ok((task.status, run.status, run.result))
        });
        frozen(read).await.unwrap()
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn an_operation_is_a_task_that_runs_and_ends_with_its_result() {
        for (ok, end) in [(true, "succeeded"), (false, "failed")] {
            let recorder = operations();
            let begun = frozen(recorder.begin("exec", "bearer", "{}".into())).await.unwrap();
            assert_eq!(run(&recorder).await, ("running".into(), "running".into(), None));
            frozen(begun.end(ok, json!({"stdout": "abcdef"}))).await;
            let result = Some(r#"{"cut":["stdout"],"stdout":"abcd"}"#.to_owned());
            assert_eq!(run(&recorder).await, (end.into(), end.into(), result));
        }
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn one_that_cannot_be_written_down_does_not_begin() {
        let recorder = operations();
        frozen(recorder.store.close()).await.unwrap();
        let refused = recorder.begin("exec", "bearer", "{}".into()).await;
        assert_eq!(refused.err(), Some(StoreError::Gone));
    }
}
