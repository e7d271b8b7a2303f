-- The journal of browser requests. `id` is the daemon's own number, ascending in order of arrival.
CREATE TABLE browser_requests (
    id INTEGER PRIMARY KEY NOT NULL,
    request_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    client_id TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    request_mode TEXT NOT NULL,
    response_mode TEXT NOT NULL,
    phase TEXT NOT NULL,
    outcome TEXT,
    error_code TEXT,
    status INTEGER,
    requested_at INTEGER NOT NULL,
    admitted_at INTEGER,
    first_byte_at INTEGER,
    finished_at INTEGER,
    queue_delay_ms INTEGER NOT NULL,
    backoff_delay_ms INTEGER NOT NULL,
    rate_limit_delay_ms INTEGER NOT NULL,
    jitter_delay_ms INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

-- `GET /v1/browser/requests/{request_id}`.
CREATE INDEX browser_requests_by_request_id ON browser_requests (request_id);

-- What a crash left behind; nearly always empty, so that it costs nothing to keep.
CREATE INDEX browser_requests_unfinished ON browser_requests (id) WHERE finished_at IS NULL;
