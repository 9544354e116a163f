//! What a gateway writes beside its data folder: a server's tables, Redis, exports, backups, archives.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use luthien_testkit::servers::{Database, Redis, database};
use luthien_tests::gateway::Gateway;
use tempfile::TempDir;

/// Which database a gateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Db {
    Sqlite,
    Postgres,
}

/// Whatever a gateway is given to write to.
pub(crate) struct Everywhere {
    database: Option<Database>,
    /// The URLs of the database, empty for SQLite, and of Redis.
    urls: [String; 2],
    _redis: Redis,
    heard: Arc<Mutex<Vec<u8>>>,
    folder: TempDir,
}

impl Everywhere {
    /// A database of this kind, and a Redis that is listened to.
    pub(crate) fn new(db: Db) -> Self {
        let database = match db {
            Db::Sqlite => None,
            Db::Postgres => Some(database().expect("a database")),
        };
        let redis = Redis::start().expect("Redis");
        let heard = listen(&redis);
        let url = database.as_ref().map(|database| database.url().to_owned());
        let urls = [url.unwrap_or_default(), redis.url()];
        Self { database, urls, _redis: redis, heard, folder: TempDir::new().expect("a folder") }
    }

    /// How a gateway is told of it.
    pub(crate) fn environment(&self) -> [(&str, &str); 2] {
        [("DATABASE_URL", &self.urls[0]), ("REDIS_URL", &self.urls[1])]
    }

    /// Looks for `word` in all of it. What is looked through has these transactions in it: a turn, and the last one of all.
    /// Afterwards the record is empty: it has gone to an archive.
    pub(crate) async fn lacks(&self, word: &str, gateway: &Gateway, turn: &str, last: &str) {
        let heard = until("event over Redis", async || {
            let heard = self.heard.lock().expect("what was heard").clone();
            holds(&heard, last).then_some(heard)
        });
        assert_lacks(&heard.await, word, "Redis");
        self.tables_lack(word, turn);
        assert_lacks(&self.export(gateway, turn).await, word, "an export");
        assert_lacks(&self.backup(gateway).await, word, "a backup");
        assert_lacks(&self.archive(gateway, last).await, word, "the archive");
    }

    /// Rows as text: bytes are in hexadecimal digits there.
    fn tables_lack(&self, word: &str, turn: &str) {
        let Some(database) = &self.database else { return };
        let query = |sql: &str| database.query(sql).expect("rows");
        let tables = query("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()");
        let digits = word.bytes().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
        let mut found = 0;
        for table in tables.lines() {
            let rows = |what: &str| query(&format!("SELECT t FROM {table} t WHERE t::text ~ '{what}' LIMIT 3"));
            assert_eq!(rows(&format!("{word}|{digits}")), "", "in {table}");
            found += rows(turn).lines().count();
        }
        assert!(found > 0, "the tables are looked through");
    }

    async fn run(&self, gateway: &Gateway, args: &[&str], more: &[(&str, &str)]) -> Vec<u8> {
        let run = gateway.command_with(args, &[&self.environment()[..], more].concat()).await;
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        [run.stdout, run.stderr].concat().into_bytes()
    }

    async fn export(&self, gateway: &Gateway, turn: &str) -> Vec<u8> {
        let said = self.run(gateway, &["export", "--all", "--format", "jsonl"], &[]).await;
        assert!(holds(&said, turn), "{}", String::from_utf8_lossy(&said));
        said
    }

    /// A backup, unpacked.
    async fn backup(&self, gateway: &Gateway) -> Vec<u8> {
        let path = self.folder.path().join("all.backup");
        self.run(gateway, &["backup", path.to_str().expect("a path in UTF-8")], &[]).await;
        let bytes = std::fs::read(&path).expect("the backup");
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let at = bytes.windows(4).position(|window| window == magic).expect("a zstd stream");
        let mut plain = bytes[..at].to_vec();
        let rows = zstd::stream::read::Decoder::new(&bytes[at..]).expect("a zstd stream");
        rows.single_frame().read_to_end(&mut plain).expect("rows");
        assert!(holds(&plain, "/v1/messages"), "the rows can be read");
        plain
    }

    /// The archive of all that was recorded, unpacked.
    async fn archive(&self, gateway: &Gateway, last: &str) -> Vec<u8> {
        let folder = self.folder.path().join("archive");
        let rules = [("ARCHIVE_DIR", folder.to_str().expect("a path in UTF-8")), ("CONVERSATION_RETENTION_DAYS", "1s")];
        until("archive of what is a second old", async || {
            self.run(gateway, &["retention", "run"], &rules).await;
            let all = unpacked(&folder);
            holds(&all, last).then_some(all)
        })
        .await
    }
}

fn unpacked(folder: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| std::fs::File::open(entry.expect("an entry").path()).expect("a file"))
        .flat_map(|file| zstd::stream::decode_all(file).expect("lines"))
        .collect()
}

/// Takes down all that is said over Redis, until it ends.
fn listen(redis: &Redis) -> Arc<Mutex<Vec<u8>>> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).expect("a connection");
    connection.write_all(b"PSUBSCRIBE *\r\n").expect("asked");
    let mut piece = [0; 4096];
    assert!(connection.read(&mut piece).expect("an answer") > 0);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&heard);
    std::thread::spawn(move || {
        while let Ok(size @ 1..) = connection.read(&mut piece) {
            ours.lock().expect("what was heard").extend_from_slice(&piece[..size]);
        }
    });
    heard
}

/// Asks again and again until there is something. Fails the test after a minute.
async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = ready().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap_or_else(|_| panic!("no {what} within a minute"))
}

pub(crate) fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

fn assert_lacks(bytes: &[u8], word: &str, place: &str) {
    let at = bytes.windows(word.len()).position(|window| window == word.as_bytes());
    let around = at.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(200)..(at + 60).min(bytes.len())]));
    assert_eq!(around, None, "in {place}");
}
