-- The mode that the daemon is in; one row, which is there from the first start on.
CREATE TABLE system (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    mode TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    reason TEXT
) STRICT;
