-- What is found by its words, several turns of a session in a row: a word that many turns have is in it once. Older gateways write to and
-- search `turn_texts`, where nothing is added any more.
CREATE TABLE word_blocks (
    number BIGINT GENERATED ALWAYS AS IDENTITY,
    session UUID NOT NULL,
    -- How many turns, or parts of them.
    entries BIGINT NOT NULL,
    words TSVECTOR NOT NULL,
    -- Which these are, and which of them have which of the words. Packed.
    turns BYTEA NOT NULL,
    PRIMARY KEY (session, number)
);

-- A search then reads few pages for the sessions of what it found.
ALTER TABLE word_blocks SET (toast_tuple_target = 128);
ALTER TABLE word_blocks ALTER COLUMN words SET STORAGE EXTERNAL;
ALTER TABLE word_blocks ALTER COLUMN turns SET STORAGE EXTERNAL;
CREATE INDEX word_blocks_by_words ON word_blocks USING GIN (words);

-- Transactions that were deleted and whose words are still to be removed: older gateways do not know of `word_blocks`.
CREATE TABLE words_gone (
    transaction_id UUID NOT NULL PRIMARY KEY,
    session UUID NOT NULL
);

CREATE OR REPLACE FUNCTION luthien_note_words_gone() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO words_gone (transaction_id, session)
        SELECT id, session_key FROM gone WHERE session_key IS NOT NULL ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER note_words_gone AFTER DELETE ON transactions REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION luthien_note_words_gone();
