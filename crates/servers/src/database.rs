//! An empty PostgreSQL database for one test.

use std::io;

use crate::postgres::{Postgres, create_database, query};

/// The environment variable with the URL of a server that many tests share; `cargo xtask test` starts one and sets it.
pub const SHARED: &str = "LUTHIEN_TEST_POSTGRES";

/// A database that is gone when this is dropped, with its server if that was started for it.
#[derive(Debug)]
pub struct Database {
    url: String,
    home: Home,
}

#[derive(Debug)]
enum Home {
    /// On a server that others use: the URL with which the database was made.
    Shared(String),
    Own(#[expect(dead_code, reason = "held to keep the server running")] Box<Postgres>),
}

/// Makes an empty database: on the server that [`SHARED`] names, or else on one of its own, which takes a quarter of a second.
pub fn database() -> io::Result<Database> {
    match std::env::var(SHARED) {
        Ok(server) if !server.is_empty() => {
            let name = create_database(&server)?;
            Ok(Database { url: sibling(&server, &name)?, home: Home::Shared(server) })
        }
        _ => {
            let server = Postgres::start()?;
            let name = server.create_database()?;
            Ok(Database { url: server.socket_url(&name), home: Home::Own(Box::new(server)) })
        }
    }
}

impl Database {
    /// Its URL, `postgres://…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL in it, by `psql`: a line for each row, columns parted by `|`.
    pub fn query(&self, sql: &str) -> io::Result<String> {
        query(&self.url, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Home::Shared(server) = &self.home
            && let Some(name) = name(&self.url)
        {
            // If it stays, it goes with the server.
            let _ = query(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// The URL of another database on the same server.
fn sibling(url: &str, name: &str) -> io::Result<String> {
    let (path, options) = url.split_once('?').map_or((url, None), |(path, options)| (path, Some(options)));
    let whole = path.matches('/').count() == 3;
    let (server, _) = path.rsplit_once('/').filter(|_| whole).ok_or_else(|| {
        io::Error::other(format!("{SHARED} names no database: it has to be like postgres://user@host/postgres"))
    })?;
    Ok(options.map_or_else(|| format!("{server}/{name}"), |options| format!("{server}/{name}?{options}")))
}

fn name(url: &str) -> Option<&str> {
    url.split('?').next()?.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::{database, sibling};

    #[test]
    fn another_database_has_the_same_server_and_options() {
        let socket = sibling("postgres:///postgres?host=/tmp/x&port=1", "other").expect("a URL");
        assert_eq!(socket, "postgres:///other?host=/tmp/x&port=1");
        let plain = sibling("postgres://me@localhost:5432/postgres", "other").expect("a URL");
        assert_eq!(plain, "postgres://me@localhost:5432/other");
        assert!(sibling("postgres://me@localhost", "other").is_err());
    }

    #[test]
    fn every_database_is_another_one() {
        let (one, two) = (database().expect("a database"), database().expect("a second"));
        one.query("CREATE TABLE t (a int)").expect("a table");
        two.query("CREATE TABLE t (a int); INSERT INTO t VALUES (7)").expect("the same in the other");
        assert_eq!(one.query("SELECT count(*) FROM t").expect("a count"), "0");
        assert_eq!(two.query("SELECT a FROM t").expect("a row"), "7");
    }
}
