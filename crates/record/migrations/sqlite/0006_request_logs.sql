-- Raw HTTP where it is logged: the heads of each side of a transaction. Bodies and the rest are the transaction's, with which they go.
CREATE TABLE request_logs (
    transaction_id BLOB NOT NULL,
    -- `inbound` (client and gateway) or `outbound` (gateway and upstream).
    direction TEXT NOT NULL,
    http_method TEXT NOT NULL,
    url TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    -- JSON arrays of names and values.
    request_headers TEXT NOT NULL,
    response_status INTEGER,
    response_headers TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    completed_at INTEGER,
    PRIMARY KEY (transaction_id, direction)
) WITHOUT ROWID;

CREATE INDEX request_logs_by_time ON request_logs (started_at, transaction_id);
