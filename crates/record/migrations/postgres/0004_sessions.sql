-- Sessions with what a list shows of them; kept by whoever stores transactions.
CREATE TABLE sessions (
    -- The hash of name and credential.
    key UUID NOT NULL PRIMARY KEY,
    -- As the client named it.
    name TEXT NOT NULL,
    credential BYTEA NOT NULL,
    first_at TIMESTAMPTZ NOT NULL,
    last_at TIMESTAMPTZ NOT NULL,
    last_started_at TIMESTAMPTZ NOT NULL,
    first_turn_at TIMESTAMPTZ,
    last_turn_at TIMESTAMPTZ,
    turns BIGINT NOT NULL,
    -- Turns whose request could be read.
    readable BIGINT NOT NULL,
    events BIGINT NOT NULL,
    interventions BIGINT NOT NULL,
    preview_at TIMESTAMPTZ,
    preview TEXT
);

-- Names may be longer than a tree takes.
CREATE INDEX sessions_by_name ON sessions USING HASH (name);
CREATE INDEX sessions_by_time ON sessions (last_started_at DESC, key DESC) WHERE readable > 0;

-- The models and users of a session.
CREATE TABLE session_tags (
    session UUID NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (session, kind, value)
);

CREATE INDEX session_tags_by_value ON session_tags (kind, value, session);

ALTER TABLE transactions ADD COLUMN session_key UUID;
CREATE INDEX transactions_by_session_key ON transactions (session_key, started_at, id);
CREATE INDEX transactions_by_time ON transactions (started_at, id);

-- Which contents and chain heads the transactions of a session refer to. What nothing refers to is deleted with them.
CREATE TABLE refs (
    session UUID NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (session, hash)
);

CREATE INDEX refs_by_hash ON refs (hash);
CREATE INDEX nodes_by_parent ON nodes (parent) WHERE parent IS NOT NULL;
CREATE INDEX nodes_by_content ON nodes (content) WHERE content IS NOT NULL;

-- What is found by its words.
CREATE TABLE turn_texts (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id UUID NOT NULL,
    session UUID NOT NULL,
    part BIGINT NOT NULL,
    words TSVECTOR NOT NULL,
    UNIQUE (transaction_id, part)
);

CREATE INDEX turn_texts_by_words ON turn_texts USING GIN (words);

-- `epoch` changes whenever stored contents are deleted: what a writer believes to be stored may be gone.
CREATE TABLE record_state (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL
);

INSERT INTO record_state (one, epoch) VALUES (1, 0);
