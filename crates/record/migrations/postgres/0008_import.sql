-- The oldest version that may start on this database: one that knows at least this migration. A migration that older versions cannot
-- live with raises it.
ALTER TABLE record_state ADD COLUMN min_migration BIGINT NOT NULL DEFAULT 8;
