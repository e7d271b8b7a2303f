-- Where the chain of `task_logs` begins and ends; one row. `anchor_*`: the last line that left by age, `head_*`: the
-- last that was written; 0 and NULL before the first.
CREATE TABLE audit_chain (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    anchor_number INTEGER NOT NULL CHECK (anchor_number >= 0),
    anchor_hash TEXT CHECK ((anchor_hash IS NULL) = (anchor_number = 0)),
    head_number INTEGER NOT NULL CHECK (head_number >= anchor_number),
    head_hash TEXT CHECK ((head_hash IS NULL) = (head_number = 0))
) STRICT;

INSERT INTO audit_chain VALUES (1, 0, NULL, 0, NULL);

-- The instructions that were ever taken on. A key that left would let its instruction run again.
CREATE TABLE dedupe_keys (
    dedupe_key TEXT PRIMARY KEY NOT NULL,
    batch_id TEXT NOT NULL,
    reserved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER dedupe_keys_stay BEFORE DELETE ON dedupe_keys
BEGIN
    SELECT RAISE(ABORT, 'a dedupe key never leaves');
END;

CREATE TRIGGER dedupe_keys_stay_as_they_are BEFORE UPDATE ON dedupe_keys
BEGIN
    SELECT RAISE(ABORT, 'a dedupe key never changes');
END;

-- Messages of models, each with what was decided about it. `plan` and `rejection` are JSON.
CREATE TABLE instruction_batches (
    id INTEGER PRIMARY KEY NOT NULL,
    batch_id TEXT NOT NULL UNIQUE,
    task_id TEXT,
    status TEXT NOT NULL,
    origin TEXT NOT NULL,
    platform TEXT NOT NULL,
    conversation_id TEXT,
    assistant_message_id TEXT NOT NULL,
    client_id TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    expires_at INTEGER,
    decided_at INTEGER,
    decided_by TEXT,
    reason TEXT,
    delivery TEXT NOT NULL,
    digest TEXT,
    plan TEXT NOT NULL,
    rejection TEXT
) STRICT;

-- `GET /v1/instructions?status=`, and what is next or expires.
CREATE INDEX instruction_batches_by_status ON instruction_batches (status, id);

-- `GET /v1/instructions?platform=`.
CREATE INDEX instruction_batches_by_platform ON instruction_batches (platform, id);

-- What became of a message.
CREATE INDEX instruction_batches_by_message ON instruction_batches (assistant_message_id, id);

-- What may leave by age.
CREATE INDEX instruction_batches_by_end ON instruction_batches (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_by_end ON tasks (finished_at) WHERE finished_at IS NOT NULL;

-- The batch of a task.
CREATE INDEX instruction_batches_by_task ON instruction_batches (task_id);
