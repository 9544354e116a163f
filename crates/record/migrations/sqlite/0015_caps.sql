-- What an operator allows a key, a session or a user to use.
CREATE TABLE caps (
    scope TEXT NOT NULL,
    id TEXT NOT NULL,
    -- JSON.
    caps TEXT NOT NULL,
    set_at INTEGER NOT NULL,
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
    day INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    nanodollars INTEGER NOT NULL,
    judge_calls INTEGER NOT NULL,
    PRIMARY KEY (scope, id, owner, day)
);
CREATE INDEX spending_by_day ON spending (day);
