-- Words stand apart from the row that they belong to: a search then reads few pages for the sessions of what it found.
ALTER TABLE turn_texts SET (toast_tuple_target = 128);
ALTER TABLE turn_texts ALTER COLUMN words SET STORAGE EXTERNAL;
