-- What the request policy remembers of each target. `circuit_*` = NULL: closed; `backoff_*` = NULL: none.
-- `*_until` is wall time, `*_uptime_ms` the same moment since the boot of `boot_id`, `*_span_ms` how long it lasted.
CREATE TABLE policy_targets (
    client_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    boot_id TEXT,
    circuit_until INTEGER,
    circuit_uptime_ms INTEGER CHECK (circuit_uptime_ms >= 0),
    circuit_span_ms INTEGER CHECK (circuit_span_ms >= 0),
    backoff_until INTEGER,
    backoff_uptime_ms INTEGER CHECK (backoff_uptime_ms >= 0),
    backoff_span_ms INTEGER CHECK (backoff_span_ms >= 0),
    consecutive_failures INTEGER NOT NULL CHECK (consecutive_failures BETWEEN 0 AND 4294967295),
    last_error TEXT,
    last_failure_at INTEGER,
    last_success_at INTEGER,
    stale_sweep_count INTEGER NOT NULL CHECK (stale_sweep_count >= 0),
    last_sweep_at INTEGER,
    last_sweep_idle_ms INTEGER CHECK (last_sweep_idle_ms >= 0),
    last_sweep_request_id TEXT,
    last_sweep_reason TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, platform),
    CHECK ((circuit_until IS NULL) = (circuit_span_ms IS NULL)),
    CHECK (circuit_until IS NOT NULL OR circuit_uptime_ms IS NULL),
    CHECK ((backoff_until IS NULL) = (backoff_span_ms IS NULL)),
    CHECK (backoff_until IS NOT NULL OR backoff_uptime_ms IS NULL),
    CHECK ((last_sweep_at IS NULL) = (last_sweep_idle_ms IS NULL)),
    CHECK ((last_sweep_at IS NULL) = (last_sweep_request_id IS NULL)),
    CHECK ((last_sweep_at IS NULL) = (last_sweep_reason IS NULL))
) STRICT, WITHOUT ROWID;

-- The platforms to which requests were ever sent.
CREATE TABLE policy_windows (
    platform TEXT PRIMARY KEY NOT NULL,
    last_dispatched_at INTEGER
) STRICT, WITHOUT ROWID;

-- When requests were sent, as long as they lie in their platform's window. `number` ascends with each platform's
-- dispatches; `count` of them, close together, are one row.
CREATE TABLE policy_dispatches (
    platform TEXT NOT NULL REFERENCES policy_windows (platform),
    number INTEGER NOT NULL CHECK (number >= 0),
    at INTEGER NOT NULL,
    uptime_ms INTEGER CHECK (uptime_ms >= 0),
    boot_id TEXT,
    count INTEGER NOT NULL CHECK (count >= 1),
    PRIMARY KEY (platform, number)
) STRICT, WITHOUT ROWID;
