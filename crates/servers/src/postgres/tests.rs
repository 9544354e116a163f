//! A real server is stopped, killed, paused, and comes back with what it held.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use super::{Postgres, query};
use crate::Stop;

#[test]
fn what_was_written_outlives_a_stop_and_a_kill() {
    let mut server = Postgres::start().expect("a server");
    let name = server.create_database().expect("a database");
    server.query(&name, "CREATE TABLE t (a int)").expect("a table");
    for (row, how) in [(1, Stop::Fast), (2, Stop::Kill)] {
        server.query(&name, &format!("INSERT INTO t VALUES ({row})")).expect("a row");
        server.stop(how).expect("an end");
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_err(), "{how:?}: it still listens");
        server.start_again().expect("the same server");
    }
    assert_eq!(query(&server.url(&name), "SELECT a FROM t ORDER BY a").expect("rows over TCP"), "1\n2");
}

#[test]
fn a_paused_server_answers_once_it_goes_on() {
    let server = Postgres::start().expect("a server");
    server.pause().expect("a pause");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| server.query("postgres", "SELECT 7"));
        assert!(!asked.is_finished());
        server.resume().expect("an end of the pause");
        assert_eq!(asked.join().expect("no panic").expect("an answer"), "7");
    });
}

#[test]
fn settings_are_taken_and_nothing_is_left() {
    let server = Postgres::start_with(&[("fsync", "on")]).expect("a server");
    assert_eq!(server.query("postgres", "SHOW fsync").expect("a setting"), "on");
    let folder = server.query("postgres", "SHOW data_directory").expect("its folder");
    assert!(Path::new(&folder).is_dir());
    let port = server.port();
    drop(server);
    assert!(!Path::new(&folder).exists());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}
