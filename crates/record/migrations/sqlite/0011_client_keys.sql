-- Keys that the gateway gives to its clients. One that was revoked is kept.
CREATE TABLE client_keys (
    id BLOB NOT NULL PRIMARY KEY,
    -- The key itself is not kept.
    hash BLOB NOT NULL UNIQUE,
    -- By which its sessions and assignments know it: its keyed hash.
    caller BLOB NOT NULL,
    -- Its first characters, for people.
    start TEXT NOT NULL,
    name TEXT NOT NULL,
    -- JSON.
    limits TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revoked_by TEXT
);
