-- Login state as the extensions told it: names, counts, times and fingerprints, never a credential's value.
-- `account` '' = none. Credentials or endpoints that were never told are NULL.
CREATE TABLE logins (
    id INTEGER PRIMARY KEY NOT NULL,
    client_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    account TEXT NOT NULL,
    credential_fingerprint TEXT,
    freshness TEXT CHECK (freshness IN ('fresh', 'stale', 'lost')),
    header_count INTEGER,
    captured_at INTEGER,
    last_seen_at INTEGER,
    endpoints_fingerprint TEXT,
    endpoints_updated_at INTEGER,
    prompt_template INTEGER NOT NULL,
    told_at INTEGER NOT NULL,
    -- Given anew at each write, ascending: the login written last has the highest.
    revision INTEGER NOT NULL
) STRICT;

-- A login is written and found by its key; the first column alone finds the logins of a client.
CREATE UNIQUE INDEX logins_by_key ON logins (client_id, platform, account);

-- Lists come newest first and go on from a revision; the next revision is one more than the highest.
CREATE UNIQUE INDEX logins_by_revision ON logins (revision);

-- Counting stale and lost logins reads this index alone, never the rows.
CREATE INDEX logins_by_state ON logins (platform, account, freshness, last_seen_at, client_id);

-- The endpoints that the page of a login was seen to use, everything ever told. `id` ascends in order of arrival.
CREATE TABLE login_endpoints (
    id INTEGER PRIMARY KEY NOT NULL,
    login_id INTEGER NOT NULL REFERENCES logins (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
) STRICT;

-- An endpoint is there once; the first column alone finds the endpoints of a login, also when it is deleted.
CREATE UNIQUE INDEX login_endpoints_by_key ON login_endpoints (login_id, method, path);
