-- Which database this is; one row, made with it. What outside of it belongs to it alone is kept under this name.
CREATE TABLE store_identity (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    store_id TEXT NOT NULL CHECK (length(store_id) = 32)
) STRICT;

INSERT INTO store_identity VALUES (1, lower(hex(randomblob(16))));
