-- Who may use the admin side under a name of their own.
CREATE TABLE people (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Of the token; the token itself is not kept.
    hash BYTEA NOT NULL UNIQUE,
    -- The token's first characters, for people.
    start TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    -- When the token was made.
    token_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ
);
-- Sessions of browsers, and links that begin one.
CREATE TABLE admin_logins (
    hash BYTEA NOT NULL PRIMARY KEY,
    -- `session` or `link`.
    kind TEXT NOT NULL,
    -- None: whoever has the admin key.
    person UUID,
    -- The hash keyed with the credential that it stands for: it ends with it.
    bond BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
-- What was done on the admin side, and by whom.
CREATE TABLE audit_log (
    id UUID NOT NULL PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    name TEXT,
    role TEXT,
    proof TEXT,
    method TEXT NOT NULL,
    route TEXT NOT NULL,
    target TEXT NOT NULL,
    status BIGINT,
    replica TEXT NOT NULL
);
CREATE INDEX audit_log_at ON audit_log (at);
