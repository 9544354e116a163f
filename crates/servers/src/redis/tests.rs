//! A real server is stopped, killed, paused, and comes back on its port.

use super::Redis;
use crate::Stop;

#[test]
fn it_comes_back_empty_on_the_same_port() {
    let mut server = Redis::start().expect("a server");
    let url = server.url();
    for how in [Stop::Fast, Stop::Kill] {
        assert_eq!(server.ask("SET a 1").expect("an answer"), "OK");
        assert_eq!(server.ask("GET a").expect("an answer"), "1");
        server.stop(how).expect("an end");
        assert!(server.ask("PING").is_err(), "{how:?}: it still answers");
        server.start_again().expect("the same server");
        assert_eq!(server.ask("EXISTS a").expect("an answer"), "0");
    }
    assert_eq!(server.url(), url);
}

#[test]
fn a_paused_server_answers_once_it_goes_on() {
    let server = Redis::start().expect("a server");
    server.pause().expect("a pause");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| server.ask("PING"));
        assert!(!asked.is_finished());
        server.resume().expect("an end of the pause");
        assert_eq!(asked.join().expect("no panic").expect("an answer"), "PONG");
    });
}
