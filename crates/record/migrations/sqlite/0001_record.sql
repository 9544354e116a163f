-- The record. Times are microseconds since 1970 UTC.

-- What is stored once and referred to by its BLAKE3 hash. `data` is packed.
CREATE TABLE contents (
    hash BLOB NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
);

-- Messages in their history: a node is named by the hash of its parent and its own bytes (with the separator before it).
-- `identity` is the same over what the messages mean. The bytes are in `data` (packed), or in the content `content` without the
-- cache marks, which are then in `data`. Rows lie in the order they came and only the index is in the order of the hashes: a batch
-- then touches few pages.
CREATE TABLE nodes (
    hash BLOB NOT NULL PRIMARY KEY,
    parent BLOB,
    identity BLOB NOT NULL,
    content BLOB,
    data BLOB
);

CREATE TABLE transactions (
    id BLOB NOT NULL PRIMARY KEY,
    session TEXT NOT NULL,
    credential BLOB NOT NULL,
    started_at INTEGER NOT NULL,
    first_byte_at INTEGER,
    ended_at INTEGER NOT NULL,
    dialect TEXT NOT NULL,
    path TEXT NOT NULL,
    turn INTEGER NOT NULL,
    user_id TEXT,
    model TEXT NOT NULL,
    streamed INTEGER NOT NULL,
    policy TEXT NOT NULL,
    status TEXT NOT NULL,
    http_status INTEGER,
    error TEXT,
    evaluation TEXT NOT NULL,
    event_count INTEGER NOT NULL,
    preview TEXT,
    -- The last message's node.
    history BLOB,
    -- Manifests, packed. NULL: the same as the body before it (client request, upstream request; upstream response, client response).
    request BLOB NOT NULL,
    upstream TEXT,
    upstream_method TEXT,
    upstream_url TEXT,
    upstream_request BLOB,
    upstream_status INTEGER,
    upstream_headers TEXT,
    upstream_response BLOB,
    client_response BLOB,
    -- JSON arrays; NULL where empty.
    decisions TEXT,
    events TEXT
);

CREATE INDEX transactions_by_session ON transactions (session, credential, id);

-- Decisions that came after their transaction's end.
CREATE TABLE late_decisions (
    id BLOB NOT NULL PRIMARY KEY,
    transaction_id BLOB NOT NULL,
    decision TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX late_decisions_by_transaction ON late_decisions (transaction_id);

-- Every policy that was ever set; the last row is the current one.
CREATE TABLE policies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    class_ref TEXT NOT NULL,
    config TEXT NOT NULL,
    mode TEXT,
    enabled_at INTEGER NOT NULL,
    enabled_by TEXT NOT NULL
);
