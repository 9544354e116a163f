-- Keys that the gateway gives to its clients. One that was revoked is kept.
CREATE TABLE client_keys (
    id UUID NOT NULL PRIMARY KEY,
    -- The key itself is not kept.
    hash BYTEA NOT NULL UNIQUE,
    -- By which its sessions and assignments know it: its keyed hash.
    caller BYTEA NOT NULL,
    -- Its first characters, for people.
    start TEXT NOT NULL,
    name TEXT NOT NULL,
    -- JSON.
    limits TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    revoked_by TEXT
);
