//! A request says the same in every dialect, and again in its own.

use luthien_wire::Dialect;
use luthien_wire::convert;
use luthien_wire::request::{Request, RequestKind};
use proptest::prelude::*;

use crate::said::{Ask, ask};
use crate::{lens, render};

fn parsed(dialect: Dialect, body: impl Into<Vec<u8>>) -> Request {
    Request::parse(dialect, RequestKind::Turn, body.into().into()).expect("a request")
}

/// What both dialects of a pair can express.
fn common(ask: &Ask, one: Dialect, other: Dialect) -> Ask {
    let stops = one != Dialect::Responses && other != Dialect::Responses;
    Ask { stop: if stops { ask.stop.clone() } else { Vec::new() }, ..ask.clone() }
}

fn pairs() -> impl Strategy<Value = (Dialect, Dialect)> {
    let all = Dialect::ALL.into_iter().flat_map(|from| Dialect::ALL.into_iter().map(move |to| (from, to)));
    prop::sample::select(all.filter(|(from, to)| from != to).collect::<Vec<_>>())
}

proptest! {
    /// The tests' own writers and readers agree.
    #[test]
    fn what_is_written_is_read((dialect, _) in pairs(), ask in ask()) {
        let ask = common(&ask, dialect, dialect);
        prop_assert_eq!(lens::request(dialect, render::request(dialect, &ask).as_bytes()), ask);
    }

    #[test]
    fn a_request_says_the_same_in_another_dialect((from, to) in pairs(), ask in ask()) {
        let ask = common(&ask, from, to);
        let converted = convert::request(&parsed(from, render::request(from, &ask)), to, "model").expect("all of it can be said");
        prop_assert_eq!(lens::request(to, &converted.body), ask, "{}", String::from_utf8_lossy(&converted.body));
        prop_assert_eq!(converted.dropped, Vec::<String>::new());
        let read = parsed(to, converted.body.to_vec());
        prop_assert_eq!(read.model(), "model");
    }

    #[test]
    fn a_request_that_went_there_and_back_says_the_same((from, to) in pairs(), ask in ask()) {
        let ask = common(&ask, from, to);
        let there = convert::request(&parsed(from, render::request(from, &ask)), to, "model").expect("all of it can be said");
        let back = convert::request(&parsed(to, there.body.to_vec()), from, "model").expect("all of it can be said");
        prop_assert_eq!(lens::request(from, &back.body), ask, "{}", String::from_utf8_lossy(&back.body));
    }

    #[test]
    fn stop_texts_are_refused_where_they_cannot_be_kept(from in prop::sample::select(vec![Dialect::Messages, Dialect::Chat]), ask in ask()) {
        let converted = convert::request(&parsed(from, render::request(from, &ask)), Dialect::Responses, "model");
        prop_assert_eq!(converted.is_err(), !ask.stop.is_empty());
    }
}
