-- What an operator allows a key, a session or a user to use.
CREATE TABLE caps (
    scope TEXT NOT NULL,
    id TEXT NOT NULL,
    -- JSON.
    caps TEXT NOT NULL,
    set_at TIMESTAMPTZ NOT NULL,
    set_by TEXT NOT NULL,
    PRIMARY KEY (scope, id)
);

-- What each of them has used on a day.
CREATE TABLE spending (
    scope TEXT NOT NULL,
    id TEXT NOT NULL,
    -- The key that a session belongs to; empty for others.
    owner TEXT NOT NULL,
    -- Days since 1970, UTC.
    day BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    nanodollars BIGINT NOT NULL,
    judge_calls BIGINT NOT NULL,
    PRIMARY KEY (scope, id, owner, day)
);
CREATE INDEX spending_by_day ON spending (day);
