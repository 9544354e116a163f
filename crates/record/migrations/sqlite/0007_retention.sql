-- Contents and nodes that lost a reference: what nothing refers to any more is deleted in small steps.
CREATE TABLE garbage (
    hash BLOB NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- Whose data were deleted on request, for a time: what was in flight then is deleted when it has been stored.
CREATE TABLE erasures (
    -- The session's, or the hash of the user's id.
    key BLOB NOT NULL PRIMARY KEY,
    session BLOB,
    user_id TEXT,
    erased_at INTEGER NOT NULL
);

-- Who removes what is old now, until when nobody else does, and how the last run ended.
CREATE TABLE retention (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    holder BLOB,
    held_until INTEGER,
    ended_at INTEGER,
    outcome TEXT
);

INSERT INTO retention (one) VALUES (1);
