-- Credentials of the gateway's own, each sealed with a key that the database does not hold.
CREATE TABLE sealed_credentials (
    name TEXT NOT NULL PRIMARY KEY,
    platform TEXT NOT NULL,
    platform_url TEXT,
    credential_type TEXT NOT NULL,
    -- Which key opens it: its fingerprint.
    key_id TEXT NOT NULL,
    -- The value, encrypted together with what stands above.
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
);

-- Where policies ask judges by name.
CREATE TABLE judge_providers (
    name TEXT NOT NULL PRIMARY KEY,
    backend_type TEXT NOT NULL,
    -- A name in sealed_credentials, which may not be there.
    credential_name TEXT,
    default_model TEXT,
    -- JSON.
    config TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
);
