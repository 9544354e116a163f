//! Databases of an older proxy for tests, with its tables.

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::testing::Db;

/// The tables as the older proxy makes them; `JSON`, `TIME` and `ID` are what the database calls them.
const TABLES: [&str; 9] = [
    "conversation_calls (call_id TEXT PRIMARY KEY, model_name TEXT, provider TEXT, status TEXT, created_at TIME NOT NULL,
        completed_at TIME, session_id TEXT, user_id TEXT)",
    "conversation_events (id ID PRIMARY KEY, call_id TEXT NOT NULL, event_type TEXT NOT NULL, payload JSON NOT NULL,
        created_at TIME NOT NULL, session_id TEXT)",
    "current_policy (id INTEGER PRIMARY KEY, policy_class_ref TEXT NOT NULL, config JSON NOT NULL, enabled_at TIME NOT NULL,
        enabled_by TEXT)",
    "auth_config (id INTEGER PRIMARY KEY, auth_mode TEXT NOT NULL, validate_credentials INTEGER NOT NULL,
        valid_cache_ttl_seconds INTEGER NOT NULL, invalid_cache_ttl_seconds INTEGER NOT NULL)",
    "server_credentials (name TEXT PRIMARY KEY, platform TEXT, platform_url TEXT, credential_type TEXT,
        credential_value TEXT, is_encrypted INTEGER)",
    "inference_providers (name TEXT PRIMARY KEY, backend_type TEXT, credential_name TEXT, default_model TEXT, config JSON)",
    "gateway_config (key TEXT PRIMARY KEY, value TEXT)",
    "user_labels (user_id TEXT PRIMARY KEY, display_name TEXT NOT NULL)",
    "request_logs (id ID PRIMARY KEY, transaction_id TEXT NOT NULL, session_id TEXT, direction TEXT NOT NULL,
        http_method TEXT, url TEXT, request_headers JSON, request_body JSON, response_status INTEGER, response_headers JSON,
        response_body JSON, started_at TIME NOT NULL, completed_at TIME, duration_ms DOUBLE PRECISION, model TEXT,
        is_streaming INTEGER, endpoint TEXT, error TEXT, user_id TEXT)",
];

/// An older proxy's database.
pub(crate) struct OldDatabase {
    /// What opens it.
    pub(crate) place: String,
    connection: Old,
    /// Gone with it.
    _home: (Option<TempDir>, Option<luthien_servers::Database>),
    events: u128,
}

enum Old {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl OldDatabase {
    /// One with its tables and nothing in them.
    pub(crate) async fn new(db: Db) -> Self {
        let (place, connection, home) = match db {
            Db::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("old.db");
                let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
                let connection = SqliteConnection::connect_with(&options).await.expect("a connection");
                (path.to_str().expect("a path").to_owned(), Old::Sqlite(connection), (Some(folder), None))
            }
            Db::Postgres => {
                let server = luthien_servers::database().expect("a database");
                let connection = PgConnection::connect(server.url()).await.expect("a connection");
                (server.url().to_owned(), Old::Postgres(connection), (None, Some(server)))
            }
        };
        let mut new = Self { place, connection, _home: home, events: 0 };
        let (json, id) = match db {
            Db::Sqlite => ("TEXT", "TEXT"),
            Db::Postgres => ("JSONB", "UUID"),
        };
        for table in TABLES {
            let table = table.replace(" JSON", &format!(" {json}")).replace(" ID ", &format!(" {id} "));
            let table = table.replace(" TIME", &format!(" {}", new.time()));
            new.run(&format!("CREATE TABLE {table}")).await;
        }
        new
    }

    /// What a time's type is called.
    pub(crate) fn time(&self) -> &'static str {
        match &self.connection {
            Old::Sqlite(_) => "TEXT",
            Old::Postgres(_) => "TIMESTAMPTZ",
        }
    }

    /// Runs a statement.
    pub(crate) async fn run(&mut self, sql: &str) {
        let query = AssertSqlSafe(sql.to_owned());
        match &mut self.connection {
            Old::Sqlite(connection) => sqlx::query(query).execute(connection).await.map(|_| ()).expect(sql),
            Old::Postgres(connection) => sqlx::query(query).execute(connection).await.map(|_| ()).expect(sql),
        }
    }

    /// A call in a session, made at this time.
    pub(crate) async fn call(&mut self, id: &str, session: &str, created: &str) {
        self.run(&format!(
            "INSERT INTO conversation_calls (call_id, model_name, provider, status, created_at, session_id, user_id)
            VALUES ('{id}', 'claude-x', 'anthropic', NULL, '{created}', '{session}', 'ada')"
        ))
        .await;
    }

    /// An event of a call.
    pub(crate) async fn event(&mut self, call: &str, kind: &str, at: &str, payload: &Value) {
        self.raw_event(call, kind, at, &payload.to_string()).await;
    }

    /// The same, with a payload that need not be JSON.
    pub(crate) async fn raw_event(&mut self, call: &str, kind: &str, at: &str, payload: &str) {
        self.events += 1;
        let id = uuid::Uuid::from_u128(self.events);
        let payload = payload.replace('\'', "''");
        self.run(&format!(
            "INSERT INTO conversation_events (id, call_id, event_type, payload, created_at, session_id)
            VALUES ('{id}', '{call}', '{kind}', '{payload}', '{at}', NULL)"
        ))
        .await;
    }
}
