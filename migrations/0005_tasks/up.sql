-- What the daemon was given to do. `id` is the daemon's own number, ascending in order of arrival.
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY NOT NULL,
    task_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    platform TEXT,
    conversation_id TEXT,
    assistant_message_id TEXT,
    client_id TEXT,
    caller TEXT,
    run_count INTEGER NOT NULL
) STRICT;

-- `GET /v1/tasks?status=`, and how many are queued.
CREATE INDEX tasks_by_status ON tasks (status, id);

-- The steps of a task. `position`: from 0, in the order of the task.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY NOT NULL,
    run_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL REFERENCES tasks (task_id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    tool TEXT NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    result TEXT
) STRICT;

-- `GET /v1/runs?task_id=`, and the cascade.
CREATE INDEX runs_by_task ON runs (task_id, id);

-- How many run; nearly always empty, so that it costs nothing to keep.
CREATE INDEX runs_running ON runs (id) WHERE status = 'running';

-- What happened to tasks, one chain over all of them: `hash` covers the row and `previous_hash`, the `hash` of the row
-- before it. Rows leave by age, from the oldest on, whether their task is still there or not: no foreign key.
CREATE TABLE task_logs (
    id INTEGER PRIMARY KEY NOT NULL,
    log_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL,
    run_id TEXT,
    at INTEGER NOT NULL,
    level TEXT NOT NULL,
    event TEXT NOT NULL,
    message TEXT NOT NULL,
    hash TEXT NOT NULL,
    previous_hash TEXT
) STRICT;

-- `GET /v1/tasks/{id}/logs`.
CREATE INDEX task_logs_by_task ON task_logs (task_id, id);
