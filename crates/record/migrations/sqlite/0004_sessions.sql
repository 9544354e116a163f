-- Sessions with what a list shows of them; kept by whoever stores transactions.
CREATE TABLE sessions (
    -- The hash of name and credential.
    key BLOB NOT NULL PRIMARY KEY,
    -- As the client named it.
    name TEXT NOT NULL,
    credential BLOB NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    last_started_at INTEGER NOT NULL,
    first_turn_at INTEGER,
    last_turn_at INTEGER,
    turns INTEGER NOT NULL,
    -- Turns whose request could be read.
    readable INTEGER NOT NULL,
    events INTEGER NOT NULL,
    interventions INTEGER NOT NULL,
    preview_at INTEGER,
    preview TEXT
);

CREATE INDEX sessions_by_name ON sessions (name);
CREATE INDEX sessions_by_time ON sessions (last_started_at DESC, key DESC) WHERE readable > 0;

-- The models and users of a session.
CREATE TABLE session_tags (
    session BLOB NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (session, kind, value)
) WITHOUT ROWID;

CREATE INDEX session_tags_by_value ON session_tags (kind, value, session);

-- NULL: from before there were sessions; such rows are completed at the next start.
ALTER TABLE transactions ADD COLUMN session_key BLOB;
CREATE INDEX transactions_by_session_key ON transactions (session_key, started_at, id);
CREATE INDEX transactions_by_time ON transactions (started_at, id);
DROP INDEX transactions_by_session;

-- Which contents and chain heads the transactions of a session refer to. What nothing refers to is deleted with them.
CREATE TABLE refs (
    session BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (session, hash)
) WITHOUT ROWID;

CREATE INDEX refs_by_hash ON refs (hash);
CREATE INDEX nodes_by_parent ON nodes (parent) WHERE parent IS NOT NULL;
CREATE INDEX nodes_by_content ON nodes (content) WHERE content IS NOT NULL;

-- What is found by its words. `words` holds the index only; its rowid is `number`.
CREATE TABLE turn_texts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id BLOB NOT NULL,
    session BLOB NOT NULL,
    part INTEGER NOT NULL,
    UNIQUE (transaction_id, part)
);

CREATE VIRTUAL TABLE words USING fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'ascii'
);

-- `epoch` changes whenever stored contents are deleted: what a writer believes to be stored may be gone.
CREATE TABLE record_state (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
);

INSERT INTO record_state (one, epoch) VALUES (1, 0);
