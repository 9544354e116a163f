//! The database of the record, SQLite or PostgreSQL: how it is opened, and which schema it must have.

use std::path::Path;
use std::time::Duration;

use crate::recorder::OpenError;
use crate::sql::{Connection, Kind, Pool};

pub(crate) mod migrations;
mod postgres;
mod sqlite;

/// Tables by which an older proxy's database is known.
const OLDER: [&str; 2] = ["conversation_calls", "client_api_keys"];

pub use migrations::{MigrationStatus, SchemaStatus, Standing};
pub(crate) use postgres::apart;
pub(crate) use sqlite::{FileIdentity, file_identity};

/// Connections and patience.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseOptions {
    /// The most connections for queries. What writes has two more, what looks for changes by others one.
    pub pool_size: u32,
    /// How long a connection may take to be made or to come free.
    pub connect_timeout: Duration,
    /// How long a statement may take on PostgreSQL.
    pub query_timeout: Duration,
    /// The schema is brought up to date when the record is opened. Without it, an older one is refused.
    pub migrate: bool,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            pool_size: 8,
            connect_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(30),
            migrate: true,
        }
    }
}

/// Where the database is, and how it is used.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    place: Place,
    options: DatabaseOptions,
}

#[derive(Clone, Debug)]
enum Place {
    Sqlite(sqlite::File),
    Postgres(Box<postgres::Server>),
}

impl Database {
    /// Reads a `sqlite://path` or `postgres://…` URL.
    pub(crate) fn parse(url: &str, options: DatabaseOptions) -> Result<Self, OpenError> {
        let place = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Place::Postgres(Box::new(postgres::Server::parse(url, options)?))
        } else {
            Place::Sqlite(sqlite::File::parse(url, options)?)
        };
        Ok(Self { place, options })
    }

    /// The file, where it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite(file) => Some(file.path()),
            Place::Postgres(_) => None,
        }
    }

    /// Which database it is.
    pub(crate) fn kind(&self) -> Kind {
        match &self.place {
            Place::Sqlite(_) => Kind::Sqlite,
            Place::Postgres(_) => Kind::Postgres,
        }
    }

    /// Its URL as it may be shown, without a password.
    pub(crate) fn shown(&self) -> String {
        match &self.place {
            Place::Sqlite(file) => file.url().to_owned(),
            Place::Postgres(server) => server.shown().to_owned(),
        }
    }

    /// How it is used.
    pub(crate) fn options(&self) -> DatabaseOptions {
        self.options
    }

    /// A connection to it as it is, whatever its schema; a file is made if it is missing.
    pub(crate) async fn connect_bare(&self) -> Result<Connection, OpenError> {
        match &self.place {
            Place::Sqlite(file) => file.open(true).await.map(Connection::Sqlite),
            Place::Postgres(server) => Ok(Connection::Postgres(server.open().await?, self.options.query_timeout)),
        }
    }

    /// Whether it can be a record's: not where it is an older proxy's file.
    pub(crate) async fn check(&self) -> Result<(), OpenError> {
        match &self.place {
            Place::Sqlite(file) => file.check().await,
            // Older proxies' tables there are in another schema.
            Place::Postgres(_) => Ok(()),
        }
    }

    /// How its schema stands.
    pub(crate) async fn status(&self) -> Result<SchemaStatus, OpenError> {
        let mut connection = self.connect_bare().await?;
        let status = migrations::status(&mut connection.sql(), self.shown()).await;
        // What cannot be closed is closed by the other side.
        let _ = connection.close().await;
        status.map_err(|source| OpenError::Database { url: self.shown(), source })
    }

    /// A connection for the writer, to a schema of this version. `create`: make the file if it is missing.
    pub(crate) async fn connect(&self, create: bool) -> Result<Connection, OpenError> {
        match &self.place {
            Place::Sqlite(file) => file.connect(create, self.options.migrate).await.map(Connection::Sqlite),
            Place::Postgres(server) => {
                let connection = server.connect(self.options.migrate).await?;
                Ok(Connection::Postgres(connection, self.options.query_timeout))
            }
        }
    }

    /// Connections for queries.
    pub(crate) fn readers(&self) -> Pool {
        match &self.place {
            Place::Sqlite(file) => Pool::Sqlite(file.readers()),
            Place::Postgres(server) => Pool::Postgres(server.readers(), self.options.query_timeout),
        }
    }

    /// One more for short queries, so that they need not wait for long ones.
    pub(crate) fn follower(&self) -> Pool {
        match &self.place {
            Place::Sqlite(file) => Pool::Sqlite(file.follower()),
            Place::Postgres(server) => Pool::Postgres(server.follower(), self.options.query_timeout),
        }
    }

    /// A connection for what people write.
    pub(crate) fn editor(&self) -> Pool {
        match &self.place {
            Place::Sqlite(file) => Pool::Sqlite(file.editor()),
            Place::Postgres(server) => Pool::Postgres(server.editor(), self.options.query_timeout),
        }
    }
}

#[cfg(test)]
mod tests;
