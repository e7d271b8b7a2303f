-- Complete answers as the extensions observed them. `id` ascends in order of arrival; `conversation_id` '' = none.
-- The text stands last, so that reading the columns before it never visits its pages.
CREATE TABLE final_messages (
    id INTEGER PRIMARY KEY NOT NULL,
    client_id TEXT NOT NULL,
    platform TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    assistant_message_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    raw_length INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    raw_text TEXT NOT NULL
) STRICT;

-- The same message told again is the same row.
CREATE UNIQUE INDEX final_messages_by_identity
    ON final_messages (platform, conversation_id, assistant_message_id, digest);

-- The messages of a platform, newest first (an index ends with the row's id).
CREATE INDEX final_messages_by_platform ON final_messages (platform);

-- The messages of a conversation, newest first.
CREATE INDEX final_messages_by_conversation ON final_messages (conversation_id);

-- What is too old. A message told again is young again, so that the ids do not tell; walking rows would read texts.
CREATE INDEX final_messages_by_received_at ON final_messages (received_at);
