-- Contents and nodes that lost a reference: what nothing refers to any more is deleted in small steps.
CREATE TABLE garbage (
    hash BYTEA NOT NULL PRIMARY KEY
);

-- Whose data were deleted on request, for a time: what was in flight then is deleted when it has been stored.
CREATE TABLE erasures (
    -- The session's, or the hash of the user's id.
    key UUID NOT NULL PRIMARY KEY,
    session UUID,
    user_id TEXT,
    erased_at TIMESTAMPTZ NOT NULL
);

-- Who removes what is old now, until when nobody else does, and how the last run ended.
CREATE TABLE retention (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    holder UUID,
    held_until TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    outcome TEXT
);

INSERT INTO retention (one) VALUES (1);
