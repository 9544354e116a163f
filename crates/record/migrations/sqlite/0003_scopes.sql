-- Policies for a part of the traffic. One that has ended is kept.
CREATE TABLE policy_assignments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- global, key, session, header
    scope TEXT NOT NULL,
    -- The hash of the credential, for a key or a session.
    credential BLOB,
    -- The session as its client names it, or what a header asks for.
    name TEXT,
    class_ref TEXT NOT NULL,
    config TEXT NOT NULL,
    mode TEXT NOT NULL,
    how TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    expires_at INTEGER,
    ended_at INTEGER,
    ended_by TEXT
);

-- Every position that the panic switch was put to; the last row is the current one.
CREATE TABLE panics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mode TEXT NOT NULL,
    reason TEXT,
    message TEXT,
    set_at INTEGER NOT NULL,
    set_by TEXT NOT NULL
);
