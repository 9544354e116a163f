//! What the gateway leans on stops, hangs, crawls or is locked, and comes back.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use luthien_testkit::servers::{Postgres, Redis, Stop};

/// What happens to the gateway's database, or to the Redis beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another process holds a write transaction on the SQLite file.
    Locked,
    /// PostgreSQL is shut down.
    Stopped,
    /// PostgreSQL is killed.
    Killed,
    /// PostgreSQL's processes stand still, its connections open.
    Paused,
    /// PostgreSQL takes two seconds for every transaction that is inserted, which is longer than it is waited for.
    Slow,
    /// PostgreSQL takes two seconds for every statement that inserts transactions.
    Crawls,
    /// PostgreSQL stands still in the middle of the first statement that inserts transactions, and in every later one.
    Stuck,
    /// Redis is shut down.
    RedisStopped,
    /// Redis stands still, its connections open.
    RedisPaused,
}

/// What a gateway under test leans on.
pub(crate) enum Prop {
    Sqlite(Option<Lock>),
    Postgres { server: Box<Postgres>, name: String },
    Redis(Box<Redis>),
}

impl Prop {
    /// One that this can happen to.
    pub(crate) fn prone_to(fault: Fault) -> Self {
        match fault {
            Fault::Locked => Self::Sqlite(None),
            Fault::RedisStopped | Fault::RedisPaused => Self::Redis(Box::new(Redis::start().expect("Redis"))),
            Fault::Stopped | Fault::Killed | Fault::Paused | Fault::Slow | Fault::Crawls | Fault::Stuck => {
                let server = Postgres::start().expect("PostgreSQL");
                let name = server.create_database().expect("a database");
                Self::Postgres { server: Box::new(server), name }
            }
        }
    }

    /// How the gateway is told of it. SQLite is the default, a file in the data folder.
    pub(crate) fn setting(&self) -> (&'static str, String) {
        match self {
            Self::Sqlite(_) => ("DATABASE_URL", String::new()),
            Self::Postgres { server, name } => ("DATABASE_URL", server.url(name)),
            Self::Redis(server) => ("REDIS_URL", server.url()),
        }
    }

    /// Lets it happen.
    pub(crate) fn suffer(&mut self, fault: Fault, data: &Path) {
        match (self, fault) {
            (Self::Sqlite(lock), Fault::Locked) => *lock = Some(Lock::take(&data.join("luthien.db"))),
            (Self::Postgres { server, .. }, Fault::Stopped) => server.stop(Stop::Fast).expect("an end"),
            (Self::Postgres { server, .. }, Fault::Killed) => server.stop(Stop::Kill).expect("an end"),
            (Self::Postgres { server, .. }, Fault::Paused) => server.pause().expect("a pause"),
            (Self::Postgres { server, name }, Fault::Slow) => slow(server, name, "ROW"),
            (Self::Postgres { server, name }, Fault::Crawls) => slow(server, name, "STATEMENT"),
            (Self::Postgres { server, name }, Fault::Stuck) => {
                server.query(name, STUCK).expect("a gate");
            }
            (Self::Redis(server), Fault::RedisStopped) => server.stop(Stop::Fast).expect("an end"),
            (Self::Redis(server), Fault::RedisPaused) => server.pause().expect("a pause"),
            (_, fault) => panic!("{fault:?} does not happen to it"),
        }
    }

    /// Whether what was let happen keeps an insert from ending now: the lock is still held, or an insert stands at the gate.
    pub(crate) fn holds_an_insert(&mut self) -> bool {
        match self {
            Self::Sqlite(lock) => lock.as_mut().is_some_and(Lock::is_held),
            Self::Postgres { server, name } => server.query(name, AT_THE_GATE).expect("a number").trim() != "0",
            Self::Redis(_) => false,
        }
    }

    /// Ends it.
    pub(crate) fn mend(&mut self, fault: Fault) {
        match self {
            Self::Sqlite(lock) => drop(lock.take()),
            Self::Postgres { server, name } => match fault {
                Fault::Paused => server.resume().expect("an end of the pause"),
                Fault::Slow | Fault::Crawls => {
                    server.query(name, FAST).expect("no trigger");
                }
                Fault::Stuck => {
                    server.query(name, "DELETE FROM gate").expect("an open gate");
                }
                _ => server.start_again().expect("the same server"),
            },
            Self::Redis(server) if fault == Fault::RedisPaused => server.resume().expect("an end of the pause"),
            Self::Redis(server) => server.start_again().expect("the same server"),
        }
    }
}

/// Two seconds for each row or statement that goes into the table of transactions.
fn slow(server: &Postgres, database: &str, each: &str) {
    let sleep = "CREATE FUNCTION crawl() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN PERFORM pg_sleep(2); RETURN NEW; END'";
    let when = format!("BEFORE INSERT ON transactions FOR EACH {each} EXECUTE FUNCTION crawl()");
    server.query(database, &format!("{sleep}; CREATE TRIGGER crawl {when}")).expect("a trigger");
}

/// An insert goes on once the table `gate` is empty.
const STUCK: &str = "CREATE TABLE gate (closed boolean); INSERT INTO gate VALUES (true); \
    CREATE FUNCTION stand() RETURNS trigger LANGUAGE plpgsql AS \
    'BEGIN WHILE EXISTS (SELECT 1 FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN NEW; END'; \
    CREATE TRIGGER stand BEFORE INSERT ON transactions FOR EACH STATEMENT EXECUTE FUNCTION stand()";
const AT_THE_GATE: &str = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep' AND datname = current_database()";

const FAST: &str = "DROP TRIGGER crawl ON transactions";

/// Another process in the middle of a write transaction; dropped, it ends.
pub(crate) struct Lock {
    child: Child,
    open: Option<ChildStdin>,
}

impl Lock {
    fn take(file: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", EXCLUSIVE]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let (open, said) = (child.stdin.take(), child.stdout.take().expect("its output"));
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).expect("a line");
        assert_eq!(line, "locked\n");
        Self { child, open }
    }
}

impl Lock {
    fn is_held(&mut self) -> bool {
        self.open.is_some() && self.child.try_wait().expect("a process").is_none()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.open.take();
        // It ends with its input; were it not to, the test would find the database locked.
        let _ = self.child.wait();
    }
}

const EXCLUSIVE: &str = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
database.execute('BEGIN EXCLUSIVE')
print('locked', flush=True)
sys.stdin.read()
database.execute('ROLLBACK')
";
