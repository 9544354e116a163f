-- Names that people gave to users.
CREATE TABLE user_labels (
    user_id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    set_at INTEGER NOT NULL
);
