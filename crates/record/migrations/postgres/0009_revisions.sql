-- How often something of a topic was changed, by whichever process: raised in the database transaction that changes it.
CREATE TABLE revisions (
    topic TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);
