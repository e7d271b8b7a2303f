-- The Firefoxes that the operator approved. `origin`: that of the extension, or `none` for a peer that is no browser.
-- `client_secret` is the key of the mutual proof, which needs the text itself.
CREATE TABLE pairings (
    client_id TEXT PRIMARY KEY NOT NULL,
    origin TEXT NOT NULL,
    client_secret TEXT NOT NULL CHECK (length(client_secret) = 64),
    requested_at INTEGER NOT NULL,
    approved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
