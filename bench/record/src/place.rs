//! Where a record is kept while it is measured: a folder, or a server of its own.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use luthien_record::RecorderConfig;
use luthien_servers::Postgres;
use serde_json::Value;
use tempfile::TempDir;

use crate::Result;

/// The settings of a small server that keeps what it has been told. Those of the tests keep nothing.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "512MB"),
    ("maintenance_work_mem", "512MB"),
    ("effective_cache_size", "2GB"),
    ("max_wal_size", "4GB"),
    ("autovacuum", "on"),
];

/// How long a recorder may take to end.
pub(crate) const WITHIN: Duration = Duration::from_mins(1);

/// A place for one record, gone when this is dropped.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    folder: TempDir,
    server: Option<(Postgres, String)>,
}

impl Place {
    pub(crate) fn sqlite() -> Result<Self> {
        Ok(Self { name: "SQLite", folder: tempfile::tempdir()?, server: None })
    }

    pub(crate) fn postgres() -> Result<Self> {
        let server = Postgres::start_with(SETTINGS)?;
        let database = server.create_database()?;
        Ok(Self { name: "PostgreSQL", folder: tempfile::tempdir()?, server: Some((server, database)) })
    }

    /// A recorder's configuration for this place.
    pub(crate) fn config(&self) -> RecorderConfig {
        let config = RecorderConfig::in_dir(self.folder.path());
        match &self.server {
            Some((server, database)) => RecorderConfig { database: server.socket_url(database), ..config },
            None => config,
        }
    }

    /// Whether it is a server.
    pub(crate) fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    /// The bytes that the database takes on disk, its log of changes left out.
    pub(crate) fn bytes(&self) -> Result<u64> {
        match &self.server {
            Some((server, database)) => {
                server.query(database, "CHECKPOINT")?;
                Ok(server.query(database, "SELECT pg_database_size(current_database())")?.trim().parse()?)
            }
            None => Ok(size(&self.folder.path().join("luthien.db"))),
        }
    }
}

fn size(file: &Path) -> u64 {
    file.metadata().map_or(0, |found| found.len())
}

/// Prints a line.
pub(crate) fn tell(line: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
